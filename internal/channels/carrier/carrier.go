// Package carrier is the port to what carries messages outside: SMS gateways,
// WhatsApp senders, Twilio, an SMSC. An adapter sends, and hands over what comes
// back: inbound messages and statuses of what was sent.
//
// What is handed over is durable when take returns nil; only then may an adapter
// acknowledge it to its gateway. What is handed over twice counts once, by its ID.
package carrier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Outgoing is one message to one recipient, or to all members of a native group.
type Outgoing struct {
	Key              string   // the same at every attempt, and of no other message: an idempotency key
	Type             string   // sms, whatsapp, …
	MessagingService string   // MG…
	From             string   // proxy address; of a group: the number that the author speaks as
	To               []string // one, or the members of a native group MMS but the author
	Body             string   // may be empty when there is media
	Media            []string // addresses to fetch the files from, valid for hours
	StatusURL        string   // where statuses may be sent to; empty: nowhere
}

// Sent is what the gateway said when it took a message.
type Sent struct {
	ID     string // the gateway's; later statuses name it
	Status string // events.DeliveryQueued or events.DeliverySent; or a final one, where it is known at once
}

// Carrier sends. It is safe for concurrent use.
type Carrier interface {
	// Send hands a message to the gateway. Of the errors, *Refused is final; one that
	// is ErrUnknown says that the message may have been sent; after every other one it
	// was certainly not, and the same message is sent again later, *Later saying when.
	Send(ctx context.Context, m Outgoing) (Sent, error)
	// Idempotent reports whether the gateway recognises Outgoing.Key, so that a
	// message that may have been sent can be sent again.
	Idempotent() bool
}

// Listener is a Carrier that itself fetches what comes back.
type Listener interface {
	// Listen hands over what comes back until ctx ends; then it returns nil. It
	// reconnects by itself. take is safe for concurrent use.
	Listen(ctx context.Context, take func(context.Context, Report) error) error
}

// Receiver is a Carrier whose gateway sends requests.
type Receiver interface {
	// Receive reads one request. Nothing was done before it returns; what it returned
	// is taken durably before the answer is sent. Its errors are ErrForbidden and
	// *Malformed.
	Receive(r Request) ([]Report, Answer, error)
}

// Kinds of requests, as in the path they come to.
const (
	KindInbound = "inbound"
	KindStatus  = "status"
)

// Request is what a gateway sent.
type Request struct {
	Kind   string // KindInbound or KindStatus
	Method string
	URL    string // the whole address as the gateway knows it: signatures are made over it
	Header http.Header
	Body   []byte
}

// Answer is what the gateway is told once everything was taken. The zero Answer is
// 204 without a body.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// Report is one thing that came back: one of the two.
type Report struct {
	Inbound *Inbound
	Status  *Status
	After   time.Duration // how much later it counts; for carriers that are simulated
}

// Inbound is a message from outside.
type Inbound struct {
	ID    string    `json:"id"`             // the gateway's; the same for the same message. Required
	Type  string    `json:"type,omitempty"` // sms, whatsapp, …; empty: by the addresses
	From  string    `json:"from"`           // address
	To    []string  `json:"to"`             // proxy address; more than one of a native group MMS
	Body  string    `json:"body,omitempty"`
	Media []Media   `json:"media,omitempty"`
	At    time.Time `json:"at,omitzero"` // when it was written, if the gateway says so
}

// Media is a file of an inbound message.
type Media struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type,omitempty"` // if the gateway says so
}

// Status is what became of a message.
type Status struct {
	ID        string    `json:"id"`                   // Sent.ID of the message
	To        string    `json:"to,omitempty"`         // of which recipient; empty: of the only one
	Status    string    `json:"status"`               // one of events.Delivery…
	ErrorCode int       `json:"error_code,omitempty"` // Twilio's code where one fits (reference 4.5); else 0
	At        time.Time `json:"at,omitzero"`
}

// ErrUnknown says that a message may have been sent, or not.
var ErrUnknown = errors.New("the message may have been sent")

// ErrForbidden says that a request is not from whom it should be.
var ErrForbidden = errors.New("the request is not signed by the gateway")

// Refused says that a message will never be sent.
type Refused struct {
	Code   int // Twilio's code where one fits; else 0
	Reason string
}

func (r *Refused) Error() string { return fmt.Sprintf("refused (%d): %s", r.Code, r.Reason) }

// Later says that the gateway wants to be asked again after a while.
type Later struct {
	After  time.Duration
	Reason string
}

func (l *Later) Error() string { return "later: " + l.Reason }

// Malformed says that a request cannot be read.
type Malformed struct{ Reason string }

func (m *Malformed) Error() string { return "malformed request: " + m.Reason }
