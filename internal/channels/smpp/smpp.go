// Package smpp sends text messages to an SMSC over SMPP 3.4 and takes what comes
// back, bound as a transceiver.
//
// The library gives the PDUs. Its session is not used: that queues what is to be
// sent and cannot say afterwards whether it was written, on which it depends
// whether a message may be sent again; it also acknowledges or answers in the
// reader's goroutine, where nothing durable should be waited for. Its splitting of
// long texts is not used either: it counts characters where the limit is of
// octets, and a part of more than 255 octets (brackets, emoji) is cut in silence.
//
// SMPP gives inbound messages no ID and knows no idempotency key. What a crash
// leaves unacknowledged comes again and then counts as another message; parts of
// a long message that were acknowledged before the last one came are lost with
// the process.
package smpp

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/parley-engine/parley/internal/channels/secret"
)

// Carrier sends while Listen runs; before, and while there is no bond, Send says
// *carrier.Later. It is safe for concurrent use; make one with New.
type Carrier struct {
	config   Config
	password string
	tls      *tls.Config // nil: without
	log      *slog.Logger
	now      func() time.Time

	limit     *rate.Limiter
	window    *semaphore.Weighted // of requests without a response
	reference atomic.Uint32       // of the last long message

	mu   sync.Mutex
	link *link // nil while not bound

	sent     *sentParts
	assembly *assembly                  // of the one goroutine that takes
	again    *lru.Cache[string, string] // IDs of messages that were not acknowledged, by their content
}

// mostAgain is how many messages may wait for being delivered again.
const mostAgain = 10_000

// New checks the configuration and reads the password. The logger is told of
// what can be told to nobody else: lost bonds, and what the SMSC sent that cannot
// be read. Nil is silent.
func New(c Config, logger *slog.Logger) (*Carrier, error) {
	c.settle()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configure smpp: %w", err)
	}
	password, err := secret.Read(c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("configure smpp: password_file: %w", err)
	}
	over, err := c.TLS.config(c.Address)
	if err != nil {
		return nil, fmt.Errorf("configure smpp: tls: %w", err)
	}
	again, err := lru.New[string, string](mostAgain)
	if err != nil {
		return nil, fmt.Errorf("configure smpp: %w", err)
	}
	sent, err := newSentParts()
	if err != nil {
		return nil, fmt.Errorf("configure smpp: %w", err)
	}
	s := &Carrier{
		config: c, password: password, tls: over, now: time.Now,
		log: cmp.Or(logger, slog.New(slog.DiscardHandler)), limit: rate.NewLimiter(rate.Inf, 1),
		window: semaphore.NewWeighted(int64(c.Window)), sent: sent, again: again,
		assembly: newAssembly(seconds(c.PartHoldSeconds), seconds(c.AssembleSeconds)),
	}
	if c.PerSecond > 0 {
		s.limit = rate.NewLimiter(rate.Limit(c.PerSecond), 1)
	}
	s.reference.Store(rand.Uint32())
	return s, nil
}

// Idempotent is false: SMPP has no key for that.
func (s *Carrier) Idempotent() bool { return false }

func (s *Carrier) bound() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

func (s *Carrier) bind(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = l
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
