package projections

import (
	"time"

	"github.com/parley-engine/parley/events"
)

func (f *fold) conversationCreated(r *events.Recorded, sid string, e events.ConversationCreated) error {
	c := Conversation{
		id: f.event, Sid: sid, AccountSid: e.Account, ChatServiceSid: e.Service,
		MessagingServiceSid: e.MessagingService, FriendlyName: e.FriendlyName, UniqueName: e.UniqueName,
		Attributes: attributes(e.Attributes), State: e.State, TimerSince: stored(e.At), LastActivityAt: stored(e.At),
		EmailAddress: e.Email.Address, EmailName: e.Email.Name, CreatedBy: e.CreatedBy, Predecessor: e.Predecessor, LastMessageIndex: -1,
		DateCreated: stored(e.DateCreated), DateUpdated: stored(e.DateUpdated),
		LastRevision: r.Revision, Position: r.Position,
	}
	if e.State == events.StateInactive {
		c.EnteredInactiveAt = stored(e.At)
	}
	c.setTimers(e.Timers)
	return f.conversations.add(sid, c)
}

func (c *Conversation) setTimers(t events.Timers) {
	c.InactiveTimer, c.InactiveAfter = t.Inactive, length(t.Inactive)
	c.ClosedTimer, c.ClosedAfter = t.Closed, length(t.Closed)
}

