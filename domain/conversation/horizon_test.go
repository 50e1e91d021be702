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
