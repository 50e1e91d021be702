package channels

import (
	"context"
	"errors"
	"slices"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
)

// route finds where the people of a message write to each other.
func (v *Channels) route(ctx context.Context, a Adapter, m carrier.Inbound) (engine.Route, error) {
	if len(m.To) == 1 {
		return v.Engine.PairRoute(ctx, a.Account, m.From, m.To[0])
	}
	return v.Engine.GroupRoute(ctx, a.Account, m.From, append([]string{m.From}, m.To...))
}

// begun is the SID of the conversation that a message begins after a former one, if it
// begins one.
func begun(a Adapter, m carrier.Inbound, former string) string {
	return domain.SID("CH", "inbound "+a.Account+" "+linkKey(a, m.ID)+" "+former)
}

// autocreate begins a conversation with the sender in it, if the address is configured
// so (reference 9.1 and 9.2). Otherwise the route stays closed, and the note says why.
func (v *Channels) autocreate(ctx context.Context, a Adapter, m carrier.Inbound, former engine.Route) (engine.Route, reactor.Note, error) {
	to, auto, mg, err := v.configured(ctx, a, m)
	if err != nil || !auto.Enabled {
		return engine.Route{}, reactor.Note{Text: "ignored: no conversation, and no autocreation for " + to}, err
	}
	place, err := v.Engine.Place(ctx, a.Account, auto.Service)
	if err != nil {
		return engine.Route{}, reactor.Note{}, refused(err)
	}
	sid := begun(a, m, former.Conversation)
	c := v.command(a, "create "+m.ID+" "+former.Conversation, sid, place.Service, m.At, conversation.CreateWithParticipants{
		Conversation: conversation.Create{Sid: sid, FriendlyName: m.From, MessagingService: mg, Predecessor: former.Conversation},
		Participants: members(m, to),
	})
	if v.Before != nil {
		if c, err = v.Before(ctx, c, &m); err != nil {
			note, err := vetoed(err)
			return engine.Route{}, note, err
		}
	}
	_, err = v.Engine.Execute(ctx, c)
	if f := failure(err); f != nil && (f.Code == "address_pair_taken" || f.Code == "group_taken") {
		return engine.Route{}, reactor.Note{}, &reactor.Later{Reason: err} // another process was first: its own is found now
	}
	return engine.Route{Conversation: sid, Service: place.Service, Predecessor: former.Conversation, Open: true}, reactor.Note{}, refused(err)
}

// configured finds the first of the addressed numbers that begins conversations.
func (v *Channels) configured(ctx context.Context, a Adapter, m carrier.Inbound) (to string, auto events.AutoCreation, mg string, err error) {
	for _, to = range m.To {
		if auto, err = v.Engine.Autocreation(ctx, a.Account, to); err != nil {
			return to, auto, "", err
		}
		if mg, err = v.Engine.MessagingServiceOf(ctx, a.Account, to); err != nil {
			return to, auto, "", err
		}
		if auto.Type == "" && v.Routing.Autocreate[mg] { // the address's own configuration wins
			auto.Enabled = true
		}
		if auto.Enabled {
			return to, auto, mg, nil
		}
	}
	return m.To[0], auto, mg, nil
}

// members are who takes part in a new conversation: the sender; of a native group all,
// with our number as one that is spoken as.
func members(m carrier.Inbound, to string) []conversation.AddParticipant {
	if len(m.To) == 1 {
		return []conversation.AddParticipant{{Address: m.From, ProxyAddress: to}}
	}
	list := []conversation.AddParticipant{{Address: m.From}, {ProjectedAddress: to}}
	for _, other := range slices.Compact(slices.Sorted(slices.Values(m.To))) {
		if other != to && other != m.From {
			list = append(list, conversation.AddParticipant{Address: other})
		}
	}
	return list
}

// finish does what follows when a conversation was begun: the former one of the same
// people, which is closed, is linked with it, and the webhook of the address's
// configuration attached. It may be done again.
func (v *Channels) finish(ctx context.Context, a Adapter, m carrier.Inbound, r engine.Route) error {
	if r.Predecessor != "" {
		_, err := v.Engine.Execute(ctx, v.command(a, "succeed "+m.ID, r.Predecessor, "", m.At, conversation.LinkSuccessor{Successor: r.Conversation}))
		if f := failure(err); f != nil && f.Retryable { // otherwise it is gone: the new one knows where it comes from
			return err
		}
	}
	_, auto, _, err := v.configured(ctx, a, m)
	if err != nil {
		return err
	}
	w := events.Webhook{Target: auto.Type, URL: auto.WebhookURL, Method: auto.WebhookMethod, Filters: auto.WebhookFilters, FlowSid: auto.StudioFlow}
	if auto.Type != "studio" && (auto.Type != "webhook" || len(w.Filters) == 0) {
		return nil
	}
	_, err = v.Engine.Execute(ctx, v.command(a, "attach "+m.ID, r.Conversation, "", m.At, conversation.AddWebhook{Webhook: w}))
	return refused(err)
}

// failure is the engine's, nil where it is none.
func failure(err error) *engine.Failure {
	var f *engine.Failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}