// active notes a message or a new participant: the running timer starts anew.
// One that waited, and was overtaken by a later one, does not pull it back.
func (c *Conversation) active(at time.Time) {
	c.TimerSince, c.LastActivityAt = later(c.TimerSince, stored(at)), later(c.LastActivityAt, stored(at))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// applyConversation handles what happens in a conversation that exists. An event that
// cannot be applied leaves the row as it was.
func (f *fold) applyConversation(r *events.Recorded, sid string, e events.Event) error {
	row, err := find(f.conversations, sid, sid)
	if err != nil {
		return err
	}
	before := row.row
	if err := f.happen(row, r, e); err != nil {
		row.row = before
		return err
	}
	return nil
}

func (f *fold) happen(row *entry[Conversation], r *events.Recorded, e events.Event) error {
	row.row.LastRevision, row.row.Position = r.Revision, r.Position
	f.conversations.mark(row, plainChange)
	switch e := e.(type) {
	case events.ConversationRemoved:
		f.conversations.drop(row)
		return f.removeConversationRows(row.row.id)
	case events.ParticipantAdded:
		row.row.active(e.At)
		return f.participantAdded(&row.row, e)
	case events.MessageAdded:
		row.row.active(e.At)
		row.row.LastMessageIndex = max(row.row.LastMessageIndex, e.Index)
		return f.messageAdded(&row.row, e)
	case events.DeliveryUpdated:
		return f.deliveryUpdated(&row.row, e)
	case events.WebhookAdded, events.WebhookUpdated, events.WebhookRemoved:
		return f.applyWebhook(&row.row, e)
	}
	if about, participant := aboutParticipant(e); about {
		return f.applyParticipant(&row.row, participant, e)
	}
	if about, message := aboutMessage(e); about {
		return f.applyMessage(&row.row, message, e)
	}
	f.conversations.mark(row, indexedChange)
	return row.row.change(e)
}

// change assigns what an event says about the conversation itself.
func (c *Conversation) change(e events.Event) error {
	switch e := e.(type) {
	case events.ConversationFriendlyNameChanged:
		c.FriendlyName, c.DateUpdated = e.FriendlyName, stored(e.DateUpdated)
	case events.ConversationUniqueNameChanged:
		c.UniqueName, c.DateUpdated = e.UniqueName, stored(e.DateUpdated)
	case events.ConversationAttributesChanged:
		c.Attributes, c.DateUpdated = attributes(e.Attributes), stored(e.DateUpdated)
	case events.ConversationMessagingServiceAttached:
		c.MessagingServiceSid, c.DateUpdated = e.MessagingService, stored(e.DateUpdated)
	case events.ConversationEmailChanged:
		c.EmailAddress, c.EmailName, c.DateUpdated = e.Email.Address, e.Email.Name, stored(e.DateUpdated)
	case events.ConversationTimersConfigured:
		c.setTimers(e.Timers)
		c.TimerSince, c.DateUpdated = stored(e.At), stored(e.DateUpdated)
	case events.TimerOperated:
		if c.DateUpdated = stored(e.DateUpdated); e.Action == events.TimerPostponed {
			c.TimerSince = stored(e.Since)
		}
	case events.ConversationDatesSet:
		c.DateCreated, c.DateUpdated = stored(e.DateCreated), stored(e.DateUpdated)
	case events.ConversationSucceeded:
		c.Successor = e.Successor
	case events.ConversationIndexesReserved: // of no message yet
	case events.ConversationStateChanged:
		c.changeState(e)
	default:
		return &events.UnknownTypeError{Type: e.EventType()}
	}
	return nil
}

// changeState: after a timer the next one counts from the instant the first was
// due, so that a late tick delays nothing.
func (c *Conversation) changeState(e events.ConversationStateChanged) {
	c.State, c.DateUpdated = e.To, stored(e.DateUpdated)
	if e.Reason == events.ReasonTimer {
		c.TimerSince = stored(e.Due)
	} else {
		c.TimerSince, c.LastActivityAt = stored(e.At), later(c.LastActivityAt, stored(e.At))
	}
	c.EnteredInactiveAt = time.Time{}
	if e.To == events.StateInactive {
		c.EnteredInactiveAt = c.TimerSince
	}
}

func (f *fold) participantAdded(c *Conversation, e events.ParticipantAdded) error {
	return f.participants.add(child{c.id, e.Participant}, Participant{
		id: f.event, conversation: c.id, Sid: e.Participant,
		AccountSid: c.AccountSid, ChatServiceSid: c.ChatServiceSid, ConversationSid: c.Sid,
		Identity: e.Identity, UserSid: e.User, RoleSid: e.Role, Attributes: attributes(e.Attributes),
		MessagingBinding: Binding(e.Binding), NotificationLevel: "default",
		DateCreated: stored(e.DateCreated), DateUpdated: stored(e.DateUpdated),
	})
}

func aboutParticipant(e events.Event) (bool, string) {
	switch e := e.(type) {
	case events.ParticipantAttributesChanged:
		return true, e.Participant
	case events.ParticipantRoleChanged:
		return true, e.Participant
	case events.ParticipantBindingChanged:
		return true, e.Participant
	case events.ParticipantDatesSet:
		return true, e.Participant
	case events.ParticipantRemoved:
		return true, e.Participant
	case events.ReadHorizonMoved:
		return true, e.Participant
	case events.NotificationLevelSet:
		return true, e.Participant
	}
	return false, ""
}

func (f *fold) applyParticipant(c *Conversation, sid string, e events.Event) error {
	row, err := find(f.participants, child{c.id, sid}, sid)
	if err != nil {
		return err
	}
	if _, removed := e.(events.ParticipantRemoved); removed {
		f.participants.drop(row)
		return nil
	}
	f.participants.mark(row, row.row.change(e))
	return nil
}

// change assigns what an event says about the participant.
func (p *Participant) change(e events.Event) changeKind {
	switch e := e.(type) {
	case events.ParticipantAttributesChanged:
		p.Attributes, p.DateUpdated = attributes(e.Attributes), stored(e.DateUpdated)
	case events.ParticipantRoleChanged:
		p.RoleSid, p.DateUpdated = e.Role, stored(e.DateUpdated)
	case events.ParticipantDatesSet:
		p.DateCreated, p.DateUpdated = stored(e.DateCreated), stored(e.DateUpdated)
	case events.ReadHorizonMoved:
		p.moveHorizon(e)
	case events.NotificationLevelSet:
		p.NotificationLevel = e.Level
	case events.ParticipantBindingChanged:
		p.Identity, p.UserSid, p.MessagingBinding = e.Identity, e.User, Binding(e.Binding)
		p.DateUpdated = stored(e.DateUpdated)
		return indexedChange
	}
	return plainChange
}

func (p *Participant) moveHorizon(e events.ReadHorizonMoved) {
	p.LastReadMessageIndex, p.LastReadTimestamp = nil, time.Time{}
	if e.Index >= 0 {
		p.LastReadMessageIndex, p.LastReadTimestamp = &e.Index, stored(e.ReadAt)
	}
}

func (f *fold) applyWebhook(c *Conversation, e events.Event) error {
	switch e := e.(type) {
	case events.WebhookAdded:
		return f.webhooks.add(child{c.id, e.WebhookSid}, Webhook{
			id: f.event, conversation: c.id, Sid: e.WebhookSid, Target: e.Webhook.Target,
			Configuration: e.Webhook, DateCreated: stored(e.At), DateUpdated: stored(e.At),
		})
	case events.WebhookUpdated:
		row, err := find(f.webhooks, child{c.id, e.WebhookSid}, e.WebhookSid)
		if err != nil {
			return err
		}
		w := &row.row
		w.Target, w.Configuration, w.DateUpdated = e.Webhook.Target, e.Webhook, stored(e.At)
		f.webhooks.mark(row, plainChange)
	case events.WebhookRemoved:
		row, err := find(f.webhooks, child{c.id, e.WebhookSid}, e.WebhookSid)
		if err != nil {
			return err
		}
		f.webhooks.drop(row)
	}
	return nil
}
