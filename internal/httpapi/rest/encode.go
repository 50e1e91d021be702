package rest

import (
	"strconv"
	"sync"
)

// buffers are used again for what is sent at once.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxBuffer is the largest buffer that is kept, in bytes.
const maxBuffer = 64 << 10

func (c *call) sendMessage(m messageBody) error {
	buffer := buffers.Get().(*[]byte)
	data := m.appendJSON((*buffer)[:0])
	err := c.send(data)
	if cap(data) <= maxBuffer {
		*buffer = data
		buffers.Put(buffer)
	}
	return err
}

// appendJSON writes a message as encoding/json would (a test compares the two):
// messages are most of what is sent, and reflection is most of what sending them
// would cost.
func (m messageBody) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"sid":`...), m.Sid)
	b = appendText(append(b, `,"account_sid":`...), m.AccountSid)
	if m.ChatServiceSid != "" {
		b = appendText(append(b, `,"chat_service_sid":`...), m.ChatServiceSid)
	}
	b = appendText(append(b, `,"conversation_sid":`...), m.ConversationSid)
	b = strconv.AppendInt(append(b, `,"index":`...), m.Index, 10)
	b = appendText(append(b, `,"author":`...), m.Author)
	b = appendMaybe(append(b, `,"body":`...), m.Body)
	b = appendMedia(append(b, `,"media":`...), m.Media)
	b = appendText(append(b, `,"attributes":`...), m.Attributes)
	b = appendMaybe(append(b, `,"participant_sid":`...), m.ParticipantSid)
	b = appendText(append(b, `,"date_created":`...), m.DateCreated)
	b = appendText(append(b, `,"date_updated":`...), m.DateUpdated)
	b = appendDelivery(append(b, `,"delivery":`...), m.Delivery)
	b = appendMaybe(append(b, `,"content_sid":`...), m.ContentSid)
	b = appendText(append(b, `,"url":`...), m.URL)
	b = appendText(append(b, `,"links":{"delivery_receipts":`...), m.Links.DeliveryReceipts)
	b = appendText(append(b, `,"channel_metadata":`...), m.Links.ChannelMetadata)
	return append(b, `}}`...)
}

func appendMedia(b []byte, items []mediaItem) []byte {
	if items == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"sid":`...), item.Sid)
		b = strconv.AppendInt(append(b, `,"size":`...), item.Size, 10)
		b = appendText(append(b, `,"content_type":`...), item.ContentType)
		b = append(appendMaybe(append(b, `,"filename":`...), item.Filename), '}')
	}
	return append(b, ']')
}

func appendDelivery(b []byte, d *deliveryBody) []byte {
	if d == nil {
		return append(b, "null"...)
	}
	b = strconv.AppendInt(append(b, `{"total":`...), d.Total, 10)
	b = appendText(append(b, `,"sent":`...), string(d.Sent))
	b = appendText(append(b, `,"delivered":`...), string(d.Delivered))
	b = appendText(append(b, `,"read":`...), string(d.Read))
	b = appendText(append(b, `,"failed":`...), string(d.Failed))
	b = appendText(append(b, `,"undelivered":`...), string(d.Undelivered))
	return append(b, '}')
}

func appendMaybe(b []byte, text *string) []byte {
	if text == nil {
		return append(b, "null"...)
	}
	return appendText(b, *text)
}

// appendText quotes a text. What needs escapes, or may, goes the ordinary way.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := marshal(text)
			if err != nil {
				panic(err) // a string always marshals
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
