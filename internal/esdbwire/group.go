package esdbwire

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire/competing"
	"github.com/parley-engine/parley/store"
)

// group runs one persistent subscription. One goroutine has the queue, reads go on
// beside it, and others reach it by do.
type group struct {
	*database
	config   groupConfig
	wanted   func(r *record) bool
	ctx      context.Context
	cancel   context.CancelCauseFunc
	calls    chan func()
	arriving chan arrival
	nudged   chan struct{} // somebody who was stuck has room
	ended    chan struct{} // closed after run
	readers  sync.WaitGroup

	// Of the goroutine in run.
	queue     *competing.Queue
	consumers map[*consumer]struct{}
	after     place // what was done when it began
	known     place // the last that came
	started   time.Time
	given     int64 // to consumers that are gone
	measured  int64 // given by the last time somebody asked
	replaying bool
	parkedTo  store.Revision // parked events before that came back already
}

// arrival is a message on its way into the queue.
type arrival struct {
	*competing.Message
	pass bool // for nobody: it says how far the log was read
}

// carried is the event of a message. An event that stands for another has both; the
// other may be gone.
type carried struct{ event, link *record }

// original is the one that consumers answer for.
func (c carried) original() *record {
	if c.link != nil {
		return c.link
	}
	return c.event
}

// target is the one that it is about.
func (c carried) target() *record {
	if c.event != nil {
		return c.event
	}
	return c.link
}

// newGroup reads how far a group has come.
func (g *groups) newGroup(ctx context.Context, c *groupConfig) (*group, error) {
	one := &group{
		database: g.database, config: *c, queue: c.queue(), calls: make(chan func()), arriving: make(chan arrival),
		nudged: make(chan struct{}, 1), ended: make(chan struct{}), consumers: map[*consumer]struct{}{}, started: time.Now(),
	}
	var err error
	if one.wanted, err = c.wanted(); err != nil {
		return nil, err
	}
	if one.after, err = g.progress(ctx, c); err != nil {
		return nil, err
	}
	one.known = one.after
	one.ctx, one.cancel = context.WithCancelCause(g.ctx)
	return one, nil
}

// run shares events until the group is ended, then drops its consumers with the reason.
func (g *group) run() {
	g.readers.Go(func() {
		if err := g.read(); err != nil {
			g.cancel(err)
		}
	})
	err := g.share()
	g.cancel(err)
	g.readers.Wait()
	g.saveLast()
	for c := range g.consumers {
		c.drop(err)
	}
}

// leastSaving bounds how often a group says how far it has come.
const leastSaving = 100 * time.Millisecond

func (g *group) share() error {
	expiry := time.NewTimer(time.Hour)
	defer expiry.Stop()
	saving := time.NewTicker(max(g.config.every(), leastSaving))
	defer saving.Stop()
	for {
		g.queue.Deliver(time.Now())
		if due := g.queue.NextDue(); !due.IsZero() {
			expiry.Reset(time.Until(due))
		}
		var err error
		select {
		case <-g.ctx.Done():
			return context.Cause(g.ctx)
		case f := <-g.calls:
			f()
		case <-g.nudged:
		case a := <-g.incoming():
			g.take(a)
		case <-expiry.C:
			err = g.park(g.queue.Expire(time.Now()), "it was not handled in time")
		case <-saving.C:
			err = g.save(g.config.MinCheckpoint)
		}
		if err == nil {
			err = g.save(max(g.config.MaxCheckpoint, 1))
		}
		switch {
		case g.ctx.Err() != nil:
			return context.Cause(g.ctx)
		case err != nil:
			return err
		}
	}
}

// nudge has the group look for who can be given something.
func (g *group) nudge() { signal(g.nudged) }

// incoming is where events come from; nil while there is no room.
func (g *group) incoming() <-chan arrival {
	if g.queue.Room() {
		return g.arriving
	}
	return nil
}

