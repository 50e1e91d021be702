package duckdb_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// The three conversations, in one service.
var (
	one, two, three = sid("CH", 1), sid("CH", 2), sid("CH", 3)
	service         = sid("IS", 1)
)

func sid(prefix string, n int) string { return fmt.Sprintf("%s%032x", prefix, n) }

// happening is an event of the history: in the conversation, on the day of January 2000
// at the time of day.
type happening struct {
	conversation string
	day          int
	clock        string
	what         func(at time.Time) events.Event
}

func created(at time.Time) events.Event {
	return events.ConversationCreated{State: events.StateActive, DateCreated: at, DateUpdated: at, At: at}
}

func joins(participant int, channel string) func(time.Time) events.Event {
	return func(at time.Time) events.Event {
		return events.ParticipantAdded{Participant: sid("MB", participant), Binding: events.Binding{Type: channel}, DateCreated: at, DateUpdated: at, At: at}
	}
}

func writes(participant int, index int64, recipients ...string) func(time.Time) events.Event {
	return func(at time.Time) events.Event {
		return events.MessageAdded{
			Message: "IM", Index: index, Author: fmt.Sprint("author ", participant), Participant: sid("MB", participant), Body: "hello",
			Media:      []events.Media{{Media: "ME1", ContentType: "image/png", Size: 7}},
			Recipients: recipients, DateCreated: at, DateUpdated: at, At: at,
		}
	}
}

func moves(from, to, reason string) func(time.Time) events.Event {
	return func(at time.Time) events.Event {
		return events.ConversationStateChanged{From: from, To: to, Reason: reason, DateUpdated: at, At: at}
	}
}

func delivers(receipt string, participant int, status string, code int) func(time.Time) events.Event {
	return func(at time.Time) events.Event {
		return events.DeliveryUpdated{Receipt: receipt, Message: "IM", Participant: sid("MB", participant), Status: status, ErrorCode: code, At: at}
	}
}

func reads(participant int, index int64) func(time.Time) events.Event {
	return func(at time.Time) events.Event {
		return events.ReadHorizonMoved{Participant: sid("MB", participant), Index: index, ReadAt: at, At: at}
	}
}

// happenings is the history that the answers were worked out from, in order.
var happenings = []happening{
	{one, 1, "09:00", created}, {one, 1, "09:00", joins(11, "sms")}, {one, 1, "09:00", joins(12, "")},
	{one, 1, "09:00", writes(11, 0)},
	{one, 1, "09:04", writes(12, 1, sid("MB", 11))},
	{one, 1, "09:04", delivers("DY1", 11, "sent", 0)}, {one, 1, "09:05", delivers("DY1", 11, "delivered", 0)},
	{one, 1, "09:30", writes(11, 2)},
	{one, 1, "09:31", writes(12, 3, sid("MB", 11))},
	{one, 1, "09:31", delivers("DY2", 11, "sent", 0)}, {one, 1, "09:32", delivers("DY2", 11, "failed", 30003)},
	{one, 1, "09:40", moves("active", "active", "API")}, // only the timers begin anew
	{one, 1, "10:00", moves("active", "inactive", "TIMER")},
	{one, 1, "12:00", moves("inactive", "active", "EVENT")}, {one, 1, "12:00", writes(11, 4)},
	{one, 1, "13:00", moves("active", "closed", "API")},

	{two, 1, "14:00", created}, {two, 1, "14:00", joins(21, "whatsapp")}, {two, 1, "14:00", joins(22, "")},
	{two, 1, "14:00", writes(21, 0)},
	{two, 1, "14:10", writes(22, 1, sid("MB", 21))},
	{two, 1, "14:10", delivers("DY3", 21, "sent", 0)}, {two, 1, "14:11", delivers("DY3", 21, "delivered", 0)}, {two, 1, "14:12", delivers("DY3", 21, "read", 0)},
	{two, 1, "15:00", moves("active", "inactive", "TIMER")},

	{three, 2, "09:15", created}, {three, 2, "09:15", joins(31, "")}, {three, 2, "09:15", joins(32, "")}, {three, 2, "09:15", joins(33, "")},
	{three, 2, "09:15", writes(31, 0)},
	{three, 2, "09:16", reads(32, 0)},
	{three, 2, "09:17", writes(32, 1)},
	{three, 2, "09:20", writes(33, 2)},
	{three, 2, "09:25", reads(31, 2)},
	{three, 2, "10:00", moves("active", "inactive", "API")},

	{two, 3, "15:00", moves("inactive", "closed", "TIMER")},
	{three, 4, "10:00", moves("inactive", "active", "EVENT")}, {three, 4, "10:00", writes(31, 3)},
}

