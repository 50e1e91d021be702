package address_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")
	ig = domain.SID("IG", "one")
	fw = domain.SID("FW", "one")

	plain   = events.AutoCreation{Type: "default"}
	created = []events.Event{events.AddressConfigurationCreated{
		AddressConfiguration: ig, Account: ac, Type: "sms", Address: "+12125550100", FriendlyName: "Shop", AutoCreation: plain, At: at,
	}}
	removed = append(created[:1:1], events.AddressConfigurationRemoved{At: at})

	exists  = no{domain.AlreadyExists, "address_configuration_exists", "sid", 20409}
	missing = no{domain.NotFound, "address_configuration_not_found", "", 20404}
)

func ptr[T any](v T) *T { return &v }

func invalid(code, field string, twilio int) no {
	return no{domain.InvalidArgument, code, field, twilio}
}

func create(change func(*address.Create)) address.Create {
	c := address.Create{At: at, Account: ac, Sid: ig, Type: "sms", Address: "+12125550100", FriendlyName: "Shop"}
	change(&c)
	return c
}

func TestCreate(t *testing.T) {
	like := func(change func(*events.AddressConfigurationCreated)) []events.Event {
		e := created[0].(events.AddressConfigurationCreated)
		change(&e)
		return []events.Event{e}
	}
	country := func(text string) address.Create { return create(func(c *address.Create) { c.Country = text }) }
	noCountry := invalid("country_invalid", "country", 20422)
	run(t, []row{
		{name: "a new configuration creates nothing by itself yet", when: create(func(*address.Create) {}), then: created, again: exists},
		{name: "a type in any case", when: create(func(c *address.Create) { c.Type = "SMS" }), then: created, again: exists},
		{name: "a country in any case", when: country("de"), then: like(func(e *events.AddressConfigurationCreated) { e.Country = "DE" }), again: exists},
		{name: "the longest name", when: create(func(c *address.Create) { c.FriendlyName = strings.Repeat("é", 256) }),
			then: like(func(e *events.AddressConfigurationCreated) { e.FriendlyName = strings.Repeat("é", 256) }), again: exists},
		{name: "a configuration that is there", given: created, when: create(func(c *address.Create) { c.Address = "+12125550101" }), no: exists},
		{name: "one that was removed does not come back", given: removed, when: create(func(*address.Create) {}), no: exists},
		{name: "no type", when: create(func(c *address.Create) { c.Type = "" }), no: invalid("type_missing", "type", 20001)},
		{name: "a type of nothing", when: create(func(c *address.Create) { c.Type = "pigeon" }), no: invalid("type_invalid", "type", 20422)},
		{name: "no address", when: create(func(c *address.Create) { c.Address = "" }), no: invalid("address_missing", "address", 50411)},
		{name: "a name over 256 characters", when: create(func(c *address.Create) { c.FriendlyName = strings.Repeat("x", 257) }), no: invalid("friendly_name_too_long", "friendly_name", 50003)},
		{name: "a country of three letters", when: country("DEU"), no: noCountry},
		{name: "a country of one letter", when: country("D"), no: noCountry},
		{name: "a country of digits", when: country("49"), no: noCountry},
		{name: "a country of one letter of two bytes", when: country("é"), no: noCountry},
	})
}

func TestAddressesHaveTheShapeOfTheirType(t *testing.T) {
	for _, r := range []struct {
		addressType string
		right       []string
		wrong       []string
	}{
		{"sms", []string{"+12125550100", "+1234", "+" + strings.Repeat("9", 15), "123", "24365", "12345678"},
			[]string{"12125550100", "+0123456", "+123", "+" + strings.Repeat("9", 16), "12", "123456789", "+1212555010x", "whatsapp:+12125550100", "+1 212 555 0100", "ACME"}},
		{"whatsapp", []string{"whatsapp:+12125550100"},
			[]string{"+12125550100", "whatsapp:12125550100", "whatsapp:", "whatsapp:24365", "WhatsApp:+12125550100", "whatsapp:+0212555"}},
		{"email", []string{"us@example.org", "a@b", "ü@example.org"},
			[]string{"example.org", "@example.org", "us@", "u s@example.org", strings.Repeat("x", 256) + "@b"}},
		{"messenger", []string{"messenger:1234567890", "anything"}, []string{"any thing", "a\nb", "a\x00", "\u200b", "\ufeff", strings.Repeat("x", 257), "\xff"}},
		{"gbm", []string{"gbm:agent"}, []string{"\t"}},
		{"rcs", []string{"rcs:brand"}, []string{"\u00a0"}},
		{"apple", []string{"apple:urn-1"}, []string{" apple:urn-1"}},
		{"chat", []string{"web-" + strings.Repeat("x", 252)}, []string{strings.Repeat("x", 257)}},
	} {
		of := func(text string) address.Create {
			return create(func(c *address.Create) { c.Type, c.Address = r.addressType, text })
		}
		for _, text := range r.right {
			es, err := address.Decide(address.State{}, of(text))
			require.NoError(t, err, "%s %q", r.addressType, text)
			require.Equal(t, text, es[0].(events.AddressConfigurationCreated).Address)
		}
		for _, text := range r.wrong {
			_, err := address.Decide(address.State{}, of(text))
			require.Error(t, err, "%s %q", r.addressType, text)
			requireRefusal(t, invalid("address_invalid", "address", 50407), err)
		}
	}
}

