package conversation_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func hooked(n int, w events.Webhook) []events.Event {
	return []events.Event{events.WebhookAdded{WebhookSid: wh(n), Webhook: w, At: t0}}
}

func TestWebhooks(t *testing.T) {
	fw := domain.SID("FW", "1")
	trigger := events.Webhook{Target: "trigger", URL: "https://example.org/", Method: "get", Triggers: []string{"help"}}
	studio := events.Webhook{Target: "studio", FlowSid: fw, ReplayAfter: ptr(int64(0))}
	given := history(created(), hooked(1, hook()))
	add := func(change func(*events.Webhook)) conversation.Command {
		w := hook()
		change(&w)
		return conversation.AddWebhook{Issue: by(0), Sid: wh(5), Webhook: w}
	}
	ok := func(name string, change func(*events.Webhook), want events.Webhook) row {
		return row{name: name, given: created(), when: add(change), then: hooked(5, want), again: exists("webhook_exists", "sid", 20409)}
	}
	refused := func(name string, change func(*events.Webhook), r no) row {
		return row{name: name, given: created(), when: add(change), no: r}
	}
	five := created()
	for n := range 5 {
		five = append(five, hooked(n+10, hook())...)
	}
	run(t, []row{
		ok("a webhook; the method is post unless given", func(w *events.Webhook) { w.Target, w.Method, w.Triggers = "WebHook", "", []string{"x"} }, hook()),
		ok("a trigger", func(w *events.Webhook) { *w = trigger; w.Method, w.Filters = "GET", []string{"x"} }, trigger),
		ok("a studio flow needs no address", func(w *events.Webhook) { w.Target, w.FlowSid, w.ReplayAfter = "studio", fw, ptr(int64(0)) }, studio),
		refused("no target", func(w *events.Webhook) { w.Target = "" }, invalid("target_missing", "webhook.target", 50368)),
		refused("another target", func(w *events.Webhook) { w.Target = "fax" }, invalid("target_invalid", "webhook.target", 50364)),
		refused("no URL", func(w *events.Webhook) { w.URL = "" }, invalid("url_missing", "webhook.url", 50369)),
		refused("a relative URL", func(w *events.Webhook) { w.URL = "/hook" }, invalid("url_invalid", "webhook.url", 50054)),
		refused("a URL of another kind", func(w *events.Webhook) { w.URL = "ftp://example.org" }, invalid("url_invalid", "webhook.url", 50054)),
		refused("a URL without a host", func(w *events.Webhook) { w.URL = "https://:80/" }, invalid("url_invalid", "webhook.url", 50054)),
		refused("a long URL", func(w *events.Webhook) { w.URL += strings.Repeat("x", 2048) }, invalid("url_too_long", "webhook.url", 50372)),
		refused("another method", func(w *events.Webhook) { w.Method = "put" }, invalid("method_invalid", "webhook.method", 50055)),
		refused("no filters", func(w *events.Webhook) { w.Filters = nil }, invalid("filters_missing", "webhook.filters", 50370)),
		refused("an unknown filter", func(w *events.Webhook) { w.Filters = []string{"onMessageAdded", "onMessageSend"} }, invalid("filter_invalid", "webhook.filters", 50365)),
		refused("no keywords", func(w *events.Webhook) { w.Target = "trigger" }, invalid("triggers_missing", "webhook.triggers", 50371)),
		refused("a blank keyword", func(w *events.Webhook) { w.Target, w.Triggers = "trigger", []string{" "} }, invalid("trigger_invalid", "webhook.triggers", 50366)),
		refused("too many keywords", func(w *events.Webhook) { w.Target, w.Triggers = "trigger", make([]string, 21) }, invalid("too_many_triggers", "webhook.triggers", 50362)),
		refused("a flow that is none", func(w *events.Webhook) { w.Target, w.FlowSid = "studio", "FW1" }, invalid("sid_invalid", "webhook.flow_sid", 50367)),
		refused("replay before the first message", func(w *events.Webhook) { w.ReplayAfter = ptr(int64(-1)) }, invalid("replay_after_invalid", "webhook.replay_after", 50054)),
		{name: "a SID of another kind", given: created(), when: conversation.AddWebhook{Sid: ch, Webhook: hook()}, no: invalid("sid_invalid", "sid", 50363)},
		{name: "a sixth", given: five, when: add(func(*events.Webhook) {}), no: toomany("too_many_webhooks", "", 50361)},

		{name: "update: nothing given", given: given, when: conversation.UpdateWebhook{Issue: by(1), WebhookSid: wh(1)}},
		{name: "update: what is the same", given: given, when: conversation.UpdateWebhook{Issue: by(1), WebhookSid: wh(1), URL: ptr(hook().URL), Method: ptr("POST"), Filters: hook().Filters}},
		{name: "update: what is given", given: given, when: conversation.UpdateWebhook{Issue: by(1), WebhookSid: wh(1), URL: ptr("http://example.org/x"), Filters: []string{"onConversationUpdated"}},
			then: []events.Event{events.WebhookUpdated{WebhookSid: wh(1), Webhook: events.Webhook{Target: "webhook", URL: "http://example.org/x", Method: "post", Filters: []string{"onConversationUpdated"}}, At: at(1)}}},
		{name: "update: keywords and flow", given: history(created(), hooked(1, trigger)), when: conversation.UpdateWebhook{Issue: by(1), WebhookSid: wh(1), Triggers: []string{"stop"}, FlowSid: &fw},
			then: []events.Event{events.WebhookUpdated{WebhookSid: wh(1), Webhook: events.Webhook{Target: "trigger", URL: "https://example.org/", Method: "get", Triggers: []string{"stop"}}, At: at(1)}}},
		{name: "update: what is wrong", given: given, when: conversation.UpdateWebhook{WebhookSid: wh(1), URL: ptr("x")}, no: invalid("url_invalid", "webhook.url", 50054)},
		{name: "update: one that is not there", given: given, when: conversation.UpdateWebhook{WebhookSid: wh(2)}, no: missing("webhook_not_found", "webhook_sid", 50360)},
		{name: "remove", given: given, when: conversation.RemoveWebhook{Issue: by(1), WebhookSid: wh(1)}, then: []events.Event{events.WebhookRemoved{WebhookSid: wh(1), At: at(1)}}, again: missing("webhook_not_found", "webhook_sid", 50360)},
		{name: "remove: one that is not there", given: given, when: conversation.RemoveWebhook{WebhookSid: wh(2)}, no: missing("webhook_not_found", "webhook_sid", 50360)},
	})
}
