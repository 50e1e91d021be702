package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/guard"
)

// MaxAnswer bounds what is read of an answer, in bytes.
const MaxAnswer = 64 << 10

// userAgent begins as Twilio's does, for receivers that look.
const userAgent = "TwilioProxy/1.1 (Parley)"

// Do attempts the call of a job. 2xx is done. 408, 429 and everything that is the
// server's or the network's fault is for another attempt, not before Retry-After; what
// would be answered the same again parks the job at once.
func (h *Hooks) Do(ctx context.Context, w reactor.Work) (reactor.Note, error) {
	var c call
	if err := json.Unmarshal(w.Data, &c); err != nil {
		return reactor.Note{}, &reactor.Stop{Reason: fmt.Errorf("the job cannot be read: %w", err)}
	}
	answer, err := h.send(ctx, events.NameID(w.Key).String(), c)
	if err != nil {
		return reactor.Note{}, hopeless(err)
	}
	return judged(answer, h.c.Now())
}

// hopeless stops what another attempt cannot mend.
func hopeless(err error) error {
	var blocked *guard.BlockedError
	var malformed *url.Error
	if errors.As(err, &blocked) || errors.As(err, &malformed) || errors.Is(err, engine.ErrNoAuthToken) || errors.Is(err, guard.ErrAddress) {
		return &reactor.Stop{Reason: err}
	}
	return err
}

func judged(a answer, now time.Time) (reactor.Note, error) {
	text := fmt.Sprintf("answered %d", a.status)
	switch {
	case a.status >= 200 && a.status < 300:
		return reactor.Note{Text: text}, nil
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status >= 500:
		if wait := retryAfter(a.header.Get("Retry-After"), now); wait > 0 {
			return reactor.Note{}, &reactor.Later{After: wait, Reason: errors.New(text)}
		}
		return reactor.Note{}, errors.New(text)
	case a.status >= 300 && a.status < 400:
		text += ", and redirects are not followed"
	}
	return reactor.Note{}, &reactor.Stop{Reason: errors.New(text)}
}

// maxRetryAfter bounds what a target may ask for.
const maxRetryAfter = time.Hour

// retryAfter reads seconds or an HTTP date; zero when there is neither.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), maxRetryAfter)
	}
	return 0
}

// answer is what a target said.
type answer struct {
	status int
	header http.Header
	body   []byte // as far as it came and is read
	broke  error  // why that is not all of it; nil: it is
}

// send makes one call. An id is the same for all attempts of one call. Errors hold no
// parameters.
func (h *Hooks) send(ctx context.Context, id string, c call) (answer, error) {
	token, err := h.c.Engine.AuthToken(ctx, c.Account)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, h.c.Timeout)
	defer cancel()
	r, err := h.request(ctx, token, id, c)
	if err != nil {
		return answer{}, err
	}
	response, err := h.client.Do(r)
	if err != nil {
		return answer{}, unnamed(err)
	}
	// The status is what counts; of a body that breaks off what came is kept.
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	_ = response.Body.Close()
	if err == nil && len(body) > MaxAnswer {
		err = errTooLong
	}
	return answer{status: response.StatusCode, header: response.Header, body: body, broke: err}, nil
}

// unnamed drops the URL from an error of the client: a GET has the parameters in it.
func unnamed(err error) error {
	var named *url.Error
	if !errors.As(err, &named) {
		return err
	}
	if named.Timeout() {
		return fmt.Errorf("no answer in time: %w", named.Err)
	}
	return named.Err
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", MaxAnswer)

// request makes the signed request of a call.
func (h *Hooks) request(ctx context.Context, token, id string, c call) (*http.Request, error) {
	u, err := guard.Address(c.URL)
	if err != nil {
		return nil, err
	}
	login := u.User
	u.User = nil // the receiver does not see it in the URL, and so cannot sign it
	values := url.Values{}
	for name, value := range c.Parameters {
		values.Set(name, value)
	}
	method, body, signed := http.MethodPost, []byte(values.Encode()), map[string]string(c.Parameters)
	if strings.EqualFold(c.Method, http.MethodGet) {
		method, u.RawQuery, body, signed = http.MethodGet, joined(u.RawQuery, values), nil, nil
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	}
	if login != nil {
		password, _ := login.Password()
		r.SetBasicAuth(login.Username(), password)
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "*/*")
	r.Header.Set("I-Twilio-Idempotency-Token", id)
	sign(r, token, id, h.c.Now(), signed, body)
	return r, nil
}

// joined is a query with parameters behind what the URL has already.
func joined(query string, values url.Values) string {
	if query == "" {
		return values.Encode()
	}
	return query + "&" + values.Encode()
}
