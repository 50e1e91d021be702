package events

import (
	"strings"
	"time"
)

// Event is one thing that happened: a plain struct in the past tense. The type
// name is stored; it is a constant with a version and never derived from the Go
// name.
type Event interface {
	EventType() string
}

// ActorKind says who caused an event.
type ActorKind string

// The kinds of actors.
const (
	ActorUser        ActorKind = "user"        // a person, by identity; held to role permissions
	ActorParticipant ActorKind = "participant" // a participant, by SID
	ActorAPI         ActorKind = "api"         // account credentials; full rights
	ActorTimer       ActorKind = "timer"       // a timer that came due
	ActorChannel     ActorKind = "channel"     // a channel adapter (inbound, status)
	ActorImport      ActorKind = "import"      // an import of foreign history
	ActorSystem      ActorKind = "system"      // Parley itself
)

// Actor is who caused an event. ID is an identity, a SID or empty.
type Actor struct {
	Kind ActorKind `json:"kind"`
	ID   string    `json:"id,omitempty"`
}

// Metadata is what is known about an event besides what happened.
type Metadata struct {
	Occurred    time.Time // when it happened in the world: channel time, due time or effective date; UTC
	Account     string    // AC…
	Service     string    // IS…, empty for what belongs to the account itself
	Actor       Actor     // who
	Command     string    // type of the command that caused it
	CommandID   ID        // id of that command: the idempotency key
	CommandHash string    // hash of that command's body, hex
	Correlation string    // the business conversation it is part of; free text
	Causation   string    // id of the message that led to the command; free text
	Traceparent string    // W3C trace context
	Webhooks    bool      // X-Twilio-Webhook-Enabled of the request (reference 1.7)
	Node        string    // process that wrote it, where several share the log; else empty
	Append      string    // which append wrote it, while it is in a database; readers do not get it
}

// Proposed is an event on its way into the log.
type Proposed struct {
	ID       ID
	Type     string
	Data     []byte // JSON of the payload
	Metadata Metadata

	// EncodedMetadata is what AppendMetadata makes of Metadata, from a writer who has
	// it; nil: it is made.
	EncodedMetadata []byte
}

// Recorded is an event of the log. Data belongs to the receiver.
type Recorded struct {
	ID       ID
	Type     string
	Stream   string
	Revision uint64    // 0-based, dense per stream
	Position Position  // rising over the log, with gaps
	Recorded time.Time // when the log took it; UTC, never falls along the log
	Metadata Metadata
	Data     []byte // JSON of the payload as it was written

	// EncodedMetadata is, where a reader asked for it, the metadata as the log keeps
	// them: JSON that ParseMetadata reads. Metadata is empty then. Otherwise nil.
	EncodedMetadata []byte
}

// Categories of streams: the part of a stream's name before the first dash.
const (
	CategoryConversation = "conversation"
	CategoryService      = "service"
	CategoryUser         = "user"
	CategoryRole         = "role"
	CategoryAccount      = "account"
	CategoryReservation  = "reservation"
	CategoryAPIKey       = "apikey"
	CategoryCredential   = "credential"
	CategoryBinding      = "binding"
	CategoryAddress      = "address"
	CategoryMedia        = "media"
	CategoryForeign      = "foreign" // streams of others, see ForeignRecorded
)

// Categories returns those of Parley's own streams.
func Categories() []string {
	return []string{
		CategoryConversation, CategoryService, CategoryUser, CategoryRole, CategoryAccount, CategoryReservation,
		CategoryAPIKey, CategoryCredential, CategoryBinding, CategoryAddress, CategoryMedia,
	}
}

// Stream names the stream of one aggregate: category, dash, id.
func Stream(category, id string) string { return category + "-" + id }

// SplitStream is the reverse of Stream; ok is false for a foreign name.
func SplitStream(stream string) (category, id string, ok bool) {
	return strings.Cut(stream, "-")
}

// OccurredAt is when the event happened: the time of recording unless another one is known.
func (r *Recorded) OccurredAt() time.Time {
	if r.Metadata.Occurred.IsZero() {
		return r.Recorded
	}
	return r.Metadata.Occurred
}

// SchemaVersion returns the number behind ".v" of a stored type name, 0 when
// the name has none.
func SchemaVersion(eventType string) int {
	i := strings.LastIndex(eventType, ".v")
	if i < 0 {
		return 0
	}
	n := 0
	for _, c := range eventType[i+2:] {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}
