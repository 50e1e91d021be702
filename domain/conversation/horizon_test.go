package conversation_test

import (
	"testing"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func TestMoveReadHorizon(t *testing.T) {
	given := history(created(), chat(1, "ann"), posted(1, 0, "x", ""), posted(2, 1, "x", ""), posted(3, 5, "x", ""))
	read := func(index int64) []events.Event { return history(given, horizon(1, index)) }
	to := func(index int64) conversation.MoveReadHorizon {
		return conversation.MoveReadHorizon{Issue: by(2), Participant: "ann", Index: &index}
	}
	advance := func(index int64) conversation.MoveReadHorizon {
		c := to(index)
		c.Advance = true
		return c
	}
	moves := func(index int64) []events.Event {
		return []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: index, ReadAt: at(2), At: at(2)}}
	}
	run(t, []row{
		{name: "the first time", given: given, when: to(0), then: moves(0)},
		{name: "back", given: read(5), when: to(1), then: moves(1)},
		{name: "to where it is", given: read(1), when: to(1)},
		{name: "to the last message", given: given, when: to(5), then: moves(5)},
		{name: "to an index in a gap", given: given, when: to(3), then: moves(3)},
		{name: "advance from nothing", given: given, when: advance(0), then: moves(0)},
		{name: "advance on", given: read(0), when: advance(5), then: moves(5)},
		{name: "advance never goes back", given: read(5), when: advance(1)},
		{name: "cleared", given: read(5), when: conversation.MoveReadHorizon{Issue: by(2), Participant: mb(1)},
			then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: -1, At: at(2)}}},
		{name: "cleared when there is none", given: given, when: conversation.MoveReadHorizon{Issue: by(2), Participant: "ann"}},
		{name: "with a time of its own", given: given, when: conversation.MoveReadHorizon{Issue: by(2), Participant: "ann", Index: ptr(int64(0)), ReadAt: at(1)},
			then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: 0, ReadAt: at(1), At: at(2)}}},
		{name: "his own, as a user", given: given, when: conversation.MoveReadHorizon{Issue: user(2, "ann", nil, nil), Participant: mb(1), Index: ptr(int64(0))}, then: moves(0)},
		{name: "beyond the last message", given: given, when: to(6), no: invalid("read_index_invalid", "index", 50421)},
		{name: "before the first", given: given, when: to(-1), no: invalid("read_index_invalid", "index", 50421)},
		{name: "advance before the first", given: read(5), when: advance(-1), no: invalid("read_index_invalid", "index", 50421)},
		{name: "advance to nowhere", given: read(5), when: conversation.MoveReadHorizon{Participant: "ann", Advance: true}, no: invalid("read_index_invalid", "index", 50421)},
		{name: "in an empty conversation", given: history(created(), chat(1, "ann")), when: to(0), no: invalid("read_index_invalid", "index", 50421)},
		{name: "nobody's", given: given, when: conversation.MoveReadHorizon{Participant: "zoe"}, no: missing("participant_not_found", "participant", 50432)},
		{name: "somebody else's, as a user", given: history(given, chat(2, "bea")), when: conversation.MoveReadHorizon{
			Issue: user(2, "bea", []string{"editAnyParticipantAttributes"}, nil), Participant: "ann", Index: ptr(int64(0)),
		}, no: forbidden("permission_denied", "", 50107)},
		{name: "as a user from outside", given: given, when: conversation.MoveReadHorizon{Issue: user(2, "zoe", nil, nil), Participant: "ann"}, no: forbidden("not_a_participant", "", 50430)},
	})
}

func TestSetNotificationLevel(t *testing.T) {
	given := history(created(), chat(1, "ann"))
	level := func(level string) conversation.SetNotificationLevel {
		return conversation.SetNotificationLevel{Issue: by(2), Participant: "ann", Level: level}
	}
	set := func(level string) []events.Event {
		return []events.Event{events.NotificationLevelSet{Participant: mb(1), Level: level, At: at(2)}}
	}
	run(t, []row{
		{name: "muted", given: given, when: level("Muted"), then: set("muted")},
		{name: "default is what it was", given: given, when: level("default")},
		{name: "and can be again", given: history(given, set("muted")), when: level("default"), then: set("default")},
		{name: "any other", given: given, when: level("loud"), no: invalid("notification_level_invalid", "level", 50210)},
		{name: "nobody's", given: given, when: conversation.SetNotificationLevel{Participant: "zoe", Level: "muted"}, no: missing("participant_not_found", "participant", 50432)},
	})
}

