package bus

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus/pubsub"
	"github.com/parley-engine/parley/internal/engine"
)

// Headers of a command. With HeaderCommand the body is the command's own JSON
// object; without it the body is an envelope whose member data is that object.
// Where both say something, the header wins.
const (
	HeaderCommand     = "Parley-Command"           // type: conversation.add-message
	HeaderCommandID   = "Parley-Command-Id"        // UUID: the idempotency key
	HeaderAccount     = "Parley-Account"           // AC…
	HeaderService     = "Parley-Service"           // IS…
	HeaderActorKind   = "Parley-Actor-Kind"        // events.ActorKind
	HeaderActorID     = "Parley-Actor-Id"          // identity or SID
	HeaderCorrelation = "Parley-Correlation-Id"    // free text
	HeaderCausation   = "Parley-Causation-Id"      // free text
	HeaderDeadline    = "Parley-Deadline"          // RFC 3339
	HeaderExpected    = "Parley-Expected-Revision" // integer from -1
	HeaderOccurred    = "Parley-Occurred"          // RFC 3339
	HeaderWebhooks    = "Parley-Webhooks"          // true or false
	HeaderTraceparent = "traceparent"              // W3C trace context
	HeaderReplyTo     = "Parley-Reply-To"          // subject for the reply; send door
	headerPlainReply  = "Reply-To"                 // what HeaderReplyTo is called elsewhere
	prefixParley      = "Parley-"
)

// Codes of failures that the bus itself finds.
const (
	CodeUnreadable = "body_unreadable"         // not a JSON object
	CodeTooLarge   = "body_too_large"          // over Options.MaxCommandBytes
	CodeUnknown    = "envelope_field_unknown"  // no such header or member
	CodeRepeated   = "envelope_field_repeated" // twice
	CodeInvalid    = "envelope_field_invalid"  // wrong type or form
	CodeMissing    = "envelope_field_missing"  // needed
	CodeBusy       = "busy"                    // too many commands in flight, or stopping
	CodeParked     = "parked"                  // behind a dead letter of the same aggregate
	CodeOutOfTurn  = "redrive_out_of_turn"     // the letter is gone or not the aggregate's first
	CodeInternal   = "internal"                // see the server's log
)

// newAggregate is the subject's last token for commands that create something
// and do not choose its id.
const newAggregate = "new"

// unreadable marks failures about bytes rather than contents: on the send door
// these go to the dead letters, because nobody can tell what they meant.
type unreadable struct{ *engine.Failure }

func (u unreadable) Unwrap() error { return u.Failure }

// envelope collects a command; seen tells repeated fields.
type envelope struct {
	command engine.Command
	seen    uint32
}

// field is one entry of the envelope: its member in the body, its header, and
// how its text is taken.
type field struct {
	member string // actor's members have a dot
	header string
	quoted bool // a JSON string in the body
	set    func(c *engine.Command, text string) error
}

var fields = []field{
	{"command", HeaderCommand, true, func(c *engine.Command, s string) error { c.Type = s; return nonEmpty(s) }},
	{"id", HeaderCommandID, true, setID},
	{"account", HeaderAccount, true, func(c *engine.Command, s string) error { c.Account = s; return nil }},
	{"service", HeaderService, true, func(c *engine.Command, s string) error { c.Service = s; return nil }},
	{"actor.kind", HeaderActorKind, true, setActorKind},
	{"actor.id", HeaderActorID, true, func(c *engine.Command, s string) error { c.Actor.ID = s; return nil }},
	{"correlation_id", HeaderCorrelation, true, func(c *engine.Command, s string) error { c.Correlation = s; return nil }},
	{"causation_id", HeaderCausation, true, func(c *engine.Command, s string) error { c.Causation = s; return nil }},
	{"traceparent", HeaderTraceparent, true, func(c *engine.Command, s string) error { c.Traceparent = s; return nil }},
	{"deadline", HeaderDeadline, true, func(c *engine.Command, s string) error { return setTime(&c.Deadline, s) }},
	{"occurred", HeaderOccurred, true, func(c *engine.Command, s string) error { return setTime(&c.Occurred, s) }},
	{"expected_revision", HeaderExpected, false, setExpected},
	{"webhooks", HeaderWebhooks, false, setWebhooks},
}

// index of the fields by both of their names.
var (
	memberIndex = indexBy(func(f field) string { return f.member })
	headerIndex = indexBy(func(f field) string { return f.header })
)

