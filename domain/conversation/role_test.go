package conversation_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// Every permission of reference 7.2 that guards a command here: with all others
// the command is refused, with any that is enough, in either role, it is done.
func TestPermissions(t *testing.T) {
	given := history(created(), chat(1, "ann"), chat(2, "bea"), posted(1, 0, "ann", mb(1)), posted(2, 1, "bea", mb(2)))
	all := []string{
		"addParticipant", "addNonChatParticipant", "createConversation", "deleteAnyMessage", "deleteOwnMessage", "deleteConversation",
		"editAnyMessage", "editAnyMessageAttributes", "editAnyParticipantAttributes", "editConversationAttributes",
		"editConversationName", "editNotificationLevel", "editOwnMessage", "editOwnMessageAttributes",
		"editOwnParticipantAttributes", "joinConversation", "leaveConversation", "removeParticipant", "sendMediaMessage", "sendMessage",
	}
	rows := []struct {
		name   string
		enough []string
		when   func(conversation.Issue) conversation.Command
	}{
		{"name", []string{"editConversationName"}, func(i conversation.Issue) conversation.Command {
			return conversation.Update{Issue: i, FriendlyName: ptr("x")}
		}},
		{"unique name", []string{"editConversationName"}, func(i conversation.Issue) conversation.Command {
			return conversation.Update{Issue: i, UniqueName: ptr("x")}
		}},
		{"attributes", []string{"editConversationAttributes"}, func(i conversation.Issue) conversation.Command {
			return conversation.Update{Issue: i, Attributes: ptr("[]")}
		}},
		{"removing the conversation", []string{"deleteConversation"}, func(i conversation.Issue) conversation.Command { return conversation.Remove{Issue: i} }},
		{"adding somebody", []string{"addParticipant"}, func(i conversation.Issue) conversation.Command {
			return conversation.AddParticipant{Issue: i, Sid: mb(9), Identity: "cem"}
		}},
		{"adding somebody outside chat", []string{"addNonChatParticipant"}, func(i conversation.Issue) conversation.Command {
			return conversation.AddParticipant{Issue: i, Sid: mb(9), Address: alice, ProxyAddress: proxy}
		}},
		{"leaving", []string{"leaveConversation", "removeParticipant"}, func(i conversation.Issue) conversation.Command {
			return conversation.RemoveParticipant{Issue: i, Participant: "ann"}
		}},
		{"removing another", []string{"removeParticipant"}, func(i conversation.Issue) conversation.Command {
			return conversation.RemoveParticipant{Issue: i, Participant: "bea"}
		}},
		{"one's own attributes", []string{"editOwnParticipantAttributes", "editAnyParticipantAttributes"}, func(i conversation.Issue) conversation.Command {
			return conversation.UpdateParticipant{Issue: i, Participant: "ann", Attributes: ptr("[]")}
		}},
		{"another's attributes", []string{"editAnyParticipantAttributes"}, func(i conversation.Issue) conversation.Command {
			return conversation.UpdateParticipant{Issue: i, Participant: "bea", Attributes: ptr("[]")}
		}},
		{"muting", []string{"editNotificationLevel"}, func(i conversation.Issue) conversation.Command {
			return conversation.SetNotificationLevel{Issue: i, Participant: "ann", Level: "muted"}
		}},
		{"text", []string{"sendMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.AddMessage{Issue: i, Sid: im(9), Body: "x"}
		}},
		{"media", []string{"sendMediaMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.AddMessage{Issue: i, Sid: im(9), Media: []events.Media{{Media: "ME" + ch[2:], ContentType: "a/b"}}}
		}},
		{"editing one's own message", []string{"editOwnMessage", "editAnyMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.EditMessage{Issue: i, Message: im(1), Body: ptr("x")}
		}},
		{"editing another's message", []string{"editAnyMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.EditMessage{Issue: i, Message: im(2), Body: ptr("x")}
		}},
		{"another's subject", []string{"editAnyMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.EditMessage{Issue: i, Message: im(2), Subject: ptr("x")}
		}},
		{"one's own message's attributes", []string{"editOwnMessageAttributes", "editAnyMessageAttributes"}, func(i conversation.Issue) conversation.Command {
			return conversation.EditMessage{Issue: i, Message: im(1), Attributes: ptr("[]")}
		}},
		{"another's message's attributes", []string{"editAnyMessageAttributes"}, func(i conversation.Issue) conversation.Command {
			return conversation.EditMessage{Issue: i, Message: im(2), Attributes: ptr("[]")}
		}},
		{"removing one's own message", []string{"deleteOwnMessage", "deleteAnyMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.RemoveMessage{Issue: i, Message: im(1)}
		}},
		{"removing another's message", []string{"deleteAnyMessage"}, func(i conversation.Issue) conversation.Command {
			return conversation.RemoveMessage{Issue: i, Message: im(2)}
		}},
	}
	for _, r := range rows {
		others := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return slices.Contains(r.enough, p) })
		run(t, []row{{name: r.name + " without", given: given, when: r.when(user(1, "ann", others, others)), no: forbidden("permission_denied", "", 50107)}})
		_, err := conversation.Decide(fold(given), r.when(user(1, "ann", others, others)))
		require.ErrorContains(t, err, "Permission "+r.enough[0]+" is needed", r.name)
		for _, permission := range r.enough {
			for name, issue := range map[string]conversation.Issue{
				"by the conversation role": user(1, "ann", nil, []string{permission}),
				"by the service role":      user(1, "ann", []string{permission}, nil),
			} {
				t.Run(r.name+" with "+permission+" "+name, func(t *testing.T) { requireDone(t, fold(given), r.when(issue)) })
			}
		}
	}
}

