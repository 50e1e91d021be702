package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/past"
	"github.com/parley-engine/parley/store"
)

// call is the data of a job: what is sent where. Its JSON is kept in the queue's file.
type call struct {
	URL        string `json:"url"`
	Method     string `json:"method,omitempty"` // GET; else POST
	Account    string `json:"account"`          // whose auth token signs it
	Parameters form   `json:"parameters"`
}

// target is who is told.
type target struct {
	id          string // AC…, IS… or WH…
	url, method string
}

// React says which calls an event leads to. An event that cannot be read leads to none,
// and is logged.
func (h *Hooks) React(ctx context.Context, recorded events.Recorded) ([]reactor.Job, error) {
	jobs, err := h.react(ctx, recorded)
	if errors.Is(err, past.ErrUnreadable) {
		h.c.Logger.Warn("no webhooks for an event that cannot be read", "stream", recorded.Stream, "revision", recorded.Revision, "err", err)
		return nil, nil
	}
	return jobs, err
}

func (h *Hooks) react(ctx context.Context, recorded events.Recorded) ([]reactor.Job, error) {
	event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", past.ErrUnreadable, err)
	}
	h.notice(recorded.Stream, event)
	if added, is := event.(events.WebhookAdded); is {
		return h.attached(ctx, recorded, added)
	}
	if !fires(recorded.Metadata) || len(tellings(event)) == 0 {
		return nil, nil
	}
	config, err := h.c.Engine.Webhooks(ctx, recorded.Metadata.Account, recorded.Metadata.Service)
	if err != nil {
		return nil, err
	}
	if listens, err := h.anybody(ctx, recorded, event, config); err != nil || !listens {
		return nil, err
	}
	it := happened{Recorded: recorded, event: event}
	if it.later, err = h.later(ctx, recorded); err != nil {
		return nil, err
	}
	if category, _, _ := events.SplitStream(recorded.Stream); category == events.CategoryUser {
		return h.ofUser(ctx, &it, config)
	}
	return h.ofConversation(ctx, &it, config)
}

// anybody reports whether there may be somebody to tell. A conversation's webhooks that
// are gone by now are not called for what was before.
func (h *Hooks) anybody(ctx context.Context, recorded events.Recorded, event events.Event, config events.WebhookConfiguration) (bool, error) {
	for _, t := range tellings(event) {
		if listens(config, t.name) {
			return true, nil
		}
	}
	category, sid, _ := events.SplitStream(recorded.Stream)
	if category == events.CategoryUser {
		return false, nil
	}
	if hooked, known := h.hooked.Get(sid); known {
		return hooked, nil
	}
	hooked, err := h.c.Engine.ConversationHooked(ctx, sid)
	if err == nil {
		h.hooked.Add(sid, hooked)
	}
	return hooked, err
}

// notice keeps in mind what an event means for whether a conversation has webhooks.
func (h *Hooks) notice(stream string, event events.Event) {
	_, sid, _ := events.SplitStream(stream)
	switch event.(type) {
	case events.ConversationCreated:
		h.hooked.Add(sid, false)
	case events.WebhookAdded:
		h.hooked.Add(sid, true)
	case events.WebhookRemoved:
		h.hooked.Remove(sid)
	}
}

// listens reports whether an account or service wants to be told.
func listens(c events.WebhookConfiguration, name string) bool {
	return c.PostWebhookURL != "" && calls(c) && slices.Contains(c.Filters, name)
}

// calls is false of a configuration whose target is Flex, which Parley has not.
func calls(c events.WebhookConfiguration) bool { return c.Target == "" || c.Target == "webhook" }

// later returns what a command wrote behind an event.
func (h *Hooks) later(ctx context.Context, recorded events.Recorded) (list []events.Event, err error) {
	if recorded.Metadata.CommandID.IsZero() {
		return nil, nil
	}
	for next, err := range h.c.Log.ReadStream(ctx, recorded.Stream, store.Revision(recorded.Revision)+1, store.Forwards) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", recorded.Stream, err)
		}
		if next.Metadata.CommandID != recorded.Metadata.CommandID {
			break
		}
		if event, err := events.Vocabulary().Decode(next.Type, next.Data); err == nil {
			list = append(list, event)
		}
	}
	return list, nil
}

