package webhooks

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor/past"
)

// form is the parameters of a call by name (reference 8.4). No name has two values.
type form map[string]string

// maybe sets a parameter that is left out when there is nothing to say.
func (f form) maybe(name, value string) {
	if value != "" {
		f[name] = value
	}
}

func (f form) date(name string, at time.Time) {
	if !at.IsZero() {
		f[name] = stamp(at)
	}
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func attributes(text string) string { return cmp.Or(text, "{}") }

// ofConversation adds what is said of an event of a conversation.
func (f form) ofConversation(it *happened, c *past.Conversation, t telling) {
	switch e := it.event.(type) {
	case events.ConversationStateChanged:
		if t.name == conversationStateUpdated {
			f.state(c, e)
			return
		}
		f.conversation(c)
	case events.ConversationCreated:
		f.conversation(c)
		if it.Metadata.Actor.Kind == events.ActorChannel {
			f.firstBinding(it.later)
		}
	case events.ConversationRemoved:
		f.conversation(c)
		f.date("DateRemoved", e.At)
	case events.DeliveryUpdated:
		f.delivery(c, e)
	case events.MessageAdded:
		f.message(c, e.Message)
	case events.MessageRemoved:
		f.message(c, e.Message)
		f.updated(c, e.Message)
		f.date("DateRemoved", e.At)
	case events.ParticipantAdded:
		f.participant(c, e.Participant)
	case events.ParticipantRemoved:
		f.participant(c, e.Participant)
		f.date("DateUpdated", c.Participants[e.Participant].DateUpdated)
		f.date("DateRemoved", e.At)
	default:
		f.change(c, t)
	}
}

func (f form) change(c *past.Conversation, t telling) {
	switch t.name {
	case messageUpdated:
		f.message(c, t.subject)
		f.updated(c, t.subject)
	case participantUpdated:
		p := c.Participants[t.subject]
		f.participant(c, t.subject)
		f.date("DateUpdated", p.DateUpdated)
		if p.LastRead >= 0 {
			f["LastReadMessageIndex"] = strconv.FormatInt(p.LastRead, 10)
		}
	default:
		f.conversation(c)
	}
}

func (f form) conversation(c *past.Conversation) {
	f["ConversationSid"] = c.State.Conversation
	f["MessagingServiceSid"] = c.MessagingService
	f["FriendlyName"] = c.FriendlyName
	f["UniqueName"] = c.UniqueName
	f["Attributes"] = attributes(c.Attributes)
	f["State"] = c.State.State
	f.date("DateCreated", c.DateCreated)
	f.date("DateUpdated", c.DateUpdated)
}

func (f form) state(c *past.Conversation, e events.ConversationStateChanged) {
	f["ConversationSid"] = c.State.Conversation
	f["MessagingServiceSid"] = c.MessagingService
	f["StateFrom"], f["StateTo"], f["Reason"] = e.From, e.To, e.Reason
	f["StateUpdated"] = stamp(e.At)
}

// firstBinding is of the sender who is the reason for a conversation.
func (f form) firstBinding(later []events.Event) {
	for _, e := range later {
		if added, is := e.(events.ParticipantAdded); is && added.Binding != (events.Binding{}) {
			f.binding(added.Binding)
			if f["Source"] != "API" && f["Source"] != "SDK" {
				f["Source"] = strings.ToUpper(added.Binding.Type)
			}
			return
		}
	}
}

func (f form) binding(b events.Binding) {
	f.maybe("MessagingBinding.Address", b.Address)
	f.maybe("MessagingBinding.ProxyAddress", b.ProxyAddress)
	f.maybe("MessagingBinding.ProjectedAddress", b.ProjectedAddress)
}

func (f form) message(c *past.Conversation, sid string) {
	m, text := c.Messages[sid], c.Texts[sid]
	f["ConversationSid"] = c.State.Conversation
	f["MessageSid"] = sid
	f["MessagingServiceSid"] = c.MessagingService
	f["Index"] = strconv.FormatInt(m.Index, 10)
	f["Author"], f["Body"], f["Attributes"] = m.Author, text.Body, attributes(text.Attributes)
	f["DateCreated"] = stamp(time.UnixMicro(m.Created))
	f.maybe("ParticipantSid", numbered(c, m.By))
	f.media(text.Media)
}

func (f form) updated(c *past.Conversation, sid string) {
	m := c.Messages[sid]
	f["DateUpdated"] = stamp(time.UnixMicro(m.Created + m.Edited))
}

// medium is one file of the parameter Media.
type medium struct {
	Sid         string
	Filename    string
	ContentType string
	Size        int64
}

func (f form) media(files []events.Media) {
	if len(files) == 0 {
		return
	}
	list := make([]medium, len(files))
	for i, m := range files {
		list[i] = medium{m.Media, m.Filename, m.ContentType, m.Size}
	}
	text, _ := json.Marshal(list) // of texts and numbers
	f["Media"] = string(text)
}

// numbered finds a participant by its number, also one that was removed.
func numbered(c *past.Conversation, number int) string {
	if number == 0 {
		return ""
	}
	for sid, p := range c.Participants {
		if p.Number == number {
			return sid
		}
	}
	for sid, p := range c.Former {
		if p.Number == number {
			return sid
		}
	}
	return ""
}

func (f form) participant(c *past.Conversation, sid string) {
	p := c.Participants[sid]
	f["ConversationSid"], f["ParticipantSid"] = c.State.Conversation, sid
	f["RoleSid"], f["Attributes"] = p.Role, attributes(c.Traits[sid])
	f["MessagingBinding.Type"] = bindingType(p)
	f.maybe("Identity", p.Identity)
	f.binding(p.Binding)
	f.date("DateCreated", p.DateCreated)
}

func bindingType(p conversation.Participant) string {
	return strings.ToUpper(cmp.Or(p.Binding.Type, "chat"))
}

func (f form) delivery(c *past.Conversation, e events.DeliveryUpdated) {
	f["ConversationSid"], f["MessageSid"], f["ParticipantSid"] = c.State.Conversation, e.Message, e.Participant
	f["DeliveryReceiptSid"], f["ChannelMessageSid"], f["Status"] = e.Receipt, e.ChannelMessage, e.Status
	f["ErrorCode"] = strconv.Itoa(e.ErrorCode)
	f.date("DateCreated", c.Opened[e.Receipt])
	f.date("DateUpdated", e.At)
}

func (f form) user(u user.State) {
	f["UserSid"], f["Identity"], f["FriendlyName"] = u.User, u.Identity, u.FriendlyName
	f["RoleSid"], f["Attributes"] = u.Role, attributes(u.Attributes)
}

// bearer is the participant whose binding says by which channel something came.
func bearer(event events.Event, c *past.Conversation) string {
	switch e := event.(type) {
	case events.MessageAdded:
		return e.Participant
	case events.DeliveryUpdated:
		return e.Participant
	}
	if name, message := ofMessage(event); name != "" {
		return numbered(c, c.Messages[message].By)
	}
	_, participant := ofParticipant(event)
	return participant
}

// source is where something came from: SDK, API, or the channel's type (reference 8.3).
// A nil conversation has nobody in it.
func source(a events.Actor, c *past.Conversation, participant string) string {
	switch a.Kind {
	case events.ActorUser, events.ActorParticipant:
		return "SDK"
	case events.ActorChannel:
		if c != nil {
			for _, sid := range []string{participant, a.ID} {
				if p, there := c.Participants[sid]; there && p.Binding.Type != "" {
					return strings.ToUpper(p.Binding.Type)
				}
			}
			if kind := onlyType(c); kind != "" {
				return strings.ToUpper(kind)
			}
		}
		return channel(a.ID)
	}
	return "API"
}

// onlyType is the type that all participants outside have; empty: there is none, or more
// than one.
func onlyType(c *past.Conversation) (kind string) {
	for _, p := range c.Participants {
		switch t := p.Binding.Type; {
		case t == "" || t == kind:
		case kind != "":
			return ""
		default:
			kind = t
		}
	}
	return kind
}

// channel is the type of an address, or of an adapter that is named by it.
func channel(id string) string {
	kind, _, _ := strings.Cut(id, ":")
	if kind == "" || strings.ContainsAny(kind, "+@0123456789") {
		return "SMS"
	}
	return strings.ToUpper(kind)
}

// identity is whose client did it; empty where none did.
func identity(a events.Actor, c *past.Conversation) string {
	switch {
	case a.Kind == events.ActorUser:
		return a.ID
	case a.Kind == events.ActorParticipant && c != nil:
		return c.Participants[a.ID].Identity
	}
	return ""
}