// history lives through the happenings, in a bubble whose clock begins with the year 2000.
func history(t *testing.T) (log *memstore.Store) {
	synctest.Test(t, func(t *testing.T) {
		log = memstore.New()
		revisions := map[string]store.Revision{}
		for i, h := range happenings {
			at, err := time.Parse("2 15:04 January 2006", fmt.Sprintf("%d %s January 2000", h.day, h.clock))
			require.NoError(t, err)
			time.Sleep(time.Until(at)) // in the bubble
			require.True(t, at.Equal(time.Now()), "the history is in order")
			kind, data, err := events.Vocabulary().Encode(h.what(at))
			require.NoError(t, err)
			revision, there := revisions[h.conversation]
			if !there {
				revision = store.NoStream
			}
			appended, err := log.Append(t.Context(), events.Stream(events.CategoryConversation, h.conversation), revision, []events.Proposed{{
				ID: events.NameID(fmt.Sprint(i)), Type: kind, Data: data, Metadata: events.Metadata{Service: service, Occurred: at},
			}})
			require.NoError(t, err)
			revisions[h.conversation] = appended.Revision
		}
		appendOther(t, log)
	})
	return log
}

// appendOther appends an event of a type that is not Parley's.
func appendOther(t *testing.T, log *memstore.Store) {
	_, err := log.Append(t.Context(), "other-x", store.NoStream, []events.Proposed{{ID: events.NameID("x"), Type: "other.v1", Data: []byte("{}")}})
	require.NoError(t, err)
}

// answers to the questions of the docs, each worked out by hand from the happenings.
var answers = []string{
	// 1: one at 09:00 and 09:04; two at 14:00 and 14:10; three at 09:15 and 09:17.
	lines("conversation|seconds", three+"|120", one+"|240", two+"|600"),
	// 2: one 09:00 to 13:00; two from 14:00 to 15:00 two days later; three goes on.
	lines("conversation|hours", one+"|4", two+"|49"),
	// 3: all three were inactive; one and three became active again.
	lines("inactive|reopened|rate", "3|2|0.67"),
	// 4: active: 1 + 1 (one), 1 (two), 0.75 (three); inactive: 2 (one), 48 (two), 48 (three).
	lines("state|ended|hours|mean", "active|4|3.75|0.94", "inactive|3|98|32.67"),
	// 5: one and two by timer; one was active two hours later.
	lines("by_timer|regretted|rate", "2|1|0.5"),
	// 6: DY1 and DY2 (failed) by sms; DY3 by whatsapp.
	lines("channel|receipts|failed|rate", "sms|2|1|0.5", "whatsapp|1|0|0"),
	// 7: on the first day one's agent twice and two's once, one's customer three times, two's once.
	lines("date|channel|written", "2000-01-01|chat|3", "2000-01-01|sms|3", "2000-01-01|whatsapp|1", "2000-01-02|chat|3", "2000-01-04|chat|1"),
	// 8: at 9 four of one and three of three; at 14 two; at 10 and at 12 one each.
	lines("hour|written", "9|7", "14|2", "10|1"),
	// 9: of eleven messages three were read, after 60, 480 and 300 seconds.
	lines("read|unread|median", "3|8|300"),
	// 10
	lines("people|conversations", "2|2", "3|1"),
	// The wide table: the happenings, counted, and the other one.
	lines(
		"type|events", "conversation.created.v1|3", "conversation.delivery-updated.v1|7", "conversation.message-added.v1|11",
		"conversation.participant-added.v2|7", "conversation.read-horizon-moved.v1|2", "conversation.state-changed.v1|8", "other.v1|1",
	),
}

func lines(list ...string) string { return strings.Join(list, "\n") }
