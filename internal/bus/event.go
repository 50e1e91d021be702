package bus

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parley-engine/parley/events"
)

// Headers of an event: CloudEvents 1.0 in binary mode over NATS. The body is
// the payload's JSON. EventHeaders describes them.
const (
	ceSpecVersion  = "ce-specversion"
	ceID           = "ce-id"
	ceSource       = "ce-source"
	ceType         = "ce-type"
	ceSubject      = "ce-subject"
	ceTime         = "ce-time"
	ceDataSchema   = "ce-dataschema"
	ceSequence     = "ce-sequence"
	cePartitionKey = "ce-partitionkey"
	ceRecordedTime = "ce-recordedtime"
	cePosition     = "ce-position"
	ceCorrelation  = "ce-correlationid"
	ceCausation    = "ce-causationid"
	ceCommand      = "ce-commandid"
	ceAccount      = "ce-account"
	ceService      = "ce-service"
	ceTraceparent  = "ce-traceparent"
	contentType    = "content-type"
)

// EventHeader describes one header of a published event.
type EventHeader struct {
	Header      string
	Always      bool // every event has it
	Description string
}

// EventHeaders describes all headers of a published event. Values are
// percent-encoded where they are not printable ASCII.
func EventHeaders() []EventHeader {
	return []EventHeader{
		{contentType, true, "application/json"},
		{ceSpecVersion, true, "1.0"},
		{ceID, true, "UUID of the event, and its Nats-Msg-Id: recognise repeats by it"},
		{ceSource, true, "/<category>/<aggregate id>"},
		{ceType, true, "type with its version"},
		{ceSubject, true, "id of the aggregate"},
		{ceTime, true, "when it happened in the world, RFC 3339"},
		{ceDataSchema, true, "identifier of the payload's JSON Schema"},
		{ceSequence, true, "revision in the aggregate's stream, 20 digits: dense from 0, so a gap shows"},
		{cePartitionKey, true, "id of the aggregate: events of one are in order"},
		{ceRecordedTime, true, "when the log took it, RFC 3339"},
		{cePosition, true, "position in the whole log"},
		{ceCorrelation, false, "of the command"},
		{ceCausation, false, "of the command"},
		{ceCommand, false, "id of the command that caused it"},
		{ceAccount, false, "AC…"},
		{ceService, false, "IS…"},
		{ceTraceparent, false, "W3C trace context"},
	}
}

// EventSchema is the identifier of the JSON Schema of an event type's payload.
func EventSchema(eventType string) string { return "urn:parley:event:" + eventType }

// NoAccount stands in the subject of an event that belongs to no account.
const NoAccount = "none"

// SubjectOf is where an event is published: parley.events, the account or NoAccount,
// the three parts of its type (category, name, version), and the aggregate's id, in
// which characters that mean something in a subject are replaced by "_".
func SubjectOf(account, eventType, aggregate string) string {
	return prefixEvents + subjectToken(cmp.Or(account, NoAccount)) + "." + eventType + "." + subjectToken(aggregate)
}

func subjectToken(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == '*' || r == '>' {
			return '_'
		}
		return r
	}, s)
}

// eventMessage writes the event for the world outside: in today's shape,
// whatever shape it was stored in.
func eventMessage(e events.Recorded) (*nats.Msg, error) {
	eventType, data, err := today(e)
	if err != nil {
		return nil, fmt.Errorf("publish event %s: %w", e.ID, err)
	}
	category, aggregate, _ := events.SplitStream(e.Stream)
	m := nats.NewMsg(SubjectOf(e.Metadata.Account, eventType, aggregate))
	m.Data = data
	h := m.Header
	h.Set(nats.MsgIdHdr, e.ID.String())
	h.Set(contentType, "application/json")
	h.Set(ceSpecVersion, "1.0")
	h.Set(ceID, e.ID.String())
	h.Set(ceSource, "/"+category+"/"+headerText(aggregate))
	h.Set(ceType, eventType)
	h.Set(ceSubject, headerText(aggregate))
	h.Set(ceTime, happened(e).Format(time.RFC3339Nano))
	h.Set(ceDataSchema, EventSchema(eventType))
	h.Set(ceSequence, fmt.Sprintf("%020d", e.Revision))
	h.Set(cePartitionKey, headerText(aggregate))
	h.Set(ceRecordedTime, e.Recorded.UTC().Format(time.RFC3339Nano))
	h.Set(cePosition, e.Position.String())
	setMetadata(h, e.Metadata)
	return m, nil
}

func setMetadata(h nats.Header, m events.Metadata) {
	set(h, ceCorrelation, headerText(m.Correlation))
	set(h, ceCausation, headerText(m.Causation))
	set(h, ceAccount, headerText(m.Account))
	set(h, ceService, headerText(m.Service))
	set(h, ceTraceparent, headerText(m.Traceparent))
	if !m.CommandID.IsZero() {
		h.Set(ceCommand, m.CommandID.String())
	}
}

func happened(e events.Recorded) time.Time {
	if e.Metadata.Occurred.IsZero() {
		return e.Recorded.UTC()
	}
	return e.Metadata.Occurred.UTC()
}

// former are the types that are read but no longer written.
var former = func() map[string]bool {
	set := make(map[string]bool)
	for _, name := range events.FormerTypes() {
		set[name] = true
	}
	return set
}()

func today(e events.Recorded) (eventType string, data []byte, err error) {
	if !former[e.Type] {
		return e.Type, e.Data, nil
	}
	decoded, err := events.Vocabulary().Decode(e.Type, e.Data)
	if err != nil {
		return "", nil, err
	}
	return events.Vocabulary().Encode(decoded)
}

// headerText percent-encodes what a header must not carry, as the CloudEvents
// bindings demand: everything outside printable ASCII, space, quote, percent.
func headerText(s string) string {
	plain := strings.IndexFunc(s, escaped) < 0
	if plain {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || escaped(rune(c)) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escaped(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '%' }

func set(h nats.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}
