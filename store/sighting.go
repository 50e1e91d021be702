package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-engine/parley/events"
)

// Sighting is the last event that somebody has seen of a log. Everybody sees only what is
// durable, so a log that does not have it has lost its end, or is another one.
type Sighting struct {
	By       string // who, for people: a file or a mark
	Position events.Position
	Event    events.ID // at the position; zero: not known
	Recorded time.Time // of that event, to the millisecond; zero: not known
}

// ErrLostEnd is what every *LostEndError is.
var ErrLostEnd = errors.New("the log has lost its end")

// LostEndError says that others have seen events that a log does not have.
type LostEndError struct {
	Head events.Position // of the log; zero: it is empty
	Lost []Sighting      // what it does not have, at least one
}

func (e *LostEndError) Error() string {
	last := e.Last()
	if last.Position.Compare(e.Head) > 0 {
		return fmt.Sprintf("%v: it ends at position %s, and %s has seen events up to %s", ErrLostEnd, e.Head, last.By, last.Position)
	}
	return fmt.Sprintf("%v or is another one: %s has seen event %s at position %s, and the log has another one there", ErrLostEnd, last.By, last.Event, last.Position)
}

// Is makes errors.Is(err, ErrLostEnd) true.
func (e *LostEndError) Is(target error) bool { return target == ErrLostEnd }

// Last is the sighting that is furthest ahead.
func (e *LostEndError) Last() Sighting {
	last := e.Lost[0]
	for _, s := range e.Lost {
		if s.Position.Compare(last.Position) > 0 {
			last = s
		}
	}
	return last
}

// CheckSightings compares a log with what others have seen of it. The error is a
// *LostEndError when it lacks something of that.
func CheckSightings(ctx context.Context, log LogReader, seen []Sighting) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	lost := &LostEndError{Head: head}
	for _, s := range seen {
		has, err := Has(ctx, log, s)
		if err != nil {
			return err
		}
		if !has {
			lost.Lost = append(lost.Lost, s)
		}
	}
	if len(lost.Lost) > 0 {
		return lost
	}
	return nil
}

// Has reports whether a log has what was seen. One event is enough: a log only grows at
// its end. The time tells apart an event that was written again after a restore, with the
// same id. Of a position alone it asks no more than that the log goes so far.
func Has(ctx context.Context, log LogReader, s Sighting) (bool, error) {
	if s.Position.IsZero() {
		return true, nil
	}
	if s.Event.IsZero() {
		head, err := log.Head(ctx)
		return s.Position.Compare(head) <= 0, err
	}
	for r, err := range log.ReadFrom(ctx, s.Position, Forwards, Filter{}) {
		switch {
		case errors.Is(err, ErrNoEvent):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read the log: %w", err)
		}
		return r.Position == s.Position && r.ID == s.Event &&
			(s.Recorded.IsZero() || r.Recorded.UnixMilli() == s.Recorded.UnixMilli()), nil
	}
	return false, nil
}
