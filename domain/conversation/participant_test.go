package conversation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func newParticipant(n int, change func(*conversation.AddParticipant)) conversation.AddParticipant {
	c := conversation.AddParticipant{Issue: by(0), Sid: mb(n)}
	c.GroupMMS = true
	change(&c)
	return c
}

func withIdentity(identity string) func(*conversation.AddParticipant) {
	return func(c *conversation.AddParticipant) { c.Identity = identity }
}

func withPair(address, proxy string) func(*conversation.AddParticipant) {
	return func(c *conversation.AddParticipant) { c.Address, c.ProxyAddress = address, proxy }
}

func withLevel(address, level, name string) func(*conversation.AddParticipant) {
	return func(c *conversation.AddParticipant) {
		c.Address, c.ProxyAddress, c.Level, c.Name = address, "us@example.org", level, name
	}
}

func TestAddParticipant(t *testing.T) {
	taken := exists("participant_exists", "identity", 50433)
	sidTaken := exists("participant_exists", "sid", 50433)
	pairTaken := exists("address_pair_taken", "address", 50416)
	noService := created(func(e *events.ConversationCreated) { e.MessagingService = "" })
	add := func(change func(*conversation.AddParticipant)) conversation.Command { return newParticipant(5, change) }
	refused := func(name string, given []events.Event, change func(*conversation.AddParticipant), r no) row {
		return row{name: name, given: given, when: add(change), no: r}
	}
	group := history(created(), native(1, alice), projected(2, "ann", proxy))

	run(t, []row{
		{name: "a chat participant gets the default role", given: created(), when: add(func(c *conversation.AddParticipant) {
			c.Identity, c.User, c.DefaultRole, c.CreatorRole = "ann", "US1", rl, "RLcreator"
		}), then: []events.Event{events.ParticipantAdded{
			Participant: mb(5), Identity: "ann", User: "US1", Role: rl, Attributes: "{}", DateCreated: t0, DateUpdated: t0, At: t0,
		}}, again: sidTaken},
		{name: "who created the conversation gets the creator's", given: created(func(e *events.ConversationCreated) { e.CreatedBy = "ann" }),
			when: add(func(c *conversation.AddParticipant) {
				c.Identity, c.DefaultRole, c.CreatorRole = "ann", rl, "RLcreator"
			}), then: []events.Event{events.ParticipantAdded{
				Participant: mb(5), Identity: "ann", Role: "RLcreator", Attributes: "{}", DateCreated: t0, DateUpdated: t0, At: t0,
			}}, again: sidTaken},
		{name: "a role that is given wins, dates and attributes are kept", given: created(), when: add(func(c *conversation.AddParticipant) {
			c.Identity, c.DefaultRole, c.Role, c.RoleType = "ann", "RLdefault", rl, events.RoleConversation
			c.Attributes, c.DateCreated, c.DateUpdated = ` {"x":1} `, at(-20), at(-10)
		}), then: []events.Event{events.ParticipantAdded{
			Participant: mb(5), Identity: "ann", Role: rl, Attributes: ` {"x":1} `, DateCreated: at(-20), DateUpdated: at(-10), At: t0,
		}}, again: sidTaken},
		{name: "an SMS participant has a type and no role", given: created(), when: add(func(c *conversation.AddParticipant) {
			c.Address, c.ProxyAddress, c.DefaultRole, c.Senders = alice, proxy, rl, []string{proxy}
		}), then: sms(5, alice, proxy), again: sidTaken},
		{name: "a short code may be the proxy", given: created(), when: add(withPair(alice, "24365")), then: sms(5, alice, "24365"), again: sidTaken},
		{name: "a WhatsApp participant", given: created(), when: add(withPair(waErin, waUs)), then: sms(5, waErin, waUs), again: sidTaken},
		{name: "a channel of its own", given: created(), when: add(withPair("fax:1", "fax:2")), then: sms(5, "fax:1", "fax:2"), again: sidTaken},
		{name: "an e-mail participant", given: created(), when: add(withPair("a@example.org", "us@example.org")), then: sms(5, "a@example.org", "us@example.org"), again: sidTaken},
		{name: "the same person through another proxy", given: history(created(), sms(1, alice, proxy)), when: add(withPair(alice, proxy2)), then: sms(5, alice, proxy2), again: sidTaken},
		{name: "chat needs no Messaging Service", given: noService, when: add(withIdentity("ann")), then: chat(5, "ann"), again: sidTaken},

		refused("outside chat a Messaging Service is needed", noService, withPair(alice, proxy), unready("messaging_service_missing", "", 50373)),
		refused("nobody at all", created(), func(*conversation.AddParticipant) {}, invalid("identity_missing", "identity", 50204)),
		refused("an identity twice", history(created(), chat(1, "ann")), withIdentity("ann"), taken),
		refused("a pair twice", history(created(), sms(1, alice, proxy)), withPair(alice, proxy), pairTaken),
		refused("a SID in use", history(created(), chat(5, "bea")), withIdentity("ann"), sidTaken),
		refused("a SID of somebody who left", history(created(), chat(5, "bea"), left(5)), withIdentity("ann"), sidTaken),
		refused("a SID of another kind", created(), func(c *conversation.AddParticipant) { c.Sid, c.Identity = ch, "ann" }, invalid("sid_invalid", "sid", 50431)),
		refused("identity and address", created(), func(c *conversation.AddParticipant) { c.Identity, c.Address, c.ProxyAddress = "ann", alice, proxy }, invalid("identity_not_allowed", "identity", 50211)),
		refused("address and projected address", created(), func(c *conversation.AddParticipant) { c.Address, c.ProjectedAddress = alice, proxy }, invalid("binding_invalid", "projected_address", 50442)),
		refused("a proxy without an address", created(), withPair("", proxy), invalid("address_missing", "address", 50411)),
		refused("a WhatsApp address without a proxy", created(), withPair(waErin, ""), invalid("proxy_address_empty", "proxy_address", 50412)),
		refused("an address that is none", created(), withPair("12125550100", proxy), invalid("address_invalid", "address", 50407)),
		refused("an address with a space", created(), withPair("fax:1 2", "fax:2"), invalid("address_invalid", "address", 50407)),
		refused("an address of 257 bytes", created(), withPair("fax:"+strings.Repeat("1", 253), "fax:2"), invalid("address_invalid", "address", 50407)),
		refused("an address that is only a prefix", created(), withPair("fax:", "fax:2"), invalid("address_invalid", "address", 50407)),
		refused("a WhatsApp address without a number", created(), withPair("whatsapp:erin", waUs), invalid("address_invalid", "address", 50407)),
		refused("an address of two lines", created(), withPair("a@example.org\r\nBcc", "us@example.org"), invalid("address_invalid", "address", 50407)),
		refused("a way out of a folder", created(), withPair("messenger:../../x", "messenger:us"), invalid("address_invalid", "address", 50407)),
		refused("a way out of a folder in place of a channel", created(), withPair("../..:x", "../..:us"), invalid("address_invalid", "address", 50407)),
		refused("a proxy address with a space", created(), withPair("messenger:x", "messenger:u s"), invalid("proxy_address_invalid", "proxy_address", 50408)),
		refused("a proxy address of two lines", created(), withPair("a@example.org", "us@example.org\n"), invalid("proxy_address_invalid", "proxy_address", 50408)),
		refused("half an e-mail address", created(), withPair("@example.org", "us@example.org"), invalid("address_invalid", "address", 50407)),
		refused("a proxy that is none", created(), withPair(alice, "+0123"), invalid("proxy_address_invalid", "proxy_address", 50408)),
		refused("a proxy nobody can answer to", created(), withPair(alice, "ACME 24"), invalid("proxy_address_unsupported", "proxy_address", 50453)),
		refused("address and proxy the same", created(), withPair(alice, alice), invalid("address_equals_proxy", "proxy_address", 50409)),
		refused("two channels", created(), withPair(alice, waUs), invalid("channels_differ", "proxy_address", 50414)),
		refused("a proxy of somebody else", created(), func(c *conversation.AddParticipant) { c.Address, c.ProxyAddress, c.Senders = alice, proxy, []string{} }, forbidden("proxy_address_foreign", "proxy_address", 50413)),
		refused("a proxy that is no WhatsApp sender", created(), func(c *conversation.AddParticipant) {
			c.Address, c.ProxyAddress, c.Senders = waErin, waUs, []string{proxy}
		}, invalid("proxy_address_not_whatsapp", "proxy_address", 50415)),
		refused("the reserved identity", created(), withIdentity("System"), invalid("identity_reserved", "identity", 50203)),
		refused("an identity like a user's SID", created(), withIdentity(domain.SID("US", "x")), invalid("identity_looks_like_sid", "identity", 50206)),
		refused("an identity like a participant's SID", created(), withIdentity(mb(1)), invalid("identity_looks_like_sid", "identity", 50206)),
		refused("a long identity", created(), withIdentity(strings.Repeat("i", 257)), invalid("identity_too_long", "identity", 50207)),
		refused("attributes beyond 4 KiB", created(), func(c *conversation.AddParticipant) { c.Identity, c.Attributes = "ann", jsonOf(4<<10+1) }, invalid("attributes_too_long", "attributes", 50303)),
		refused("attributes that are not JSON", created(), func(c *conversation.AddParticipant) { c.Identity, c.Attributes = "ann", "x" }, invalid("attributes_invalid", "attributes", 50304)),
		refused("a role of nobody", created(), func(c *conversation.AddParticipant) { c.Identity, c.Role = "ann", rl }, missing("role_not_found", "role", 50101)),
		refused("a role for users", created(), func(c *conversation.AddParticipant) { c.Identity, c.Role, c.RoleType = "ann", rl, events.RoleService }, invalid("role_type_invalid", "role", 50105)),
		refused("an identity in a thousand conversations", created(), func(c *conversation.AddParticipant) { c.Identity, c.OpenConversations = "ann", 1000 }, toomany("too_many_conversations", "identity", 50214)),
		refused("one participant too many", history(created(), chat(1, "a"), chat(2, "b")), func(c *conversation.AddParticipant) { c.Identity, c.Limits.Participants = "ann", 2 }, toomany("too_many_participants", "", 50417)),
		refused("one too many outside chat", history(created(), sms(1, alice, proxy)), func(c *conversation.AddParticipant) {
			c.Address, c.ProxyAddress, c.Limits.NonChatParticipants = bob, proxy, 1
		}, toomany("too_many_non_chat_participants", "", 50422)),

		{name: "a native member of a group MMS", given: group, when: add(withPair(bob, "")), then: native(5, bob), again: sidTaken},
		{name: "a chat member of a group MMS", given: group, when: add(func(c *conversation.AddParticipant) { c.Identity, c.ProjectedAddress = "bea", proxy2 }), then: projected(5, "bea", proxy2), again: sidTaken},
		{name: "a projected number alone", given: group, when: add(func(c *conversation.AddParticipant) { c.ProjectedAddress = proxy2 }), then: projected(5, "", proxy2), again: sidTaken},
		refused("a group for an account without", created(), func(c *conversation.AddParticipant) { c.Address, c.GroupMMS = bob, false }, forbidden("group_mms_off", "address", 50452)),
		refused("a group beyond +1", created(), withPair("+447700900001", ""), invalid("address_invalid", "address", 50407)),
		refused("a group with a toll-free number", created(), withPair("+18005550100", ""), invalid("address_invalid", "address", 50407)),
		refused("a short code as projected address", created(), func(c *conversation.AddParticipant) { c.ProjectedAddress = "24365" }, invalid("projected_address_invalid", "projected_address", 50407)),
		refused("a projected address of somebody else", created(), func(c *conversation.AddParticipant) { c.ProjectedAddress, c.Senders = proxy2, []string{proxy} }, forbidden("projected_address_foreign", "projected_address", 50439)),
		refused("a number in the group twice", group, withPair(alice, ""), exists("group_member_exists", "address", 50437)),
		refused("a projected number as native member", group, withPair(proxy, ""), exists("group_member_exists", "address", 50437)),
		refused("a chat participant without a number joins a group", group, withIdentity("bea"), unready("projected_address_missing", "projected_address", 50434)),
		refused("a number joins chat participants without", history(created(), chat(1, "ann")), withPair(bob, ""), unready("projected_address_missing", "projected_address", 50434)),
		refused("a proxy joins a group", group, withPair(bob, proxy2), unready("group_mixed", "proxy_address", 50435)),
		refused("a group member joins proxies", history(created(), sms(1, alice, proxy)), withPair(bob, ""), unready("group_mixed", "address", 50435)),
		refused("a group too big", group, func(c *conversation.AddParticipant) { c.Address, c.Limits.GroupSize = bob, 2 }, toomany("group_too_big", "", 50436)),
	})
}

