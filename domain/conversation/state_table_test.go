package conversation_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// What a cell of the state table can say besides a Twilio code.
const (
	yes     = 0  // done, the state stays
	wakes   = -1 // done, and the conversation is active afterwards
	nothing = -2 // nothing to do
)

// columns are the states of the table.
var columns = []string{events.StateInitializing, events.StateActive, events.StateInactive, events.StateClosed}

// actions are the rows of reference 2.2 and 2.3, each with what it comes to in
// the four states. This table is written by hand; Decide is not asked what it
// should say.
var actions = []struct {
	name  string
	when  conversation.Command
	cells [4]int
}{
	{"set the friendly name", conversation.Update{FriendlyName: ptr("n")}, [4]int{50386, yes, yes, 50377}},
	{"set the unique name", conversation.Update{UniqueName: ptr("n")}, [4]int{50386, yes, yes, 50377}},
	{"set the attributes", conversation.Update{Attributes: ptr("[]")}, [4]int{50386, yes, yes, 50377}},
	{"set the timers", conversation.Update{Timers: &conversation.TimersPatch{Closed: ptr("P1D")}}, [4]int{50386, yes, yes, 50377}},
	{"set the dates", conversation.Update{DateCreated: at(-9)}, [4]int{50386, yes, yes, 50377}},
	{"update nothing", conversation.Update{}, [4]int{50386, nothing, nothing, 50377}},
	{"set state active", conversation.Update{State: ptr("active")}, [4]int{50386, yes, wakes, 50377}},
	{"add a chat participant", conversation.AddParticipant{Sid: mb(9), Identity: "dan"}, [4]int{50386, yes, wakes, 50377}},
	{"add an SMS participant", conversation.AddParticipant{Sid: mb(9), Address: bob, ProxyAddress: proxy}, [4]int{50386, yes, wakes, 50377}},
	{"update a participant", conversation.UpdateParticipant{Participant: "ann", Attributes: ptr("[]")}, [4]int{50386, yes, yes, 50377}},
	{"update a participant's proxy", conversation.UpdateParticipant{Participant: mb(2), ProxyAddress: ptr(proxy2)}, [4]int{50386, yes, yes, 50377}},
	{"report reading on a participant", conversation.UpdateParticipant{Participant: "ann", LastReadIndex: ptr(int64(0))}, [4]int{50386, yes, yes, yes}},
	{"remove a participant", conversation.RemoveParticipant{Participant: "ann"}, [4]int{50386, yes, yes, yes}},
	{"add a message", conversation.AddMessage{Sid: im(9), Body: "b"}, [4]int{50386, yes, wakes, 50377}},
	{"add media", conversation.AddMessage{Sid: im(9), Media: []events.Media{{Media: domain.SID("ME", "1"), ContentType: "a/b"}}}, [4]int{50386, yes, wakes, 50377}},
	{"edit a message", conversation.EditMessage{Message: im(1), Body: ptr("b")}, [4]int{50386, yes, yes, 50377}},
	{"remove a message", conversation.RemoveMessage{Message: im(1)}, [4]int{50386, yes, yes, yes}},
	{"record a delivery", conversation.RecordDelivery{Message: im(1), Participant: mb(2), Status: "sent"}, [4]int{yes, yes, yes, yes}},
	{"record a reading", conversation.RecordDelivery{Message: im(1), Participant: mb(2), Status: "read"}, [4]int{yes, yes, yes, yes}},
	{"move a read horizon", conversation.MoveReadHorizon{Participant: "ann", Index: ptr(int64(0))}, [4]int{50386, yes, yes, yes}},
	{"mute", conversation.SetNotificationLevel{Participant: "ann", Level: "muted"}, [4]int{50386, yes, yes, yes}},
	{"add a webhook", conversation.AddWebhook{Sid: wh(9), Webhook: hook()}, [4]int{50386, yes, yes, 50377}},
	{"update a webhook", conversation.UpdateWebhook{WebhookSid: wh(1), Method: ptr("get")}, [4]int{50386, yes, yes, 50377}},
	{"remove a webhook", conversation.RemoveWebhook{WebhookSid: wh(1)}, [4]int{50386, yes, yes, yes}},
	{"a timer that is not due", conversation.AdvanceState{Due: t0}, [4]int{nothing, nothing, nothing, nothing}},
	{"remove the conversation", conversation.Remove{}, [4]int{yes, yes, yes, yes}},
	{"create it again", newConversation(nil), [4]int{20409, 20409, 20409, 20409}},
}

