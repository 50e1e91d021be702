package bus

import (
	"cmp"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/parley-engine/parley/internal/engine"
)

// Reply is the body of every answer: an outcome or an error, never both.
type Reply struct {
	OK      bool            `json:"ok"`
	Outcome *engine.Outcome `json:"outcome,omitempty"`
	Error   *ReplyError     `json:"error,omitempty"`
}

// ReplyError is an engine.Failure on the wire.
type ReplyError struct {
	Code       string  `json:"code"`
	Kind       string  `json:"kind"`
	Message    string  `json:"message"`
	Field      string  `json:"field,omitempty"`
	Twilio     int     `json:"twilio_code,omitempty"`
	Retryable  bool    `json:"retryable"`
	RetryAfter float64 `json:"retry_after,omitempty"` // seconds
}

func failed(f *engine.Failure) Reply {
	return Reply{Error: &ReplyError{
		Code: f.Code, Kind: f.Kind, Message: f.Message, Field: f.Field, Twilio: f.Twilio,
		Retryable: f.Retryable, RetryAfter: f.RetryAfter.Seconds(),
	}}
}

// result turns a reply back into what Execute returned.
func (r Reply) result() (engine.Outcome, error) {
	switch {
	case r.OK && r.Outcome != nil:
		return *r.Outcome, nil
	case r.Error != nil:
		e := r.Error
		return engine.Outcome{}, &engine.Failure{
			Code: e.Code, Kind: e.Kind, Message: e.Message, Field: e.Field, Twilio: e.Twilio,
			Retryable: e.Retryable, RetryAfter: time.Duration(math.Round(e.RetryAfter * float64(time.Second))),
		}
	}
	return engine.Outcome{}, errors.New("reply holds neither an outcome nor an error")
}

// failureOf returns the failure in err, or an internal one that says nothing.
func failureOf(err error) *engine.Failure {
	var f *engine.Failure
	if errors.As(err, &f) {
		return f
	}
	return &engine.Failure{Code: CodeInternal, Kind: engine.KindInternal, Message: "internal error; the server's log has the details"}
}

// busy answers calls that are not handled.
var busy = appendReply(nil, failed(&engine.Failure{
	Code: CodeBusy, Kind: engine.KindUnavailable, Retryable: true, RetryAfter: time.Second,
	Message: "too many commands in flight or the server is stopping; the command was not finished, send it again with the same id",
}))

// replySubject is where the answer goes, empty for nowhere. Subjects of the
// server and of our own doors are not taken from a producer.
func (x *exchange) replySubject() string {
	d := x.Delivery
	subject := d.Header.Get(HeaderReplyTo)
	if subject == "" {
		subject = d.Header.Get(headerPlainReply)
	}
	if !literal(subject) || strings.HasPrefix(subject, "$") {
		subject = ""
	}
	if x.authority != nil {
		return confinedReply(d, x.authority, subject)
	}
	if answerable(d.Reply) {
		return d.Reply
	}
	for _, own := range []string{prefixCall, prefixSend, prefixDead, prefixEvents} {
		if strings.HasPrefix(subject, own) {
			return ""
		}
	}
	return subject
}

// answerable reports whether a caller waits where it says. What the broker lets through
// to subjects of its own would acknowledge a stream's message.
func answerable(reply string) bool { return reply != "" && reply[0] != '$' }

// literal reports whether one can publish to the subject.
func literal(subject string) bool {
	if subject == "" || strings.ContainsAny(subject, "*> \t\r\n") {
		return false
	}
	return !strings.HasPrefix(subject, ".") && !strings.HasSuffix(subject, ".") && !strings.Contains(subject, "..")
}

// reply answers, if somebody asked. Durable commands may share one reply
// subject, so their answers say in headers which command they are about.
func (b *Bus) reply(x *exchange, r Reply) {
	subject := x.replySubject()
	if subject == "" {
		return
	}
	m := &nats.Msg{Subject: subject, Data: appendReply(make([]byte, 0, 256), r)}
	if x.Sequence > 0 {
		m.Header = nats.Header{}
		set(m.Header, HeaderCorrelation, cmp.Or(x.command.Correlation, x.Header.Get(HeaderCorrelation)))
		set(m.Header, HeaderCommandID, x.commandID())
	}
	if err := b.nc.PublishMsg(m); err != nil {
		b.log.Warn("reply was not sent", "subject", x.Subject, "err", err)
	}
}

// commandID is what the command will be known by; a producer that set none
// learns it here.
func (x *exchange) commandID() string {
	if x.command.ID.IsZero() {
		return x.Header.Get(HeaderCommandID)
	}
	return x.command.ID.String()
}