func TestAddEmailParticipant(t *testing.T) {
	taken := exists("participant_exists", "sid", 50433)
	run(t, []row{
		{name: "an e-mail participant in copy, with a name", given: created(), when: newParticipant(5, withLevel("a@example.org", "CC", "Ann")),
			then: joined(5, "", events.Binding{Type: "email", Address: "a@example.org", ProxyAddress: "us@example.org", Level: "cc", Name: "Ann"}), again: taken},
		{name: "an e-mail participant with the longest name alone", given: created(), when: newParticipant(5, withLevel("a@example.org", "", strings.Repeat("é", 256))),
			then: joined(5, "", events.Binding{Type: "email", Address: "a@example.org", ProxyAddress: "us@example.org", Name: strings.Repeat("é", 256)}), again: taken},
		{name: "a level of nothing", given: created(), when: newParticipant(5, withLevel("a@example.org", "bcc", "")), no: invalid("level_invalid", "level", 50420)},
		{name: "a long name", given: created(), when: newParticipant(5, withLevel("a@example.org", "to", strings.Repeat("x", 257))), no: invalid("name_too_long", "name", 50420)},
		{name: "a name of two lines", given: created(), when: newParticipant(5, withLevel("a@example.org", "to", "Ann\r\nBcc: x")), no: invalid("text_not_one_line", "name", 50420)},
		{name: "a level outside e-mail", given: created(), when: newParticipant(5, func(c *conversation.AddParticipant) { c.Address, c.ProxyAddress, c.Level = alice, proxy, "to" }), no: invalid("binding_not_email", "level", 50420)},
		{name: "a name in chat", given: created(), when: newParticipant(5, func(c *conversation.AddParticipant) { c.Identity, c.Name = "ann", "Ann" }), no: invalid("binding_not_email", "name", 50420)},
		{name: "a name beside a projected address", given: created(), when: newParticipant(5, func(c *conversation.AddParticipant) { c.ProjectedAddress, c.Name = proxy, "Ann" }), no: invalid("binding_not_email", "name", 50420)},
	})
}

