package rest

import (
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
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
	return c.answer(c.webhookBody(row))
}

func fetchWebhook(c *call) error {
	sid, err := c.read("ConversationSid")
	if err != nil {
		return err
	}
	return c.showWebhook(sid, c.r.PathValue("Sid"))
}

func listWebhooks(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	sid, err := c.read("ConversationSid")
	if err != nil {
		return err
	}
	list, err := c.Models.Webhooks(c.r.Context(), c.place.Service, sid, p.Page)
	if err != nil {
		return err
	}
	return answerList(c, p, list, c.webhookBody)
}

func createWebhook(c *call) error {
	sid, err := c.write("ConversationSid")
	if err != nil {
		return err
	}
	v := c.values
	outcome, err := c.command(sid, conversation.AddWebhook{Webhook: events.Webhook{
		Target: v.str("Target"), URL: v.str("Configuration.Url"), Method: v.str("Configuration.Method"),
		Filters: v.list("Configuration.Filters"), Triggers: v.list("Configuration.Triggers"),
		FlowSid: v.str("Configuration.FlowSid"), ReplayAfter: v.integer("Configuration.ReplayAfter"),
	}})
	if err != nil {
		return err
	}
	if err := c.wait(outcome.Position); err != nil {
		return err
	}
	return c.showWebhook(sid, outcome.Sid)
}

func updateWebhook(c *call) error {
	sid, err := c.write("ConversationSid")
	if err != nil {
		return err
	}
	v, webhook := c.values, c.r.PathValue("Sid")
	outcome, err := c.command(sid, conversation.UpdateWebhook{
		WebhookSid: webhook, URL: v.text("Configuration.Url"), Method: v.text("Configuration.Method"),
		Filters: v.list("Configuration.Filters"), Triggers: v.list("Configuration.Triggers"), FlowSid: v.text("Configuration.FlowSid"),
	})
	if err != nil {
		return err
	}
	if err := c.wait(outcome.Position); err != nil {
		return err
	}
	return c.showWebhook(sid, webhook)
}

func deleteWebhook(c *call) error {
	sid, err := c.write("ConversationSid")
	if err != nil {
		return err
	}
	if _, err := c.command(sid, conversation.RemoveWebhook{WebhookSid: c.r.PathValue("Sid")}); err != nil {
		return err
	}
	return c.removed()
}
