package conversation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func nameClaim(name string) conversation.Claim {
	return conversation.Claim{Kind: "unique-name", Scope: is, Value: name, Ref: ch}
}

func pairClaim(n int, address, proxy string) conversation.Claim {
	return conversation.Claim{Kind: "address-pair", Scope: ac, Value: address + "\x00" + proxy, Ref: mb(n)}
}

func groupClaim(numbers string) conversation.Claim {
	return conversation.Claim{Kind: "group", Scope: ac, Value: numbers, Ref: ch}
}

func mediaClaim(n int, media string) conversation.Claim {
	return conversation.Claim{Kind: "media", Scope: is, Value: media, Ref: im(n)}
}

// attached is a message with media.
func attached(n int, media ...string) []events.Event {
	e := events.MessageAdded{Message: im(n), Index: int64(n), Author: "x", DateCreated: t0, DateUpdated: t0, At: t0}
	for _, sid := range media {
		e.Media = append(e.Media, events.Media{Media: sid, ContentType: "image/png"})
	}
	return []events.Event{e}
}

func named(name string) func(*events.ConversationCreated) {
	return func(e *events.ConversationCreated) { e.UniqueName = name }
}

func renamed(name string) []events.Event {
	return []events.Event{events.ConversationUniqueNameChanged{UniqueName: name, DateUpdated: t0, At: t0}}
}

func bound(n int, identity string, b events.Binding) []events.Event {
	return []events.Event{events.ParticipantBindingChanged{Participant: mb(n), Identity: identity, Binding: b, DateUpdated: t0, At: t0}}
}

func TestClaims(t *testing.T) {
	group := history(created(), native(1, carol), projected(2, "ann", proxy), native(3, alice))
	for _, c := range []struct {
		name   string
		before []events.Event
		es     []events.Event
		want   []conversation.Claim
	}{
		{"a name at creation", nil, created(named("n")), []conversation.Claim{nameClaim("n")}},
		{"no name, no claim", nil, created(), nil},
		{"another name", created(), renamed("n"), []conversation.Claim{nameClaim("n")}},
		{"a name taken away", created(named("n")), renamed(""), nil},
		{"a pair", created(), sms(1, alice, proxy), []conversation.Claim{pairClaim(1, alice, proxy)}},
		{"created with a participant at once", nil, history(created(named("n")), sms(1, alice, proxy)), []conversation.Claim{nameClaim("n"), pairClaim(1, alice, proxy)}},
		{"another proxy", history(created(), sms(1, alice, proxy)), bound(1, "", events.Binding{Type: "sms", Address: alice, ProxyAddress: proxy2}), []conversation.Claim{pairClaim(1, alice, proxy2)}},
		{"the same pair again", history(created(), sms(1, alice, proxy)), bound(1, "", events.Binding{Type: "sms", Address: alice, ProxyAddress: proxy}), nil},
		{"chat claims nothing", created(), chat(1, "ann"), nil},
		{"two numbers are no group yet", history(created(), native(1, alice)), native(2, bob), nil},
		{"three are, in sorted order", history(created(), native(1, carol), projected(2, "ann", proxy)), native(3, alice), []conversation.Claim{groupClaim(alice + "," + carol + "," + proxy)}},
		{"a fourth makes another group", group, native(4, bob), []conversation.Claim{groupClaim(alice + "," + bob + "," + carol + "," + proxy)}},
		{"so does one who leaves", history(group, native(4, bob)), left(4), []conversation.Claim{groupClaim(alice + "," + carol + "," + proxy)}},
		{"unless too few are left", group, left(3), nil},
		{"or the conversation is closed", history(group, native(4, bob), closed()), left(4), nil},
		{"another projected number makes another group", group, bound(2, "ann", events.Binding{Type: "sms", ProjectedAddress: proxy2}), []conversation.Claim{groupClaim(alice + "," + carol + "," + proxy2)}},
		{"an identity for a projected number does not", history(created(), native(1, carol), projected(2, "", proxy), native(3, alice)), bound(2, "ann", events.Binding{Type: "sms", ProjectedAddress: proxy}), nil},
		{"messages claim nothing", group, posted(1, 0, alice, mb(3)), nil},
		{"but their media", created(), attached(1, me(1), me(2)), []conversation.Claim{mediaClaim(1, me(1)), mediaClaim(1, me(2))}},
		{"media of one that wakes the conversation too", created(inState("inactive")), history(attached(1, me(1)), moved("inactive", "active")), []conversation.Claim{mediaClaim(1, me(1))}},
		{"who goes with a message claims nothing", history(created(), attached(1, me(1))), erased(1), nil},
		{"created with a group, only the whole of it", nil, history(created(named("n")), native(1, carol), native(2, alice), projected(3, "ann", proxy), projected(4, "", proxy2)),
			[]conversation.Claim{nameClaim("n"), groupClaim(alice + "," + carol + "," + proxy2 + "," + proxy)}},
		{"created with too few for a group", nil, history(created(), native(1, carol), native(2, alice)), nil},
		{"created with people of all kinds", nil, history(created(), chat(1, "ann"), sms(2, alice, proxy), sms(3, bob, proxy), sms(4, alice, proxy2)),
			[]conversation.Claim{pairClaim(2, alice, proxy), pairClaim(3, bob, proxy), pairClaim(4, alice, proxy2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := fold(c.before)
			was := snapshot(t, before)
			require.Equal(t, c.want, conversation.Claims(before, c.es))
			require.Equal(t, was, snapshot(t, before), "Claims changed the state")
			after := foldOn(before, c.es)
			for _, claim := range c.want {
				require.True(t, after.Holds(claim), "what was claimed is held afterwards: %v", claim)
			}
		})
	}
}

func TestHolds(t *testing.T) {
	given := history(created(named("n")), sms(1, alice, proxy), native(2, alice), native(3, bob), projected(4, "ann", proxy))
	name, pair, group := nameClaim("n"), pairClaim(1, alice, proxy), groupClaim(alice+","+bob+","+proxy)
	for _, c := range []struct {
		name                             string
		es                               []events.Event
		holdsName, holdsPair, holdsGroup bool
	}{
		{"while it is open", nil, true, true, true},
		{"inactive is open", moved("active", "inactive"), true, true, true},
		{"a closed one keeps its name only", closed(), true, false, false},
		{"a removed one keeps nothing", gone(), false, false, false},
		{"one that was closed and removed keeps nothing", history(closed(), gone()), false, false, false},
		{"another name frees the former", renamed("m"), false, true, true},
		{"who leaves frees his pair", left(1), true, false, true},
		{"who changes his proxy frees the pair", bound(1, "", events.Binding{Type: "sms", Address: alice, ProxyAddress: proxy2}), true, false, true},
		{"who leaves the group frees the set", left(3), true, true, false},
		{"who joins it too", native(9, carol), true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fold(history(given, c.es))
			require.Equal(t, []bool{c.holdsName, c.holdsPair, c.holdsGroup}, []bool{s.Holds(name), s.Holds(pair), s.Holds(group)})
		})
	}
	t.Run("nothing is held before the beginning or under another scope, holder or kind", func(t *testing.T) {
		for _, claim := range []conversation.Claim{name, pair, group} {
			require.False(t, conversation.State{}.Holds(claim))
			s := fold(given)
			elsewhere := claim
			elsewhere.Scope = "elsewhere"
			require.False(t, s.Holds(elsewhere))
			other := claim
			other.Ref = mb(3)
			require.Equal(t, claim.Kind == conversation.ClaimAddressPair, s.Holds(other), "a pair is held whichever participant claimed it")
			claim.Kind = "identity"
			require.False(t, s.Holds(claim))
		}
		require.False(t, conversation.State{}.Holds(conversation.Claim{Kind: "address-pair"}))
	})
}

