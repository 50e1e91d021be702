package twilio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/attempt"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

const (
	mostAnswer     = 64 << 10 // bytes read of an answer
	defaultPause   = 5 * time.Second
	tooManyForNow  = 20429 // Twilio's code of 429
	invalidRequest = 21201 // no 'To' number: Twilio's nearest to a group
)

// Send hands a message to the Messages API. An answer of the 4xx kind in
// Twilio's words is *Refused, 429 is *Later; one of the 5xx kind, and none, are
// ErrUnknown unless the request certainly never left.
func (t *Carrier) Send(ctx context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	if len(m.To) != 1 {
		return carrier.Sent{}, &carrier.Refused{Code: invalidRequest, Reason: "the Messages API has no native groups"}
	}
	if err := ctx.Err(); err != nil {
		return carrier.Sent{}, fmt.Errorf("send with twilio: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	seen := &wire{base: t.base, next: t.transport}
	defer seen.close()
	message, err := t.service(ctx, seen).CreateMessage(t.params(m))
	if err != nil {
		return carrier.Sent{}, seen.judge(err)
	}
	if seen.status != http.StatusCreated || message.Sid == nil || *message.Sid == "" {
		return carrier.Sent{}, seen.judge(errors.New("the answer has no sid"))
	}
	sent := carrier.Sent{ID: *message.Sid, Status: events.DeliveryQueued}
	if message.Status != nil && statuses[*message.Status] != "" {
		sent.Status = statuses[*message.Status]
	}
	return sent, nil
}

func (t *Carrier) params(m carrier.Outgoing) *api.CreateMessageParams {
	p := &api.CreateMessageParams{}
	p.SetTo(m.To[0])
	p.SetFrom(m.From)
	if t.config.MessagingServiceSid != "" {
		p.SetMessagingServiceSid(t.config.MessagingServiceSid)
	}
	if m.Body != "" {
		p.SetBody(m.Body)
	}
	if len(m.Media) > 0 {
		p.SetMediaUrl(m.Media)
	}
	if m.StatusURL != "" {
		p.SetStatusCallback(m.StatusURL)
	}
	return p
}

// service is the library's, for one request: it takes no context, so that is
// given to the transport.
func (t *Carrier) service(ctx context.Context, w *wire) *api.ApiService {
	w.ctx, w.attempt = attempt.Watch(ctx)
	c := &client.Client{Credentials: &t.credentials, HTTPClient: &http.Client{
		Transport:     w,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.SetAccountSid(t.config.AccountSid)
	return api.NewApiService(&client.RequestHandler{Client: c, Region: t.config.Region, Edge: t.config.Edge})
}

// wire carries one request and keeps what the library does not tell.
type wire struct {
	ctx     context.Context
	base    *url.URL // nil: as addressed
	next    http.RoundTripper
	attempt *attempt.Attempt
	asked   bool
	status  int           // of the answer; 0 without one
	header  http.Header   // of the answer
	body    io.ReadCloser // of the answer; the library leaves it open after an error
}

func (w *wire) close() {
	if w.body != nil {
		_ = w.body.Close()
	}
}

// RoundTrip implements http.RoundTripper, once: a message is not to be sent twice
// whatever the library does after an error.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.asked {
		return nil, errors.New("a second request for one message")
	}
	w.asked = true
	r = r.Clone(w.ctx)
	if w.base != nil {
		r.URL.Scheme, r.URL.Host, r.Host = w.base.Scheme, w.base.Host, ""
		r.URL.Path = strings.TrimRight(w.base.Path, "/") + r.URL.Path
	}
	answer, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.status, w.header = answer.StatusCode, answer.Header
	w.body = answer.Body
	answer.Body = io.NopCloser(io.LimitReader(w.body, mostAnswer))
	return answer, nil
}

// judge says what an error of the library means for the message.
func (w *wire) judge(err error) error {
	var refusal *client.TwilioRestError
	spoke := errors.As(err, &refusal) && refusal.Code != 0
	switch {
	case w.status == 0 && spoke: // the library itself refused to send
		return &carrier.Refused{Code: refusal.Code, Reason: refusal.Message}
	case w.status == 0 && !w.attempt.Left(err):
		return fmt.Errorf("send with twilio: %w", err)
	case w.status == http.StatusTooManyRequests || spoke && refusal.Code == tooManyForNow:
		return &carrier.Later{After: attempt.RetryAfter(w.header, time.Now(), defaultPause), Reason: "twilio takes no more requests for now"}
	case w.status >= 400 && w.status < 500 && spoke:
		return &carrier.Refused{Code: refusal.Code, Reason: refusal.Message}
	case w.status >= 300 && w.status < 500: // not Twilio's words: something else stands before it
		return fmt.Errorf("send with twilio: status %d: %w", w.status, err)
	}
	return fmt.Errorf("send with twilio: %w: status %d: %w", carrier.ErrUnknown, w.status, err)
}
