package conversation

import (
	"cmp"
	"slices"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Targets of a scoped webhook.
const (
	targetWebhook = "webhook"
	targetTrigger = "trigger"
	targetStudio  = "studio"
)

func addWebhook(s State, c AddWebhook) ([]events.Event, error) {
	if err := cmp.Or(s.found(), serverOnly(c.Caller, "", "attach webhooks"), s.permits(whileOpen)); err != nil {
		return nil, err
	}
	if _, used := s.Webhooks[c.Sid]; used {
		return nil, domain.Refuse(domain.AlreadyExists, "webhook_exists", "sid", 20409, "Webhook %s exists", c.Sid)
	}
	w := tidy(c.Webhook)
	if err := cmp.Or(checkSid("WH", c.Sid, "sid", 50363), checkMethod(c.Webhook.Method), checkWebhook(w)); err != nil {
		return nil, err
	}
	if len(s.Webhooks) >= maxWebhooks {
		return nil, domain.Refuse(domain.QuotaExceeded, "too_many_webhooks", "", 50361,
			"A conversation has at most %d webhooks", maxWebhooks)
	}
	return []events.Event{events.WebhookAdded{WebhookSid: c.Sid, Webhook: w, At: c.At}}, nil
}

func updateWebhook(s State, c UpdateWebhook) ([]events.Event, error) {
	if err := cmp.Or(s.found(), serverOnly(c.Caller, "", "change webhooks"), s.permits(whileOpen)); err != nil {
		return nil, err
	}
	was, ok := s.Webhooks[c.WebhookSid]
	if !ok {
		return nil, webhookNotFound(c.WebhookSid)
	}
	w := tidy(patched(was, c))
	if err := cmp.Or(checkMethod(text(c.Method)), checkWebhook(w)); err != nil || same(w, was) {
		return nil, err
	}
	return []events.Event{events.WebhookUpdated{WebhookSid: c.WebhookSid, Webhook: w, At: c.At}}, nil
}

func patched(w events.Webhook, c UpdateWebhook) events.Webhook {
	if c.URL != nil {
		w.URL = *c.URL
	}
	if c.Method != nil {
		w.Method = *c.Method
	}
	if c.Filters != nil {
		w.Filters = c.Filters
	}
	if c.Triggers != nil {
		w.Triggers = c.Triggers
	}
	if c.FlowSid != nil {
		w.FlowSid = *c.FlowSid
	}
	return w
}

func removeWebhook(s State, c RemoveWebhook) ([]events.Event, error) {
	if err := cmp.Or(s.found(), serverOnly(c.Caller, "", "detach webhooks"), s.permits(alsoClosed)); err != nil {
		return nil, err
	}
	if _, ok := s.Webhooks[c.WebhookSid]; !ok {
		return nil, webhookNotFound(c.WebhookSid)
	}
	return []events.Event{events.WebhookRemoved{WebhookSid: c.WebhookSid, At: c.At}}, nil
}

// tidy keeps what the target has a use for; methods are lower case, post when
// none is given.
func tidy(w events.Webhook) events.Webhook {
	w.Target, w.Method = strings.ToLower(w.Target), strings.ToLower(cmp.Or(w.Method, "post"))
	switch w.Target {
	case targetWebhook:
		w.Triggers, w.FlowSid = nil, ""
	case targetTrigger:
		w.Filters, w.FlowSid = nil, ""
	case targetStudio:
		w.URL, w.Method, w.Filters, w.Triggers = "", "", nil, nil
	}
	w.Filters, w.Triggers = slices.Clone(w.Filters), slices.Clone(w.Triggers)
	return w
}

func same(a, b events.Webhook) bool {
	return a.Target == b.Target && a.URL == b.URL && a.Method == b.Method && a.FlowSid == b.FlowSid &&
		slices.Equal(a.Filters, b.Filters) && slices.Equal(a.Triggers, b.Triggers)
}

// checkWebhook checks a tidy webhook (reference 1.9.14).
func checkWebhook(w events.Webhook) error {
	if w.ReplayAfter != nil && *w.ReplayAfter < 0 {
		return invalid("replay_after_invalid", "webhook.replay_after", 50054, "An index is not negative")
	}
	switch w.Target {
	case targetWebhook:
		return cmp.Or(checkURL(w), checkFilters(w.Filters))
	case targetTrigger:
		return cmp.Or(checkURL(w), checkTriggers(w.Triggers))
	case targetStudio:
		return checkSid("FW", w.FlowSid, "webhook.flow_sid", 50367)
	case "":
		return invalid("target_missing", "webhook.target", 50368, "A webhook needs a target")
	}
	return invalid("target_invalid", "webhook.target", 50364, "%.40q is not a target", w.Target)
}

func checkURL(w events.Webhook) error {
	const field = "webhook.url"
	if w.URL == "" {
		return invalid("url_missing", field, 50369, "A webhook needs a URL")
	}
	return domain.CheckURL(w.URL, field)
}

// checkMethod refuses a method that is none, also where the target has no use for
// one.
func checkMethod(method string) error {
	switch strings.ToLower(method) {
	case "", "get", "post":
		return nil
	}
	return invalid("method_invalid", "webhook.method", 50055, "%.40q is neither get nor post", method)
}

func checkFilters(names []string) error {
	if len(names) == 0 {
		return invalid("filters_missing", "webhook.filters", 50370, "A webhook needs at least one filter")
	}
	return domain.CheckWebhookEvents(names, "webhook.filters")
}

func checkTriggers(words []string) error {
	switch {
	case len(words) == 0:
		return invalid("triggers_missing", "webhook.triggers", 50371, "A trigger needs at least one keyword")
	case len(words) > maxTriggers:
		return invalid("too_many_triggers", "webhook.triggers", 50362, "A trigger has at most %d keywords", maxTriggers)
	}
	for _, word := range words {
		if strings.TrimSpace(word) == "" || checkText(word, "triggers", maxNameChars, 50366) != nil {
			return invalid("trigger_invalid", "webhook.triggers", 50366, "%.40q is not a keyword", word)
		}
	}
	return nil
}

func webhookNotFound(sid string) error {
	return domain.Refuse(domain.NotFound, "webhook_not_found", "webhook_sid", 50360, "Webhook %.40q was not found", sid)
}
