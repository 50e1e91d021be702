package address_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/events"
)

func TestAutoCreation(t *testing.T) {
	with := func(p address.AutoCreationPatch) address.Create {
		return create(func(c *address.Create) { c.AutoCreation, c.ServiceOwned = p, true })
	}
	makes := func(a events.AutoCreation) []events.Event {
		e := created[0].(events.AddressConfigurationCreated)
		e.AutoCreation = a
		return []events.Event{e}
	}
	url := "https://example.org/"
	hook := func(change func(*address.AutoCreationPatch)) address.Create {
		p := address.AutoCreationPatch{Type: ptr("webhook"), WebhookURL: &url}
		change(&p)
		return with(p)
	}
	studio := func(flow string, retries int) address.Create {
		return with(address.AutoCreationPatch{Type: ptr("studio"), StudioFlow: &flow, StudioRetries: &retries})
	}
	const prefix = "auto_creation."
	foreign := hook(func(p *address.AutoCreationPatch) { p.Service = &is })
	foreign.ServiceOwned = false
	run(t, []row{
		{name: "of type default, in a service of its own", when: with(address.AutoCreationPatch{Enabled: ptr(true), Service: &is}),
			then: makes(events.AutoCreation{Enabled: true, Type: "default", Service: is}), again: exists},
		{name: "what a type has no use for may be given empty", when: with(address.AutoCreationPatch{WebhookURL: ptr(""), WebhookFilters: []string{""}, StudioFlow: ptr(""), StudioRetries: ptr(0)}),
			then: makes(plain), again: exists},
		{name: "a URL without a type", when: with(address.AutoCreationPatch{WebhookURL: &url}), no: invalid("auto_creation_unused", prefix+"webhook_url", 20422)},
		{name: "a method without a type", when: with(address.AutoCreationPatch{Enabled: ptr(true), WebhookMethod: ptr("get")}), no: invalid("auto_creation_unused", prefix+"webhook_method", 20422)},
		{name: "filters of the wrong type", when: with(address.AutoCreationPatch{Type: ptr("default"), WebhookFilters: []string{"onMessageAdded"}}), no: invalid("auto_creation_unused", prefix+"webhook_filters", 20422)},
		{name: "a flow without a type", when: with(address.AutoCreationPatch{StudioFlow: ptr(fw)}), no: invalid("auto_creation_unused", prefix+"studio_flow", 20422)},
		{name: "retries of a webhook", when: hook(func(p *address.AutoCreationPatch) { p.StudioRetries = ptr(2) }), no: invalid("auto_creation_unused", prefix+"studio_retries", 20422)},
		{name: "a webhook is posted to", when: hook(func(*address.AutoCreationPatch) {}),
			then: makes(events.AutoCreation{Type: "webhook", WebhookURL: url, WebhookMethod: "post"}), again: exists},
		{name: "unless it is to be gotten", when: hook(func(p *address.AutoCreationPatch) {
			p.Type, p.WebhookMethod, p.WebhookFilters = ptr("WEBHOOK"), ptr("GET"), []string{"onMessageAdded"}
		}), then: makes(events.AutoCreation{Type: "webhook", WebhookURL: url, WebhookMethod: "get", WebhookFilters: []string{"onMessageAdded"}}), again: exists},
		{name: "filters of one empty name are none", when: hook(func(p *address.AutoCreationPatch) { p.WebhookFilters = []string{""} }),
			then: makes(events.AutoCreation{Type: "webhook", WebhookURL: url, WebhookMethod: "post", WebhookFilters: []string{}}), again: exists},
		{name: "a flow", when: studio(fw, 0), then: makes(events.AutoCreation{Type: "studio", StudioFlow: fw}), again: exists},
		{name: "a flow with all retries", when: studio(fw, 3), then: makes(events.AutoCreation{Type: "studio", StudioFlow: fw, StudioRetries: 3}), again: exists},
		{name: "a type of nothing", when: with(address.AutoCreationPatch{Type: ptr("magic")}), no: invalid("auto_creation_type_invalid", prefix+"type", 20422)},
		{name: "a service of another account", when: foreign, no: no{domain.NotFound, "service_not_found", prefix + "service", 50050}},
		{name: "a webhook without a URL", when: hook(func(p *address.AutoCreationPatch) { p.WebhookURL = nil }), no: invalid("url_missing", prefix+"webhook_url", 50369)},
		{name: "a webhook with half a URL", when: hook(func(p *address.AutoCreationPatch) { p.WebhookURL = ptr("example.org") }), no: invalid("url_invalid", prefix+"webhook_url", 50054)},
		{name: "a webhook with a long URL", when: hook(func(p *address.AutoCreationPatch) { p.WebhookURL = ptr(url + strings.Repeat("x", domain.MaxURL)) }), no: invalid("url_too_long", prefix+"webhook_url", 50372)},
		{name: "a method of no use", when: hook(func(p *address.AutoCreationPatch) { p.WebhookMethod = ptr("put") }), no: invalid("method_invalid", prefix+"webhook_method", 50055)},
		{name: "a filter of nothing", when: hook(func(p *address.AutoCreationPatch) { p.WebhookFilters = []string{"onX"} }), no: invalid("filter_invalid", prefix+"webhook_filters", 50365)},
		{name: "no flow", when: studio("", 0), no: invalid("sid_invalid", prefix+"studio_flow", 50367)},
		{name: "a flow that is none", when: studio(ig, 0), no: invalid("sid_invalid", prefix+"studio_flow", 50367)},
		{name: "too many retries", when: studio(fw, 4), no: invalid("studio_retries_invalid", prefix+"studio_retries", 20422)},
		{name: "fewer retries than none", when: studio(fw, -1), no: invalid("studio_retries_invalid", prefix+"studio_retries", 20422)},
	})
}