// ofConversation tells what happened in a conversation as it was after the event, or of
// what is gone, as it was before.
func (h *Hooks) ofConversation(ctx context.Context, it *happened, config events.WebhookConfiguration) (jobs []reactor.Job, err error) {
	_, sid, _ := events.SplitStream(it.Stream)
	see := h.then.After
	switch it.event.(type) {
	case events.ConversationRemoved, events.ParticipantRemoved, events.MessageRemoved:
		see = h.then.Before
	}
	err = see(ctx, &it.Recorded, func(c *past.Conversation) error {
		for _, t := range it.told() {
			targets := append(h.configured(it.Metadata, config, t.name), attachedTo(c, t)...)
			if len(targets) == 0 {
				continue
			}
			parameters := h.common(it, c, t)
			parameters.ofConversation(it, c, t)
			made, err := jobsFor(it, sid, t.name, "", targets, parameters)
			if err != nil {
				return err
			}
			jobs = append(jobs, made...)
		}
		return nil
	})
	return jobs, err
}

// configured is the account's or service's own URL, if it wants to be told.
func (h *Hooks) configured(m events.Metadata, config events.WebhookConfiguration, name string) []target {
	if !listens(config, name) {
		return nil
	}
	return []target{{id: m.Account, url: config.PostWebhookURL, method: config.Method}}
}

// attachedTo are the conversation's own webhooks that want to be told, in the order of
// their SIDs. Studio has none to call: there are no flows here.
func attachedTo(c *past.Conversation, t telling) (list []target) {
	for sid, w := range c.Webhooks {
		if wants(w, t.name, c.Texts[t.subject].Body) {
			list = append(list, target{id: sid, url: w.URL, method: w.Method})
		}
	}
	slices.SortFunc(list, func(a, b target) int { return compare(a.id, b.id) })
	return list
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func wants(w events.Webhook, name, body string) bool {
	switch w.Target {
	case "webhook":
		return slices.Contains(w.Filters, name)
	case "trigger":
		return name == messageAdded && triggered(w.Triggers, body)
	}
	return false
}

// jobsFor makes a job for each target. A suffix tells apart what one event tells more
// than once.
func jobsFor(it *happened, order, name, suffix string, targets []target, parameters form) (jobs []reactor.Job, err error) {
	for _, t := range targets {
		data, err := json.Marshal(call{URL: t.url, Method: t.method, Account: it.Metadata.Account, Parameters: parameters})
		if err != nil {
			return nil, err
		}
		key := it.ID.String() + " " + t.id + " " + name
		if suffix != "" {
			key += " " + suffix
		}
		jobs = append(jobs, reactor.Job{Key: key, Target: t.url, Order: order, About: order, What: name, Data: data})
	}
	return jobs, nil
}

// attached has a new webhook called again for the messages from ReplayAfter on, in
// their order, as if they were added now.
func (h *Hooks) attached(ctx context.Context, recorded events.Recorded, added events.WebhookAdded) (jobs []reactor.Job, err error) {
	_, sid, _ := events.SplitStream(recorded.Stream)
	if added.Webhook.ReplayAfter == nil || recorded.Metadata.Actor.Kind == events.ActorImport {
		return nil, nil
	}
	it := happened{Recorded: recorded, event: added}
	err = h.then.After(ctx, &recorded, func(c *past.Conversation) error {
		for _, message := range since(c, *added.Webhook.ReplayAfter) {
			if !wants(added.Webhook, messageAdded, c.Texts[message].Body) {
				continue
			}
			t := telling{messageAdded, message}
			parameters := h.common(&it, c, t)
			parameters.message(c, message)
			made, err := jobsFor(&it, sid, messageAdded, message, []target{{id: added.WebhookSid, url: added.Webhook.URL, method: added.Webhook.Method}}, parameters)
			if err != nil {
				return err
			}
			jobs = append(jobs, made...)
		}
		return nil
	})
	return jobs, err
}

// since lists the messages that are left from an index on.
func since(c *past.Conversation, index int64) (sids []string) {
	for sid, m := range c.Messages {
		if m.Index >= index && !m.Removed {
			sids = append(sids, sid)
		}
	}
	slices.SortFunc(sids, func(a, b string) int { return int(c.Messages[a].Index - c.Messages[b].Index) })
	return sids
}

func (h *Hooks) common(it *happened, c *past.Conversation, t telling) form {
	f := form{
		"AccountSid": it.Metadata.Account, "EventType": t.name, "ChatServiceSid": it.Metadata.Service,
		"Source": source(it.Metadata.Actor, c, bearer(it.event, c)), "Sequence": strconv.FormatUint(it.Revision, 10),
	}
	f.maybe("ClientIdentity", identity(it.Metadata.Actor, c))
	return f
}
