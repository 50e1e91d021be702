package pubsub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
)

// What a consumer knows is on the broker, where others may delete it, and the stream
// with it. The subscription knows the same from what came and what it acknowledged: so
// it makes another consumer, which delivers all that the stream still has, and passes
// over what is handled.

// Loss is what somebody else deleted.
type Loss string

// The losses.
const (
	LostConsumer Loss = "consumer" // is made anew; nothing is lost by it
	LostStream   Loss = "stream"   // is made anew; what was in it and not handled is lost
	LostMessages Loss = "messages" // that nobody had handled
	LostSettings Loss = "settings" // of a stream: they are changed back, or it is made anew
)

// memory is what a subscription knew of its stream when it lost its consumer.
type memory struct {
	stream time.Time // when it was created
	done   *handled
}

// memory is to be asked when everything is settled.
func (s *streamSubscription) memory() *memory {
	_, left := s.unhandled()
	return &memory{stream: s.created, done: s.before.and(s.seen, left)}
}

// recall returns what is known to be handled of a stream whose consumer is not there.
func (m *memory) recall(stream jetstream.Stream) *handled {
	if m == nil || !m.stream.Equal(stream.CachedInfo().Created) {
		return nil // another stream, with sequences of its own
	}
	return m.done
}

// renewal keeps one topic delivered whatever is deleted.
type renewal struct {
	owner  *StreamSubscriber
	topic  string
	out    chan *message.Message
	closed chan struct{} // close was called
	once   sync.Once
	done   chan struct{} // out is closed

	mu      sync.Mutex
	current *StreamSubscriber
}

// renewing subscribes like Subscribe, and again whenever the consumer is gone.
func (s *StreamSubscriber) renewing(ctx context.Context, topic string) (*renewal, error) {
	r := &renewal{owner: s, topic: topic, out: make(chan *message.Message), closed: make(chan struct{}), done: make(chan struct{})}
	sub, err := r.subscribe(ctx, nil)
	if err != nil {
		return nil, err
	}
	go r.run(ctx, sub)
	return r, nil
}

// subscribe opens the next subscription, with what the last one knew.
func (r *renewal) subscribe(ctx context.Context, last *memory) (*streamSubscription, error) {
	options := r.owner.opts
	options.out, options.Renew, options.last = r.out, nil, last
	next := &StreamSubscriber{js: r.owner.js, opts: options, open: make(map[*streamSubscription]struct{})}
	r.mu.Lock()
	r.current = next
	r.mu.Unlock()
	if isClosed(r.closed) {
		return nil, ErrClosed
	}
	return next.subscribe(ctx, r.topic)
}

func (r *renewal) run(ctx context.Context, sub *streamSubscription) {
	defer close(r.done)
	defer close(r.out)
	for {
		<-sub.done
		if r.over(ctx) {
			return
		}
		last := sub.memory()
		if sub = r.again(ctx, last); sub == nil {
			return
		}
	}
}

// over reports that the subscription ended because it was to, or that nothing more can
// come.
func (r *renewal) over(ctx context.Context) bool {
	return ctx.Err() != nil || isClosed(r.closed) || r.owner.js.Conn().IsClosed()
}

// again subscribes anew, however long that takes; nil when it is over.
func (r *renewal) again(ctx context.Context, last *memory) *streamSubscription {
	pause := r.owner.opts.FirstPause
	for {
		err := r.owner.opts.Renew(ctx, r.topic)
		if err == nil {
			var sub *streamSubscription
			if sub, err = r.subscribe(ctx, last); err == nil {
				return sub
			}
		}
		if r.over(ctx) {
			return nil
		}
		r.owner.opts.Logger.Warn("a subscription that lost its consumer is tried again", "subject", r.topic, "err", err)
		if !r.rest(ctx, pause) {
			return nil
		}
		pause = min(2*pause, r.owner.opts.LongestPause)
	}
}

func (r *renewal) rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-r.closed:
	}
	return false
}

// close ends it, and waits for what was handed out.
func (r *renewal) close() error {
	r.once.Do(func() { close(r.closed) })
	r.mu.Lock()
	current := r.current
	r.mu.Unlock()
	err := current.Close()
	<-r.done
	return err
}

// lost asks the broker whether the consumer is still there: who waits for messages is
// not always told. It also notes what disappeared from the end of the stream.
func (s *streamSubscription) lost(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	info, err := s.consumer.Info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return true
	}
	if err != nil {
		return false // the broker is away for now
	}
	s.backMu.Lock()
	defer s.backMu.Unlock()
	if nothingUnderWay := info.NumAckPending <= len(s.bySeq); nothingUnderWay {
		s.missed(info.Delivered.Stream)
	}
	return false
}

// gapsWithin counts what the stream did not have at the start, behind one sequence and up
// to another: whoever looked after the stream before has told of it.
func (s *streamSubscription) gapsWithin(behind, upto uint64) uint64 {
	from, _ := slices.BinarySearch(s.gaps, behind+1)
	to, _ := slices.BinarySearch(s.gaps, upto+1)
	return uint64(to - from)
}

// missed tells of messages up to a sequence that neither came nor will. The caller
// holds backMu.
func (s *streamSubscription) missed(upto uint64) {
	known := max(s.seen, s.told)
	if s.before != nil {
		known = max(known, s.before.upto)
	}
	s.told = max(s.told, upto)
	if s.owner.opts.Missed == nil || upto <= known {
		return
	}
	if n := upto - known - s.gapsWithin(known, upto); n > 0 {
		s.owner.opts.Missed(n)
	}
}