func TestUsers(t *testing.T) {
	given := history(created(), chat(1, "ann"), chat(2, "bea"), posted(1, 0, "ann", mb(1)), posted(2, 0, "zoe", ""))
	everything := []string{"sendMessage", "editConversationName", "editOwnMessage", "editAnyMessage", "addParticipant", "editAnyParticipantAttributes"}
	ann := user(1, "ann", nil, everything)
	zoe := user(1, "zoe", nil, everything)
	outside, serverSide := forbidden("not_a_participant", "", 50430), func(field string) no { return forbidden("server_side_only", field, 50107) }
	run(t, []row{
		{name: "a conversation role counts for participants only", given: given, when: conversation.Update{Issue: zoe, FriendlyName: ptr("x")}, no: outside},
		{name: "nobody writes from outside", given: given, when: conversation.AddMessage{Issue: user(1, "zoe", everything, everything), Sid: im(9), Body: "x"}, no: outside},
		{name: "who left cannot edit what he wrote", given: given, when: conversation.EditMessage{Issue: zoe, Message: im(2), Body: ptr("x")}, no: outside},
		{name: "joining is not adding others", given: given, when: conversation.AddParticipant{Issue: user(1, "zoe", []string{"joinConversation"}, nil), Sid: mb(9), Identity: "yan"}, no: outside},
		{name: "a user writes in his own name", given: given, when: conversation.AddMessage{Issue: ann, Sid: im(9), Body: "x"},
			then:  []events.Event{events.MessageAdded{Message: im(9), Index: 1, Author: "ann", Participant: mb(1), Body: "x", Attributes: "{}", DateCreated: at(1), DateUpdated: at(1), At: at(1)}},
			again: exists("message_exists", "sid", 20409)},
		{name: "and in no other", given: given, when: conversation.AddMessage{Issue: ann, Sid: im(9), Body: "x", Author: "bea"}, no: serverSide("author")},
		{name: "text beside media needs both permissions", given: given, when: conversation.AddMessage{Issue: user(1, "ann", nil, []string{"sendMediaMessage"}), Sid: im(9), Body: "x", Media: []events.Media{{}}}, no: forbidden("permission_denied", "", 50107)},
		{name: "a message's dates", given: given, when: conversation.AddMessage{Issue: ann, Sid: im(9), Body: "x", DateCreated: t0}, no: serverSide("date_created")},
		{name: "another author", given: given, when: conversation.EditMessage{Issue: ann, Message: im(1), Author: ptr("bea")}, no: serverSide("author")},
		{name: "the state", given: given, when: conversation.Update{Issue: ann, State: ptr("closed")}, no: serverSide("state")},
		{name: "timers", given: given, when: conversation.Update{Issue: ann, Timers: &conversation.TimersPatch{}}, no: serverSide("timers")},
		{name: "the Messaging Service", given: given, when: conversation.Update{Issue: ann, MessagingService: &mg}, no: serverSide("messaging_service")},
		{name: "the e-mail binding", given: given, when: conversation.Update{Issue: ann, Email: &events.Email{}}, no: serverSide("email")},
		{name: "dates", given: given, when: conversation.Update{Issue: ann, DateUpdated: t0}, no: serverSide("date_created")},
		{name: "a role at the start", given: given, when: conversation.AddParticipant{Issue: ann, Sid: mb(9), Identity: "cem", Role: rl}, no: forbidden("role_not_settable", "role", 50205)},
		{name: "dates of a participant", given: given, when: conversation.AddParticipant{Issue: ann, Sid: mb(9), Identity: "cem", DateCreated: t0}, no: serverSide("date_created")},
		{name: "a role later", given: given, when: conversation.UpdateParticipant{Issue: ann, Participant: "ann", Role: &rl}, no: forbidden("role_not_settable", "role", 50205)},
		{name: "an identity", given: given, when: conversation.UpdateParticipant{Issue: ann, Participant: "ann", Identity: ptr("x")}, no: serverSide("identity")},
		{name: "a proxy", given: given, when: conversation.UpdateParticipant{Issue: ann, Participant: "ann", ProxyAddress: ptr("x")}, no: serverSide("proxy_address")},
		{name: "a projected address", given: given, when: conversation.UpdateParticipant{Issue: ann, Participant: "ann", ProjectedAddress: ptr("x")}, no: serverSide("projected_address")},
		{name: "another's reading", given: given, when: conversation.UpdateParticipant{Issue: ann, Participant: "bea", LastReadIndex: ptr(int64(0))}, no: forbidden("permission_denied", "", 50107)},
		{name: "a webhook", given: given, when: conversation.AddWebhook{Issue: ann, Sid: wh(1), Webhook: hook()}, no: serverSide("")},
		{name: "changing a webhook", given: given, when: conversation.UpdateWebhook{Issue: ann, WebhookSid: wh(1)}, no: serverSide("")},
		{name: "detaching a webhook", given: given, when: conversation.RemoveWebhook{Issue: ann, WebhookSid: wh(1)}, no: serverSide("")},
	})
}

