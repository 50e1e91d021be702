package engine

import (
	"context"
	"slices"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/events"
)

// Route is where a message from outside belongs (reference 9.1). The zero Route is
// nowhere: nobody ever wrote that way.
type Route struct {
	Conversation string // CH…; also one that is closed, if it was the last of these people
	Service      string // IS… of the conversation
	Participant  string // MB… that wrote; only when Open
	Predecessor  string // CH… that it goes on from
	Open         bool   // it takes messages
}

// PairRoute finds where messages from an address to a proxy address belong. It reads
// the log's truth, not a read model: of two at the same time the second sees what the
// first one did.
func (e *Engine) PairRoute(ctx context.Context, accountSid, from, proxy string) (Route, error) {
	return e.route(ctx, conversation.PairClaim(accountSid, from, proxy), func(s conversation.State) (string, bool) {
		p, ok := s.PairOf(from, proxy)
		return p.Sid, ok
	})
}

// GroupRoute is PairRoute for the native group MMS of a set of numbers, of which from
// wrote.
func (e *Engine) GroupRoute(ctx context.Context, accountSid, from string, numbers []string) (Route, error) {
	return e.route(ctx, conversation.GroupClaim(accountSid, numbers), func(s conversation.State) (string, bool) {
		p, ok := s.Member(from)
		return p.Sid, ok
	})
}

func (e *Engine) route(ctx context.Context, c claim, writer func(conversation.State) (string, bool)) (r Route, err error) {
	var holder string
	err = e.reservations.view(ctx, reservation.ID(c.Kind, c.Scope, c.Value), func(s reservation.State) { holder = s.Holder })
	category, sid, _ := events.SplitStream(holder)
	if err != nil || category != events.CategoryConversation {
		return Route{}, asError(err)
	}
	err = e.conversations.view(ctx, sid, func(s conversation.State) {
		if !s.Exists() || s.Removed() {
			return
		}
		c.Ref = sid
		holds := s.Holds(c)
		if !holds && s.State != events.StateClosed {
			return // who wrote that way was taken out of it, and it goes on without him
		}
		r = Route{Conversation: sid, Service: s.Service, Predecessor: s.Predecessor}
		if holds {
			r.Participant, r.Open = writer(s)
		}
	})
	if err != nil || r.Conversation == "" {
		return Route{}, asError(err)
	}
	if swept, err := e.sweptAway(ctx, r.Service); err != nil || swept {
		return Route{}, asError(err)
	}
	return r, nil
}

// Autocreation says what becomes of a message to one of the account's addresses that
// belongs to no conversation (reference 9.1). Without a configuration of the address it
// is the zero value.
func (e *Engine) Autocreation(ctx context.Context, accountSid, to string) (a events.AutoCreation, err error) {
	sid, err := e.holderOf(ctx, reservation.Address, accountSid, to)
	if err != nil || sid == "" {
		return a, asError(err)
	}
	err = e.addresses.glance(ctx, sid, func(s address.State) {
		if s.Exists() && s.Account == accountSid && s.Address == to {
			a = s.AutoCreation
		}
	})
	return a, asError(err)
}

// MessagingServiceOf returns the Messaging Service that has the address as a sender;
// else the account's default one, if that takes any sender; else none.
func (e *Engine) MessagingServiceOf(ctx context.Context, accountSid, sender string) (sid string, err error) {
	err = e.accounts.glance(ctx, accountSid, func(s account.State) {
		for mg, service := range s.MessagingServices {
			if slices.Contains(service.Senders, sender) && (sid == "" || mg < sid) {
				sid = mg
			}
		}
		if d := s.DefaultMessagingService; sid == "" && d != "" && len(s.MessagingServices[d].Senders) == 0 {
			sid = d
		}
	})
	return sid, asError(err)
}

// DeliveryOf returns what is known of a recipient's copy of a message: its status, empty
// when nothing is; there is false when there is nothing to send any more, because
// message, conversation or service were removed. It asks the log: whether a message is sent
// is decided by it.
func (e *Engine) DeliveryOf(ctx context.Context, conversationSid, message, participant string) (status string, there bool, err error) {
	var service string
	err = e.conversations.view(ctx, conversationSid, func(s conversation.State) {
		service = s.Service
		status, there = s.Delivery(message, participant)
	})
	if err != nil || !there {
		return status, there, asError(err)
	}
	swept, err := e.sweptAway(ctx, service)
	return status, !swept, asError(err)
}

// Left returns those of the participants who were taken out of a conversation, as the log
// has it now.
func (e *Engine) Left(ctx context.Context, conversationSid string, participants []string) (left []string, err error) {
	err = e.conversations.view(ctx, conversationSid, func(s conversation.State) {
		for _, sid := range participants {
			if _, present := s.Participants[sid]; !present {
				left = append(left, sid)
			}
		}
	})
	return left, asError(err)
}
