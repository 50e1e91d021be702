package webhooks

import (
	"cmp"
	"context"
	"errors"
	"math"
	"strings"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor/past"
)

// fields are a command's own.
type fields interface{ CommandType() string }

// asks is the pre-event of a command (reference 8.2); empty: there is none.
func asks(f fields) string {
	switch f.(type) {
	case conversation.Create, conversation.CreateWithParticipants:
		return "onConversationAdd"
	case conversation.Update:
		return "onConversationUpdate"
	case conversation.Remove:
		return "onConversationRemove"
	case conversation.AddMessage:
		return "onMessageAdd"
	case conversation.EditMessage:
		return "onMessageUpdate"
	case conversation.RemoveMessage:
		return "onMessageRemove"
	case conversation.AddParticipant:
		return "onParticipantAdd"
	case conversation.UpdateParticipant:
		return "onParticipantUpdate"
	case conversation.RemoveParticipant:
		return "onParticipantRemove"
	case user.Update:
		return "onUserUpdate"
	}
	return ""
}

// apply replaces what can be replaced: a conversation's name, and what a message says.
// What comes of it is judged as if the caller had said it.
func (w changes) apply(f fields) fields {
	switch f := f.(type) {
	case conversation.Create:
		replace(&f.FriendlyName, w.FriendlyName)
		return f
	case conversation.CreateWithParticipants:
		replace(&f.Conversation.FriendlyName, w.FriendlyName)
		return f
	case conversation.Update:
		given(&f.FriendlyName, w.FriendlyName)
		return f
	case conversation.AddMessage:
		replace(&f.Body, w.Body)
		replace(&f.Author, w.Author)
		replace(&f.Attributes, (*string)(w.Attributes))
		return f
	case conversation.EditMessage:
		given(&f.Body, w.Body)
		given(&f.Author, w.Author)
		given(&f.Attributes, (*string)(w.Attributes))
		return f
	}
	return f
}

// proposed is the parameters of a command's pre-event, without its name: what would be
// there if it was done. Nil: what it names is not there, or not the account's.
func (h *Hooks) proposed(ctx context.Context, c engine.Command, a Arrival) (form, error) {
	f := form{"AccountSid": c.Account, "ChatServiceSid": c.Service, "Source": source(c.Actor, nil, "")}
	f.maybe("ClientIdentity", identity(c.Actor, nil))
	switch do := c.Fields.(type) {
	case conversation.Create:
		f.creation(do, a)
		return f, nil
	case conversation.CreateWithParticipants:
		f.creation(do.Conversation, a)
		return f, nil
	case user.Update:
		return h.proposedUser(ctx, f, c, do)
	}
	there := false
	err := h.now.Now(ctx, c.Aggregate, func(now *past.Conversation) error {
		if !now.Exists() || now.Removed() || now.Account != c.Account || c.Service != "" && now.Service != c.Service {
			return nil
		}
		f["ChatServiceSid"], f["ConversationSid"] = now.Service, now.State.Conversation
		f["Source"] = source(c.Actor, now, "")
		f.maybe("ClientIdentity", identity(c.Actor, now))
		there = f.within(now, c)
		return nil
	})
	if !there || errors.Is(err, past.ErrUnreadable) {
		return nil, err
	}
	return f, err
}

// creation says what a conversation would begin with.
func (f form) creation(c conversation.Create, a Arrival) {
	f["MessagingServiceSid"], f["FriendlyName"], f["UniqueName"] = c.MessagingService, c.FriendlyName, c.UniqueName
	f["Attributes"], f["State"] = attributes(c.Attributes), strings.ToLower(cmp.Or(c.State, events.StateActive))
	if a.Binding.Type != "" {
		f["Source"] = strings.ToUpper(a.Binding.Type)
	}
	f.maybe("MessageBody", a.Body)
	f.media(a.Media)
	f.binding(a.Binding)
	f.maybe("MessagingBinding.AuthorAddress", a.Binding.Address)
}

