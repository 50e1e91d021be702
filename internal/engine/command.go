package engine

import (
	"encoding/json"
	"time"

	"github.com/parley-engine/parley/events"
)

// Command is one request to change one aggregate, as an adapter hands it over.
type Command struct {
	// ID is the idempotency key: the same id with the same body gets the first
	// outcome again, with another body it is refused. Zero: the engine makes one.
	ID events.ID
	// Type is the registered name: conversation.add-message.
	Type string
	// Aggregate is the id of the aggregate: CH…, US…, …; empty to create one.
	Aggregate string
	// Account and Service say where; empty means the engine's default account
	// and that account's default service.
	Account, Service string
	// Actor is who asks. An actor of kind user is held to role permissions.
	// The zero Actor is the API with full rights.
	Actor events.Actor
	// Body is the JSON object of the command's fields. Unknown fields are refused.
	Body json.RawMessage
	// Fields are the same as Go values, for callers who have them: a struct of the
	// command's own type, which Body is then not looked at for.
	Fields interface{ CommandType() string }
	// ExpectedRevision, when not nil, must be the revision the aggregate's
	// stream is at (-1: it does not exist).
	ExpectedRevision *int64
	// Occurred is when it happened in the world; zero means now.
	Occurred time.Time
	// Deadline, when not zero, is the instant after which it must not be done.
	Deadline time.Time
	// Correlation, Causation and Traceparent travel into the events' metadata.
	Correlation, Causation, Traceparent string
	// Webhooks is X-Twilio-Webhook-Enabled.
	Webhooks bool
}

// Outcome is what became of a command. It is re-derived from the log when the
// command is repeated, so it holds nothing that is not in the log.
type Outcome struct {
	CommandID events.ID       `json:"command_id"`
	Aggregate string          `json:"aggregate"`          // id of the aggregate
	Sid       string          `json:"sid,omitempty"`      // of what the command made: CH…, MB…, IM…, WH…
	Index     *int64          `json:"index,omitempty"`    // of the message it made
	Revision  int64           `json:"revision"`           // of the stream after the command
	Position  events.Position `json:"position"`           // of the last event, as text; "0" when nothing was written
	Events    []string        `json:"events"`             // types of the events, in order; empty: nothing to do
	Repeated  bool            `json:"repeated,omitempty"` // the command had been done before
	Decided   []events.Event  `json:"-"`                  // the events themselves, not to be changed
}

// Failure is every answer of the engine that is not an outcome. Exactly one of
// three families: refused by the domain, retryable, internal.
type Failure struct {
	Code       string        `json:"code"`
	Message    string        `json:"message"`
	Field      string        `json:"field,omitempty"`
	Twilio     int           `json:"twilio_code,omitempty"`
	Kind       string        `json:"kind"` // domain.Kind, or one of the kinds below
	Retryable  bool          `json:"retryable"`
	RetryAfter time.Duration `json:"-"`
	cause      error
}

// The kinds of failures besides domain.Kind.
const (
	KindVersionConflict     = "version_conflict"     // ExpectedRevision did not hold
	KindIdempotencyConflict = "idempotency_conflict" // same id, other body
	KindExpired             = "expired"              // the deadline passed
	KindPayloadTooLarge     = "payload_too_large"
	KindUnavailable         = "unavailable" // retryable: back-pressure, store not ready
	KindInternal            = "internal"    // details are in the log only
	KindUnauthenticated     = "unauthenticated"
)

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// Unwrap returns what caused the failure, if anything is known.
func (f *Failure) Unwrap() error { return f.cause }