// Conversations are private: nobody comes in by himself but who made it, once.
func TestWhoMayJoin(t *testing.T) {
	joining, adding := []string{"joinConversation"}, []string{"addParticipant"}
	by := func(identity string) func(*events.ConversationCreated) {
		return func(e *events.ConversationCreated) { e.CreatedBy = identity }
	}
	join := func(identity string, service []string) conversation.Command {
		return conversation.AddParticipant{Issue: user(1, identity, service, nil), Sid: mb(9), Identity: identity}
	}
	joined := func(identity string) []events.Event {
		return []events.Event{events.ParticipantAdded{Participant: mb(9), Identity: identity, Attributes: "{}", DateCreated: at(1), DateUpdated: at(1), At: at(1)}}
	}
	left := []events.Event{events.ParticipantRemoved{Participant: mb(1), At: t0}}
	outside, taken := forbidden("not_a_participant", "", 50430), exists("participant_exists", "sid", 50433)
	run(t, []row{
		{name: "who made it", given: created(by("zoe")), when: join("zoe", joining), then: joined("zoe"), again: taken},
		{name: "who made it, without the permission", given: created(by("zoe")), when: join("zoe", nil), no: outside},
		{name: "who made it and took part", given: history(created(by("zoe")), chat(1, "zoe"), left), when: join("zoe", joining), no: outside},
		{name: "who made it, others than himself", given: created(by("zoe")), when: conversation.AddParticipant{Issue: user(1, "zoe", joining, nil), Sid: mb(9), Identity: "yan"}, no: outside},
		{name: "anybody", given: created(), when: join("eve", joining), no: outside},
		{name: "who bears the name of nobody", given: created(), when: join("system", joining), no: outside},
		{name: "who took part", given: history(created(), chat(1, "ann"), left), when: join("ann", joining), no: outside},
		{name: "what is not there", when: join("eve", joining), no: outside},
		{name: "what is gone", given: history(created(by("zoe")), gone()), when: join("zoe", joining), no: outside},
		{name: "whoever may add", given: created(), when: join("eve", adding), then: joined("eve"), again: taken},
	})
}
