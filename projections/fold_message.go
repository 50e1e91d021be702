package projections

import "github.com/parley-engine/parley/events"

func (f *fold) messageAdded(c *Conversation, e events.MessageAdded) error {
	if err := f.attachMedia(c, e); err != nil {
		return err
	}
	return f.messages.add(child{c.id, e.Message}, Message{
		id: f.event, conversation: c.id, Sid: e.Message, Index: e.Index,
		Author: e.Author, ParticipantSid: e.Participant, Body: e.Body, Media: e.Media,
		Attributes: attributes(e.Attributes), Subject: e.Subject,
		ContentSid: e.Content, ContentVariables: e.ContentVariables, recipients: int64(len(e.Recipients)),
		DateCreated: stored(e.DateCreated), DateUpdated: stored(e.DateUpdated),
	})
}

func aboutMessage(e events.Event) (bool, string) {
	switch e := e.(type) {
	case events.MessageBodyEdited:
		return true, e.Message
	case events.MessageAttributesChanged:
		return true, e.Message
	case events.MessageAuthorChanged:
		return true, e.Message
	case events.MessageSubjectChanged:
		return true, e.Message
	case events.MessageDatesSet:
		return true, e.Message
	case events.MessageRemoved:
		return true, e.Message
	}
	return false, ""
}

func (f *fold) applyMessage(c *Conversation, sid string, e events.Event) error {
	row, err := find(f.messages, child{c.id, sid}, sid)
	if err != nil {
		return err
	}
	if _, removed := e.(events.MessageRemoved); removed {
		f.messages.drop(row)
		return f.removeMessageRows(row.row.id)
	}
	row.row.change(e)
	f.messages.mark(row, plainChange)
	return nil
}

// change assigns what an event says about the message.
func (m *Message) change(e events.Event) {
	switch e := e.(type) {
	case events.MessageBodyEdited:
		m.Body, m.DateUpdated = e.Body, stored(e.DateUpdated)
	case events.MessageAttributesChanged:
		m.Attributes, m.DateUpdated = attributes(e.Attributes), stored(e.DateUpdated)
	case events.MessageAuthorChanged:
		m.Author, m.ParticipantSid, m.DateUpdated = e.Author, e.Participant, stored(e.DateUpdated)
	case events.MessageSubjectChanged:
		m.Subject, m.DateUpdated = e.Subject, stored(e.DateUpdated)
	case events.MessageDatesSet:
		m.DateCreated, m.DateUpdated = stored(e.DateCreated), stored(e.DateUpdated)
	}
}

// deliveryUpdated opens a receipt or moves it; the event is already the highest
// report there was. Reports about a message that was removed are dropped with
// the message's receipts.
func (f *fold) deliveryUpdated(c *Conversation, e events.DeliveryUpdated) error {
	message, err := f.messages.get(child{c.id, e.Message})
	if message == nil || err != nil {
		return err
	}
	key := child{message.row.id, e.Receipt}
	row, err := f.receipts.get(key)
	if err != nil {
		return err
	}
	if row == nil {
		return f.receipts.add(key, Receipt{
			id: f.event, message: message.row.id, Sid: e.Receipt, ParticipantSid: e.Participant,
			ChannelMessageSid: e.ChannelMessage, Status: e.Status, ErrorCode: int64(e.ErrorCode),
			DateCreated: stored(e.At), DateUpdated: stored(e.At),
		})
	}
	row.row.Status, row.row.ErrorCode, row.row.DateUpdated = e.Status, int64(e.ErrorCode), stored(e.At)
	if e.ChannelMessage != "" {
		row.row.ChannelMessageSid = e.ChannelMessage
	}
	f.receipts.mark(row, plainChange)
	return nil
}
