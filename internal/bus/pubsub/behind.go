package pubsub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrBehind says that a stream ends before what was read of it: it lost its end. What is
// published next would have sequences that count as handled.
var ErrBehind = errors.New("the stream lost its end")

// behindPause is between two looks: of a cluster's members one may be a little behind.
const behindPause = 500 * time.Millisecond

// Behind returns ErrBehind when the stream ends before what its consumer has seen, and
// still does after a while.
func Behind(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer) error {
	const looks = 4
	for look := 1; ; look++ {
		err := behind(ctx, stream, consumer)
		if look == looks || !errors.Is(err, ErrBehind) {
			return err
		}
		select {
		case <-time.After(behindPause):
		case <-ctx.Done():
			return fmt.Errorf("look at stream: %w", ctx.Err())
		}
	}
}

// behind asks both anew, the stream last.
func behind(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer) error {
	reader, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at consumer: %w", err)
	}
	seen := max(reader.AckFloor.Stream, reader.Delivered.Stream)
	if done, err := readNote(reader.Config.Metadata); err == nil && done != nil {
		seen = max(seen, done.upto)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("look at stream: %w", err)
	}
	if last := info.State.LastSeq; last < seen {
		return fmt.Errorf("%w: %s ends at %d, but %s has read up to %d", ErrBehind, info.Config.Name, last, reader.Name, seen)
	}
	return nil
}

// beginAnew deletes a consumer that is ahead of its stream, and reports whether it did.
// Its successor reads all that the stream has: a part of it again, nothing of it never.
func (s *StreamSubscriber) beginAnew(ctx context.Context, stream jetstream.Stream, consumer jetstream.Consumer) (bool, error) {
	err := Behind(ctx, stream, consumer)
	if !errors.Is(err, ErrBehind) {
		return false, err
	}
	s.opts.Logger.Error("a stream lost its end: messages may be lost; all that it has left is read again", "err", err)
	if err := stream.DeleteConsumer(ctx, consumer.CachedInfo().Name); err != nil {
		return false, fmt.Errorf("delete consumer %s: %w", consumer.CachedInfo().Name, err)
	}
	return true, nil
}
