package projections

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-engine/parley/events"
)

// decode reads an event's payload. The three types that make up nearly all of a
// log are read without reflection when they look as the codec writes them;
// anything else, and anything unusual in those, goes the ordinary way. The
// result is the same (a test and a fuzz target compare the two).
func decode(r *events.Recorded) (events.Event, error) {
	if e, ok := decodeHot(r.Type, r.Data); ok {
		return e, nil
	}
	return events.Vocabulary().Decode(r.Type, r.Data)
}

var (
	messageAddedType    = events.MessageAdded{}.EventType()
	deliveryUpdatedType = events.DeliveryUpdated{}.EventType()
	horizonMovedType    = events.ReadHorizonMoved{}.EventType()
)

func decodeHot(eventType string, data []byte) (events.Event, bool) {
	switch eventType {
	case messageAddedType:
		return decodeMessageAdded(string(data))
	case deliveryUpdatedType:
		return decodeDeliveryUpdated(string(data))
	case horizonMovedType:
		return decodeHorizonMoved(string(data))
	}
	return nil, false
}

func decodeMessageAdded(data string) (events.Event, bool) {
	var e events.MessageAdded
	f := fields{rest: data}
	for f.next() {
		switch f.name {
		case "message":
			f.text(&e.Message)
		case "index":
			f.integer(&e.Index)
		case "author":
			f.text(&e.Author)
		case "participant":
			f.text(&e.Participant)
		case "body":
			f.text(&e.Body)
		case "attributes":
			f.text(&e.Attributes)
		case "recipients":
			f.texts(&e.Recipients)
		case "date_created":
			f.instant(&e.DateCreated)
		case "date_updated":
			f.instant(&e.DateUpdated)
		case "at":
			f.instant(&e.At)
		default:
			f.odd = true
		}
	}
	return e, !f.odd
}

func decodeDeliveryUpdated(data string) (events.Event, bool) {
	var e events.DeliveryUpdated
	f := fields{rest: data}
	for f.next() {
		switch f.name {
		case "receipt":
			f.text(&e.Receipt)
		case "message":
			f.text(&e.Message)
		case "participant":
			f.text(&e.Participant)
		case "channel_message":
			f.text(&e.ChannelMessage)
		case "status":
			f.text(&e.Status)
		case "at":
			f.instant(&e.At)
		default:
			f.odd = true
		}
	}
	return e, !f.odd
}

func decodeHorizonMoved(data string) (events.Event, bool) {
	var e events.ReadHorizonMoved
	f := fields{rest: data}
	for f.next() {
		switch f.name {
		case "participant":
			f.text(&e.Participant)
		case "index":
			f.integer(&e.Index)
		case "read_at":
			f.instant(&e.ReadAt)
		case "at":
			f.instant(&e.At)
		default:
			f.odd = true
		}
	}
	return e, !f.odd
}

// fields walks over one flat JSON object without white space. Whatever it does
// not expect makes it odd and ends the walk.
type fields struct {
	rest  string
	name  string
	began bool
	odd   bool

	instantText string // the last instant: an event often has the same one thrice
	instantRead time.Time
}

// next stands on the next field, false at the end.
func (f *fields) next() bool {
	switch {
	case f.odd:
		return false
	case f.rest == "}" && f.began:
		return false
	case f.began:
		f.expect(",")
	default:
		f.began = true
		f.expect("{")
	}
	f.text(&f.name)
	f.expect(":")
	return !f.odd
}

func (f *fields) expect(token string) {
	after, ok := strings.CutPrefix(f.rest, token)
	f.rest, f.odd = after, f.odd || !ok
}

// text takes a string off the front.
func (f *fields) text(into *string) {
	if f.odd || f.rest == "" || f.rest[0] != '"' {
		f.odd = true
		return
	}
	escaped, ascii := false, true
	for i := 1; i < len(f.rest); i++ {
		switch c := f.rest[i]; {
		case c == '"':
			f.take(into, i+1, escaped, ascii)
			return
		case c == '\\':
			escaped = true
			i++
		case c < 0x20:
			f.odd = true
			return
		case c >= 0x80:
			ascii = false
		}
	}
	f.odd = true
}

// take cuts the quoted string of n bytes off.
func (f *fields) take(into *string, n int, escaped, ascii bool) {
	quoted := f.rest[:n]
	f.rest = f.rest[n:]
	switch {
	case escaped:
		var plain string // not *into, which would then have to be on the heap
		f.odd = json.Unmarshal([]byte(quoted), &plain) != nil
		*into = plain
	case ascii || utf8.ValidString(quoted):
		*into = quoted[1 : n-1]
	default:
		f.odd = true
	}
}

func (f *fields) integer(into *int64) {
	n := strings.IndexAny(f.rest, ",}")
	if n < 1 || n > 18 || f.rest[0] == '+' || (f.rest[0] == '0' || f.rest[0] == '-' && f.rest[1] == '0') && n > 1 {
		f.odd = true
		return
	}
	value, err := strconv.ParseInt(f.rest[:n], 10, 64)
	*into, f.rest, f.odd = value, f.rest[n:], err != nil
}

func (f *fields) instant(into *time.Time) {
	var text string
	f.text(&text)
	if !f.odd && text != "" && text == f.instantText {
		*into = f.instantRead
		return
	}
	if f.odd || len(text) < len("2006-01-02T15:04:05Z") || text[len(text)-1] != 'Z' || strings.IndexByte(text, ',') >= 0 {
		f.odd = true
		return
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	*into, f.odd = t, err != nil
	f.instantText, f.instantRead = text, t
}

func (f *fields) texts(into *[]string) {
	f.expect("[")
	list := []string{}
	for !f.odd && !strings.HasPrefix(f.rest, "]") {
		if len(list) > 0 {
			f.expect(",")
		}
		var text string
		f.text(&text)
		list = append(list, text)
	}
	f.expect("]")
	*into = list
}
