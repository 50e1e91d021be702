package pubsub

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// flushTimeout bounds the wait for the server to take note of a subscription.
const flushTimeout = 5 * time.Second

// CallOptions are the settings of a CallSubscriber; the zero value works but
// leaves refused callers without an answer.
type CallOptions struct {
	Queue string                 // queue group; default "parley"
	Key   func(*Delivery) string // names the lane; default LastToken
	Lanes *Lanes                 // to share with others; default: own ones
	// MaxInFlight bounds the calls held at a time; one more is refused at once.
	MaxInFlight int // default 4096
	// Refuse answers a call that will not be handled: too many at a time, not
	// started when the subscriber stopped, or given back with a Nack.
	Refuse   func(*Delivery)
	Timeout  time.Duration // ends the context of a call that takes longer, to within a fifth; default 30 s
	Bare     bool          // leaves the messages' metadata empty, for handlers that read the Delivery
	Patience time.Duration // bounds how long a stop waits for handlers; default 30 s
	Logger   *slog.Logger  // nil: discard
}

// CallSubscriber takes core NATS requests. Nothing is stored and nothing comes
// again: the handler answers on Delivery.Reply, or nobody does. An Ack only
// frees the lane; a Nack refuses. It is safe for concurrent use.
type CallSubscriber struct {
	nc   *nats.Conn
	opts CallOptions

	mu     sync.Mutex
	closed bool
	open   map[*callSubscription]struct{}
}

// NewCallSubscriber returns a subscriber on a connection, which stays the
// caller's.
func NewCallSubscriber(nc *nats.Conn, o *CallOptions) *CallSubscriber {
	var opts CallOptions
	if o != nil {
		opts = *o
	}
	opts.Queue = cmp.Or(opts.Queue, "parley")
	opts.MaxInFlight = cmp.Or(opts.MaxInFlight, 4096)
	opts.Timeout = cmp.Or(opts.Timeout, 30*time.Second)
	opts.Patience = cmp.Or(opts.Patience, 30*time.Second)
	if opts.Key == nil {
		opts.Key = LastToken
	}
	if opts.Lanes == nil {
		opts.Lanes = NewLanes()
	}
	if opts.Refuse == nil {
		opts.Refuse = func(*Delivery) {}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &CallSubscriber{nc: nc, opts: opts, open: make(map[*callSubscription]struct{})}
}

// Subscribe delivers the requests to the subject. The channel is closed after
// Close, or after ctx ended; both wait for what was handed out.
func (s *CallSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	sub := &callSubscription{owner: s, ended: make(chan struct{}), done: make(chan struct{})}
	sub.subscription = newSubscription(ctx, s.opts.Lanes, sub, retry{attempts: 1, giveUp: sub.refused})
	sub.bare, sub.timeout = s.opts.Bare, s.opts.Timeout
	interest, err := s.nc.QueueSubscribe(topic, s.opts.Queue, sub.receive)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	sub.interest = interest
	if err := s.nc.FlushTimeout(flushTimeout); err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	s.open[sub] = struct{}{}
	go sub.watch(ctx)
	return sub.out, nil
}

// Close stops taking calls, waits for what was handed out, refuses the rest and
// closes the channels. It may be called more than once.
func (s *CallSubscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	open := s.open
	s.open = nil
	s.mu.Unlock()
	for sub := range open {
		sub.stop()
	}
	for sub := range open {
		<-sub.done
	}
	return nil
}

// callSubscription is one Subscribe call on a subject.
type callSubscription struct {
	*subscription
	owner    *CallSubscriber
	interest *nats.Subscription
	inFlight atomic.Int64
	ended    chan struct{} // stop was called
	stopOnce sync.Once
	done     chan struct{} // everything is settled and out is closed
}

// receive is called by the client library, one message at a time.
func (s *callSubscription) receive(m *nats.Msg) {
	e := &entry{sub: s.subscription}
	e.Delivery = Delivery{Subject: m.Subject, Reply: m.Reply, Header: m.Header, Data: m.Data, Time: time.Now().UTC()}
	if s.inFlight.Add(1) > int64(s.owner.opts.MaxInFlight) {
		s.putBack(e)
		return
	}
	e.Key = s.owner.opts.Key(&e.Delivery)
	if !s.accept(e) {
		s.putBack(e)
	}
}

func (s *callSubscription) ack(*entry) { s.inFlight.Add(-1) }

func (s *callSubscription) putBack(e *entry) {
	s.inFlight.Add(-1)
	s.owner.opts.Refuse(&e.Delivery)
}

// refused makes a Nack final: nobody waits long enough for a second attempt.
func (s *callSubscription) refused(_ context.Context, m *message.Message) error {
	s.owner.opts.Refuse(FromContext(m.Context()))
	return nil
}

func (s *callSubscription) stop() { s.stopOnce.Do(func() { close(s.ended) }) }

func (s *callSubscription) watch(ctx context.Context) {
	defer close(s.done)
	check := time.NewTicker(s.owner.opts.Timeout / 5)
	defer check.Stop()
	for open := true; open; {
		select {
		case now := <-check.C:
			s.endOverdue(now)
		case <-ctx.Done():
			open = false
		case <-s.ended:
			open = false
		}
	}
	if err := s.interest.Drain(); err != nil {
		s.owner.opts.Logger.Warn("calls could not be drained", "err", err)
	}
	if abandoned := s.drain(s.owner.opts.Patience); abandoned > 0 {
		s.owner.opts.Logger.Warn("calls did not finish in time and stay unanswered", "calls", abandoned)
	}
	s.owner.mu.Lock()
	delete(s.owner.open, s)
	s.owner.mu.Unlock()
	close(s.out)
}
