// Package store is the contract of the log: append to a stream with an expected
// revision, read a stream, read the whole log, wait for more. Backends live in
// sub-packages and all pass the same suite, storetest.
//
// What every backend promises:
//   - Append is all or nothing, and what it acknowledged survives a power cut.
//   - Revisions are dense per stream and start at 0. Positions rise over the
//     log in commit order: once a reader has seen a position, no event with a
//     smaller one will ever appear.
//   - A position is opaque: it is what the log gave, is compared and handed back,
//     and nothing can be calculated with it. There are logs (EventStoreDB's) that
//     refuse every other number.
//   - Everything is safe for concurrent use. Slices handed in are not kept,
//     slices handed out belong to the receiver.
//   - Reads are snapshots that end at the head they found when ranging began; a
//     reader that stops early is not an error, and a cancelled context ends the
//     sequence with the context's error. A reader may take as long as it likes,
//     and may read or append while it ranges.
//   - Recorded times come from the backend's clock and never fall along the log.
//   - After Close every call returns ErrClosed, and every waiting one does.
package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/parley-engine/parley/events"
)

// NoStream is the expected revision of a stream that must not exist yet.
// Any other value is the exact revision of the stream's last event.
const NoStream = Revision(-1)

// Revision is a place in one stream, 0-based; [NoStream] is before the first.
type Revision int64

// End is the revision behind the last event, from which to read backwards.
const End = Revision(math.MaxInt64)

// MaxEventBytes bounds payload plus metadata of one event, as they are kept: 1 MiB of
// data that are no text, which KurrentDB takes by default, and as much beside them, take
// less than three.
const MaxEventBytes = 4 << 20

// MaxBatch bounds the events of one append.
const MaxBatch = 16 << 10

// Errors of the contract. ConflictError carries more.
var (
	// ErrClosed says the store was closed, or that an earlier commit failed and
	// nothing more will be accepted until it is opened again.
	ErrClosed = errors.New("store is closed")
	// ErrUnavailable wraps passing troubles and failed commits: the same call
	// may succeed later, perhaps once the log was opened again, and finds out
	// whether this one did.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrNoEvent says that a position is no event's of the log.
	ErrNoEvent = errors.New("the log has no event at this position")
	// ErrTooLarge refuses an event or batch over the limits; nothing is written.
	ErrTooLarge = errors.New("event or batch is too large")
)

// ConflictError says that a stream was not where the writer expected it.
// Nothing was written.
type ConflictError struct {
	Stream   string
	Expected Revision
	Actual   Revision
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s is at revision %d, not %d", e.Stream, e.Actual, e.Expected)
}

// Appended says where a batch landed.
type Appended struct {
	Revision Revision        // of the last event
	Position events.Position // of the last event
	// Repeated says that the batch was there before this call, or may have been:
	// what the log has carries the same ids, but perhaps another time or outcome
	// of deciding, so read it before you build on it.
	Repeated bool
}

// Direction is the order of a stream read.
type Direction bool

// The directions of a stream read.
const (
	Forwards  Direction = false
	Backwards Direction = true
)

// Filter selects events of the whole log. The zero Filter selects all. When
// both lists are given, an event must match one entry of each.
type Filter struct {
	StreamPrefixes []string // "conversation-"
	Types          []string // exact stored names

	// EncodedMetadata asks for events whose metadata are not taken apart, for who
	// passes them on: a log that keeps them as JSON may hand that out. A log that does
	// not gives Metadata as ever.
	EncodedMetadata bool
}

// Match reports whether the filter selects an event of this stream and type.
func (f Filter) Match(stream, eventType string) bool {
	return (len(f.StreamPrefixes) == 0 || anyPrefix(f.StreamPrefixes, stream)) &&
		(len(f.Types) == 0 || contains(f.Types, eventType))
}