func TestMediaIsHeldByAMessageThatIsThere(t *testing.T) {
	given := history(created(), attached(1, me(1)), attached(2, me(2)))
	for _, c := range []struct {
		name            string
		es              []events.Event
		holds, attached bool
	}{
		{"while its message is there", nil, true, true},
		{"while another one goes", erased(2), true, true},
		{"closing keeps it", closed(), true, true},
		{"its message takes it along, and it is not attached again", erased(1), false, true},
		{"so does the conversation", gone(), false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := fold(history(given, c.es))
			require.Equal(t, c.holds, s.Holds(mediaClaim(1, me(1))))
			require.Equal(t, c.attached, s.Attached(me(1)))
		})
	}
	s := fold(given)
	require.False(t, s.Attached(me(3)))
	require.False(t, s.Holds(mediaClaim(1, me(3))))
	require.True(t, s.Holds(conversation.Claim{Kind: "media", Scope: is, Value: me(1), Ref: me(1)}), "whoever asks")
	require.False(t, s.Holds(conversation.Claim{Kind: "media", Scope: ac, Value: me(1), Ref: im(1)}), "in its service")
	require.False(t, conversation.State{}.Holds(conversation.Claim{Kind: "media"}))
	require.False(t, conversation.State{}.Attached(""))
}

func TestTaken(t *testing.T) {
	r := conversation.Taken(nameClaim("n"), ch)
	require.Equal(t, "Conversation with provided unique name already exists", r.Message)
	requireRefusal(t, exists("unique_name_taken", "unique_name", 50353), r)

	r = conversation.Taken(pairClaim(1, alice, proxy), ch)
	require.Contains(t, r.Message, ch)
	requireRefusal(t, exists("address_pair_taken", "address", 50416), r)

	r = conversation.Taken(groupClaim("x"), ch)
	require.Contains(t, r.Message, ch)
	requireRefusal(t, exists("group_taken", "address", 50438), r)

	r = conversation.Taken(mediaClaim(1, me(1)), ch)
	require.Contains(t, r.Message, me(1))
	requireRefusal(t, exists("media_attached", "media", 50508), r)
}

func TestAPairTakenInTheConversationItselfNamesIt(t *testing.T) {
	_, err := conversation.Decide(fold(history(created(), sms(1, alice, proxy))), newParticipant(2, withPair(alice, proxy)))
	var r *domain.Refusal
	require.ErrorAs(t, err, &r)
	require.Contains(t, r.Message, ch)
}
