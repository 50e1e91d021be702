package conversation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// asked is every command on a conversation that is there, each with nothing to change
// and, where it can have any, with something.
func asked(i conversation.Issue) []conversation.Command {
	return []conversation.Command{
		conversation.Update{Issue: i}, conversation.Update{Issue: i, FriendlyName: ptr("x")}, conversation.Update{Issue: i, State: ptr("closed")},
		conversation.Remove{Issue: i},
		conversation.AdvanceState{Issue: i}, conversation.LinkSuccessor{Issue: i},
		conversation.FireTimer{Issue: i}, conversation.PostponeTimer{Issue: i}, conversation.CancelTimers{Issue: i},
		conversation.AddParticipant{Issue: i}, conversation.AddParticipant{Issue: i, Sid: mb(9), Identity: i.Caller.Identity},
		conversation.AddParticipant{Issue: i, Sid: mb(9), Identity: "yan", Role: rl}, conversation.AddParticipant{Issue: i, Sid: mb(9), Address: alice},
		conversation.UpdateParticipant{Issue: i, Participant: "ann"}, conversation.UpdateParticipant{Issue: i, Participant: "nobody"},
		conversation.UpdateParticipant{Issue: i, Participant: "ann", Attributes: ptr("[]")},
		conversation.RemoveParticipant{Issue: i, Participant: "ann"}, conversation.RemoveParticipant{Issue: i, Participant: "nobody"},
		conversation.AddMessage{Issue: i}, conversation.AddMessage{Issue: i, Sid: im(9), Body: "x", Author: "ann"},
		conversation.EditMessage{Issue: i, Message: im(1)}, conversation.EditMessage{Issue: i, Message: im(7)}, conversation.EditMessage{Issue: i, Message: im(1), Body: ptr("x")},
		conversation.RemoveMessage{Issue: i, Message: im(1)}, conversation.RemoveMessage{Issue: i, Message: im(7)},
		conversation.RecordDelivery{Issue: i, Message: im(1)},
		conversation.MoveReadHorizon{Issue: i, Participant: "ann"}, conversation.MoveReadHorizon{Issue: i, Participant: i.Caller.Identity},
		conversation.SetNotificationLevel{Issue: i, Participant: "ann"}, conversation.SetNotificationLevel{Issue: i, Participant: "ann", Level: "muted"},
		conversation.UpdateUserConversation{Issue: i, Participant: "ann"}, conversation.UpdateUserConversation{Issue: i, Participant: i.Caller.Identity},
		conversation.AddWebhook{Issue: i}, conversation.UpdateWebhook{Issue: i}, conversation.RemoveWebhook{Issue: i},
	}
}

// Whoever does not see a conversation is told one thing of all of them, in whatever
// state they are and whether they are there or not, whatever he asks for.
func TestAStrangerIsToldOneThing(t *testing.T) {
	wrote := []events.Event{events.MessageAdded{Message: im(1), Author: "eve", Body: "x", Attributes: "{}", DateCreated: t0, DateUpdated: t0, At: t0}}
	open := history(created(), chat(1, "ann"), chat(2, "eve"), wrote, []events.Event{events.ParticipantRemoved{Participant: mb(2), At: t0}})
	for name, given := range map[string][]events.Event{
		"open": open, "inactive": history(open, moved(events.StateActive, events.StateInactive)), "closed": history(open, closed()),
		"initializing": created(inState(events.StateInitializing)), "removed": history(open, gone()), "not there": nil,
	} {
		for who, issue := range map[string]conversation.Issue{
			"nobody": user(1, "nil", nil, nil), "who took part": user(1, "eve", []string{"joinConversation", "createConversation"}, nil),
			"who may do all in some other conversation": user(1, "eve", nil, []string{"sendMessage", "deleteAnyMessage", "editConversationName", "addParticipant"}),
			"whose service role is about his own":       user(1, "eve", []string{"editOwnMessage", "deleteOwnMessage", "leaveConversation", "sendMessage", "editOwnParticipantAttributes"}, nil),
		} {
			for _, c := range asked(issue) {
				_, err := conversation.Decide(fold(given), c)
				var refusal *domain.Refusal
				require.ErrorAs(t, err, &refusal, "%s, %s: %T", name, who, c)
				require.Equal(t, *conversation.Stranger(), *refusal, "%s, %s: %T %+v", name, who, c, c)
			}
			require.Equal(t, conversation.Stranger(), fold(given).MayRead(issue.Caller))
		}
	}
}

// A service role that is about what others have sees where it reaches; what it may do
// there is still a question of the single permission.
func TestWhoseServiceRoleReachesIntoAConversationSeesIt(t *testing.T) {
	given := history(created(), chat(1, "ann"), posted(1, 0, "ann", mb(1)))
	for _, permission := range []string{
		"addNonChatParticipant", "addParticipant", "deleteAnyMessage", "deleteConversation", "editAnyMessage", "editAnyMessageAttributes",
		"editAnyParticipantAttributes", "editConversationAttributes", "editConversationName", "removeParticipant",
	} {
		admin := user(1, "max", []string{permission}, nil)
		require.NoError(t, fold(given).MayRead(admin.Caller), permission)
		run(t, []row{{name: "nothing to do, by " + permission, given: given, when: conversation.Update{Issue: admin}}})
		requireRefusal(t, missing("conversation_not_found", "", 20404), fold(nil).MayRead(admin.Caller))
	}
	namer := user(1, "max", []string{"editConversationName"}, nil)
	_, err := conversation.Decide(fold(given), conversation.EditMessage{Issue: namer, Message: im(1), Body: ptr("x")})
	requireRefusal(t, forbidden("not_a_participant", "", 50430), err)
}
