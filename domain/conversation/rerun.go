package conversation

import (
	"time"

	"github.com/parley-engine/parley/events"
)

// Rerun is a conversation's history as it would have gone with other timers: what people
// and services did stays as it was, what timers did does not. Timers are taken to fire at
// the instant they are due. Zero is a conversation that has not begun.
//
// It cannot know what a conversation that was really closed would have heard: after that
// nothing could be said in it.
type Rerun struct {
	Policy events.Timers // in place of any timers the conversation had

	Began      time.Time
	Service    string
	Was, Would Course
	After      int // messages, participants and states that came when it would have been closed

	ended bool // it was removed
}

// Course is what became of a conversation.
type Course struct {
	Closed      time.Time // zero: it is open, or was when it was removed
	Inactivated int       // by a timer
	Reactivated int       // by a message or a participant

	state string
	since time.Time
}

// Outcome compares when a conversation closes.
type Outcome string

// Outcomes.
const (
	ClosesEarlier Outcome = "earlier" // or at all, where it was open
	ClosesLater   Outcome = "later"   // or not at all, where it was closed
	ClosesSame    Outcome = "same"
)

// See goes on with the next event of the conversation.
func (r *Rerun) See(e events.Event) {
	switch e := e.(type) {
	case events.ConversationCreated:
		r.Began, r.Service = e.At, e.Service
		r.Was = Course{state: e.State, since: e.At}
		r.Would = r.Was
	case events.ConversationTimersConfigured:
		r.Advance(e.At)
		r.Would.since = e.At
	case events.TimerOperated:
		r.operated(e)
	case events.MessageAdded:
		r.hear(e.At)
	case events.ParticipantAdded:
		r.hear(e.At)
	case events.ConversationStateChanged:
		r.move(e)
	case events.ConversationRemoved:
		r.Advance(e.At)
		r.ended = true
	}
}

// operated is what an operator did. Other timers would have had another instant to be
// postponed from: they are postponed by as much.
func (r *Rerun) operated(e events.TimerOperated) {
	r.Advance(e.At)
	switch e.Action {
	case events.TimerFired:
		_, to, ok := State{State: r.Would.state, Since: r.Would.since, Timers: r.Policy}.NextDue()
		if ok && !r.ended {
			r.Would.enter(events.ConversationStateChanged{To: to, Reason: events.ReasonTimer, Due: e.At})
		}
	case events.TimerPostponed:
		r.Would.since = r.Would.since.Add(e.Due.Sub(e.FormerDue))
	}
}

// hear is what a message or a participant does to the clock.
func (r *Rerun) hear(at time.Time) {
	r.Advance(at)
	switch r.Would.state {
	case events.StateClosed:
		r.After++
		return
	case events.StateInactive:
		r.Would.state = events.StateActive
		r.Would.Reactivated++
	}
	r.Would.since = later(r.Would.since, at)
}

func (r *Rerun) move(e events.ConversationStateChanged) {
	r.Was.enter(e)
	if e.Reason != events.ReasonAPI {
		return // it is the former timers', or follows from what was heard
	}
	r.Advance(e.At)
	switch {
	case r.Would.state != events.StateClosed:
		r.Would.enter(e)
	case e.To != events.StateClosed:
		r.After++
	}
}

func (c *Course) enter(e events.ConversationStateChanged) {
	c.state, c.since = e.To, entered(e)
	switch {
	case e.To == events.StateClosed:
		c.Closed = c.since
	case e.Reason == events.ReasonTimer:
		c.Inactivated++
	case e.Reason == events.ReasonEvent:
		c.Reactivated++
	}
}

// Advance lets the time go on: what is due by then happens.
func (r *Rerun) Advance(now time.Time) {
	for !r.ended {
		due, to, ok := State{State: r.Would.state, Since: r.Would.since, Timers: r.Policy}.NextDue()
		if !ok || now.Before(due) {
			return
		}
		r.Would.enter(events.ConversationStateChanged{To: to, Reason: events.ReasonTimer, Due: due})
	}
}

// Outcome compares, as far as it has come.
func (r *Rerun) Outcome() Outcome {
	was, would := r.Was.Closed, r.Would.Closed
	switch {
	case was.Equal(would):
		return ClosesSame
	case !would.IsZero() && (was.IsZero() || would.Before(was)):
		return ClosesEarlier
	}
	return ClosesLater
}
