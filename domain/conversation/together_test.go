package conversation_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// together is a new conversation with people, who have the SIDs mb(1), mb(2), …
func together(change func(*conversation.Create), people ...func(*conversation.AddParticipant)) conversation.CreateWithParticipants {
	c := conversation.CreateWithParticipants{Conversation: newConversation(change)}
	for i, person := range people {
		c.Participants = append(c.Participants, newParticipant(i+1, person))
	}
	return c
}

func TestCreateWithParticipants(t *testing.T) {
	again := exists("conversation_exists", "sid", 20409)
	ann, bea, pair := withIdentity("ann"), withIdentity("bea"), withPair(alice, proxy)
	crowd := func(n int) (people []func(*conversation.AddParticipant)) {
		for i := range n {
			people = append(people, withIdentity(fmt.Sprint(i+1)))
		}
		return people
	}
	ten := created()
	for i := range 10 {
		ten = append(ten, chat(i+1, fmt.Sprint(i+1))...)
	}
	refused := func(name string, r no, people ...func(*conversation.AddParticipant)) row {
		return row{name: name, when: together(nil, people...), no: r}
	}
	run(t, []row{
		{name: "people of every kind, in their order", when: together(nil, ann, pair, withPair(alice, proxy2)),
			then: history(created(), chat(1, "ann"), sms(2, alice, proxy), sms(3, alice, proxy2)), again: again},
		{name: "nobody", when: together(nil), then: created(), again: again},
		{name: "ten people", when: together(nil, crowd(10)...), then: ten, again: again},
		{name: "a group", when: together(nil, withPair(carol, ""), withPair(alice, ""), func(c *conversation.AddParticipant) { c.Identity, c.ProjectedAddress = "ann", proxy }),
			then: history(created(), native(1, carol), native(2, alice), projected(3, "ann", proxy)), again: again},
		{name: "who joins does not wake what is to begin inactive", when: together(func(c *conversation.Create) { c.State = "inactive" }, ann, pair),
			then: history(created(inState("inactive")), chat(1, "ann"), sms(2, alice, proxy)), again: again},
		{name: "a conversation that is there", given: created(), when: together(nil, ann), no: again},
		{name: "a conversation that was removed", given: history(created(), gone()), when: together(nil, ann), no: again},

		refused("eleven people", invalid("too_many_participants", "participants", 50426), crowd(11)...),
		{name: "a thousand people are refused before they are looked at", when: together(func(c *conversation.Create) { c.State = "x" }, crowd(1000)...), no: invalid("too_many_participants", "participants", 50426)},
		{name: "what is wrong with the conversation is said first", when: together(func(c *conversation.Create) { c.State = "closed" }, pair, pair), no: invalid("state_closed_at_creation", "state", 50384)},
		refused("an identity twice", exists("participant_exists", "participants[2].identity", 50433), ann, bea, ann),
		refused("a pair twice", exists("address_pair_taken", "participants[2].address", 50425), pair, ann, pair),
		refused("a SID twice", exists("participant_exists", "participants[1].sid", 50433), ann, func(c *conversation.AddParticipant) { c.Sid, c.Identity = mb(1), "bea" }),
		refused("the last one is nobody", invalid("identity_missing", "participants[1].identity", 50204), ann, func(*conversation.AddParticipant) {}),
		refused("a pair beside a group", unready("group_mixed", "participants[1].address", 50435), pair, withPair(bob, "")),
		refused("a role that is not there", missing("role_not_found", "participants[0].role", 50101), func(c *conversation.AddParticipant) { c.Identity, c.Role = "ann", rl }),
		refused("one too many of a limit names the person", toomany("too_many_non_chat_participants", "participants[1]", 50422), pair,
			func(c *conversation.AddParticipant) {
				c.Address, c.ProxyAddress, c.Limits.NonChatParticipants = bob, proxy, 1
			}),
		{name: "outside chat a Messaging Service is needed", when: together(func(c *conversation.Create) { c.DefaultMessagingService = "" }, ann, pair), no: unready("messaging_service_missing", "participants[1]", 50373)},
		{name: "it is not for users, whatever they may", when: together(func(c *conversation.Create) {
			c.Issue = user(0, "ann", []string{"createConversation", "joinConversation", "addParticipant", "addNonChatParticipant"}, nil)
		}, ann), no: forbidden("server_side_only", "", 50107)},
	})
}

func TestTheClockOfAConversationWithPeopleBeginsOnce(t *testing.T) {
	es, err := conversation.Decide(conversation.State{}, together(func(c *conversation.Create) {
		c.State, c.Timers = "inactive", &events.Timers{Inactive: "PT10M", Closed: "PT20M"}
	}, withIdentity("ann")))
	require.NoError(t, err)
	due, state, ok := fold(es).NextDue()
	require.True(t, ok)
	require.Equal(t, at(20), due)
	require.Equal(t, events.StateClosed, state)
}

func TestTogetherRefusalGivesOnlyTakenPairsAnotherCode(t *testing.T) {
	require.NoError(t, conversation.TogetherRefusal(nil))
	require.Equal(t, fmt.Errorf("broken"), conversation.TogetherRefusal(fmt.Errorf("broken")))

	pair := conversation.Taken(pairClaim(1, alice, proxy), ch)
	requireRefusal(t, exists("address_pair_taken", "address", 50425), conversation.TogetherRefusal(pair))
	requireRefusal(t, exists("address_pair_taken", "address", 50425), conversation.TogetherRefusal(fmt.Errorf("wrapped: %w", pair)))
	require.Equal(t, 50416, pair.Twilio, "what is given is not changed")

	for _, other := range []*domain.Refusal{conversation.Taken(nameClaim("n"), ch), conversation.Taken(groupClaim("x"), ch)} {
		require.Same(t, other, conversation.TogetherRefusal(other))
	}
}