func indexBy(name func(field) string) map[string]int {
	index := make(map[string]int, len(fields))
	for i, f := range fields {
		index[name(f)] = i
	}
	return index
}

// decode turns a delivery into a command. Errors are *engine.Failure, wrapped
// in unreadable when the bytes are to blame.
func (n naming) decode(d *pubsub.Delivery, maxBytes int) (engine.Command, error) {
	if len(d.Data) > maxBytes {
		return engine.Command{}, unreadable{&engine.Failure{Code: CodeTooLarge, Kind: engine.KindPayloadTooLarge,
			Message: fmt.Sprintf("the body has %d bytes, %d are allowed", len(d.Data), maxBytes)}}
	}
	if err := checkObject(d.Data); err != nil {
		return engine.Command{}, unreadable{invalid(CodeUnreadable, "", "the body is %v", err)}
	}
	var e envelope
	if err := e.read(d); err != nil {
		return engine.Command{}, err
	}
	if e.command.Type == "" {
		return engine.Command{}, invalid(CodeMissing, "command", "name the command in the header %s or the member command", HeaderCommand)
	}
	e.complete(d)
	if e.command.ID.IsZero() {
		e.command.ID = n.id(d)
	}
	return e.command, nil
}

func (e *envelope) read(d *pubsub.Delivery) error {
	if err := e.readHeaders(d); err != nil {
		return err
	}
	if e.command.Type != "" {
		e.command.Body = d.Data
		return nil
	}
	inHeaders := e.seen
	e.seen = 0
	return members(d.Data, func(name string, value []byte) error { return e.member(name, value, inHeaders) })
}

// complete fills in what the producer may leave out.
func (e *envelope) complete(d *pubsub.Delivery) {
	c := &e.command
	if c.Body == nil {
		c.Body = []byte("{}")
	}
	if aggregate := pubsub.LastToken(d); aggregate != newAggregate {
		c.Aggregate = aggregate
	}
}

func (e *envelope) readHeaders(d *pubsub.Delivery) error {
	for name, values := range d.Header {
		i, known := headerIndex[name]
		if !known {
			if foreignHeader(name) || name == headerAuthority && d.Sequence > 0 {
				continue
			}
			return invalid(CodeUnknown, name, "there is no header %s", name)
		}
		if len(values) != 1 {
			return invalid(CodeRepeated, name, "the header %s must not be repeated", name)
		}
		if err := e.set(i, name, values[0]); err != nil {
			return err
		}
	}
	return nil
}

// foreignHeader reports headers that are none of the envelope's business. A
// misspelt header of ours is one of ours.
func foreignHeader(name string) bool {
	ours := len(name) >= len(prefixParley) && strings.EqualFold(name[:len(prefixParley)], prefixParley)
	return !ours || name == HeaderReplyTo
}

// Bits of envelope.seen for the two members that are objects.
const (
	seenActor = 1 << 30
	seenData  = 1 << 31
)

func (e *envelope) member(name string, value []byte, inHeaders uint32) error {
	switch name {
	case "data":
		e.command.Body = value
		return e.object(name, value, seenData)
	case "actor":
		if err := e.object(name, value, seenActor); err != nil {
			return err
		}
		return members(value, func(inner string, v []byte) error { return e.plain("actor."+inner, v, inHeaders) })
	}
	if strings.Contains(name, ".") {
		return invalid(CodeUnknown, name, "there is no member %s", name)
	}
	return e.plain(name, value, inHeaders)
}

// object checks a member that must be an object and must be there once.
func (e *envelope) object(name string, value []byte, bit uint32) error {
	if e.seen&bit != 0 {
		return invalid(CodeRepeated, name, "%s is there twice", name)
	}
	e.seen |= bit
	if value[0] != '{' {
		return invalid(CodeInvalid, name, "%s must be an object", name)
	}
	return nil
}

func (e *envelope) plain(name string, value []byte, inHeaders uint32) error {
	i, known := memberIndex[name]
	if !known {
		return invalid(CodeUnknown, name, "there is no member %s", name)
	}
	if inHeaders&(1<<i) != 0 {
		return nil // the header wins
	}
	text, ok := scalar(value, fields[i].quoted)
	if !ok {
		return invalid(CodeInvalid, name, "%s has the wrong type", name)
	}
	if fields[i].quoted && engine.CheckJSON(value, &text) != nil {
		return invalid(CodeInvalid, name, "%s has one half of a surrogate pair in it, or is a date before all dates", name)
	}
	return e.set(i, name, text)
}

