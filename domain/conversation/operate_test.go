package conversation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// timed is a conversation with timers that has been heard of an hour ago at most.
func timed(timers events.Timers, history ...events.Event) conversation.State {
	begun := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	s := conversation.Evolve(conversation.State{}, events.ConversationCreated{
		Conversation: operated, State: events.StateActive, Timers: timers, DateCreated: begun, DateUpdated: begun, At: begun,
	})
	for _, e := range history {
		s = conversation.Evolve(s, e)
	}
	return s
}

const operated = "CH00000000000000000000000000000001"

func after(d time.Duration) time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(d) }

func issuedAt(d time.Duration) conversation.Issue { return conversation.Issue{At: after(d)} }

var bothTimers = events.Timers{Inactive: "PT1H", Closed: "PT2H"}

func TestAnOperatorFiresATimer(t *testing.T) {
	s := timed(bothTimers)
	es, err := conversation.Decide(s, conversation.FireTimer{Issue: issuedAt(10 * time.Minute), Reason: "left"})
	require.NoError(t, err)
	require.Equal(t, []events.Event{
		events.TimerOperated{Action: events.TimerFired, Reason: "left", FormerDue: after(time.Hour), DateUpdated: after(10 * time.Minute), At: after(10 * time.Minute)},
		events.ConversationStateChanged{From: "active", To: "inactive", Reason: events.ReasonTimer, Due: after(10 * time.Minute), DateUpdated: after(10 * time.Minute), At: after(10 * time.Minute)},
	}, es)
	s = timed(bothTimers, es...)
	due, to, ok := s.NextDue()
	require.True(t, ok)
	require.Equal(t, "closed", to)
	require.Equal(t, after(130*time.Minute), due, "the next one counts from now")
	es, err = conversation.Decide(s, conversation.FireTimer{Issue: issuedAt(11 * time.Minute), Reason: "left"})
	require.NoError(t, err)
	require.Equal(t, "closed", es[1].(events.ConversationStateChanged).To)
	_, err = conversation.Decide(conversation.Evolve(s, es[1]), conversation.FireTimer{Issue: issuedAt(12 * time.Minute), Reason: "left"})
	requireRefused(t, err, "conversation_closed")
}

func TestAnOperatorPostponesATimer(t *testing.T) {
	s := timed(bothTimers)
	for name, row := range map[string]struct {
		command conversation.PostponeTimer
		due     time.Duration
	}{
		"by":  {conversation.PostponeTimer{By: "PT30M"}, 90 * time.Minute},
		"to":  {conversation.PostponeTimer{To: after(5 * time.Hour)}, 5 * time.Hour},
		"far": {conversation.PostponeTimer{By: "P365D"}, time.Hour + 365*24*time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			row.command.Issue, row.command.Reason = issuedAt(10*time.Minute), "parcel"
			es, err := conversation.Decide(s, row.command)
			require.NoError(t, err)
			require.Len(t, es, 1)
			later := timed(bothTimers, es...)
			due, to, ok := later.NextDue()
			require.True(t, ok)
			require.Equal(t, "inactive", to)
			require.Equal(t, after(row.due), due)
			advanced, err := conversation.Decide(later, conversation.AdvanceState{Issue: conversation.Issue{At: after(row.due - time.Second)}})
			require.NoError(t, err)
			require.Empty(t, advanced, "not at the former instant, nor before the new one")
			advanced, err = conversation.Decide(later, conversation.AdvanceState{Issue: conversation.Issue{At: after(row.due)}})
			require.NoError(t, err)
			require.Len(t, advanced, 1)

			// A message restarts it, but to nothing earlier.
			heard := timed(bothTimers, append(es, events.MessageAdded{Message: "IM1", At: after(20 * time.Minute)})...)
			due, _, _ = heard.NextDue()
			require.Equal(t, after(max(row.due, 80*time.Minute)), due)
		})
	}
}

func TestAnOperatorCancelsTimers(t *testing.T) {
	es, err := conversation.Decide(timed(bothTimers), conversation.CancelTimers{Issue: issuedAt(time.Minute), Reason: "held"})
	require.NoError(t, err)
	s := timed(bothTimers, append(es, events.MessageAdded{Message: "IM1", At: after(time.Hour)})...)
	_, _, ok := s.NextDue()
	require.False(t, ok, "a message starts none")
}

func TestWhatAnOperatorCannotDoToATimer(t *testing.T) {
	user := conversation.Issue{At: after(time.Minute), Caller: domain.Caller{Identity: "ann"}}
	now := issuedAt(time.Minute)
	for name, row := range map[string]struct {
		state   conversation.State
		command conversation.Command
		code    string
	}{
		"no conversation":      {conversation.State{}, conversation.FireTimer{Issue: now, Reason: "x"}, "conversation_not_found"},
		"no timer":             {timed(events.Timers{}), conversation.FireTimer{Issue: now, Reason: "x"}, "no_timer"},
		"no timer to postpone": {timed(events.Timers{}), conversation.PostponeTimer{Issue: now, By: "PT1H", Reason: "x"}, "no_timer"},
		"no timer to cancel":   {timed(events.Timers{}), conversation.CancelTimers{Issue: now, Reason: "x"}, "no_timer"},
		"a user who sees it":   {foldOn(timed(bothTimers), chat(1, "ann")), conversation.CancelTimers{Issue: user, Reason: "x"}, "server_side_only"},
		"no reason":            {timed(bothTimers), conversation.CancelTimers{Issue: now}, "reason_missing"},
		"blanks":               {timed(bothTimers), conversation.FireTimer{Issue: now, Reason: " \n"}, "reason_missing"},
		"a story":              {timed(bothTimers), conversation.FireTimer{Issue: now, Reason: strings.Repeat("ä", 501)}, "reason_too_long"},
		"neither by nor to":    {timed(bothTimers), conversation.PostponeTimer{Issue: now, Reason: "x"}, "invalid_argument"},
		"both by and to":       {timed(bothTimers), conversation.PostponeTimer{Issue: now, By: "PT1H", To: after(9 * time.Hour), Reason: "x"}, "invalid_argument"},
		"no duration":          {timed(bothTimers), conversation.PostponeTimer{Issue: now, By: "soon", Reason: "x"}, "invalid_duration"},
		"by nothing":           {timed(bothTimers), conversation.PostponeTimer{Issue: now, By: "PT0S", Reason: "x"}, "not_later"},
		"for ever":             {timed(bothTimers), conversation.PostponeTimer{Issue: now, To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Reason: "x"}, "too_late"},
		"for longer":           {timed(bothTimers), conversation.PostponeTimer{Issue: now, By: "P40000D", Reason: "x"}, "too_late"},
		"earlier":              {timed(bothTimers), conversation.PostponeTimer{Issue: now, To: after(59 * time.Minute), Reason: "x"}, "not_later"},
		"the past":             {timed(bothTimers), conversation.PostponeTimer{Issue: issuedAt(3 * time.Hour), To: after(2 * time.Hour), Reason: "x"}, "not_later"},
	} {
		t.Run(name, func(t *testing.T) {
			es, err := conversation.Decide(row.state, row.command)
			require.Empty(t, es)
			requireRefused(t, err, row.code)
		})
	}
	_, err := conversation.Decide(timed(bothTimers), conversation.FireTimer{Issue: now, Reason: strings.Repeat("ä", 500)})
	require.NoError(t, err)
}

func requireRefused(t *testing.T, err error, code string) {
	t.Helper()
	var refusal *domain.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, code, refusal.Code)
}
