package conversation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// beginning is a conversation that is to begin with people.
func beginning(state string, people ...conversation.AddParticipant) conversation.CreateWithParticipants {
	c := conversation.CreateWithParticipants{Conversation: conversation.Create{
		Issue: conversation.Issue{At: t0}, Sid: ch, Account: ac, Service: is, DefaultMessagingService: mg, State: state,
	}}
	for i, p := range people {
		p.Issue, p.Sid = conversation.Issue{At: t0}, mb(i+1)
		p.GroupMMS = true
		c.Participants = append(c.Participants, p)
	}
	return c
}

func TestCreateWithParticipants(t *testing.T) {
	ann := conversation.AddParticipant{Identity: "ann"}
	al := conversation.AddParticipant{Address: alice, ProxyAddress: proxy}
	var crowd []conversation.AddParticipant
	for i := range 11 {
		crowd = append(crowd, conversation.AddParticipant{Identity: string(rune('a' + i))})
	}
	there := exists("conversation_exists", "sid", 20409)
	users := beginning("", ann)
	users.Conversation.Issue = user(0, "ann", []string{"createConversation", "addParticipant"}, nil)
	run(t, []row{
		{name: "with nobody it is a conversation", when: beginning(""), then: created(), again: there},
		{name: "with people it is one at once", when: beginning("", ann, al), then: history(created(), chat(1, "ann"), sms(2, alice, proxy)), again: there},
		{name: "it stays inactive if that was asked for", when: beginning("inactive", ann), then: history(created(inState("inactive")), chat(1, "ann")), again: there},
		{name: "a group MMS is one at once", when: beginning("", conversation.AddParticipant{Address: alice}, conversation.AddParticipant{Address: bob}, conversation.AddParticipant{ProjectedAddress: proxy}),
			then: history(created(), native(1, alice), native(2, bob), projected(3, "", proxy)), again: there},
		{name: "a conversation that is there", given: created(), when: beginning("", ann), no: there},
		{name: "too many", when: beginning("", crowd...), no: invalid("too_many_participants", "participants", 50426)},
		{name: "the same person twice", when: beginning("", ann, ann), no: exists("participant_exists", "participants[1].identity", 50433)},
		{name: "the same pair twice", when: beginning("", al, al), no: exists("address_pair_taken", "participants[1].address", 50425)},
		{name: "somebody who cannot be", when: beginning("", ann, conversation.AddParticipant{}), no: invalid("identity_missing", "participants[1].identity", 50204)},
		{name: "a state that is none", when: beginning("closed", ann), no: invalid("state_closed_at_creation", "state", 50384)},
		{name: "as a user", when: users, no: forbidden("server_side_only", "", 50107)},
	})
}

func TestABeginningClaimsEverythingAtOnce(t *testing.T) {
	c := beginning("", conversation.AddParticipant{Address: alice}, conversation.AddParticipant{Address: bob},
		conversation.AddParticipant{Address: carol}, conversation.AddParticipant{ProjectedAddress: proxy})
	c.Conversation.UniqueName = "four"
	es, err := conversation.Decide(conversation.State{}, c)
	require.NoError(t, err)
	var kinds []string
	for _, claim := range conversation.Claims(conversation.State{}, es) {
		kinds = append(kinds, claim.Kind)
		require.True(t, fold(es).Holds(claim), claim.Kind)
	}
	require.Equal(t, []string{conversation.ClaimUniqueName, conversation.ClaimGroup}, kinds, "of the groups on the way none counts")
}