// scalar returns the text of a JSON value that must, or must not, be a string.
func scalar(value []byte, quoted bool) (string, bool) {
	if !quoted {
		return string(value), value[0] != '"'
	}
	text, err := unquote(value)
	return text, err == nil
}

func (e *envelope) set(i int, name, text string) error {
	if e.seen&(1<<i) != 0 {
		return invalid(CodeRepeated, name, "%s is there twice", name)
	}
	e.seen |= 1 << i
	if fault := domain.TextFault(text); fault != "" {
		return invalid(CodeInvalid, name, "%s %s", name, fault)
	}
	if err := fields[i].set(&e.command, text); err != nil {
		return invalid(CodeInvalid, name, "%s: %v", name, err)
	}
	return nil
}

func invalid(code, field, format string, args ...any) *engine.Failure {
	return &engine.Failure{Code: code, Field: field, Kind: string(domain.InvalidArgument), Message: fmt.Sprintf(format, args...)}
}

func nonEmpty(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func setID(c *engine.Command, s string) (err error) {
	if c.ID, err = events.ParseID(s); err == nil && c.ID.IsZero() {
		err = errors.New("the nil UUID is no id")
	}
	return err
}

func setActorKind(c *engine.Command, s string) error {
	if !slices.Contains(actorKinds, s) {
		return fmt.Errorf("there is no kind %.40q", s)
	}
	c.Actor.Kind = events.ActorKind(s)
	return nil
}

func setTime(t *time.Time, s string) (err error) {
	if *t, err = time.Parse(time.RFC3339Nano, s); err != nil {
		return fmt.Errorf("not an RFC 3339 time: %.40q", s)
	}
	if fault := domain.DateFault(*t); fault != "" {
		return errors.New(fault)
	}
	*t = t.UTC()
	return nil
}

func setExpected(c *engine.Command, s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < -1 {
		return fmt.Errorf("not a revision, an integer from -1: %.40q", s)
	}
	c.ExpectedRevision = &n
	return nil
}

func setWebhooks(c *engine.Command, s string) error {
	if s != "true" && s != "false" {
		return fmt.Errorf("neither true nor false: %.40q", s)
	}
	c.Webhooks = s == "true"
	return nil
}

// EnvelopeField describes one field of a command's envelope.
type EnvelopeField struct {
	Member      string   // in the body; actor's members have a dot
	Header      string   // in the headers
	Type        string   // JSON type in the body
	Format      string   // JSON Schema format, if any
	Enum        []string // all values, if they are few
	Description string
}

// Envelope describes all fields of a command's envelope.
func Envelope() []EnvelopeField {
	return []EnvelopeField{
		{"command", HeaderCommand, "string", "", nil, "type of the command"},
		{"id", HeaderCommandID, "string", "uuid", nil, "idempotency key; default: a random one on the call door, derived on the send door from the sequence and the instant at which the stream stored it"},
		{"account", HeaderAccount, "string", "", nil, "AC…; default: the engine's"},
		{"service", HeaderService, "string", "", nil, "IS…; default: the account's"},
		{"actor.kind", HeaderActorKind, "string", "", actorKinds, "who asks; a user is held to role permissions; default: api"},
		{"actor.id", HeaderActorID, "string", "", nil, "identity or SID of who asks"},
		{"correlation_id", HeaderCorrelation, "string", "", nil, "free text, travels into the events"},
		{"causation_id", HeaderCausation, "string", "", nil, "free text, travels into the events"},
		{"traceparent", HeaderTraceparent, "string", "", nil, "W3C trace context, travels into the events"},
		{"deadline", HeaderDeadline, "string", "date-time", nil, "the command is refused as expired after this instant"},
		{"expected_revision", HeaderExpected, "integer", "", nil, "of the aggregate's stream; -1: it does not exist; else the command is refused"},
		{"occurred", HeaderOccurred, "string", "date-time", nil, "when it happened in the world; default: now"},
		{"webhooks", HeaderWebhooks, "boolean", "", nil, "whether webhooks see it, like X-Twilio-Webhook-Enabled; default: false"},
	}
}

var actorKinds = []string{
	string(events.ActorUser), string(events.ActorParticipant), string(events.ActorAPI), string(events.ActorTimer),
	string(events.ActorChannel), string(events.ActorImport), string(events.ActorSystem),
}