func (g *group) take(a arrival) {
	if a.Source == competing.Sequence {
		g.known = a.Place.(place)
	}
	if a.pass {
		g.queue.Pass(a.Message)
		return
	}
	g.queue.Add(a.Message)
}

// do calls f in the goroutine that has the queue, and returns when it has been
// called. The error says why the group has ended instead.
func (g *group) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	call := func() { f(); close(done) }
	select {
	case g.calls <- call:
		<-done
		return nil
	case <-g.ctx.Done():
		return context.Cause(g.ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join lets a consumer take part.
func (g *group) join(ctx context.Context, c *consumer) (err error) {
	failed := g.do(ctx, func() {
		if limit := int(g.config.MaxSubscribers); limit > 0 && len(g.consumers) >= limit {
			err = groupFull(g.config.groupName)
			return
		}
		c.seat = g.queue.Join(c, c.slots)
		g.consumers[c] = struct{}{}
	})
	return errors.Join(failed, err)
}

// leave lets a consumer go that may have been dropped.
func (g *group) leave(c *consumer) {
	_ = g.do(context.Background(), func() {
		g.given += c.seat.Total
		g.queue.Leave(c.seat)
		delete(g.consumers, c)
	})
}

// read sends what the group shares, for ever.
func (g *group) read() error {
	if g.config.all() {
		return g.readLog()
	}
	q := &query{stream: g.config.Stream, stored: g.stored(g.config.Stream), subscribe: true, revision: g.after.revision + 1}
	head, err := g.log.Head(g.ctx)
	if err != nil {
		return err
	}
	if _, _, err := g.look(g.ctx, q); err != nil {
		return err
	}
	next, err := g.history(g.ctx, q, g.send)
	if err != nil {
		return err
	}
	return g.follow(g.ctx, head, store.Filter{StreamPrefixes: []string{q.stored}, EncodedMetadata: true}, func(e *events.Recorded) error {
		if e.Stream != q.stored || store.Revision(e.Revision) < next {
			return nil
		}
		return g.send(e)
	}, nil)
}

// passEvery is after how many events that are not for the group it takes note of how
// far the log was read.
const passEvery = 1000

func (g *group) readLog() error {
	passed := 0
	return g.follow(g.ctx, g.after.position, asKept, func(e *events.Recorded) error {
		r, err := shown(e)
		switch {
		case err != nil:
			return err
		case g.wanted(&r):
			return g.send(e)
		case ofGroups(strings.TrimPrefix(r.stream, metastreamMark)):
			return nil // or noting it would bring the next one
		}
		if passed++; passed%passEvery != 0 {
			return nil
		}
		return g.arrive(arrival{&competing.Message{Place: g.config.placeOf(e)}, true})
	}, nil)
}

// send brings an event of what is shared into the queue.
func (g *group) send(e *events.Recorded) error {
	r, err := shown(e)
	if err != nil {
		return err
	}
	c := carried{event: &r}
	if r.kind == linkType && g.config.ResolveLinks {
		target, err := g.linked(g.ctx, &r)
		if err != nil {
			return err
		}
		c = carried{target, &r}
	}
	return g.arrive(arrival{g.message(c, competing.Sequence, g.config.placeOf(e)), false})
}

func (g *group) message(c carried, from competing.Source, at place) *competing.Message {
	target := c.target()
	m := &competing.Message{ID: c.original().id, Key: target.stream, Source: from, Place: at, Event: c}
	for _, r := range []*record{c.event, c.link} {
		if r != nil {
			m.Size += len(r.data) + len(r.metadata) + len(r.stream) + 200
		}
	}
	if g.config.Strategy == competing.PinnedByCorrelation {
		var metadata struct {
			Correlation string `json:"$correlationId"`
		}
		if json.Unmarshal(target.metadata, &metadata) == nil && metadata.Correlation != "" {
			m.Key = metadata.Correlation
		}
	}
	return m
}

// arrive waits for room.
func (g *group) arrive(a arrival) error {
	select {
	case g.arriving <- a:
		return nil
	case <-g.ctx.Done():
		return g.ctx.Err()
	}
}