func TestUpdate(t *testing.T) {
	update := func(c address.Update) address.Update {
		c.At = at
		return c
	}
	updated := func(name string, auto events.AutoCreation) []events.Event {
		return []events.Event{events.AddressConfigurationUpdated{FriendlyName: name, AutoCreation: auto, At: at}}
	}
	hook := events.AutoCreation{Enabled: true, Type: "webhook", Service: is, WebhookURL: "https://example.org/", WebhookMethod: "get", WebhookFilters: []string{"onMessageAdded"}}
	off := hook
	off.Enabled = false
	hooked := append(created[:1:1], updated("Shop", hook)...)
	run(t, []row{
		{name: "nothing given, nothing done", given: hooked, when: update(address.Update{})},
		{name: "the same again", given: hooked, when: update(address.Update{FriendlyName: ptr("Shop"), AutoCreation: address.AutoCreationPatch{
			Enabled: ptr(true), Type: ptr("Webhook"), WebhookMethod: ptr("GET"), WebhookFilters: []string{"onMessageAdded"},
		}})},
		{name: "a name alone", given: hooked, when: update(address.Update{FriendlyName: ptr("")}), then: updated("", hook)},
		{name: "autocreation is switched off and kept", given: hooked, when: update(address.Update{AutoCreation: address.AutoCreationPatch{Enabled: ptr(false)}}), then: updated("Shop", off)},
		{name: "a service that is not looked at again", given: hooked, when: update(address.Update{AutoCreation: address.AutoCreationPatch{Service: &is}})},
		{name: "no service any more", given: hooked, when: update(address.Update{AutoCreation: address.AutoCreationPatch{Service: ptr("")}}),
			then: updated("Shop", events.AutoCreation{Enabled: true, Type: "webhook", WebhookURL: "https://example.org/", WebhookMethod: "get", WebhookFilters: []string{"onMessageAdded"}})},
		{name: "another type forgets what it has no use for", given: hooked, when: update(address.Update{AutoCreation: address.AutoCreationPatch{Type: ptr("studio"), StudioFlow: &fw, StudioRetries: ptr(3)}}),
			then: updated("Shop", events.AutoCreation{Enabled: true, Type: "studio", Service: is, StudioFlow: fw, StudioRetries: 3})},
		{name: "the default type forgets all of it", given: hooked, when: update(address.Update{AutoCreation: address.AutoCreationPatch{Type: ptr("")}}),
			then: updated("Shop", events.AutoCreation{Enabled: true, Type: "default", Service: is})},
		{name: "a name over 256 characters", given: created, when: update(address.Update{FriendlyName: ptr(strings.Repeat("x", 257))}), no: invalid("friendly_name_too_long", "friendly_name", 50003)},
		{name: "a service of another account", given: created, when: update(address.Update{AutoCreation: address.AutoCreationPatch{Service: &is}}),
			no: no{domain.NotFound, "service_not_found", "auto_creation.service", 50050}},
		{name: "a webhook without its URL", given: hooked, when: update(address.Update{AutoCreation: address.AutoCreationPatch{WebhookURL: ptr("")}}), no: invalid("url_missing", "auto_creation.webhook_url", 50369)},
		{name: "of one that is not there", when: update(address.Update{}), no: missing},
		{name: "of one that was removed", given: removed, when: update(address.Update{}), no: missing},
	})
	require.Equal(t, address.State{AddressConfiguration: ig, Account: ac, Type: "sms", Address: "+12125550100", FriendlyName: "Shop", AutoCreation: hook}, fold(hooked))
}

func TestRemove(t *testing.T) {
	run(t, []row{
		{name: "a configuration", given: created, when: address.Remove{At: at}, then: removed[1:], again: missing},
		{name: "one that is not there", when: address.Remove{At: at}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
}

func TestTaken(t *testing.T) {
	requireRefusal(t, no{domain.AlreadyExists, "address_configured", "address", 20409}, address.Taken())
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "address.create", address.Create{}.CommandType())
	require.Equal(t, "address.update", address.Update{}.CommandType())
	require.Equal(t, "address.remove", address.Remove{}.CommandType())
}
