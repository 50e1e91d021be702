package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// ReadFrom implements store.LogReader. The event itself is asked for alone: the database
// tells of a place that is no event's only where it looks at all events.
func (s *Store) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	switch {
	case !from.IsZero():
	case direction == store.Forwards:
		return s.ReadAll(ctx, from, filter)
	default:
		return func(func(events.Recorded, error) bool) {} // nothing is before the first
	}
	return func(yield func(events.Recorded, error) bool) {
		first, wanted, err := s.eventAt(ctx, from, filter)
		if err != nil {
			yield(events.Recorded{}, s.told(ctx, err))
			return
		}
		if wanted && !yield(first, nil) {
			return
		}
		if direction == store.Forwards {
			s.ReadAll(ctx, from, filter)(yield)
			return
		}
		c := &cursor{store: s, yield: yield, after: from, down: true, filter: filter}
		err = c.run(ctx, func() *streams.ReadReq_Options {
			return s.allQuery(base(store.Backwards, everything), c.after, filter.StreamPrefixes)
		})
		if err != nil && !c.stopped {
			yield(events.Recorded{}, s.told(ctx, err))
		}
	}
}

// eventAt returns the event at a position, whoever's it is, and whether it is ours and
// selected.
func (s *Store) eventAt(ctx context.Context, at events.Position, filter store.Filter) (found events.Recorded, wanted bool, err error) {
	if err := s.ready(ctx); err != nil {
		return found, false, err
	}
	bound, unbind := s.bound(ctx)
	defer unbind()
	none := fmt.Errorf("position %s: %w", at, store.ErrNoEvent)
	err = s.again(bound, func(used *link) error {
		q := s.allQuery(base(store.Forwards, 1), at, nil)
		q.FilterOption = &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}}
		r, err := s.open(bound, used, q)
		if err != nil {
			return err
		}
		defer r.close()
		m, err := r.nextEvent()
		switch {
		case errors.Is(err, errDone), errors.As(err, new(*refused)):
			return none
		case err != nil:
			return err
		case m.recorded.Position != at:
			return none
		}
		found = m.recorded
		name, ok := s.ours(found.Stream)
		if wanted = ok && filter.Match(name, found.Type); wanted {
			found.Stream = name
			return m.failed
		}
		return nil
	})
	return found, wanted, err
}

// nextEvent returns the next message that is an event, or errDone.
func (r *reader) nextEvent() (*message, error) {
	for {
		if m, err := r.next(); err != nil || m.isEvent {
			return m, err
		}
	}
}