func left(n int) []events.Event {
	return []events.Event{events.ParticipantRemoved{Participant: mb(n), At: t0}}
}

func TestTheDefaultLimitsAreTwilios(t *testing.T) {
	es := created()
	for n := range 50 {
		es = append(es, sms(n, fmt.Sprintf("+1212555%04d", n), proxy)...)
	}
	_, err := conversation.Decide(fold(es), newParticipant(2000, withPair(alice+"1", proxy)))
	requireRefusal(t, toomany("too_many_non_chat_participants", "", 50422), err)
	for n := 50; n < 1000; n++ {
		es = append(es, chat(n, fmt.Sprint("user", n))...)
	}
	_, err = conversation.Decide(fold(es), newParticipant(2000, withIdentity("one more")))
	requireRefusal(t, toomany("too_many_participants", "", 50417), err)
	_, err = conversation.Decide(fold(es[:1000]), newParticipant(2000, withIdentity("one more")))
	require.NoError(t, err)
}

func TestUpdateParticipant(t *testing.T) {
	given := history(created(), chat(1, "ann"), sms(2, alice, proxy), posted(1, 0, "ann", mb(1), mb(2)), posted(2, 1, "ann", mb(1), mb(2)))
	group := history(created(), native(1, alice), projected(2, "", proxy), projected(3, "cem", proxy2))
	upd := func(ref string, change func(*conversation.UpdateParticipant)) conversation.Command {
		c := conversation.UpdateParticipant{Issue: by(3), Participant: ref}
		c.GroupMMS = true
		change(&c)
		return c
	}
	rebound := func(n int, identity, user string, b events.Binding) []events.Event {
		return []events.Event{events.ParticipantBindingChanged{
			Participant: mb(n), Identity: identity, User: user, Binding: b, DateUpdated: at(3), At: at(3),
		}}
	}
	proxyTo := func(text string) func(*conversation.UpdateParticipant) {
		return func(c *conversation.UpdateParticipant) { c.ProxyAddress = &text }
	}
	projectTo := func(text string) func(*conversation.UpdateParticipant) {
		return func(c *conversation.UpdateParticipant) { c.ProjectedAddress = &text }
	}
	identify := func(text string) func(*conversation.UpdateParticipant) {
		return func(c *conversation.UpdateParticipant) { c.Identity, c.User = &text, "US9" }
	}
	nothing := func(*conversation.UpdateParticipant) {}

	run(t, []row{
		{name: "nothing given", given: given, when: upd("ann", nothing)},
		{name: "what is the same", given: given, when: upd(mb(2), func(c *conversation.UpdateParticipant) {
			c.ProxyAddress, c.Attributes, c.DateCreated, c.DateUpdated = ptr(proxy), ptr("{}"), t0, t0
		})},
		{name: "attributes, role and dates by identity", given: given, when: upd("ann", func(c *conversation.UpdateParticipant) {
			c.Attributes, c.Role, c.RoleType, c.DateCreated, c.DateUpdated = ptr("[1]"), &rl, events.RoleConversation, at(-9), at(-8)
		}), then: []events.Event{
			events.ParticipantAttributesChanged{Participant: mb(1), Attributes: "[1]", DateUpdated: at(-8), At: at(3)},
			events.ParticipantRoleChanged{Participant: mb(1), Role: rl, DateUpdated: at(-8), At: at(3)},
			events.ParticipantDatesSet{Participant: mb(1), DateCreated: at(-9), DateUpdated: at(-8), At: at(3)},
		}},
		{name: "another proxy", given: given, when: upd(mb(2), proxyTo(proxy2)),
			then: rebound(2, "", "", events.Binding{Type: "sms", Address: alice, ProxyAddress: proxy2})},
		{name: "no proxy makes a native group member", given: history(created(), sms(2, alice, proxy)), when: upd(mb(2), proxyTo("null")),
			then: rebound(2, "", "", events.Binding{Type: "sms", Address: alice}), again: unready("proxy_address_not_removable", "proxy_address", 50440)},
		{name: "a proxy for a native member", given: history(created(), native(2, alice)), when: upd(mb(2), proxyTo(proxy)),
			then: rebound(2, "", "", events.Binding{Type: "sms", Address: alice, ProxyAddress: proxy})},
		{name: "an identity for a projected number", given: group, when: upd(mb(2), identify("bea")),
			then: rebound(2, "bea", "US9", events.Binding{Type: "sms", ProjectedAddress: proxy})},
		{name: "another projected address", given: group, when: upd("cem", projectTo(carol)),
			then: rebound(3, "cem", "", events.Binding{Type: "sms", ProjectedAddress: carol})},
		{name: "a projected address for a chat participant", given: history(created(), chat(1, "ann")), when: upd("ann", projectTo(proxy)),
			then: rebound(1, "ann", "", events.Binding{Type: "sms", ProjectedAddress: proxy})},
		{name: "no projected address any more", given: history(created(), projected(1, "ann", proxy)), when: upd("ann", projectTo("null")),
			then: rebound(1, "ann", "", events.Binding{}), again: unready("projected_address_not_removable", "projected_address", 50443)},
		{name: "how far was read, in either direction", given: history(given, horizon(1, 1)), when: upd("ann", func(c *conversation.UpdateParticipant) {
			c.LastReadIndex, c.LastReadTimestamp = ptr(int64(0)), at(2)
		}), then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: 0, ReadAt: at(2), At: at(3)}}},
		{name: "only when it was read", given: history(given, horizon(1, 1)), when: upd("ann", func(c *conversation.UpdateParticipant) { c.LastReadTimestamp = at(2) }),
			then: []events.Event{events.ReadHorizonMoved{Participant: mb(1), Index: 1, ReadAt: at(2), At: at(3)}}},

		{name: "nobody", given: given, when: upd("zoe", nothing), no: missing("participant_not_found", "participant", 50432)},
		{name: "a time of reading without anything read", given: given, when: upd("ann", func(c *conversation.UpdateParticipant) { c.LastReadTimestamp = at(2) }), no: invalid("read_index_invalid", "last_read_message_index", 50421)},
		{name: "an index beyond the last", given: given, when: upd("ann", func(c *conversation.UpdateParticipant) { c.LastReadIndex = ptr(int64(2)) }), no: invalid("read_index_invalid", "last_read_message_index", 50421)},
		{name: "a proxy removed where there is none", given: given, when: upd("ann", proxyTo("null")), no: unready("proxy_address_not_removable", "proxy_address", 50440)},
		{name: "a proxy without an address", given: given, when: upd("ann", proxyTo(proxy)), no: unready("proxy_address_not_addable", "proxy_address", 50441)},
		{name: "an empty proxy", given: given, when: upd(mb(2), proxyTo("")), no: invalid("proxy_address_empty", "proxy_address", 50412)},
		{name: "a proxy of another channel", given: given, when: upd(mb(2), proxyTo(waUs)), no: invalid("channels_differ", "proxy_address", 50414)},
		{name: "a proxy that another participant has with this address", given: history(created(), sms(1, alice, proxy), sms(2, alice, proxy2)), when: upd(mb(2), proxyTo(proxy)), no: exists("address_pair_taken", "address", 50416)},
		{name: "no proxy beside a chat participant", given: given, when: upd(mb(2), proxyTo("null")), no: unready("projected_address_missing", "projected_address", 50434)},
		{name: "a projected address beside an address", given: given, when: upd(mb(2), projectTo(carol)), no: unready("projected_address_not_addable", "projected_address", 50442)},
		{name: "a projected address removed where there is none", given: given, when: upd("ann", projectTo("null")), no: unready("projected_address_not_removable", "projected_address", 50443)},
		{name: "a projected number removed from nobody", given: group, when: upd(mb(2), projectTo("null")), no: unready("projected_address_not_removable", "projected_address", 50443)},
		{name: "no projected address inside a group", given: group, when: upd("cem", projectTo("null")), no: unready("projected_address_missing", "projected_address", 50434)},
		{name: "another identity", given: given, when: upd("ann", identify("bea")), no: unready("identity_not_changeable", "identity", 50444)},
		{name: "an identity for an address", given: given, when: upd(mb(2), identify("bea")), no: unready("identity_not_changeable", "identity", 50444)},
		{name: "an identity that is here already", given: group, when: upd(mb(2), identify("cem")), no: exists("participant_exists", "identity", 50433)},
		{name: "a role of nobody", given: given, when: upd("ann", func(c *conversation.UpdateParticipant) { c.Role = &rl }), no: missing("role_not_found", "role", 50101)},
		{name: "no role any more", given: given, when: upd("ann", func(c *conversation.UpdateParticipant) { c.Role = ptr("") }), no: invalid("role_missing", "role", 50103)},
		{name: "attributes that are not JSON", given: given, when: upd("ann", func(c *conversation.UpdateParticipant) { c.Attributes = ptr("x") }), no: invalid("attributes_invalid", "attributes", 50304)},
	})
}

