package conversation_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func TestUpdate(t *testing.T) {
	other := domain.SID("MG", "other")
	known := map[string]bool{mg: true, other: true}
	named := created(func(e *events.ConversationCreated) {
		e.FriendlyName, e.UniqueName, e.Attributes = "Name", "name", `{"a":1}`
		e.Timers = events.Timers{Inactive: "PT1M"}
	})
	run(t, []row{
		{name: "nothing given is nothing to do", given: named, when: conversation.Update{Issue: by(1)}},
		{name: "what is the same already is nothing to do", given: named, when: conversation.Update{
			Issue: by(1), FriendlyName: ptr("Name"), UniqueName: ptr("name"), Attributes: ptr(`{"a":1}`), MessagingService: &mg,
			MessagingServices: known, Email: &events.Email{}, Timers: &conversation.TimersPatch{Inactive: ptr("PT1M"), Closed: ptr("PT0S")},
			DateCreated: t0, DateUpdated: t0,
		}},
		{name: "one event for each kind of change, dates after what they date", given: named, when: conversation.Update{
			Issue: by(1), FriendlyName: ptr("New"), UniqueName: ptr(""), Attributes: ptr(""), MessagingService: &other,
			MessagingServices: known, Email: &events.Email{Address: "a@example.org"},
			Timers: &conversation.TimersPatch{Closed: ptr("PT10M")}, DateCreated: at(-9), DateUpdated: at(-5),
		}, then: []events.Event{
			events.ConversationFriendlyNameChanged{FriendlyName: "New", DateUpdated: at(-5), At: at(1)},
			events.ConversationUniqueNameChanged{DateUpdated: at(-5), At: at(1)},
			events.ConversationAttributesChanged{Attributes: "{}", DateUpdated: at(-5), At: at(1)},
			events.ConversationMessagingServiceAttached{MessagingService: other, DateUpdated: at(-5), At: at(1)},
			events.ConversationEmailChanged{Email: events.Email{Address: "a@example.org"}, DateUpdated: at(-5), At: at(1)},
			events.ConversationTimersConfigured{Timers: events.Timers{Inactive: "PT1M", Closed: "PT10M"}, DateUpdated: at(-5), At: at(1)},
			events.ConversationDatesSet{DateCreated: at(-9), DateUpdated: at(-5), At: at(1)},
		}},
		{name: "PT0S takes a timer away", given: named, when: conversation.Update{Issue: by(1), Timers: &conversation.TimersPatch{Inactive: ptr("PT0S")}},
			then: []events.Event{events.ConversationTimersConfigured{DateUpdated: at(1), At: at(1)}}},
		{name: "DateUpdated alone is an event of its own", given: named, when: conversation.Update{Issue: by(1), DateUpdated: at(-5)},
			then: []events.Event{events.ConversationDatesSet{DateCreated: t0, DateUpdated: at(-5), At: at(1)}}},
		{name: "an empty state", given: named, when: conversation.Update{State: ptr("")}, no: invalid("state_empty", "state", 50374)},
		{name: "an unknown state", given: named, when: conversation.Update{State: ptr("open")}, no: invalid("state_invalid", "state", 50378)},
		{name: "initializing cannot be set", given: named, when: conversation.Update{State: ptr("initializing")}, no: invalid("state_invalid", "state", 50378)},
		{name: "a unique name like a SID", given: named, when: conversation.Update{UniqueName: &ch}, no: invalid("unique_name_looks_like_sid", "unique_name", 50390)},
		{name: "a long friendly name", given: named, when: conversation.Update{FriendlyName: ptr(strings.Repeat("f", 257))}, no: invalid("friendly_name_too_long", "friendly_name", 50003)},
		{name: "attributes that are not JSON", given: named, when: conversation.Update{Attributes: ptr("nope")}, no: invalid("attributes_invalid", "attributes", 50304)},
		{name: "no Messaging Service any more", given: named, when: conversation.Update{MessagingService: ptr("")}, no: invalid("messaging_service_missing", "messaging_service", 50340)},
		{name: "a Messaging Service of nobody", given: named, when: conversation.Update{MessagingService: &other}, no: invalid("messaging_service_invalid", "messaging_service", 50341)},
		{name: "a timer of no text", given: named, when: conversation.Update{Timers: &conversation.TimersPatch{Inactive: ptr("")}}, no: invalid("timer_invalid", "timers.inactive", 50379)},
		{name: "a closed timer of no text", given: named, when: conversation.Update{Timers: &conversation.TimersPatch{Closed: ptr("")}}, no: invalid("timer_invalid", "timers.closed", 50380)},
		{name: "a short timer", given: named, when: conversation.Update{Timers: &conversation.TimersPatch{Closed: ptr("PT599S")}}, no: invalid("timer_too_short", "timers.closed", 50376)},
		{name: "a conversation that is not there", when: conversation.Update{FriendlyName: ptr("x")}, no: missing("conversation_not_found", "", 20404)},
		{name: "a conversation that was removed", given: history(named, gone()), when: conversation.Update{FriendlyName: ptr("x")}, no: missing("conversation_not_found", "", 20404)},
	})
}

func TestRemove(t *testing.T) {
	notFound := missing("conversation_not_found", "", 20404)
	removed := []events.Event{events.ConversationRemoved{At: at(1)}}
	run(t, []row{
		{name: "an open conversation", given: created(), when: conversation.Remove{Issue: by(1)}, then: removed, again: notFound},
		{name: "a closed one", given: history(created(), closed()), when: conversation.Remove{Issue: by(1)}, then: removed, again: notFound},
		{name: "none", when: conversation.Remove{Issue: by(1)}, no: notFound},
	})
}

func TestReservationLostIsNoObstacle(t *testing.T) {
	given := history(created(), []events.Event{events.ReservationLost{Reservation: "r", Taker: "t", At: t0}})
	run(t, []row{{name: "the conversation goes on", given: given, when: conversation.Update{Issue: by(1), FriendlyName: ptr("x")},
		then: []events.Event{events.ConversationFriendlyNameChanged{FriendlyName: "x", DateUpdated: at(1), At: at(1)}}}})
}
