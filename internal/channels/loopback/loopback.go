// Package loopback is a carrier that carries nothing: it simulates one, so that
// everything can be tried without an account anywhere. Statuses come late, if wanted
// twice and in the wrong order, as they do from carriers, and rules make messages fail.
package loopback

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// Config of a simulated carrier; the zero value works.
type Config struct {
	// Delay is until the first status of a message comes, in Go's form; each further
	// one takes as long again. Default: 50ms.
	Delay string `json:"delay,omitempty"`
	// Shuffle has the statuses of each message come in reverse order, each of them
	// twice.
	Shuffle bool `json:"shuffle,omitempty"`
	// Rules make messages fail; the first that fits counts.
	Rules []Rule `json:"rules,omitempty"`
}

// Rule says what becomes of messages to some recipients.
type Rule struct {
	To        string `json:"to"`     // an address, or the beginning of some with a * behind it
	Status    string `json:"status"` // failed: refused at once; undelivered: after it was sent
	ErrorCode int    `json:"error_code,omitempty"`
}

func (r Rule) fits(to string) bool {
	beginning, open := strings.CutSuffix(r.To, "*")
	return to == r.To || open && strings.HasPrefix(to, beginning)
}

// Carrier is safe for concurrent use. What it reports is durable once a message was
// taken.
type Carrier struct {
	delay   time.Duration
	shuffle bool
	rules   []Rule
	token   string
	take    atomic.Pointer[func(context.Context, carrier.Report) error] // nil: nobody listens
}

// New returns a simulated carrier. It takes reports over HTTP from who has the token;
// an empty one: from nobody.
func New(c Config, token string) (*Carrier, error) {
	delay, err := time.ParseDuration(cmp.Or(c.Delay, "50ms"))
	if err != nil || delay < 0 {
		return nil, fmt.Errorf("delay %q is not a duration as in 50ms", c.Delay)
	}
	for i, r := range c.Rules {
		if r.To == "" || r.Status != events.DeliveryFailed && r.Status != events.DeliveryUndelivered {
			return nil, fmt.Errorf("rule %d: to and a status, failed or undelivered, are needed", i+1)
		}
	}
	return &Carrier{delay: delay, shuffle: c.Shuffle, rules: c.Rules, token: token}, nil
}

// Idempotent is true: the id of a message is made from its key.
func (c *Carrier) Idempotent() bool { return true }

// Send takes a message and reports what becomes of it, each status a while later than
// the one before.
func (c *Carrier) Send(ctx context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	take := c.take.Load()
	if take == nil {
		return carrier.Sent{}, &carrier.Later{After: time.Second, Reason: "nobody listens to the carrier"}
	}
	id := "LB" + strings.ReplaceAll(events.NameID("loopback "+m.Key).String(), "-", "")
	for _, to := range m.To {
		for i, status := range c.disorder(c.fate(m.Type, to)) {
			if status.Status == events.DeliveryFailed {
				return carrier.Sent{}, &carrier.Refused{Code: status.ErrorCode, Reason: "a rule says so"}
			}
			status.ID, status.To = id, to
			if err := (*take)(ctx, carrier.Report{Status: &status, After: c.delay * time.Duration(i+1)}); err != nil {
				return carrier.Sent{}, err
			}
		}
	}
	return carrier.Sent{ID: id, Status: events.DeliverySent}, nil
}

// fate is what becomes of a message to a recipient after it was sent.
func (c *Carrier) fate(channel, to string) []carrier.Status {
	for _, r := range c.rules {
		if r.fits(to) {
			return []carrier.Status{{Status: r.Status, ErrorCode: r.ErrorCode}}
		}
	}
	delivered := []carrier.Status{{Status: events.DeliveryDelivered}}
	if channel == "whatsapp" {
		return append(delivered, carrier.Status{Status: events.DeliveryRead})
	}
	return delivered
}

func (c *Carrier) disorder(plan []carrier.Status) []carrier.Status {
	if !c.shuffle {
		return plan
	}
	var shuffled []carrier.Status
	for i := range plan {
		status := plan[len(plan)-1-i]
		shuffled = append(shuffled, status, status)
	}
	return shuffled
}

// Listen has the carrier take messages until ctx ends.
func (c *Carrier) Listen(ctx context.Context, take func(context.Context, carrier.Report) error) error {
	c.take.Store(&take)
	defer c.take.Store(nil)
	<-ctx.Done()
	return nil
}

// Receive reads a message or a status as JSON, as carrier.Inbound and carrier.Status
// have it, from who has the token.
func (c *Carrier) Receive(r carrier.Request) ([]carrier.Report, carrier.Answer, error) {
	got, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	want, have := sha256.Sum256([]byte(c.token)), sha256.Sum256([]byte(got))
	if c.token == "" || !bearer || subtle.ConstantTimeCompare(want[:], have[:]) != 1 {
		return nil, carrier.Answer{}, carrier.ErrForbidden
	}
	report, err := carrier.ReadReport(r.Kind, r.Body)
	return []carrier.Report{report}, carrier.Answer{}, err
}
