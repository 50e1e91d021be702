package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-engine/parley/events"
)

// MaxAttempts bounds how often Transact decides when others keep writing to the
// same stream.
const MaxAttempts = 10

// StreamLog is the part of a log that one stream's writer needs.
type StreamLog interface {
	Appender
	StreamReader
}

// Folded is the state of one stream up to a revision. Its beginning is
// Folded[S]{Revision: NoStream}.
type Folded[S any] struct {
	State    S
	Revision Revision        // of the last event folded
	Position events.Position // of the last event folded
}

// Change is an event on its way into the log together with its decoded form.
type Change struct {
	Event    events.Event
	Proposed events.Proposed
}

// Fold makes the next state. It owns its argument: the caller goes on with the
// result only. The recorded form carries no data and no recorded time.
type Fold[S any] func(state S, event events.Event, recorded events.Recorded) S

// CatchUp folds what the stream has behind at. It refuses a stream in which a
// revision is missing.
func CatchUp[S any](ctx context.Context, log StreamReader, stream string, at Folded[S], fold Fold[S]) (Folded[S], error) {
	for recorded, err := range log.ReadStream(ctx, stream, at.Revision+1, Forwards) {
		if err != nil {
			return at, fmt.Errorf("read %s: %w", stream, err)
		}
		if revision := Revision(recorded.Revision); revision != at.Revision+1 {
			return at, fmt.Errorf("read %s: log is damaged: revision %d came in place of %d", stream, revision, at.Revision+1)
		}
		event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		if err != nil {
			return at, fmt.Errorf("read %s revision %d: %w", stream, recorded.Revision, err)
		}
		at.State = fold(at.State, event, recorded)
		at.Revision, at.Position = Revision(recorded.Revision), recorded.Position
	}
	return at, nil
}

// Transact decides on the folded state and appends what was decided if nobody
// got there first. On a conflict it folds only what is new and decides again.
// Nothing decided is nothing written. It returns the state after the append; an
// error of decide comes back as it is, with the state it was decided on. After
// any other error the returned state must not be used again.
//
// When the very batch was in the log before, or may have been, nothing is decided
// again: Transact returns the state as the log has it, and where the batch is.
// What it carries may differ from what decide has just made, but for the ids.
func Transact[S any](ctx context.Context, log StreamLog, stream string, at Folded[S], fold Fold[S], decide func(Folded[S]) ([]Change, error)) (after Folded[S], repeated *Appended, err error) {
	for range MaxAttempts {
		changes, err := decide(at)
		if err != nil || len(changes) == 0 {
			return at, nil, err
		}
		appended, err := log.Append(ctx, stream, at.Revision, proposals(changes))
		if err == nil && !appended.Repeated {
			return foldChanges(at, stream, changes, appended, fold), nil, nil
		}
		var conflict *ConflictError
		if err != nil && !errors.As(err, &conflict) {
			return at, nil, fmt.Errorf("append to %s: %w", stream, err)
		}
		conflicted := err != nil
		if at, err = CatchUp(ctx, log, stream, at, fold); err != nil || !conflicted {
			return at, &appended, err
		}
	}
	return at, nil, fmt.Errorf("append to %s: %d conflicts in a row: %w", stream, MaxAttempts, ErrUnavailable)
}

func proposals(changes []Change) []events.Proposed {
	batch := make([]events.Proposed, len(changes))
	for i, c := range changes {
		batch[i] = c.Proposed
	}
	return batch
}

func foldChanges[S any](at Folded[S], stream string, changes []Change, appended Appended, fold Fold[S]) Folded[S] {
	for _, c := range changes {
		at.Revision++
		at.State = fold(at.State, c.Event, events.Recorded{
			ID: c.Proposed.ID, Type: c.Proposed.Type, Stream: stream,
			Revision: uint64(at.Revision), Position: appended.Position, Metadata: c.Proposed.Metadata,
		})
	}
	at.Position = appended.Position
	return at
}
