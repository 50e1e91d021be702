package conversation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func rerun(policy events.Timers, until int, es []events.Event) conversation.Rerun {
	r := conversation.Rerun{Policy: policy}
	for _, e := range es {
		r.See(e)
	}
	r.Advance(at(until))
	return r
}

func said(minutes int) []events.Event { return []events.Event{events.MessageAdded{At: at(minutes)}} }
func joins(minutes int) []events.Event {
	return []events.Event{events.ParticipantAdded{At: at(minutes)}}
}
func became(to, reason string, minutes int) []events.Event {
	e := events.ConversationStateChanged{To: to, Reason: reason, At: at(minutes)}
	if reason == events.ReasonTimer {
		e.Due, e.At = e.At, at(minutes+3) // late
	}
	return []events.Event{e}
}

func TestARerunGoesByOtherTimers(t *testing.T) {
	const active, inactive, shut = events.StateActive, events.StateInactive, events.StateClosed
	short := events.Timers{Inactive: "PT10M", Closed: "PT20M"}
	for name, row := range map[string]struct {
		policy                          events.Timers
		es                              []events.Event
		was, would                      int // minute; 0: open
		outcome                         conversation.Outcome
		after, inactivated, reactivated int
	}{
		"nobody talks":                   {short, created(), 0, 30, conversation.ClosesEarlier, 0, 1, 0},
		"somebody talks in time":         {short, history(created(), said(9), joins(18)), 0, 48, conversation.ClosesEarlier, 0, 1, 0},
		"somebody talks a little late":   {short, history(created(), said(12)), 0, 42, conversation.ClosesEarlier, 0, 2, 1},
		"somebody talks in the instant":  {short, history(created(), said(10)), 0, 40, conversation.ClosesEarlier, 0, 2, 1},
		"somebody talks when it is shut": {short, history(created(), said(31), joins(32), became(active, events.ReasonAPI, 33)), 0, 30, conversation.ClosesEarlier, 3, 1, 0},
		"what was shut has no traffic":   {short, history(created(), became(shut, events.ReasonAPI, 31)), 31, 30, conversation.ClosesEarlier, 0, 1, 0},
		"it is shut by somebody":         {short, history(created(), became(shut, events.ReasonAPI, 5)), 5, 5, conversation.ClosesSame, 0, 0, 0},
		"it is touched":                  {short, history(created(), became(active, events.ReasonAPI, 5)), 0, 35, conversation.ClosesEarlier, 0, 1, 0},
		"timers are set":                 {short, history(created(), []events.Event{events.ConversationTimersConfigured{At: at(5)}}), 0, 35, conversation.ClosesEarlier, 0, 1, 0},
		"the former timers are left out": {short, history(created(), became(inactive, events.ReasonTimer, 1), became(shut, events.ReasonTimer, 2)), 2, 30, conversation.ClosesLater, 0, 1, 0},
		"what follows from talk, too":    {short, history(created(), became(inactive, events.ReasonTimer, 1), said(5), became(active, events.ReasonEvent, 5)), 0, 35, conversation.ClosesEarlier, 0, 1, 0},
		"it never closes any more":       {events.Timers{Inactive: "PT10M"}, history(created(), became(shut, events.ReasonTimer, 2)), 2, 0, conversation.ClosesLater, 0, 1, 0},
		"not within the time":            {events.Timers{Closed: "P30D"}, created(), 0, 0, conversation.ClosesSame, 0, 0, 0},
		"it is removed before":           {short, history(created(), []events.Event{events.ConversationRemoved{At: at(15)}}), 0, 0, conversation.ClosesSame, 0, 1, 0},
		"an operator lets it fire": {short, history(created(), []events.Event{
			events.TimerOperated{Action: events.TimerFired, FormerDue: at(60), At: at(5)},
			events.ConversationStateChanged{To: inactive, Reason: events.ReasonTimer, Due: at(5), At: at(5)},
		}), 0, 25, conversation.ClosesEarlier, 0, 1, 0},
		"an operator postpones it": {short, history(created(), []events.Event{
			events.TimerOperated{Action: events.TimerPostponed, FormerDue: at(60), Due: at(90), Since: at(30), At: at(5)},
		}), 0, 60, conversation.ClosesEarlier, 0, 1, 0},
		"what waited does not pull it back": {short, history(created(), said(9), said(5)), 0, 39, conversation.ClosesEarlier, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := rerun(row.policy, 1000, row.es)
			minute := func(closed time.Time) int {
				if closed.IsZero() {
					return 0
				}
				return int(closed.Sub(t0).Minutes())
			}
			require.Equal(t, []int{row.was, row.would, row.after, row.inactivated, row.reactivated},
				[]int{minute(r.Was.Closed), minute(r.Would.Closed), r.After, r.Would.Inactivated, r.Would.Reactivated})
			require.Equal(t, row.outcome, r.Outcome())
		})
	}
}

// By the timers it had, a conversation goes as it went.
func TestARerunByTheSameTimersIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		timers := events.Timers{
			Inactive: rapid.SampledFrom([]string{"", "PT1M", "PT10M"}).Draw(t, "inactive"),
			Closed:   rapid.SampledFrom([]string{"", "PT10M", "PT20M"}).Draw(t, "closed"),
		}
		es := created(withTimers(timers.Inactive, timers.Closed))
		s := foldOn(conversation.State{}, es)
		now := t0
		do := func(c conversation.Command) {
			more, err := conversation.Decide(s, c)
			if err == nil {
				s, es = foldOn(s, more), append(es, more...)
			}
		}
		for i := range rapid.IntRange(0, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
			issue := conversation.Issue{At: now}
			do(conversation.AdvanceState{Issue: issue})
			do(rapid.SampledFrom([]conversation.Command{
				conversation.AddMessage{Issue: issue, Sid: im(i), Body: "b"},
				conversation.AddParticipant{Issue: issue, Sid: mb(i), Identity: mb(i)},
				conversation.Update{Issue: issue, State: ptr(events.StateActive)},
				conversation.Update{Issue: issue, State: ptr(events.StateInactive)},
				conversation.Update{Issue: issue, FriendlyName: ptr("n")},
				conversation.Update{Issue: issue, State: ptr(events.StateClosed)},
			}).Draw(t, "command"))
		}
		r := conversation.Rerun{Policy: timers}
		for _, e := range es {
			r.See(e)
		}
		r.Advance(now)
		require.EqualExportedValues(t, r.Was, r.Would)
		require.Equal(t, conversation.ClosesSame, r.Outcome())
		require.Zero(t, r.After)
	})
}
