package pubsub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A consumer remembers what it delivered and what was acknowledged. When the
// process that held the rest is gone, the broker would deliver new messages
// first and the held ones only after AckWait: out of order. So the first member
// of a group that starts sets the consumer back to its acknowledgement floor.
// What was acknowledged beyond the floor would then be delivered again; a
// graceful stop therefore notes with the consumer what it left, and the next
// start passes over the rest. After a hard stop there is no such note, and what
// was handled up to StreamOptions.Span ahead is delivered again.

// presenceWait bounds the question whether the group has a living member. The
// broker answers at once when nobody listens.
const presenceWait = time.Second

// Metadata of a consumer that was left by its last member.
const (
	metaUpto = "parley-upto" // last sequence that came
	metaLeft = "parley-left" // those up to it that were not handled: 3-5,9
)

// handled is what a group has handled although the broker delivers it again.
type handled struct {
	upto uint64
	left []span // in order
}

type span struct{ from, to uint64 }

func (h *handled) has(sequence uint64) bool {
	if h == nil || sequence > h.upto {
		return false
	}
	_, left := slices.BinarySearchFunc(h.left, sequence, func(s span, sequence uint64) int {
		switch {
		case s.to < sequence:
			return -1
		case s.from > sequence:
			return 1
		}
		return 0
	})
	return !left
}

// and returns what is handled after everything up to seen came and was handled
// but for left. What was known about later ones still holds.
func (h *handled) and(seen uint64, left []uint64) *handled {
	next := &handled{upto: seen}
	for _, sequence := range left {
		if n := len(next.left); n > 0 && next.left[n-1].to+1 == sequence {
			next.left[n-1].to = sequence
			continue
		}
		next.left = append(next.left, span{sequence, sequence})
	}
	if h == nil || h.upto <= seen {
		return next
	}
	next.upto = h.upto
	for _, s := range h.left {
		if s.to > seen {
			next.left = append(next.left, span{max(s.from, seen+1), s.to})
		}
	}
	return next
}

// taken is a consumer, and its stream as it was before.
type taken struct {
	consumer jetstream.Consumer
	stream   *jetstream.StreamInfo
}

// takeOver returns the group's consumer, set back if no member of the group is
// alive, and what need not be handled again of what it delivers.
func (s *StreamSubscriber) takeOver(ctx context.Context, topic string) (taken, *handled, error) {
	stream, err := s.stream(ctx, topic)
	if err != nil {
		return taken{}, nil, fmt.Errorf("stream of %s: %w", topic, err)
	}
	old, err := stream.Consumer(ctx, DurableName(s.opts.Group, topic))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return taken{}, nil, fmt.Errorf("consumer of %s: %w", topic, err)
	}
	done, err := s.before(ctx, stream, old, err == nil)
	if err != nil {
		return taken{}, nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return taken{}, nil, fmt.Errorf("look at stream of %s: %w", topic, err)
	}
	consumer, err := s.consumer(ctx, topic) // without the note
	return taken{consumer, info}, done, err
}

// before returns what need not be handled again of what the group's consumer delivers, and
// sets it back if nobody reads it. Without a consumer, which somebody deleted, it is what
// this process remembers; of a stream that lost its end it is nothing.
func (s *StreamSubscriber) before(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer, there bool) (*handled, error) {
	if !there {
		return s.opts.last.recall(stream), nil
	}
	anew, err := s.beginAnew(ctx, stream, consumer)
	if err != nil || anew {
		return nil, err
	}
	info := consumer.CachedInfo()
	switch {
	case s.opts.Sole:
		if info, err = s.unpin(ctx, stream, consumer); err != nil {
			return nil, err
		}
	case s.alive(ctx, info.Stream, info.Name):
		return nil, nil
	}
	return s.setBack(ctx, info.Stream, info)
}

// unpin takes the consumer from a former member that may not know yet that its time is
// over, and returns what it holds by then. It comes before the consumer is set back: a
// member that stands still has asked for messages, and would be sent what was set back.
func (s *StreamSubscriber) unpin(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer) (*jetstream.ConsumerInfo, error) {
	name := consumer.CachedInfo().Name
	if err := stream.UnpinConsumer(ctx, name, soleGroup); err != nil {
		return nil, fmt.Errorf("unpin consumer %s: %w", name, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at consumer %s: %w", name, err)
	}
	return info, nil
}

func (s *StreamSubscriber) setBack(ctx context.Context, stream string, info *jetstream.ConsumerInfo) (*handled, error) {
	done, err := readNote(info.Config.Metadata)
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", info.Name, err)
	}
	if info.NumAckPending == 0 {
		return done, nil
	}
	if _, err := s.js.ResetConsumer(ctx, stream, info.Name); err != nil {
		return nil, fmt.Errorf("set consumer %s back: %w", info.Name, err)
	}
	return done, nil
}

// leave notes with the consumer what was handled.
func (s *StreamSubscriber) leave(ctx context.Context, info *jetstream.ConsumerInfo, done *handled) {
	config := info.Config
	config.Metadata = done.note()
	if _, err := s.js.UpdateConsumer(ctx, info.Stream, config); err != nil {
		s.opts.Logger.Warn("handled messages may come again after a restart", "consumer", info.Name, "err", err)
	}
}

func (h *handled) note() map[string]string {
	left := make([]string, len(h.left))
	for i, s := range h.left {
		left[i] = fmt.Sprintf("%d-%d", s.from, s.to)
	}
	return map[string]string{metaUpto: strconv.FormatUint(h.upto, 10), metaLeft: strings.Join(left, ",")}
}

func readNote(meta map[string]string) (*handled, error) {
	if meta[metaUpto] == "" {
		return nil, nil
	}
	upto, err := strconv.ParseUint(meta[metaUpto], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("note of the last stop: %w", err)
	}
	h := &handled{upto: upto}
	for part := range strings.FieldsFuncSeq(meta[metaLeft], func(r rune) bool { return r == ',' }) {
		var s span
		if _, err := fmt.Sscanf(part, "%d-%d", &s.from, &s.to); err != nil {
			return nil, fmt.Errorf("note of the last stop: %w", err)
		}
		h.left = append(h.left, s)
	}
	return h, nil
}

// presence is the subject on which a living member answers.
func presence(stream, consumer string) string { return "_parley.alive." + stream + "." + consumer }

func (s *StreamSubscriber) announce(c jetstream.Consumer) (*nats.Subscription, error) {
	info := c.CachedInfo()
	sub, err := s.js.Conn().Subscribe(presence(info.Stream, info.Name), func(m *nats.Msg) {
		_ = m.Respond(nil) // the one who asks has a time-out
	})
	if err != nil {
		return nil, fmt.Errorf("announce presence: %w", err)
	}
	return sub, nil
}

// alive asks whether the group has a member. No answer in time is a no: a
// member that is cut off cannot acknowledge either.
func (s *StreamSubscriber) alive(ctx context.Context, stream, consumer string) bool {
	ctx, cancel := context.WithTimeout(ctx, presenceWait)
	defer cancel()
	_, err := s.js.Conn().RequestWithContext(ctx, presence(stream, consumer), nil)
	return err == nil
}
