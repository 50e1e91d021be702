package pubsub

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stop begins the end; done says when it is reached.
func (s *streamSubscription) stop() {
	s.stopOnce.Do(func() { close(s.ended) })
	s.backMu.Lock()
	defer s.backMu.Unlock()
	s.moved.Broadcast()
}

// watch keeps held messages alive until the end, and then brings it about.
func (s *streamSubscription) watch(ctx context.Context) {
	defer close(s.done)
	beat := time.NewTicker(s.owner.opts.AckWait / 3)
	defer beat.Stop()
	cutOff := s.consume.Closed() // the connection was closed, or the consumer deleted
	for {
		select {
		case <-beat.C:
			s.touchHeld()
			if !s.lost(ctx) {
				continue
			}
		case <-ctx.Done():
		case <-s.ended:
		case <-cutOff:
		}
		break
	}
	s.stop() // whatever ended it, receive must not wait any more
	s.finish(beat.C)
}

// touchHeld tells the broker that what waits in a lane or takes long is not
// forgotten.
func (s *streamSubscription) touchHeld() {
	now := time.Now()
	for _, m := range s.overdue(now) {
		if err := m.InProgress(); err != nil {
			s.owner.opts.Logger.Warn("sign of life was not sent", "subject", m.Subject(), "err", err)
		}
	}
}

func (s *streamSubscription) overdue(now time.Time) (quiet []jetstream.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range s.held {
		if now.Sub(e.touched) >= s.owner.opts.AckWait/4 {
			e.touched = now
			quiet = append(quiet, e.raw.(jetstream.Msg))
		}
	}
	return quiet
}

// finish is the graceful end: stop pulling, wait for handlers (still sending
// signs of life), give back what was not started, make sure the broker heard it.
func (s *streamSubscription) finish(beat <-chan time.Time) {
	s.consume.Drain()
	drained := make(chan int, 1)
	go func() { drained <- s.drain(s.owner.opts.Patience) }()
	for waiting := true; waiting; {
		select {
		case <-beat:
			s.touchHeld()
		case abandoned := <-drained:
			s.reportAbandoned(abandoned)
			waiting = false
		}
	}
	<-s.consume.Closed()
	if err := s.alive.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.owner.opts.Logger.Warn("presence was not withdrawn", "subject", s.topic, "err", err)
	}
	s.giveBack()
	s.forget()
	if s.owner.opts.out == nil {
		close(s.out)
	}
}

func (s *streamSubscription) reportAbandoned(n int) {
	if n > 0 {
		s.owner.opts.Logger.Warn("handlers did not finish in time; their messages will come again", "subject", s.topic, "messages", n)
	}
}
