package conversation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// ticked is what a timer does that was due at one minute and came up at another.
func ticked(from, to string, due, now int) events.Event {
	return events.ConversationStateChanged{
		From: from, To: to, Reason: events.ReasonTimer, Due: at(due), DateUpdated: at(now), At: at(now),
	}
}

func tick(minutes int) conversation.AdvanceState {
	return conversation.AdvanceState{Issue: by(minutes)}
}

// later moves the instants of events, whatever they are, by minutes.
func later(minutes int, es []events.Event) []events.Event {
	moved := make([]events.Event, len(es))
	for i, e := range es {
		switch e := e.(type) {
		case events.MessageAdded:
			e.At = e.At.Add(time.Duration(minutes) * time.Minute)
			moved[i] = e
		case events.ParticipantAdded:
			e.At = e.At.Add(time.Duration(minutes) * time.Minute)
			moved[i] = e
		case events.ConversationStateChanged:
			e.At = e.At.Add(time.Duration(minutes) * time.Minute)
			moved[i] = e
		default:
			panic(e.EventType())
		}
	}
	return moved
}

func TestTimers(t *testing.T) {
	const active, inactive, shut = events.StateActive, events.StateInactive, events.StateClosed
	onlyInactive, onlyClosed, both := withTimers("PT10M", ""), withTimers("", "PT20M"), withTimers("PT10M", "PT20M")
	early := conversation.AdvanceState{Issue: conversation.Issue{At: at(10).Add(-time.Nanosecond)}, Due: at(10)}
	run(t, []row{
		{name: "no timers, nothing ever", given: created(), when: tick(1 << 20)},
		{name: "only Inactive: one instant early is early", given: created(onlyInactive), when: early},
		{name: "only Inactive: at the instant it is due", given: created(onlyInactive), when: tick(10), then: []events.Event{ticked(active, inactive, 10, 10)}},
		{name: "only Inactive: never closes", given: history(created(onlyInactive, inState(inactive))), when: tick(1 << 20)},
		{name: "only Closed: closes straight from active", given: created(onlyClosed), when: tick(20), then: []events.Event{ticked(active, shut, 20, 20)}},
		{name: "only Closed: closes from inactive too", given: created(onlyClosed, inState(inactive)), when: tick(20), then: []events.Event{ticked(inactive, shut, 20, 20)}},
		{name: "both: inactive first", given: created(both), when: tick(29), then: []events.Event{ticked(active, inactive, 10, 29)}},
		{name: "both: closed counts from the instant it became inactive, not from the tick that noticed",
			given: history(created(both), []events.Event{ticked(active, inactive, 10, 15)}), when: tick(30), then: []events.Event{ticked(inactive, shut, 30, 30)}},
		{name: "both: not a minute before that", given: history(created(both), []events.Event{ticked(active, inactive, 10, 15)}), when: tick(29)},
		{name: "after a long downtime both steps are taken, each at its own instant", given: created(both), when: tick(500),
			then: []events.Event{ticked(active, inactive, 10, 500), ticked(inactive, shut, 30, 500)}},
		{name: "both: created inactive, the closed clock runs from creation", given: created(both, inState(inactive)), when: tick(20), then: []events.Event{ticked(inactive, shut, 20, 20)}},
		{name: "a message restarts the clock", given: history(created(both), later(5, posted(1, 0, "x", ""))), when: tick(14)},
		{name: "and the timer runs from the message", given: history(created(both), later(5, posted(1, 0, "x", ""))), when: tick(15), then: []events.Event{ticked(active, inactive, 15, 15)}},
		{name: "a new participant restarts the clock", given: history(created(both), later(5, chat(1, "ann"))), when: tick(14)},
		{name: "setting the same state restarts the clock", given: history(created(both), later(5, moved(active, active))), when: tick(14)},
		{name: "so does setting inactive again", given: history(created(both), moved(active, inactive), later(5, moved(inactive, inactive))), when: tick(24)},
		{name: "and it closes from there", given: history(created(both), moved(active, inactive), later(5, moved(inactive, inactive))), when: tick(25), then: []events.Event{ticked(inactive, shut, 25, 25)}},
		{name: "setting timers starts them", given: history(created(), timersSet(30, "PT10M", "")), when: tick(39)},
		{name: "from when they were set", given: history(created(), timersSet(30, "PT10M", "")), when: tick(40), then: []events.Event{ticked(active, inactive, 40, 40)}},
		{name: "taking them away stops them", given: history(created(both), timersSet(5, "", "")), when: tick(500)},
		{name: "other changes, reading and receipts do not restart the clock", given: history(created(both), chat(1, "ann"), sms(2, alice, proxy), posted(1, 0, "ann", mb(1), mb(2)), quiet(9)),
			when: tick(10), then: []events.Event{ticked(active, inactive, 10, 10)}},
		{name: "a closed conversation has no timers", given: history(created(both), closed()), when: tick(500)},
		{name: "one being assembled has none", given: created(both, inState(events.StateInitializing)), when: tick(500)},
		{name: "a removed one has none, and a late tick is no mistake", given: history(created(both), gone()), when: tick(500)},
		{name: "a tick for what never was", when: tick(1), no: missing("conversation_not_found", "", 20404)},
		{name: "users have no hand in it", given: history(created(both), chat(1, "ann")), when: conversation.AdvanceState{Issue: user(10, "ann", nil, nil)}, no: forbidden("server_side_only", "", 50107)},
	})
}

func timersSet(minutes int, inactive, closed string) []events.Event {
	return []events.Event{events.ConversationTimersConfigured{
		Timers: events.Timers{Inactive: inactive, Closed: closed}, DateUpdated: at(minutes), At: at(minutes),
	}}
}

// quiet is everything that is no activity.
func quiet(minutes int) []events.Event {
	now := at(minutes)
	return []events.Event{
		events.ConversationFriendlyNameChanged{FriendlyName: "n", DateUpdated: now, At: now},
		events.ConversationAttributesChanged{Attributes: "[]", DateUpdated: now, At: now},
		events.ParticipantAttributesChanged{Participant: mb(1), Attributes: "[]", DateUpdated: now, At: now},
		events.ReadHorizonMoved{Participant: mb(1), Index: 0, ReadAt: now, At: now},
		events.MessageBodyEdited{Message: im(1), Body: "b", DateUpdated: now, At: now},
		events.DeliveryUpdated{Receipt: "DY", Message: im(1), Participant: mb(2), Status: "sent", At: now},
		events.ParticipantRemoved{Participant: mb(1), At: now},
		events.MessageRemoved{Message: im(1), At: now},
	}
}

func TestNextDue(t *testing.T) {
	for _, c := range []struct {
		name  string
		given []events.Event
		due   int
		state string
	}{
		{"nothing yet", nil, 0, ""},
		{"no timers", created(), 0, ""},
		{"only Inactive", created(withTimers("PT10M", "")), 10, "inactive"},
		{"only Closed", created(withTimers("", "PT20M")), 20, "closed"},
		{"both", created(withTimers("PT10M", "PT20M")), 10, "inactive"},
		{"both, inactive since the timer", history(created(withTimers("PT10M", "PT20M")), []events.Event{ticked("active", "inactive", 10, 99)}), 30, "closed"},
		{"closed", history(created(withTimers("PT10M", "PT20M")), closed()), 0, ""},
		{"removed", history(created(withTimers("PT10M", "PT20M")), gone()), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			due, state, ok := fold(c.given).NextDue()
			require.Equal(t, c.state != "", ok)
			require.Equal(t, c.state, state)
			if ok {
				require.Equal(t, at(c.due), due)
			}
		})
	}
}
