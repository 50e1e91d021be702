package address_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/events"
)

var (
	at      = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ig, ac  = domain.SID("IG", "1"), domain.SID("AC", "1")
	is, fw  = domain.SID("IS", "1"), domain.SID("FW", "1")
	plain   = events.AutoCreation{Type: "default"}
	missing = no{domain.NotFound, "address_configuration_not_found", "", 20404}
)

func created(a events.AutoCreation) events.AddressConfigurationCreated {
	return events.AddressConfigurationCreated{AddressConfiguration: ig, Account: ac, Type: "sms", Address: "+15005550006", AutoCreation: a, At: at}
}

func TestCreate(t *testing.T) {
	create := func(change func(*address.Create)) address.Command {
		c := address.Create{At: at, Account: ac, Sid: ig, Type: "sms", Address: "+15005550006"}
		change(&c)
		return c
	}
	ok := func(name string, change func(*address.Create), want events.AutoCreation) row {
		return row{name: name, when: create(change), then: []events.Event{created(want)}, again: no{domain.AlreadyExists, "address_configuration_exists", "sid", 20409}}
	}
	refused := func(name string, change func(*address.Create), kind domain.Kind, code, field string, twilio int) row {
		return row{name: name, when: create(change), no: no{kind, code, field, twilio}}
	}
	const invalid = domain.InvalidArgument
	auto := func(p address.AutoCreationPatch) func(*address.Create) {
		return func(c *address.Create) { c.AutoCreation = p }
	}
	rows := []row{
		ok("nothing is created by default", func(*address.Create) {}, plain),
		ok("a webhook hears of it by POST unless told otherwise", auto(address.AutoCreationPatch{Enabled: new(true), Type: new("WEBHOOK"), WebhookURL: new("https://x.example"), WebhookFilters: []string{"onMessageAdded"}, StudioFlow: &fw}),
			events.AutoCreation{Enabled: true, Type: "webhook", WebhookURL: "https://x.example", WebhookMethod: "post", WebhookFilters: []string{"onMessageAdded"}}),
		ok("a studio flow runs", auto(address.AutoCreationPatch{Type: new("studio"), StudioFlow: &fw, StudioRetries: new(3), WebhookURL: new("https://x.example")}),
			events.AutoCreation{Type: "studio", StudioFlow: fw, StudioRetries: 3}),
		ok("in a service of the account", func(c *address.Create) { c.AutoCreation.Service, c.ServiceOwned = &is, true }, events.AutoCreation{Type: "default", Service: is}),
		refused("it has a type", func(c *address.Create) { c.Type = "" }, invalid, "type_missing", "type", 20001),
		refused("that is known", func(c *address.Create) { c.Type = "fax" }, invalid, "type_invalid", "type", 20422),
		refused("it has an address", func(c *address.Create) { c.Address = "" }, invalid, "address_missing", "address", 50411),
		refused("a name has its limit", func(c *address.Create) { c.FriendlyName = strings.Repeat("x", 257) }, invalid, "friendly_name_too_long", "friendly_name", 50003),
		refused("a country is two letters", func(c *address.Create) { c.Country = "U1" }, invalid, "country_invalid", "country", 20422),
		refused("the service is the account's", func(c *address.Create) { c.AutoCreation.Service = &is }, domain.NotFound, "service_not_found", "auto_creation.service", 50050),
		refused("autocreation has a type that is known", auto(address.AutoCreationPatch{Type: new("magic")}), invalid, "auto_creation_type_invalid", "auto_creation.type", 20422),
		refused("a webhook has a URL", auto(address.AutoCreationPatch{Type: new("webhook")}), invalid, "url_missing", "auto_creation.webhook_url", 50369),
		refused("an absolute one", auto(address.AutoCreationPatch{Type: new("webhook"), WebhookURL: new("/x")}), invalid, "url_invalid", "auto_creation.webhook_url", 50054),
		refused("a method that exists", auto(address.AutoCreationPatch{Type: new("webhook"), WebhookURL: new("https://x.example"), WebhookMethod: new("put")}), invalid, "method_invalid", "auto_creation.webhook_method", 50055),
		refused("and events that exist", auto(address.AutoCreationPatch{Type: new("webhook"), WebhookURL: new("https://x.example"), WebhookFilters: []string{"onX"}}), invalid, "filter_invalid", "auto_creation.webhook_filters", 50365),
		refused("a flow has a SID", auto(address.AutoCreationPatch{Type: new("studio")}), invalid, "sid_invalid", "auto_creation.studio_flow", 50367),
		refused("and at most three retries", auto(address.AutoCreationPatch{Type: new("studio"), StudioFlow: &fw, StudioRetries: new(4)}), invalid, "studio_retries_invalid", "auto_creation.studio_retries", 20422),
	}
	for kind, texts := range map[string][]string{
		"sms": {"15005550006", "+0123456", "whatsapp:+15005550006", "12", "+1500555x006"}, "whatsapp": {"+15005550006", "whatsapp:1"},
		"email": {"ann", "@x", "ann@"}, "chat": {"a b", strings.Repeat("x", 257)},
	} {
		for _, text := range texts {
			rows = append(rows, refused(kind+" is not "+text, func(c *address.Create) { c.Type, c.Address = kind, text }, invalid, "address_invalid", "address", 50407))
		}
	}
	run(t, rows)
}

func TestUpdateAndRemove(t *testing.T) {
	given := []events.Event{created(events.AutoCreation{Type: "webhook", WebhookURL: "https://x.example", WebhookMethod: "post", Service: is})}
	run(t, []row{
		{name: "a name is given", given: given, when: address.Update{At: at, FriendlyName: new("Desk")},
			then: []events.Event{events.AddressConfigurationUpdated{FriendlyName: "Desk", AutoCreation: events.AutoCreation{Type: "webhook", WebhookURL: "https://x.example", WebhookMethod: "post", Service: is}, At: at}}},
		{name: "another type forgets what it has no use for", given: given, when: address.Update{At: at, AutoCreation: address.AutoCreationPatch{Type: new("default")}},
			then: []events.Event{events.AddressConfigurationUpdated{AutoCreation: events.AutoCreation{Type: "default", Service: is}, At: at}}},
		{name: "nothing new is nothing to do", given: given, when: address.Update{At: at, AutoCreation: address.AutoCreationPatch{WebhookMethod: new("POST")}}},
		{name: "another account's service is not found", given: given, when: address.Update{AutoCreation: address.AutoCreationPatch{Service: new(domain.SID("IS", "2"))}},
			no: no{domain.NotFound, "service_not_found", "auto_creation.service", 50050}},
		{name: "it is removed", given: given, when: address.Remove{At: at}, then: []events.Event{events.AddressConfigurationRemoved{At: at}}, again: missing},
		{name: "what is not there is not changed", when: address.Update{}, no: missing},
	})
}
