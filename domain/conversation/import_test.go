package conversation_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// restoring issues as an import.
func restoring(minutes int) conversation.Issue {
	return conversation.Issue{At: at(minutes), Caller: domain.Caller{Actor: events.Actor{Kind: events.ActorImport}}}
}

func TestImportedConversation(t *testing.T) {
	attributes := `"` + strings.Repeat("x", 20<<10) + `"`
	create := conversation.Create{
		Issue: restoring(1), Sid: ch, Account: ac, Service: is, CreatedBy: "ann", Attributes: attributes, DateCreated: at(-9),
		DefaultMessagingService: mg, DefaultTimers: events.Timers{Inactive: "PT1H", Closed: "P1D"},
	}
	want := events.ConversationCreated{
		Conversation: ch, Account: ac, Service: is, Attributes: attributes, State: events.StateActive, CreatedBy: "ann",
		DateCreated: at(-9), DateUpdated: at(-9), At: at(1),
	}
	timed, asAPI, tooLong := create, create, create
	timed.Timers, timed.Issue.Limits.MinInactiveTimer = &events.Timers{Inactive: "PT5M"}, 1
	wantTimed := want
	wantTimed.Timers.Inactive = "PT5M"
	asAPI.Issue, tooLong.CreatedBy = by(1), strings.Repeat("x", 257)
	again := exists("conversation_exists", "sid", 20409)
	run(t, []row{
		{name: "it is as long as it is, and gets no timers and no Messaging Service by default", when: create, then: []events.Event{want}, again: again},
		{name: "it has the timers it was given, and no other", when: timed, then: []events.Event{wantTimed}, again: again},
		{name: "nobody else says who created it", when: asAPI, no: forbidden("import_only", "created_by", 0)},
		{name: "a creator's name has a length", when: tooLong, no: invalid("created_by_too_long", "created_by", 0)},
	})
}

func TestImportedMessages(t *testing.T) {
	add := func(index int64, change ...func(*conversation.AddMessage)) conversation.AddMessage {
		c := conversation.AddMessage{Issue: restoring(2), Sid: im(5), Body: "hi", Index: &index}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	want := func(index int64, change ...func(*events.MessageAdded)) []events.Event {
		e := events.MessageAdded{Message: im(5), Index: index, Author: "system", Body: "hi", Attributes: "{}", DateCreated: at(2), DateUpdated: at(2), At: at(2)}
		for _, f := range change {
			f(&e)
		}
		return []events.Event{e}
	}
	deep := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	long := `"` + strings.Repeat("x", 5<<10) + `"`
	given, again := history(created(), posted(1, 3, "x", "")), exists("message_exists", "sid", 20409)
	run(t, []row{
		{name: "an index may leave a gap", given: given, when: add(7), then: want(7), again: again},
		{name: "and be the next", given: given, when: add(4), then: want(4), again: again},
		{name: "but not one that was used", given: given, when: add(3), no: exists("index_used", "index", 0)},
		{name: "or passed over", given: given, when: add(0), no: exists("index_used", "index", 0)},
		{name: "or reserved", given: history(given, reserved(9)), when: add(8), no: exists("index_used", "index", 0)},
		{name: "or below nothing", given: created(), when: add(-1), no: exists("index_used", "index", 0)},
		{name: "or beyond what can be told apart", given: given, when: add(math.MaxInt64), no: invalid("index_invalid", "index", 0)},
		{name: "nobody else gives one", given: given, when: add(7, func(c *conversation.AddMessage) { c.Issue = by(2) }), no: forbidden("import_only", "index", 0)},
		{name: "attributes are as long as they are", given: given, again: again,
			when: add(4, func(c *conversation.AddMessage) { c.Attributes = long }), then: want(4, func(e *events.MessageAdded) { e.Attributes = long })},
		{name: "and as deep", given: given, again: again, when: add(4, func(c *conversation.AddMessage) { c.Attributes = deep }),
			then: want(4, func(e *events.MessageAdded) { e.Attributes = deep })},
		{name: "but JSON", given: given, when: add(4, func(c *conversation.AddMessage) { c.Attributes = "{" }), no: invalid("attributes_invalid", "attributes", 50304)},
		{name: "a message may say nothing", given: given, again: again,
			when: add(4, func(c *conversation.AddMessage) { c.Body = "" }), then: want(4, func(e *events.MessageAdded) { e.Body = "" })},
	})
}

func reserved(next int64) []events.Event {
	return []events.Event{events.ConversationIndexesReserved{NextIndex: next, At: t0}}
}

func TestReservedIndexes(t *testing.T) {
	reserve := func(next int64) conversation.Update {
		return conversation.Update{Issue: restoring(1), NextIndex: &next}
	}
	asAPI := reserve(9)
	asAPI.Issue = by(1)
	given := history(created(), posted(1, 3, "x", ""))
	run(t, []row{
		{name: "the next message has that index", given: given, when: reserve(9), then: []events.Event{events.ConversationIndexesReserved{NextIndex: 9, At: at(1)}}},
		{name: "what comes next anyway needs no reservation", given: given, when: reserve(4)},
		{name: "a reservation never goes back", given: history(given, reserved(9)), when: reserve(5)},
		{name: "below nothing", given: given, when: reserve(-1), no: invalid("index_invalid", "next_index", 0)},
		{name: "beyond what can be told apart", given: given, when: reserve(math.MaxInt64), no: invalid("index_invalid", "next_index", 0)},
		{name: "by anybody else", given: given, when: asAPI, no: forbidden("import_only", "next_index", 0)},
	})
	es, err := conversation.Decide(fold(history(given, reserved(9))), conversation.AddMessage{Issue: by(2), Sid: im(2), Body: "hi"})
	require.NoError(t, err)
	require.EqualValues(t, 9, es[0].(events.MessageAdded).Index)
}

// A horizon may be on a message that is gone from the source.
func TestAHorizonMayBeOnAReservedIndex(t *testing.T) {
	given := history(created(), chat(1, "ann"), posted(1, 3, "x", ""), reserved(9))
	move := func(index int64) conversation.MoveReadHorizon {
		return conversation.MoveReadHorizon{Issue: restoring(1), Participant: mb(1), Index: &index, Advance: true, ReadAt: at(-3)}
	}
	run(t, []row{
		{name: "it is kept", given: given, when: move(8), then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: 8, ReadAt: at(-3), At: at(1)}}},
		{name: "but not one on what is to come", given: given, when: move(9), no: invalid("read_index_invalid", "index", 50421)},
	})
}

func TestAnImportHasAsManyParticipantsAsThereAre(t *testing.T) {
	limits := conversation.Limits{Participants: 1, OpenConversations: 1}
	long := `"` + strings.Repeat("x", 5<<10) + `"`
	add := conversation.AddParticipant{Issue: restoring(1), Sid: mb(2), Identity: "bob", Attributes: long, DateCreated: at(-5)}
	add.Limits, add.OpenConversations = limits, 1
	asAPI := add
	asAPI.Issue.Caller = domain.Caller{}
	asAPI.Attributes = ""
	given := history(created(), chat(1, "ann"))
	run(t, []row{
		{name: "whatever the limits", given: given, when: add, again: exists("participant_exists", "sid", 50433), then: []events.Event{events.ParticipantAdded{
			Participant: mb(2), Identity: "bob", Attributes: long, DateCreated: at(-5), DateUpdated: at(-5), At: at(1),
		}}},
		{name: "others keep to them", given: given, when: asAPI, no: toomany("too_many_conversations", "identity", 50214)},
	})
}