func anyPrefix(prefixes []string, s string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Appender writes.
type Appender interface {
	// Append adds the batch to the stream if the stream's last revision is
	// expected. When it returns nil the batch is durable and visible to reads.
	//
	// It returns a *ConflictError when the stream is elsewhere, with one
	// exception: if the events right after expected are exactly the batch, by
	// id and in order, this is the same append again and its first outcome is
	// returned, marked as repeated. A batch without events is refused, as are two
	// events with the same id (see Encode). After a *ConflictError, ErrInvalid, ErrTooLarge or
	// ErrClosed nothing was written; after any other error, a cancelled context
	// included, the outcome is unknown and sending the identical call again
	// finds out.
	Append(ctx context.Context, stream string, expected Revision, batch []events.Proposed) (Appended, error)
}

// StreamReader reads one stream.
type StreamReader interface {
	// ReadStream yields the stream's events from revision from (inclusive) on:
	// upwards to the end, or downwards to 0. A stream that does not exist is
	// empty. A from below 0 counts as 0 forwards and yields nothing backwards.
	ReadStream(ctx context.Context, stream string, from Revision, direction Direction) iter.Seq2[events.Recorded, error]
}

// LogReader reads the whole log.
type LogReader interface {
	// ReadAll yields the selected events behind position after, in log order,
	// up to the head at the time of the call.
	ReadAll(ctx context.Context, after events.Position, filter Filter) iter.Seq2[events.Recorded, error]
	// ReadFrom yields the selected events from the one at position from on, that
	// one included: upwards to the head at the time of the call, or downwards to
	// the first. The zero Position is before the first event. A position that is
	// no event's is an error that wraps ErrNoEvent.
	ReadFrom(ctx context.Context, from events.Position, direction Direction, filter Filter) iter.Seq2[events.Recorded, error]
	// Wait blocks until the head is behind position after, and returns the
	// head. Wait with the zero Position on an empty log blocks; Head does not.
	Wait(ctx context.Context, after events.Position) (events.Position, error)
	// Head returns the position of the last event, zero for an empty log.
	Head(ctx context.Context) (events.Position, error)
}

// Log is what a backend is.
type Log interface {
	Appender
	StreamReader
	LogReader
	Close() error
}

// Batch is a step of a subscription: what was selected, and how far the log has
// been read, which may be further than the last selected event.
type Batch struct {
	Events []events.Recorded // may be empty
	Upto   events.Position   // everything up to here has been considered
	Live   bool              // the head was reached; the next batch waits for news
}

// SubscribeBatch bounds the events of one Batch.
const SubscribeBatch = 1000

// Subscribe follows the log behind position after, for ever: history first,
// then news as it is appended, no event twice, none left out. It is read and
// nudge: a notification never carries data, so there is no seam between the
// two. The sequence ends only with an error (the context's, or a read's).
func Subscribe(ctx context.Context, log LogReader, after events.Position, filter Filter) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for {
			head, err := log.Wait(ctx, after)
			if err != nil {
				yield(Batch{}, err)
				return
			}
			last, ok := catchUp(ctx, log, after, head, filter, yield)
			if !ok {
				return
			}
			after = last
		}
	}
}

// catchUp yields everything from after to at least head.
func catchUp(ctx context.Context, log LogReader, after, head events.Position, filter Filter, yield func(Batch, error) bool) (events.Position, bool) {
	var batch []events.Recorded
	upto := after
	for recorded, err := range log.ReadAll(ctx, after, filter) {
		if err != nil {
			yield(Batch{}, err)
			return upto, false
		}
		if recorded.Position.Compare(upto) <= 0 {
			yield(Batch{}, fmt.Errorf("log went from position %s to %s", upto, recorded.Position))
			return upto, false
		}
		upto = recorded.Position
		batch = append(batch, recorded)
		if len(batch) == SubscribeBatch {
			if !yield(Batch{Events: batch, Upto: upto}, nil) {
				return upto, false
			}
			batch = nil
		}
	}
	if upto.Compare(head) < 0 {
		upto = head
	}
	return upto, yield(Batch{Events: batch, Upto: upto, Live: true}, nil)
}