func TestMediaIsHeldByTheMessageThatHasIt(t *testing.T) {
	me := domain.SID("ME", "1")
	file := events.Media{Media: me, ContentType: "image/png", Filename: "a.png", Size: 7}
	send := conversation.AddMessage{Issue: by(2), Sid: im(1), Media: []events.Media{{Media: me, ContentType: "text/html", Size: 1}},
		Uploaded: map[string]conversation.Upload{me: {File: &file}}}
	es, err := conversation.Decide(fold(created()), send)
	require.NoError(t, err)
	require.Equal(t, []events.Media{file}, es[0].(events.MessageAdded).Media, "what it is was said when it was uploaded")
	claims := conversation.Claims(fold(created()), es)
	require.Equal(t, []conversation.Claim{{Kind: conversation.ClaimMedia, Scope: is, Value: me, Ref: im(1)}}, claims)
	s := fold(history(created(), es))
	require.True(t, s.Holds(claims[0]))
	require.True(t, s.Attached(me))

	send.Sid = im(2)
	_, err = conversation.Decide(s, send)
	requireRefusal(t, exists("media_attached", "media.0.media", 50508), err)
	s = foldOn(s, []events.Event{events.MessageRemoved{Message: im(1), At: at(3)}})
	require.False(t, s.Holds(claims[0]), "it can be cleared away")
	require.True(t, s.Attached(me), "but not attached again")
	_, err = conversation.Decide(s, send)
	requireRefusal(t, exists("media_attached", "media.0.media", 50508), err)
}

func TestUpdateUserConversation(t *testing.T) {
	given := history(created(), chat(1, "ann"), posted(1, 0, "x", ""))
	read := func(level *string, index *int64) conversation.UpdateUserConversation {
		return conversation.UpdateUserConversation{Issue: by(2), Participant: "ann", NotificationLevel: level, LastReadIndex: index}
	}
	unread := conversation.UpdateUserConversation{Issue: by(2), Participant: "ann", ClearLastRead: true}
	both := unread
	both.LastReadIndex = ptr(int64(0))
	muted := events.NotificationLevelSet{Participant: mb(1), Level: "muted", At: at(2)}
	seen := events.ReadHorizonMoved{Participant: mb(1), Index: 0, ReadAt: at(2), At: at(2)}
	run(t, []row{
		{name: "both", given: given, when: read(ptr("muted"), ptr(int64(0))), then: []events.Event{muted, seen}},
		{name: "one", given: given, when: read(nil, ptr(int64(0))), then: []events.Event{seen}},
		{name: "neither", given: given, when: read(nil, nil)},
		{name: "all unread again", given: history(given, []events.Event{seen}), when: unread, then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: -1, At: at(2)}}},
		{name: "a bad index takes the level with it", given: given, when: read(ptr("muted"), ptr(int64(9))), no: invalid("read_index_invalid", "last_read_message_index", 50421)},
		{name: "moved and cleared", given: given, when: both, no: invalid("read_index_invalid", "clear_last_read", 50421)},
		{name: "nobody's", given: given, when: conversation.UpdateUserConversation{Participant: "zoe"}, no: missing("participant_not_found", "participant", 50432)},
		{name: "somebody else's, as a user", given: history(given, chat(2, "bea")), when: conversation.UpdateUserConversation{Issue: user(2, "bea", nil, nil), Participant: "ann", LastReadIndex: ptr(int64(0))},
			no: forbidden("permission_denied", "", 50107)},
		{name: "of a conversation that is gone", given: history(given, gone()), when: read(nil, ptr(int64(0))), no: missing("conversation_not_found", "", 20404)},
	})
}

func TestOnlyEMailHasLevelsAndNames(t *testing.T) {
	add := func(level, name, address, proxy string) conversation.AddParticipant {
		return conversation.AddParticipant{Issue: by(2), Sid: mb(1), Address: address, ProxyAddress: proxy, Level: level, Name: name}
	}
	mail := events.Binding{Type: "email", Address: "ann@x.example", ProxyAddress: "us@x.example", Level: "cc", Name: "Ann"}
	want := joined(1, "", mail)[0].(events.ParticipantAdded)
	want.DateCreated, want.DateUpdated, want.At = at(2), at(2), at(2)
	run(t, []row{
		{name: "an e-mail participant", given: created(), when: add("CC", "Ann", mail.Address, mail.ProxyAddress), then: []events.Event{want}, again: exists("participant_exists", "sid", 50433)},
		{name: "an SMS participant", given: created(), when: add("to", "", alice, proxy), no: invalid("binding_not_email", "level", 50420)},
		{name: "a level that is none", given: created(), when: add("bcc", "", mail.Address, mail.ProxyAddress), no: invalid("level_invalid", "level", 50420)},
	})
}