func TestUpdateUserConversation(t *testing.T) {
	given := history(created(), chat(1, "ann"), posted(1, 0, "x", ""), posted(2, 1, "x", ""))
	muted := []events.Event{events.NotificationLevelSet{Participant: mb(1), Level: "muted", At: at(2)}}
	moves := func(index int64) []events.Event {
		return []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: index, ReadAt: at(2), At: at(2)}}
	}
	clears := []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: -1, At: at(2)}}
	upd := func(change func(*conversation.UpdateUserConversation)) conversation.UpdateUserConversation {
		c := conversation.UpdateUserConversation{Issue: by(2), Participant: "ann"}
		change(&c)
		return c
	}
	mute := func(c *conversation.UpdateUserConversation) { c.NotificationLevel = ptr("muted") }
	read := func(index int64) func(*conversation.UpdateUserConversation) {
		return func(c *conversation.UpdateUserConversation) { c.LastReadIndex = &index }
	}
	both := func(index int64) conversation.UpdateUserConversation {
		return upd(func(c *conversation.UpdateUserConversation) {
			c.NotificationLevel, c.LastReadIndex = ptr("Muted"), &index
		})
	}
	unread := func(c *conversation.UpdateUserConversation) { c.ClearLastRead = true }
	as := func(identity string, conv []string, change func(*conversation.UpdateUserConversation)) conversation.UpdateUserConversation {
		c := upd(change)
		c.Issue = user(2, identity, nil, conv)
		return c
	}
	badClear, notFound := invalid("read_index_invalid", "clear_last_read", 50421), missing("participant_not_found", "participant", 50432)
	badIndex := invalid("read_index_invalid", "last_read_message_index", 50421)
	run(t, []row{
		{name: "nothing given, nothing done", given: given, when: upd(func(*conversation.UpdateUserConversation) {})},
		{name: "both", given: given, when: both(1), then: history(muted, moves(1))},
		{name: "the level alone", given: given, when: upd(mute), then: muted},
		{name: "the horizon alone, in a closed conversation", given: history(given, closed()), when: upd(read(0)), then: moves(0)},
		{name: "back", given: history(given, horizon(1, 1)), when: upd(read(0)), then: moves(0)},
		{name: "both as they are", given: history(given, muted, horizon(1, 1)), when: both(1)},
		{name: "all unread again", given: history(given, horizon(1, 1)), when: upd(unread), then: clears},
		{name: "all unread where it is", given: given, when: upd(unread)},
		{name: "muted and all unread", given: history(given, horizon(1, 1)), when: upd(func(c *conversation.UpdateUserConversation) { mute(c); unread(c) }), then: history(muted, clears)},
		{name: "a time of its own", given: history(given, horizon(1, 1)), when: upd(func(c *conversation.UpdateUserConversation) { c.LastReadTimestamp = at(1) }),
			then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: 1, ReadAt: at(1), At: at(2)}}},
		{name: "himself, as a user", given: given, when: as("ann", []string{"editNotificationLevel"}, func(c *conversation.UpdateUserConversation) { mute(c); read(1)(c) }), then: history(muted, moves(1))},
		{name: "a user without the permission may still read", given: given, when: as("ann", nil, read(1)), then: moves(1)},

		{name: "a level of nothing and a good index", given: given, when: upd(func(c *conversation.UpdateUserConversation) {
			c.NotificationLevel, c.LastReadIndex = ptr("loud"), ptr(int64(1))
		}), no: invalid("notification_level_invalid", "notification_level", 50210)},
		{name: "a good level and an index beyond", given: given, when: both(2), no: badIndex},
		{name: "before the first", given: given, when: upd(read(-1)), no: badIndex},
		{name: "a time without an index", given: given, when: upd(func(c *conversation.UpdateUserConversation) { c.LastReadTimestamp = at(1) }), no: badIndex},
		{name: "cleared and moved", given: given, when: upd(func(c *conversation.UpdateUserConversation) { unread(c); read(0)(c) }), no: badClear},
		{name: "cleared at a time", given: given, when: upd(func(c *conversation.UpdateUserConversation) { unread(c); c.LastReadTimestamp = at(1) }), no: badClear},
		{name: "nobody's level", given: created(), when: upd(mute), no: notFound},
		{name: "nobody's horizon", given: created(), when: upd(unread), no: notFound},
		{name: "nobody's nothing", given: created(), when: upd(func(*conversation.UpdateUserConversation) {}), no: notFound},
		{name: "without the permission", given: given, when: as("ann", nil, mute), no: forbidden("permission_denied", "", 50107)},
		{name: "somebody else's, as a user", given: history(given, chat(2, "bea")), when: as("bea", []string{"editNotificationLevel"}, read(0)), no: forbidden("permission_denied", "", 50107)},
		{name: "as a user from outside", given: given, when: as("zoe", []string{"editNotificationLevel"}, unread), no: forbidden("not_a_participant", "", 50430)},
		{name: "of a conversation that is not there", when: upd(mute), no: missing("conversation_not_found", "", 20404)},
		{name: "of a conversation that was removed", given: history(given, gone()), when: upd(unread), no: missing("conversation_not_found", "", 20404)},
	})
}
