package rest

import (
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// webhookBody is a conversation-scoped webhook (reference 1.9.14).
type webhookBody struct {
	Sid             string               `json:"sid"`
	AccountSid      string               `json:"account_sid"`
	ChatServiceSid  string               `json:"chat_service_sid,omitempty"`
	ConversationSid string               `json:"conversation_sid"`
	Target          string               `json:"target" values:"webhook|trigger|studio"`
	Configuration   webhookConfiguration `json:"configuration"`
	DateCreated     string               `json:"date_created" format:"date-time"`
	DateUpdated     string               `json:"date_updated" format:"date-time"`
	URL             string               `json:"url"`
}

type webhookConfiguration struct {
	URL         string   `json:"url,omitempty"`
	Method      string   `json:"method,omitempty"`
	Filters     []string `json:"filters,omitempty"`
	Triggers    []string `json:"triggers,omitempty"`
	FlowSid     string   `json:"flow_sid,omitempty"`
	ReplayAfter *int64   `json:"replay_after,omitempty"`
}

func (c *call) webhookBody(row projections.Webhook) webhookBody {
	w := row.Configuration
	body := webhookBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: c.within(row.ChatServiceSid), ConversationSid: row.ConversationSid,
		Target: row.Target, DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		URL:           c.base() + "/Conversations/" + row.ConversationSid + "/Webhooks/" + row.Sid,
		Configuration: webhookConfiguration{URL: w.URL, Method: w.Method, Filters: w.Filters, Triggers: w.Triggers, FlowSid: w.FlowSid, ReplayAfter: w.ReplayAfter},
	}
	if len(w.Triggers) > 0 {
		body.Configuration.Filters = w.Triggers // keywords are read under either name
	}
	return body
}

func (c *call) showWebhook(conversation, sid string) error {
	row, err := c.Models.Webhook(c.r.Context(), c.place.Service, conversation, sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.Revision)
	return c.answer(c.webhookBody(row))
}

func (c *call) showNamedWebhook(conversation string) error {
	return c.showWebhook(conversation, c.r.PathValue("Sid"))
}

func (c *call) webhooks(conversation string, p projections.Page) (projections.List[projections.Webhook], error) {
	return c.Models.Webhooks(c.r.Context(), c.place.Service, conversation, p)
}

func createWebhook(c *call) error {
	v := c.values
	return c.changeIn("ConversationSid", conversation.AddWebhook{Webhook: events.Webhook{
		Target: v.str("Target"), URL: v.str("Configuration.Url"), Method: v.str("Configuration.Method"),
		Filters: v.list("Configuration.Filters"), Triggers: v.list("Configuration.Triggers"),
		FlowSid: v.str("Configuration.FlowSid"), ReplayAfter: v.integer("Configuration.ReplayAfter"),
	}}, func(in string, o engine.Outcome) error { return c.showWebhook(in, o.Sid) })
}

func updateWebhook(c *call) error {
	v, webhook := c.values, c.r.PathValue("Sid")
	return c.changeIn("ConversationSid", conversation.UpdateWebhook{
		WebhookSid: webhook, URL: v.text("Configuration.Url"), Method: v.text("Configuration.Method"),
		Filters: v.list("Configuration.Filters"), Triggers: v.list("Configuration.Triggers"), FlowSid: v.text("Configuration.FlowSid"),
	}, func(in string, _ engine.Outcome) error { return c.showWebhook(in, webhook) })
}

func deleteWebhook(c *call) error {
	return c.removeIn("ConversationSid", conversation.RemoveWebhook{WebhookSid: c.r.PathValue("Sid")})
}
