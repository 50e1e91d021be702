package rest

import (
	"strings"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// messageBody is a message (reference 1.9.11).
type messageBody struct {
	Sid             string        `json:"sid"`
	AccountSid      string        `json:"account_sid"`
	ChatServiceSid  string        `json:"chat_service_sid,omitempty"`
	ConversationSid string        `json:"conversation_sid"`
	Index           int64         `json:"index"`
	Author          string        `json:"author"`
	Body            *string       `json:"body"`
	Media           []mediaItem   `json:"media"`
	Attributes      string        `json:"attributes"`
	ParticipantSid  *string       `json:"participant_sid"`
	DateCreated     string        `json:"date_created" format:"date-time"`
	DateUpdated     string        `json:"date_updated" format:"date-time"`
	Delivery        *deliveryBody `json:"delivery"`
	ContentSid      *string       `json:"content_sid"`
	URL             string        `json:"url"`
	Links           messageLinks  `json:"links"`
}

type mediaItem struct {
	Sid         string  `json:"sid"`
	Size        int64   `json:"size"`
	ContentType string  `json:"content_type"`
	Filename    *string `json:"filename"`
}

type deliveryBody struct {
	Total       int64             `json:"total"`
	Sent        projections.Share `json:"sent" values:"all|some|none"`
	Delivered   projections.Share `json:"delivered" values:"all|some|none"`
	Read        projections.Share `json:"read" values:"all|some|none"`
	Failed      projections.Share `json:"failed" values:"all|some|none"`
	Undelivered projections.Share `json:"undelivered" values:"all|some|none"`
}

type messageLinks struct {
	DeliveryReceipts string `json:"delivery_receipts"`
	ChannelMetadata  string `json:"channel_metadata"`
}

func (c *call) messageBody(row projections.Message) messageBody {
	url := c.base() + "/Conversations/" + row.ConversationSid + "/Messages/" + row.Sid
	return messageBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: c.within(row.ChatServiceSid), ConversationSid: row.ConversationSid,
		Index: row.Index, Author: row.Author, Body: maybe(row.Body), Media: mediaItems(row.Media), Attributes: row.Attributes,
		ParticipantSid: maybe(row.ParticipantSid), DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		Delivery: (*deliveryBody)(row.Delivery), ContentSid: maybe(row.ContentSid), URL: url,
		Links: messageLinks{DeliveryReceipts: url + "/Receipts", ChannelMetadata: url + "/ChannelMetadata"},
	}
}

func mediaItems(media []events.Media) []mediaItem {
	if len(media) == 0 {
		return nil
	}
	items := make([]mediaItem, len(media))
	for i, m := range media {
		items[i] = mediaItem{Sid: m.Media, Size: m.Size, ContentType: m.ContentType, Filename: maybe(m.Filename)}
	}
	return items
}

func (c *call) showMessage(conversation, sid string) error {
	row, err := c.Models.Message(c.r.Context(), c.place.Service, conversation, sid)
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.Revision)
	return c.answer(c.messageBody(row))
}

func (c *call) showNamedMessage(conversation string) error {
	return c.showMessage(conversation, c.r.PathValue("Sid"))
}

func (c *call) messages(conversation string, p projections.Page) (projections.List[projections.Message], error) {
	newestFirst := strings.EqualFold(c.values.str("Order"), "desc")
	return c.Models.Messages(c.r.Context(), c.place.Service, conversation, newestFirst, p)
}

func createMessage(c *call) error {
	sid, err := c.write("ConversationSid")
	if err != nil {
		return err
	}
	v := c.values
	add := conversation.AddMessage{
		Author: v.str("Author"), Body: v.str("Body"), Attributes: v.str("Attributes"), Subject: v.str("Subject"),
		Content: v.str("ContentSid"), ContentVariables: v.str("ContentVariables"),
		DateCreated: v.date("DateCreated"), DateUpdated: v.date("DateUpdated"),
	}
	for _, media := range v.list("MediaSid") {
		add.Media = append(add.Media, events.Media{Media: media})
	}
	outcome, err := c.command(sid, add)
	if err != nil {
		return err
	}
	return c.showAdded(sid, outcome)
}

