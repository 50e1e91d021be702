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
	lanes  *Lanes
	out    chan *message.Message
	settle settler
	retry  retry
	base   context.Context // parent of all message contexts; ends when a stop runs out of patience
	cancel context.CancelFunc

	closing chan struct{} // closed: nothing more is handed out
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
	raw     any       // what the settler needs
	touched time.Time // last sign of life to the broker; guarded by sub.mu
}

func newSubscription(ctx context.Context, lanes *Lanes, settle settler, r retry) *subscription {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &subscription{
		lanes: lanes, settle: settle, retry: r, base: base, cancel: cancel,
		out:     make(chan *message.Message),
		closing: make(chan struct{}),
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
func (s *subscription) drain(patience time.Duration) (abandoned int) {
	s.refuse()
	s.senders.Wait()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
	}
	s.cancel()
	close(s.out)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
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
	ctx, cancel := context.WithCancel(e.sub.base)
	defer cancel()
	m := e.message(ctx)
	if !e.sub.send(m) {
		return false, false
	}
	select {
	case <-m.Acked():
		return true, false
	case <-m.Nacked():
		return e.sub.exhausted(n, m), true
	case <-e.sub.base.Done():
		return false, false
	}
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
