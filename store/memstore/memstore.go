// Package memstore keeps the log in memory. It is the reference implementation
// of the contract in package store: read it to learn what a backend must do.
//
// It is a real store for tests and trials and no substitute for a durable one:
// what it acknowledges is gone with the process. It never forgets an event, so
// memory grows with the log. It works inside testing/synctest bubbles.
package memstore

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Store is a log in memory. It is safe for concurrent use.
type Store struct {
	// Now is the clock of recorded times; nil means time.Now. Set it before
	// first use.
	Now func() time.Time

	// mu guards everything below. It is held for a batch's worth of appending
	// to slices and never while a reader ranges: log and streams only grow, so
	// the part that a reader saw under mu stays as it was.
	mu      sync.Mutex
	log     []entry          // index i is position i+1
	streams map[string][]int // revision to index in log
	last    time.Time        // recorded time of the last event
	grown   chan struct{}    // closed when log grows or the store closes; nil when nobody waits
	closed  bool
}

var _ store.Log = (*Store)(nil)

type entry struct {
	store.Encoded
	stream   string
	revision store.Revision
	recorded time.Time
}

// New returns an empty log.
func New() *Store { return &Store{streams: map[string][]int{}} }

// Append implements store.Appender.
func (s *Store) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if err := ctx.Err(); err != nil {
		return store.Appended{}, err
	}
	encoded, err := store.Encode(stream, expected, batch)
	if err != nil {
		return store.Appended{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.Appended{}, store.ErrClosed
	}
	if actual := s.lastRevision(stream); actual != expected {
		return s.repeatOrConflict(stream, expected, actual, encoded)
	}
	s.add(stream, encoded)
	return s.appended(stream, s.lastRevision(stream)), nil
}

func (s *Store) lastRevision(stream string) store.Revision {
	return store.Revision(len(s.streams[stream])) - 1
}

func (s *Store) appended(stream string, revision store.Revision) store.Appended {
	return store.Appended{Revision: revision, Position: position(s.streams[stream][revision])}
}

func position(index int) events.Position { return events.At(uint64(index) + 1) }

// repeatOrConflict recognises an append that was made before by the ids of the
// events that follow expected.
func (s *Store) repeatOrConflict(stream string, expected, actual store.Revision, batch []store.Encoded) (store.Appended, error) {
	conflict := &store.ConflictError{Stream: stream, Expected: expected, Actual: actual}
	if store.Revision(len(batch)) > actual-expected { // their sum may be no number any more
		return store.Appended{}, conflict
	}
	last := expected + store.Revision(len(batch))
	for i, index := range s.streams[stream][expected+1 : last+1] {
		if s.log[index].ID != batch[i].ID {
			return store.Appended{}, conflict
		}
	}
	first := s.appended(stream, last)
	first.Repeated = true
	return first, nil
}

func (s *Store) add(stream string, batch []store.Encoded) {
	s.last = later(s.last, s.now())
	for _, e := range batch {
		s.log = append(s.log, entry{e, stream, s.lastRevision(stream) + 1, s.last})
		s.streams[stream] = append(s.streams[stream], len(s.log)-1)
	}
	s.wake()
}

func (s *Store) now() time.Time {
	if s.Now == nil {
		return time.Now().UTC().Round(0)
	}
	return s.Now().UTC().Round(0)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (s *Store) wake() {
	if s.grown != nil {
		close(s.grown)
		s.grown = nil
	}
}

// ReadStream implements store.StreamReader.
func (s *Store) ReadStream(ctx context.Context, stream string, from store.Revision, direction store.Direction) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		log, err := s.snapshot(ctx)
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		indexes := s.stream(stream, len(log))
		step, i := 1, int(max(from, 0))
		if direction == store.Backwards {
			step, i = -1, int(min(from, store.Revision(len(indexes))-1))
		}
		for ; i >= 0 && i < len(indexes); i += step {
			if !yieldEntry(ctx, log, indexes[i], yield) {
				return
			}
		}
	}
}

// ReadAll implements store.LogReader.
func (s *Store) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		log, err := s.snapshot(ctx)
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		for i := firstBehind(after, len(log)); i < len(log); i++ {
			selected := filter.Match(log[i].stream, log[i].Type)
			if (selected || i%1024 == 0 && ctx.Err() != nil) && !yieldEntry(ctx, log, i, yield) {
				return
			}
		}
	}
}

// ReadFrom implements store.LogReader.
func (s *Store) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		log, err := s.snapshot(ctx)
		at := int(min(from.Commit, uint64(len(log)+1))) - 1
		if err == nil && !from.IsZero() && (at >= len(log) || position(at) != from) {
			err = fmt.Errorf("position %s: %w", from, store.ErrNoEvent)
		}
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		step, i := 1, max(at, 0)
		if direction == store.Backwards {
			step, i = -1, at
		}
		for ; i >= 0 && i < len(log); i += step {
			selected := filter.Match(log[i].stream, log[i].Type)
			if (selected || i%1024 == 0 && ctx.Err() != nil) && !yieldEntry(ctx, log, i, yield) {
				return
			}
		}
	}
}

// firstBehind returns the index of the first event behind position after.
func firstBehind(after events.Position, length int) int {
	if after.Commit >= uint64(length) {
		return length
	}
	return int(after.Commit)
}

func yieldEntry(ctx context.Context, log []entry, index int, yield func(events.Recorded, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(events.Recorded{}, err)
		return false
	}
	e := log[index]
	metadata, err := events.ParseMetadata([]byte(e.Metadata))
	return yield(events.Recorded{
		ID: e.ID, Type: e.Type, Stream: e.stream, Revision: uint64(e.revision),
		Position: position(index), Recorded: e.recorded, Metadata: metadata, Data: []byte(e.Data),
	}, err) && err == nil
}

func (s *Store) snapshot(ctx context.Context) ([]entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	return s.log, nil
}

// stream returns the stream's part of the first length events of the log.
func (s *Store) stream(name string, length int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	indexes := s.streams[name]
	for len(indexes) > 0 && indexes[len(indexes)-1] >= length {
		indexes = indexes[:len(indexes)-1]
	}
	return indexes
}

// Wait implements store.LogReader.
func (s *Store) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	for {
		log, err := s.snapshot(ctx)
		if err != nil {
			return events.Position{}, err
		}
		if head := events.At(uint64(len(log))); head.Compare(after) > 0 {
			return head, nil
		}
		select {
		case <-s.growth(len(log)):
		case <-ctx.Done():
			return events.Position{}, ctx.Err()
		}
	}
}

// growth returns a channel that is closed once the log is longer than length.
func (s *Store) growth(length int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) > length || s.closed {
		done := make(chan struct{})
		close(done)
		return done
	}
	if s.grown == nil {
		s.grown = make(chan struct{})
	}
	return s.grown
}

// Head implements store.LogReader.
func (s *Store) Head(ctx context.Context) (events.Position, error) {
	log, err := s.snapshot(ctx)
	return events.At(uint64(len(log))), err
}

// Close makes every later call, and everyone who waits, return store.ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
	return nil
}