func horizon(n int, index int64) []events.Event {
	return []events.Event{events.ReadHorizonMoved{Participant: mb(n), Index: index, ReadAt: t0, At: t0}}
}

func TestRemoveParticipant(t *testing.T) {
	given := history(created(), chat(1, "ann"), sms(2, alice, proxy))
	notFound := missing("participant_not_found", "participant", 50432)
	gone := func(n int) []events.Event {
		return []events.Event{events.ParticipantRemoved{Participant: mb(n), At: at(1)}}
	}
	run(t, []row{
		{name: "by SID", given: given, when: conversation.RemoveParticipant{Issue: by(1), Participant: mb(2)}, then: gone(2), again: notFound},
		{name: "by identity", given: given, when: conversation.RemoveParticipant{Issue: by(1), Participant: "ann"}, then: gone(1), again: notFound},
		{name: "nobody", given: given, when: conversation.RemoveParticipant{Issue: by(1), Participant: "zoe"}, no: notFound},
		{name: "no reference at all", given: given, when: conversation.RemoveParticipant{Issue: by(1)}, no: notFound},
	})

	t.Run("who left can come back as a new participant, and the pair is free", func(t *testing.T) {
		s := fold(history(given, left(1), left(2)))
		for _, c := range []conversation.Command{newParticipant(5, withIdentity("ann")), newParticipant(6, withPair(alice, proxy))} {
			es, err := conversation.Decide(s, c)
			require.NoError(t, err)
			require.Len(t, es, 1)
		}
	})
}
