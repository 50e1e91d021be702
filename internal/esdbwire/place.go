package esdbwire

import (
	"context"
	"errors"
	"iter"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// all yields what the whole log has from the query's place on: forwards the event there
// as well, backwards what is before it.
func (s *service) all(ctx context.Context, q *query) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		at, err := s.place(ctx, q)
		switch {
		case err != nil:
			yield(events.Recorded{}, err)
		case q.direction == store.Backwards && !q.atEnd:
			behind(at, s.log.ReadFrom(ctx, at, store.Backwards, asKept))(yield)
		case q.direction == store.Backwards:
			s.log.ReadFrom(ctx, at, store.Backwards, asKept)(yield)
		case !q.atEnd:
			s.log.ReadFrom(ctx, at, store.Forwards, asKept)(yield)
		}
	}
}

// behind leaves out the event at a position.
func behind(at events.Position, sequence iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for e, err := range sequence {
			if (err != nil || e.Position != at) && !yield(e, err) {
				return
			}
		}
	}
}

// place is the position of the event at which a query begins, zero for the beginning. As
// in EventStoreDB that is a position it gave, (P, P), or the place before it, (P, P-1),
// and nothing else; a place behind the end is the end for whoever reads forwards.
func (d *database) place(ctx context.Context, q *query) (events.Position, error) {
	head, err := d.log.Head(ctx)
	switch {
	case err != nil || q.atEnd:
		return head, err
	case q.position.IsZero():
		return q.position, nil
	case q.position.Compare(head) > 0 && q.direction == store.Forwards:
		q.atEnd = true
		return head, nil
	}
	there, err := d.hasEvent(ctx, q.position)
	if there || err != nil {
		return q.position, err
	}
	at := events.Position{Commit: q.position.Commit, Prepare: q.position.Commit}
	if q.position == (events.Position{Commit: at.Commit, Prepare: at.Commit - 1}) {
		there, err = d.hasEvent(ctx, at)
	}
	switch {
	case err == nil && !there:
		err = errNoPlace
	case err == nil && q.direction == store.Backwards:
		return d.former(ctx, at)
	}
	return at, err
}

// hasEvent reports whether a position is an event's.
func (d *database) hasEvent(ctx context.Context, at events.Position) (bool, error) {
	for _, err := range d.log.ReadFrom(ctx, at, store.Forwards, asKept) {
		if errors.Is(err, store.ErrNoEvent) {
			return false, nil
		}
		return err == nil, err
	}
	return false, nil
}

// former is the position of the event before the one at a position, zero for the first.
func (d *database) former(ctx context.Context, at events.Position) (events.Position, error) {
	for e, err := range behind(at, d.log.ReadFrom(ctx, at, store.Backwards, asKept)) {
		if errors.Is(err, store.ErrNoEvent) {
			err = errNoPlace
		}
		return e.Position, err
	}
	return events.Position{}, nil
}