func TestStateTable(t *testing.T) {
	for i, state := range columns {
		for _, a := range actions {
			t.Run(state+"/"+a.name, func(t *testing.T) {
				s := fold(world(state))
				require.Equal(t, state, s.State)
				es, err := conversation.Decide(s, a.when)
				requireCell(t, a.cells[i], s, es, err)
			})
		}
	}
}

func requireCell(t *testing.T, cell int, s conversation.State, es []events.Event, err error) {
	t.Helper()
	if cell > 0 {
		var r *domain.Refusal
		require.ErrorAs(t, err, &r, "not refused: %v", es)
		require.Equal(t, cell, r.Twilio)
		return
	}
	require.NoError(t, err)
	require.Equal(t, cell == nothing, len(es) == 0)
	want := s.State
	if cell == wakes {
		want = events.StateActive
	}
	require.Equal(t, want, foldOn(s, es).State)
}

// world is a conversation in a state with something of everything in it.
func world(state string) []events.Event {
	return history(created(), chat(1, "ann"), sms(2, alice, proxy), posted(1, 0, "ann", mb(1), mb(2)),
		[]events.Event{events.WebhookAdded{WebhookSid: wh(1), Webhook: hook(), At: t0}},
		moved(events.StateActive, state))
}

func TestTransitions(t *testing.T) {
	to := func(state string) conversation.Update { return conversation.Update{Issue: by(1), State: &state} }
	change := func(from, to string) []events.Event {
		return []events.Event{events.ConversationStateChanged{From: from, To: to, Reason: events.ReasonAPI, DateUpdated: at(1), At: at(1)}}
	}
	for _, c := range []struct {
		from, to string
		code     int
	}{
		{"active", "active", 0}, {"active", "inactive", 0}, {"active", "closed", 0},
		{"inactive", "active", 0}, {"inactive", "inactive", 0}, {"inactive", "closed", 0},
		{"closed", "active", 50377}, {"closed", "inactive", 50377}, {"closed", "closed", 50377},
		{"initializing", "active", 50386}, {"initializing", "inactive", 50386}, {"initializing", "closed", 50386},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			s := fold(world(c.from))
			es, err := conversation.Decide(s, to(c.to))
			requireCode(t, c.code, err)
			if c.code == 0 {
				require.Equal(t, change(c.from, c.to), es)
				next := foldOn(s, es)
				require.Equal(t, c.to, next.State)
				require.Equal(t, at(1), next.Since, "the clock starts anew, also for the same state")
			}
		})
	}
}

func requireCode(t *testing.T, code int, err error) {
	t.Helper()
	if code == 0 {
		require.NoError(t, err)
		return
	}
	var r *domain.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, code, r.Twilio)
}

func TestTheChangeOfStateFollowsItsCause(t *testing.T) {
	s := fold(world(events.StateInactive))
	woken := events.ConversationStateChanged{
		From: events.StateInactive, To: events.StateActive, Reason: events.ReasonEvent, DateUpdated: at(3), At: at(3),
	}
	for _, c := range []conversation.Command{
		conversation.AddMessage{Issue: by(3), Sid: im(9), Body: "b"},
		conversation.AddParticipant{Issue: by(3), Sid: mb(9), Identity: "dan"},
	} {
		es, err := conversation.Decide(s, c)
		require.NoError(t, err)
		require.Len(t, es, 2)
		require.Equal(t, woken, es[1])
	}
}

func hook() events.Webhook {
	return events.Webhook{Target: "webhook", URL: "https://example.org/", Method: "post", Filters: []string{"onMessageAdded"}}
}

func TestEveryCommandHasANameOfItsOwn(t *testing.T) {
	names := map[string]bool{}
	for _, a := range actions {
		name := a.when.CommandType()
		require.True(t, strings.HasPrefix(name, "conversation."), name)
		names[name] = true
	}
	require.Len(t, names, 16, "every command stands in the table of states")
}
