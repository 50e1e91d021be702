// Package loopback is a carrier that carries nothing: it simulates one, so that
// everything can be tried without an account anywhere. Statuses come late, twice and in
// the wrong order, as they do from carriers, and rules make messages fail.
package loopback

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync"
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

// planned bounds the statuses that are yet to come.
const planned = 1 << 14

// Carrier is safe for concurrent use. Statuses that are yet to come are lost when the
// process ends.
type Carrier struct {
	delay   time.Duration
	shuffle bool
	rules   []Rule
	token   string
	plans   chan []carrier.Status
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
	return &Carrier{delay: delay, shuffle: c.Shuffle, rules: c.Rules, token: token, plans: make(chan []carrier.Status, planned)}, nil
}

// Idempotent is true: the id of a message is made from its key.
func (c *Carrier) Idempotent() bool { return true }

// Send takes a message and plans what becomes of it.
func (c *Carrier) Send(_ context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	id := "LB" + strings.ReplaceAll(events.NameID("loopback "+m.Key).String(), "-", "")
	var plan []carrier.Status
	for _, to := range m.To {
		for _, status := range c.fate(m.Type, to) {
			if status.Status == events.DeliveryFailed {
				return carrier.Sent{}, &carrier.Refused{Code: status.ErrorCode, Reason: "a rule says so"}
			}
			status.ID, status.To = id, to
			plan = append(plan, status)
		}
	}
	select {
	case c.plans <- c.disorder(plan):
		return carrier.Sent{ID: id, Status: events.DeliverySent}, nil
	default:
		return carrier.Sent{}, &carrier.Later{After: time.Second, Reason: "the carrier is busy"}
	}
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

// Listen hands over the planned statuses when their time comes.
func (c *Carrier) Listen(ctx context.Context, take func(context.Context, carrier.Report) error) error {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		select {
		case plan := <-c.plans:
			under.Go(func() { c.tell(ctx, plan, take) })
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Carrier) tell(ctx context.Context, plan []carrier.Status, take func(context.Context, carrier.Report) error) {
	for _, status := range plan {
		if !wait(ctx, c.delay) {
			return
		}
		for take(ctx, carrier.Report{Status: &status}) != nil {
			if !wait(ctx, time.Second) {
				return
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
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
