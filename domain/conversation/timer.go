package conversation

import (
	"cmp"
	"time"

	"github.com/parley-engine/parley/domain/duration"
	"github.com/parley-engine/parley/events"
)

// NextDue says when the next timer comes up and which state it leads to;
// ok is false when none is running (reference 2.4).
//
// An active conversation becomes inactive when the Inactive timer has run, or,
// without one, closed when the Closed timer has. An inactive one becomes closed
// when the Closed timer has run. The clock starts anew with every message, every
// new participant, every state set by a client and whenever timers are set.
func (s State) NextDue() (due time.Time, state string, ok bool) {
	if s.Removed() {
		return time.Time{}, "", false
	}
	inactive, closed := length(s.Timers.Inactive), length(s.Timers.Closed)
	switch {
	case s.State == events.StateActive && inactive > 0:
		return s.Since.Add(inactive), events.StateInactive, true
	case s.State == events.StateActive && closed > 0, s.State == events.StateInactive && closed > 0:
		return s.Since.Add(closed), events.StateClosed, true
	}
	return time.Time{}, "", false
}

// length of a timer; 0 for none. Texts in events have been checked.
func length(timer string) time.Duration {
	d, err := duration.Parse(timer)
	if err != nil {
		return 0
	}
	return d.Length()
}

// advanceState takes every step that is due, each at its own instant: after a
// long downtime a conversation becomes inactive and then closed.
func advanceState(s State, c AdvanceState) ([]events.Event, error) {
	if s.Removed() {
		return nil, nil // the tick came after the end
	}
	if err := cmp.Or(s.found(), serverOnly(c.Caller, "", "advance timers")); err != nil {
		return nil, err
	}
	var steps []events.Event
	for {
		due, to, ok := s.NextDue()
		if !ok || c.At.Before(due) {
			return steps, nil
		}
		steps = append(steps, events.ConversationStateChanged{
			From: s.State, To: to, Reason: events.ReasonTimer, Due: due, DateUpdated: c.At, At: c.At,
		})
		s.State, s.Since = to, due
	}
}
