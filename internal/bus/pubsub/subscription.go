package pubsub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// ErrClosed is returned by a publisher or subscriber that was closed.
var ErrClosed = errors.New("pubsub is closed")

// retry is what a Nack means.
type retry struct {
	attempts int           // 0: for ever
	first    time.Duration // pause after the first Nack; doubled each time
	longest  time.Duration
	giveUp   func(ctx context.Context, m *message.Message) error
}

// A settler tells the broker what became of a delivery.
type settler interface {
	ack(e *entry)     // handled
	putBack(e *entry) // not handled, and will not be by this subscription
}

// subscription hands deliveries to one output channel, through the lanes.
type subscription struct {
	lanes   *Lanes
	out     chan *message.Message
	settle  settler
	retry   retry
	bare    bool            // messages without metadata
	timeout time.Duration   // of one attempt; 0: none
	base    context.Context // for the values of the subscribe context

	closing chan struct{} // closed: nothing more is handed out
	forced  chan struct{} // closed: a stop ran out of patience
	idle    chan struct{} // closed: closing, and nothing is held

	mu      sync.Mutex
	stopped bool                // closing was closed
	held    map[*entry]struct{} // accepted, not settled
	senders sync.WaitGroup      // those who may send to out; grows only while not stopped
}

// entry is one accepted delivery on its way through a lane.
type entry struct {
	Delivery
	sub     *subscription
	raw     any             // what the settler needs
	touched time.Time       // last sign of life to the broker; guarded by sub.mu
	ctx     *messageContext // of the attempt under way; guarded by sub.mu
}

func newSubscription(ctx context.Context, lanes *Lanes, settle settler, r retry) *subscription {
	return &subscription{
		lanes: lanes, settle: settle, retry: r, base: context.WithoutCancel(ctx),
		out:     make(chan *message.Message),
		closing: make(chan struct{}),
		forced:  make(chan struct{}),
		idle:    make(chan struct{}),
		held:    make(map[*entry]struct{}),
	}
}

// accept takes responsibility for the delivery; false when it is too late.
func (s *subscription) accept(e *entry) bool {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return false
	}
	s.held[e] = struct{}{}
	s.mu.Unlock()
	s.lanes.enter(e.Key, e)
	return true
}

func (s *subscription) release(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, e)
	if s.stopped && len(s.held) == 0 {
		close(s.idle)
	}
}

// drain stops handing out and waits until all that was handed out is settled,
// but no longer than patience. It returns how many deliveries were abandoned.
// The caller closes out when everything else is done: to the router that is the
// sign that the subscription is over.
func (s *subscription) drain(patience time.Duration) (abandoned int) {
	s.refuse()
	s.senders.Wait()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
	}
	close(s.forced)
	s.endContexts(func(*messageContext) bool { return true }, context.Canceled)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// endContexts ends those of attempts under way that are chosen.
func (s *subscription) endContexts(chosen func(*messageContext) bool, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range s.held {
		if e.ctx != nil && chosen(e.ctx) {
			e.ctx.end(reason)
		}
	}
}

// endOverdue ends attempts that took too long. It is called a few times per
// timeout, which is exact enough for what is meant to catch hanging handlers.
func (s *subscription) endOverdue(now time.Time) {
	s.endContexts(func(c *messageContext) bool { return !c.deadline.IsZero() && now.After(c.deadline) }, context.DeadlineExceeded)
}

// refuse makes the subscription accept and hand out nothing more.
func (s *subscription) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	close(s.closing)
	if len(s.held) == 0 {
		close(s.idle)
	}
}

// run takes the delivery through all its attempts; its lane waits meanwhile.
func (e *entry) run() {
	defer e.sub.release(e)
	pause := e.sub.retry.first
	for attempt := 1; ; attempt++ {
		acked, again := e.attempt(attempt)
		if acked {
			e.sub.settle.ack(e)
			return
		}
		if !again || !e.sub.rest(pause) {
			e.sub.settle.putBack(e)
			return
		}
		pause = min(2*pause, e.sub.retry.longest)
	}
}

// attempt hands the delivery out once and reports whether it is done, and if
// not, whether another attempt makes sense.
func (e *entry) attempt(n int) (acked, again bool) {
	ctx := e.sub.newContext(e)
	defer ctx.end(context.Canceled)
	m := e.message(ctx, e.sub.bare)
	if !e.sub.send(m) {
		return false, false
	}
	select {
	case <-m.Acked():
		return true, false
	case <-m.Nacked():
		return e.sub.exhausted(n, m), true
	case <-e.sub.forced:
		return false, false
	}
}

func (s *subscription) newContext(e *entry) *messageContext {
	ctx := &messageContext{Context: s.base, delivery: &e.Delivery}
	if s.timeout > 0 {
		ctx.deadline = time.Now().Add(s.timeout)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ctx = ctx
	return ctx
}

func (s *subscription) send(m *message.Message) bool {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return false
	}
	s.senders.Add(1)
	s.mu.Unlock()
	defer s.senders.Done()
	select {
	case s.out <- m:
		return true
	case <-s.closing:
		return false
	}
}

// exhausted gives a message up that failed too often. If even that fails, the
// attempts go on.
func (s *subscription) exhausted(n int, m *message.Message) bool {
	if s.retry.attempts == 0 || n < s.retry.attempts {
		return false
	}
	return s.retry.giveUp(m.Context(), m) == nil
}

// rest pauses a lane; false when the subscription closes.
func (s *subscription) rest(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return false
	}
}
