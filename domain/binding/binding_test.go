package binding_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")
	cr = domain.SID("CR", "one")
	bs = binding.Sid(is, "ann", "fcm", "token")

	all = []string{"new_message", "added_to_conversation", "removed_from_conversation"}

	created = []events.Event{events.BindingCreated{
		Binding: bs, Account: ac, Service: is, Identity: "ann", Credential: cr, Type: "fcm", Endpoint: "token", MessageTypes: all, At: at,
	}}
	removed = append(created[:1:1], events.BindingRemoved{At: at})
)

func create(change func(*binding.Create)) binding.Create {
	c := binding.Create{At: at, Account: ac, Service: is, Sid: bs, Identity: "ann", Type: "fcm", Endpoint: "token", Credential: cr, CredentialExists: true}
	change(&c)
	return c
}

func hears(types ...string) binding.Create {
	return create(func(c *binding.Create) { c.MessageTypes = types })
}

func TestCreate(t *testing.T) {
	invalid := func(code, field string, twilio int) no { return no{domain.InvalidArgument, code, field, twilio} }
	updated := func(credential string, types ...string) []events.Event {
		return []events.Event{events.BindingUpdated{Credential: credential, MessageTypes: types, At: at}}
	}
	plain := func(change func(*events.BindingCreated)) []events.Event {
		e := created[0].(events.BindingCreated)
		change(&e)
		return []events.Event{e}
	}
	longest := strings.Repeat("x", 4096)
	run(t, []row{
		{name: "a device hears of everything", when: hears(), then: created},
		{name: "or of what it asks for", when: hears("new_message"), then: plain(func(e *events.BindingCreated) { e.MessageTypes = all[:1] })},
		{name: "a type in any case", when: create(func(c *binding.Create) { c.Type = "FCM" }), then: created},
		{name: "without a credential, over twilsock", when: create(func(c *binding.Create) { c.Type, c.Credential, c.CredentialExists = "twilsock", "", false }),
			then: plain(func(e *events.BindingCreated) { e.Type, e.Credential = "twilsock", "" })},
		{name: "the longest endpoint", when: create(func(c *binding.Create) { c.Endpoint = longest }), then: plain(func(e *events.BindingCreated) { e.Endpoint = longest })},
		{name: "the longest identity", when: create(func(c *binding.Create) { c.Identity = strings.Repeat("é", 256) }), then: plain(func(e *events.BindingCreated) { e.Identity = strings.Repeat("é", 256) })},
		{name: "the same device again", given: created, when: hears()},
		{name: "the same, spelled out", given: created, when: hears(all...)},
		{name: "it wants to hear of less", given: created, when: hears("added_to_conversation"), then: updated(cr, "added_to_conversation")},
		{name: "it has no credential any more", given: created, when: create(func(c *binding.Create) { c.Credential = "" }), then: updated("", all...)},
		{name: "a device that was forgotten comes back", given: removed, when: hears(), then: created},
		{name: "no identity", when: create(func(c *binding.Create) { c.Identity = "" }), no: invalid("identity_missing", "identity", 50204)},
		{name: "an identity over 256 characters", when: create(func(c *binding.Create) { c.Identity = strings.Repeat("x", 257) }), no: invalid("identity_too_long", "identity", 50207)},
		{name: "no type", when: create(func(c *binding.Create) { c.Type = "" }), no: invalid("binding_type_invalid", "type", 50209)},
		{name: "a type of nothing", when: create(func(c *binding.Create) { c.Type = "pigeon" }), no: invalid("binding_type_invalid", "type", 50209)},
		{name: "no endpoint", when: create(func(c *binding.Create) { c.Endpoint = "" }), no: invalid("endpoint_invalid", "endpoint", 20422)},
		{name: "a long endpoint", when: create(func(c *binding.Create) { c.Endpoint = longest + "x" }), no: invalid("endpoint_invalid", "endpoint", 20422)},
		{name: "an endpoint that would be another identity's", when: create(func(c *binding.Create) { c.Endpoint = "x\x00fcm\x00token" }), no: invalid("endpoint_invalid", "endpoint", 20422)},
		{name: "a credential that is not there", when: create(func(c *binding.Create) { c.CredentialExists = false }), no: no{domain.NotFound, "credential_not_found", "credential", 20404}},
		{name: "a message type of nothing", when: hears("new_message", "everything"), no: invalid("message_type_invalid", "message_types[1]", 20422)},
		{name: "an empty one", when: hears(""), no: invalid("message_type_invalid", "message_types[0]", 20422)},
		{name: "one twice", when: hears("new_message", "added_to_conversation", "new_message"), no: invalid("message_type_invalid", "message_types[2]", 20422)},
		{name: "what is wrong is wrong again", given: created, when: hears("everything"), no: invalid("message_type_invalid", "message_types[0]", 20422)},
	})
	s := fold(append(created[:1:1], events.BindingUpdated{MessageTypes: all[:1]}))
	require.Equal(t, binding.State{Binding: bs, Account: ac, Service: is, Identity: "ann", Type: "fcm", Endpoint: "token", MessageTypes: all[:1]}, s)
}

func TestRemove(t *testing.T) {
	missing := no{domain.NotFound, "binding_not_found", "", 20404}
	run(t, []row{
		{name: "a device", given: created, when: binding.Remove{At: at}, then: removed[1:], again: missing},
		{name: "a device that came back", given: append(removed[:2:2], created...), when: binding.Remove{At: at}, then: removed[1:], again: missing},
		{name: "a device that is not there", when: binding.Remove{At: at}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
	require.True(t, fold(append(removed[:2:2], created...)).Exists())
}

// However often a device registers it is one binding, and no two devices are.
func TestSidFollowsFromTheDevice(t *testing.T) {
	require.True(t, domain.IsSID("BS", bs))
	require.Equal(t, bs, binding.Sid(is, "ann", "FCM", "token"))
	for name, other := range map[string]string{
		"another service":  binding.Sid(domain.SID("IS", "two"), "ann", "fcm", "token"),
		"another identity": binding.Sid(is, "Ann", "fcm", "token"),
		"another type":     binding.Sid(is, "ann", "gcm", "token"),
		"another endpoint": binding.Sid(is, "ann", "fcm", "Token"),
		"moved limits":     binding.Sid(is, "annf", "cm", "token"),
	} {
		require.NotEqual(t, bs, other, name)
	}
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "binding.create", binding.Create{}.CommandType())
	require.Equal(t, "binding.remove", binding.Remove{}.CommandType())
}
