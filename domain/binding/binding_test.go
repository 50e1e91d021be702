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
	at     = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac, is = domain.SID("AC", "1"), domain.SID("IS", "1")
	bs     = binding.Sid(is, "ann", "apn", "phone")
	all    = []string{"new_message", "added_to_conversation", "removed_from_conversation"}
)

func TestADeviceHasOneBinding(t *testing.T) {
	require.Equal(t, bs, binding.Sid(is, "ann", "APN", "phone"))
	for _, other := range []string{
		binding.Sid(domain.SID("IS", "2"), "ann", "apn", "phone"), binding.Sid(is, "bob", "apn", "phone"),
		binding.Sid(is, "ann", "fcm", "phone"), binding.Sid(is, "ann", "apn", "tablet"),
	} {
		require.NotEqual(t, bs, other)
	}
}

func TestDecide(t *testing.T) {
	create := func(change func(*binding.Create)) binding.Command {
		c := binding.Create{At: at, Account: ac, Service: is, Sid: bs, Identity: "ann", Type: "APN", Endpoint: "phone"}
		change(&c)
		return c
	}
	created := events.BindingCreated{Binding: bs, Account: ac, Service: is, Identity: "ann", Type: "apn", Endpoint: "phone", MessageTypes: all, At: at}
	given := []events.Event{created}
	plain := func(*binding.Create) {}
	run(t, []row{
		{name: "a device registers for everything", when: create(plain), then: given},
		{name: "and again for less", given: given, when: create(func(c *binding.Create) { c.MessageTypes = all[:1] }),
			then: []events.Event{events.BindingUpdated{MessageTypes: all[:1], At: at}}},
		{name: "a device that was removed registers anew", given: append(given, events.BindingRemoved{At: at}), when: create(plain), then: given},
		{name: "it is somebody's", when: create(func(c *binding.Create) { c.Identity = "" }), no: no{domain.InvalidArgument, "identity_missing", "identity", 50204}},
		{name: "whose name has its limit", when: create(func(c *binding.Create) { c.Identity = strings.Repeat("x", 257) }), no: no{domain.InvalidArgument, "identity_too_long", "identity", 50207}},
		{name: "its type is known", when: create(func(c *binding.Create) { c.Type = "pager" }), no: no{domain.InvalidArgument, "binding_type_invalid", "type", 50209}},
		{name: "it is somewhere", when: create(func(c *binding.Create) { c.Endpoint = "" }), no: no{domain.InvalidArgument, "endpoint_invalid", "endpoint", 20422}},
		{name: "its credential exists", when: create(func(c *binding.Create) { c.Credential = domain.SID("CR", "1") }), no: no{domain.NotFound, "credential_not_found", "credential", 20404}},
		{name: "what it asks for exists", when: create(func(c *binding.Create) { c.MessageTypes = []string{"weather"} }), no: no{domain.InvalidArgument, "message_type_invalid", "message_types[0]", 20422}},
		{name: "and is named once", when: create(func(c *binding.Create) { c.MessageTypes = []string{all[0], all[0]} }), no: no{domain.InvalidArgument, "message_type_invalid", "message_types[1]", 20422}},
		{name: "a device is forgotten", given: given, when: binding.Remove{At: at}, then: []events.Event{events.BindingRemoved{At: at}}, again: no{domain.NotFound, "binding_not_found", "", 20404}},
		{name: "one that was never there is not", when: binding.Remove{At: at}, no: no{domain.NotFound, "binding_not_found", "", 20404}},
	})
}