// showAdded answers from the event itself: the message is as it was decided, and
// nobody has to wait for a read model.
func (c *call) showAdded(conversation string, outcome engine.Outcome) error {
	for _, e := range outcome.Decided {
		if added, ok := e.(events.MessageAdded); ok {
			c.revised(uint64(outcome.Revision))
			return c.sendMessage(c.messageBody(c.added(conversation, added)))
		}
	}
	return c.showMessage(conversation, outcome.Sid)
}

func (c *call) added(conversation string, e events.MessageAdded) projections.Message {
	return projections.Message{
		Sid: e.Message, AccountSid: c.place.Account, ChatServiceSid: c.place.Service, ConversationSid: conversation,
		Index: e.Index, Author: e.Author, ParticipantSid: e.Participant, Body: e.Body, Media: e.Media, Attributes: e.Attributes,
		ContentSid: e.Content, DateCreated: e.DateCreated, DateUpdated: e.DateUpdated, Delivery: projections.NoneYet(len(e.Recipients)),
	}
}

func updateMessage(c *call) error {
	v, message := c.values, c.r.PathValue("Sid")
	return c.changeIn("ConversationSid", conversation.EditMessage{
		Message: message, Author: v.text("Author"), Body: v.text("Body"), Attributes: v.text("Attributes"), Subject: v.text("Subject"),
		DateCreated: v.date("DateCreated"), DateUpdated: v.date("DateUpdated"),
	}, func(in string, _ engine.Outcome) error { return c.showMessage(in, message) })
}

func deleteMessage(c *call) error {
	return c.removeIn("ConversationSid", conversation.RemoveMessage{Message: c.r.PathValue("Sid")})
}

// receiptBody is a delivery receipt (reference 1.9.12).
type receiptBody struct {
	Sid               string  `json:"sid"`
	AccountSid        string  `json:"account_sid"`
	ChatServiceSid    string  `json:"chat_service_sid,omitempty"`
	ConversationSid   string  `json:"conversation_sid"`
	MessageSid        string  `json:"message_sid"`
	ChannelMessageSid *string `json:"channel_message_sid"`
	ParticipantSid    string  `json:"participant_sid"`
	Status            string  `json:"status" values:"sent|delivered|read|failed|undelivered"`
	ErrorCode         int64   `json:"error_code"`
	DateCreated       string  `json:"date_created" format:"date-time"`
	DateUpdated       string  `json:"date_updated" format:"date-time"`
	URL               string  `json:"url"`
}

func (c *call) receiptBody(row projections.Receipt) receiptBody {
	return receiptBody{
		Sid: row.Sid, AccountSid: row.AccountSid, ChatServiceSid: c.within(row.ChatServiceSid), ConversationSid: row.ConversationSid,
		MessageSid: row.MessageSid, ChannelMessageSid: maybe(row.ChannelMessageSid), ParticipantSid: row.ParticipantSid,
		Status: row.Status, ErrorCode: row.ErrorCode, DateCreated: stamp(row.DateCreated), DateUpdated: stamp(row.DateUpdated),
		URL: c.base() + "/Conversations/" + row.ConversationSid + "/Messages/" + row.MessageSid + "/Receipts/" + row.Sid,
	}
}

func (c *call) receipts(conversation string, p projections.Page) (projections.List[projections.Receipt], error) {
	return c.Models.Receipts(c.r.Context(), c.place.Service, conversation, c.r.PathValue("MessageSid"), p)
}

func (c *call) showReceipt(conversation string) error {
	row, err := c.Models.Receipt(c.r.Context(), c.place.Service, conversation, c.r.PathValue("MessageSid"), c.r.PathValue("Sid"))
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	c.revised(row.Revision)
	return c.answer(c.receiptBody(row))
}

// showChannelMetadata is a link of every message, with nothing behind it yet
// (reference 1.9.13).
func (c *call) showChannelMetadata(conversation string) error {
	row, err := c.Models.Message(c.r.Context(), c.place.Service, conversation, c.r.PathValue("Sid"))
	if err := c.found(err, row.AccountSid, row.ChatServiceSid); err != nil {
		return err
	}
	p := notFound(c.r.URL.Path)
	p.code, p.message = 50530, "The message has no channel metadata"
	return p
}
