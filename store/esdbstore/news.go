package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// news follows the end of the log with one subscription for everybody: it wakes those
// who wait, and shows appends what landed. It begins with the first of them.
type news struct {
	store *Store
	begin sync.Once
	done  chan struct{} // closed when the follower has ended

	resume events.Position // everything up to here has been seen, of others too; the follower's own

	mu     sync.Mutex
	upto   events.Position // of the last event seen
	known  bool            // upto is: the follower has begun
	moved  chan struct{}   // closed at the next change
	failed error           // why nothing more is followed
	sights map[events.ID][]*sight
}

// sight is an event that an append waits to see.
type sight struct {
	id    events.ID
	early bool // it may have come by before anything was followed
	mark  string
	seen  bool
}

func newNews(s *Store) *news {
	return &news{store: s, done: make(chan struct{}), moved: make(chan struct{}), sights: map[events.ID][]*sight{}}
}

// follow begins to follow, the first time it is called.
func (n *news) follow() {
	n.begin.Do(func() {
		go func() { // waited for by wait
			defer close(n.done)
			n.run(n.store.ending)
		}()
	})
}

// wait returns when nothing is followed any more. The store's end comes first.
func (n *news) wait() {
	n.begin.Do(func() { close(n.done) })
	<-n.done
}

func (n *news) watch(id events.ID) *sight {
	n.follow()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &sight{id: id, early: !n.known}
	n.sights[id] = append(n.sights[id], s)
	return s
}

func (n *news) forget(s *sight) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := n.sights[s.id]
	for i := range left {
		if left[i] == s {
			left = append(left[:i:i], left[i+1:]...)
			break
		}
	}
	if n.sights[s.id] = left; len(left) == 0 {
		delete(n.sights, s.id)
	}
}

// seen waits until the event has come by, and returns its mark; no mark when its
// place is behind already. It gives up after a while.
func (n *news) seen(ctx context.Context, s *sight, at events.Position, patience time.Duration) (string, bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		n.mu.Lock()
		found, seen, passed, moved := s.mark, s.seen, n.known && n.upto.Compare(at) >= 0, n.moved
		n.mu.Unlock()
		if seen || passed && !s.early {
			return found, true
		}
		if passed {
			return "", false
		}
		select {
		case <-moved:
		case <-timer.C:
			return "", false
		case <-ctx.Done():
			return "", false
		}
	}
}

// Wait implements store.LogReader.
func (s *Store) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	s.news.follow()
	for {
		if err := s.ready(ctx); err != nil {
			return events.Position{}, err
		}
		n := s.news
		n.mu.Lock()
		upto, moved, failed := n.upto, n.moved, n.failed
		n.mu.Unlock()
		switch {
		case failed != nil:
			return events.Position{}, failed
		case upto.Compare(after) > 0:
			return s.Head(ctx) // events come one by one, the log has their batch whole
		}
		select {
		case <-moved:
		case <-ctx.Done():
		case <-s.ending.Done():
		}
	}
}

// run follows until the store is closed, or until the database breaks its word.
func (n *news) run(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; tries++ {
		err := n.subscribe(ctx, func() { tries = 0 })
		if ctx.Err() != nil {
			break
		}
		if !isTrouble(err) {
			n.store.options.Logger.Error("the log is followed no more", "err", err)
			n.change(func() { n.failed = err })
			return
		}
		n.store.options.Logger.Warn("subscription to the database broke; it is taken up again", "err", err)
		if used := n.store.links.now(); used != nil && n.store.links.address.discover {
			n.store.links.drop(used)
		}
		if pause(ctx, tries) != nil {
			break
		}
	}
	n.change(func() {}) // wakes those who wait
}

func (n *news) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.moved)
	n.moved = make(chan struct{})
}

// subscribe follows over one connection.
func (n *news) subscribe(ctx context.Context, fine func()) error {
	if !n.known {
		head, err := n.store.Head(ctx)
		if errors.Is(err, store.ErrUnavailable) {
			return &trouble{err}
		}
		if err != nil {
			return err
		}
		n.resume = head
		n.change(func() { n.known, n.upto = true, head })
	}
	used, err := n.store.links.get(ctx)
	if err != nil {
		return err
	}
	o := base(store.Forwards, 0)
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	o = n.store.allQuery(o, n.resume, nil)
	r, err := n.store.open(ctx, used, o)
	if err != nil {
		return err
	}
	defer r.close()
	r.brief = true
	for {
		m, err := r.next()
		if errors.Is(err, errDone) {
			return &trouble{errors.New("the subscription ended")}
		}
		if err != nil {
			return err
		}
		fine()
		if err := n.take(m); err != nil {
			return err
		}
	}
}

// take moves to where a message is. Events advance the position, or something is
// wrong that must not be passed over.
func (n *news) take(m *message) error {
	if !m.isEvent {
		if m.checkpoint.Compare(n.resume) > 0 {
			n.resume = m.checkpoint
		}
		return nil
	}
	at := m.recorded.Position
	if at.Compare(n.resume) <= 0 {
		return fmt.Errorf("the database sent the event at %s behind %s", at, n.resume)
	}
	n.resume = at
	n.change(func() {
		n.upto = at
		for _, s := range n.sights[m.recorded.ID] {
			s.mark, s.seen = m.mark, true
		}
	})
	return nil
}
