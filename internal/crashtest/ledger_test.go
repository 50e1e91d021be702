package crashtest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// ledger is what the clients were told. It only grows.
type ledger struct {
	mu      sync.Mutex // guards all
	acks    []ack
	refused []refusal
	posts   []post
}

// ack is an outcome that a client has got.
type ack struct {
	client  int
	outcome engine.Outcome
}

// refusal is a command that was answered with a refusal, and only ever called.
type refusal struct {
	id   events.ID
	code string
}

// post is a command that the broker has made durable.
type post struct {
	client    int
	id        events.ID
	aggregate string
}

func (l *ledger) ack(a ack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, a)
}

func (l *ledger) refuse(r refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, r)
}

func (l *ledger) post(p post) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts = append(l.posts, p)
}

// known is a ledger as of now. What it holds does not change any more.
func (l *ledger) known() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{acks: l.acks[:len(l.acks):len(l.acks)], refused: l.refused[:len(l.refused):len(l.refused)], posts: l.posts[:len(l.posts):len(l.posts)]}
}

// audit compares what clients were told with a history that was read later.
func (l *ledger) audit(h *history) error {
	if err := l.auditAcks(h); err != nil {
		return err
	}
	for _, r := range l.refused {
		if e, ok := h.effects[r.id]; ok {
			return fmt.Errorf("command %s was refused (%s) and has an effect in %s", r.id, r.code, e.stream)
		}
	}
	return l.auditPosts(h)
}

// lane is one client's view of one stream.
type lane struct {
	client int
	stream string
}

// auditAcks finds every acknowledged command in the log where its client was
// told, and each client's acknowledgements of one stream in rising order.
func (l *ledger) auditAcks(h *history) error {
	last := map[lane]int64{}
	for _, a := range l.acks {
		o := a.outcome
		if len(o.Events) == 0 {
			continue // there was nothing to do
		}
		e, ok := h.effects[o.CommandID]
		switch {
		case !ok:
			return fmt.Errorf("command %s was acknowledged and is not in the log: %+v", o.CommandID, o)
		case int64(e.last) != o.Revision || e.position != o.Position || !slices.Equal(e.types, o.Events):
			return fmt.Errorf("command %s was acknowledged as %+v and is in the log as %+v", o.CommandID, o, *e)
		}
		at := lane{a.client, e.stream}
		if before, ok := last[at]; ok && o.Revision <= before {
			return fmt.Errorf("client %d had revision %d of %s acknowledged after %d", a.client, o.Revision, e.stream, before)
		}
		last[at] = o.Revision
	}
	return nil
}

// auditPosts holds the posts of one client to one conversation to the order in
// which they were posted. Those not carried out yet are counted by waiting.
func (l *ledger) auditPosts(h *history) error {
	type place struct {
		id       events.ID
		revision uint64
		missing  bool
	}
	last := map[lane]place{}
	for _, p := range l.posts {
		at := lane{p.client, p.aggregate}
		e, done := h.effects[p.id]
		before, seen := last[at]
		switch {
		case !done:
			last[at] = place{id: p.id, missing: true}
			continue
		case seen && before.missing:
			return fmt.Errorf("post %s was carried out and %s, posted before it, was not", p.id, before.id)
		case seen && e.first <= before.revision:
			return fmt.Errorf("post %s is at revision %d of %s, behind the earlier %s", p.id, e.first, e.stream, before.id)
		}
		last[at] = place{id: p.id, revision: e.last}
	}
	return nil
}

// waiting counts the posts that have no effect yet.
func (l *ledger) waiting(h *history) (n int) {
	for _, p := range l.posts {
		if _, done := h.effects[p.id]; !done {
			n++
		}
	}
	return n
}