// within says what a command would make of something in a conversation; false: what it
// names is not there.
func (f form) within(now *past.Conversation, c engine.Command) bool {
	switch do := c.Fields.(type) {
	case conversation.Update:
		f.conversation(now)
		f.edited("FriendlyName", do.FriendlyName)
		f.edited("UniqueName", do.UniqueName)
		f.edited("Attributes", do.Attributes)
		f.edited("MessagingServiceSid", do.MessagingService)
		if do.State != nil {
			f["State"] = strings.ToLower(*do.State)
		}
	case conversation.Remove:
		f.conversation(now)
	case conversation.AddMessage:
		f.newMessage(now, c.Actor, do)
	case conversation.EditMessage:
		return f.oldMessage(now, do.Message, func() {
			f.edited("Body", do.Body)
			f.edited("Author", do.Author)
			f.edited("Attributes", do.Attributes)
		})
	case conversation.RemoveMessage:
		return f.oldMessage(now, do.Message, func() {})
	case conversation.AddParticipant:
		f.newParticipant(do)
	case conversation.UpdateParticipant:
		return f.oldParticipant(now, do.Participant, func() {
			f.edited("Identity", do.Identity)
			f.edited("RoleSid", do.Role)
			f.edited("Attributes", do.Attributes)
			f.edited("MessagingBinding.ProxyAddress", do.ProxyAddress)
			f.edited("MessagingBinding.ProjectedAddress", do.ProjectedAddress)
		})
	case conversation.RemoveParticipant:
		return f.oldParticipant(now, do.Participant, func() {})
	}
	return true
}

// edited sets a parameter to what it would become.
func (f form) edited(name string, to *string) {
	if to != nil {
		f[name] = *to
	}
}

func (f form) newMessage(now *past.Conversation, by events.Actor, c conversation.AddMessage) {
	author := cmp.Or(c.Author, identity(by, now), "system")
	f["Author"], f["Body"], f["Attributes"] = author, c.Body, attributes(c.Attributes)
	p := writer(now, author)
	f.maybe("ParticipantSid", p.Sid)
	if by.Kind == events.ActorChannel && p.Binding.Type != "" {
		f["Source"] = strings.ToUpper(p.Binding.Type)
	}
	f.media(c.Media)
}

// writer finds who writes under a name: an identity or an address. The zero
// Participant: nobody does.
func writer(c *past.Conversation, name string) (found conversation.Participant) {
	if p, there := c.Participant(name); there {
		return p
	}
	for _, p := range c.Participants {
		if (p.Binding.Address == name || p.Binding.ProjectedAddress == name) && (found.Number == 0 || p.Number < found.Number) {
			found = p
		}
	}
	return found
}

func (f form) oldMessage(now *past.Conversation, sid string, edit func()) bool {
	m, there := now.Messages[sid]
	if !there || m.Removed {
		return false
	}
	f.message(now, sid)
	delete(f, "MessagingServiceSid")
	f.updated(now, sid)
	edit()
	return true
}

func (f form) newParticipant(c conversation.AddParticipant) {
	kind := channel(c.Address)
	if c.Address == "" {
		kind = "CHAT"
	}
	f["RoleSid"], f["Attributes"], f["MessagingBinding.Type"] = c.Role, attributes(c.Attributes), kind
	f.maybe("Identity", c.Identity)
	f.binding(events.Binding{Address: c.Address, ProxyAddress: c.ProxyAddress, ProjectedAddress: c.ProjectedAddress})
}

func (f form) oldParticipant(now *past.Conversation, ref string, edit func()) bool {
	p, there := now.Participant(ref)
	if !there {
		return false
	}
	f.participant(now, p.Sid)
	f.date("DateUpdated", p.DateUpdated)
	edit()
	return true
}

func (h *Hooks) proposedUser(ctx context.Context, f form, c engine.Command, do user.Update) (form, error) {
	end := events.Recorded{Stream: events.Stream(events.CategoryUser, c.Aggregate), Revision: math.MaxUint64}
	u, _, updated, err := h.userAt(ctx, end)
	if err != nil || !u.Exists() || u.Account != c.Account || c.Service != "" && u.Service != c.Service {
		return nil, err
	}
	f["ChatServiceSid"] = u.Service
	f.user(u)
	f.date("DateUpdated", updated)
	f.edited("FriendlyName", do.FriendlyName)
	f.edited("Attributes", do.Attributes)
	f.edited("RoleSid", do.Role)
	return f, nil
}
