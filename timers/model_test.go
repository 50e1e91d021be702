package timers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/timers"
)

// world is a naive engine: conversations that follow the clock rules of
// docs/timers.md, each under one lock, and a log of what they did.
type world struct {
	mu            sync.Mutex
	index         *timers.Index
	conversations map[string]*talk
	fired         []firing
	position      uint64
}

// talk is one conversation of the world.
type talk struct {
	state            string
	inactive, closed time.Duration // zero: no such timer
	activity         time.Time     // both clocks of an active conversation run from here
	entered          time.Time     // when it became inactive
}

// firing is one transition made by a timer.
type firing struct {
	conversation string
	to           string
	due, at      time.Time
}

func newWorld() *world {
	return &world{index: timers.NewIndex(), conversations: make(map[string]*talk)}
}

func sid(n int) string { return fmt.Sprintf("CH%032x", n) }

// create begins an active conversation and lets the index follow.
func (w *world) create(id string, inactive, closed time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conversations[id] = &talk{state: events.StateActive, inactive: inactive, closed: closed, activity: time.Now()}
	var texts events.Timers
	if inactive > 0 {
		texts.Inactive = iso(inactive)
	}
	if closed > 0 {
		texts.Closed = iso(closed)
	}
	w.follow(id, events.ConversationCreated{Conversation: id, Timers: texts, State: events.StateActive})
}

func iso(d time.Duration) string { return fmt.Sprintf("PT%dS", int(d.Seconds())) }

// message is activity: it moves nothing in the index unless it wakes the
// conversation up. It reports whether the conversation was still open.
func (w *world) message(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conversations[id]
	switch c.state {
	case events.StateClosed:
		return false
	case events.StateInactive:
		c.state, c.activity = events.StateActive, time.Now()
		w.follow(id, events.ConversationStateChanged{From: events.StateInactive, To: events.StateActive, Reason: events.ReasonEvent})
	default:
		c.activity = time.Now()
		w.follow(id, events.MessageAdded{})
	}
	return true
}

// configure replaces both timers.
func (w *world) configure(id string, inactive, closed time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conversations[id]
	c.inactive, c.closed = inactive, closed
	var texts events.Timers
	if inactive > 0 {
		texts.Inactive = iso(inactive)
	}
	if closed > 0 {
		texts.Closed = iso(closed)
	}
	w.follow(id, events.ConversationTimersConfigured{Timers: texts})
}

// fire is the Fire function of this world: at most one transition a call.
func (w *world) fire(_ context.Context, id string, _ time.Time) (time.Time, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, now := w.conversations[id], time.Now()
	if due, to, ok := c.next(); ok && !due.After(now) {
		w.fired = append(w.fired, firing{id, to, due, now})
		w.follow(id, events.ConversationStateChanged{From: c.state, To: to, Reason: events.ReasonTimer, Due: due})
		c.state, c.entered = to, due
	}
	due, _, ok := c.next()
	return due, ok, nil
}

// next is the clock rules: what happens next, and when.
func (c *talk) next() (due time.Time, to string, ok bool) {
	switch {
	case c.state == events.StateActive && c.inactive > 0:
		return c.activity.Add(c.inactive), events.StateInactive, true
	case c.state == events.StateActive && c.closed > 0:
		return c.activity.Add(c.closed), events.StateClosed, true
	case c.state == events.StateInactive && c.closed > 0:
		return c.entered.Add(c.closed), events.StateClosed, true
	default:
		return time.Time{}, "", false
	}
}

func (w *world) follow(id string, e events.Event) {
	w.position++
	if err := w.index.Apply(recorded(id, w.position, e)); err != nil {
		panic(err)
	}
}

func recorded(id string, position uint64, e events.Event) events.Recorded {
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return events.Recorded{
		Type: e.EventType(), Stream: events.Stream(events.CategoryConversation, id),
		Position: events.At(position), Data: data,
	}
}

// firings returns what timers did so far.
func (w *world) firings() []firing {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]firing(nil), w.fired...)
}

func (w *world) state(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conversations[id].state
}
