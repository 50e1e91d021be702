package store

import (
	"context"
	"fmt"

	"github.com/parley-engine/parley/events"
)

// MaxProblems bounds the problems that a report lists.
const MaxProblems = 100

// Report is what Verify found.
type Report struct {
	Events   int             `json:"events"`
	Streams  int             `json:"streams"`
	Head     events.Position `json:"head"`           // of the last event read
	Digest   string          `json:"digest"`         // see Digest
	Problems []Problem       `json:"problems"`       // the first MaxProblems
	More     int             `json:"more,omitempty"` // problems beyond those
	place    map[string]place
	ids      map[events.ID]string
	digest   Digest
	last     events.Recorded
}

// Problem is something that no sound log has.
type Problem struct {
	Position events.Position `json:"position"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	What     string          `json:"what"`
}

// place is how far a stream goes.
type place struct {
	next uint64
	last events.ID
}

// Verify reads a whole log and checks what the contract promises: positions rise,
// recorded times never fall, revisions are dense per stream from 0, no event id is
// there twice, and every payload can be decoded. It tells progress, when that is
// not nil, how many events it has read. Memory grows with streams and events, about
// 100 bytes each.
//
// The error is one of reading; a log that is read and unsound is no error.
func Verify(ctx context.Context, log LogReader, progress func(events int)) (*Report, error) {
	r := &Report{Problems: []Problem{}, place: map[string]place{}, ids: map[events.ID]string{}}
	for e, err := range log.ReadAll(ctx, events.Position{}, Filter{}) {
		if err != nil {
			return r, err
		}
		r.look(&e)
		if progress != nil {
			progress(r.Events)
		}
	}
	r.Streams, r.Digest = len(r.place), r.digest.String()
	return r, nil
}

func (r *Report) look(e *events.Recorded) {
	found := func(format string, args ...any) { r.find(e, fmt.Sprintf(format, args...)) }
	if r.Events > 0 && e.Position.Compare(r.last.Position) <= 0 {
		found("its position is not behind %s, that of the event before", r.last.Position)
	}
	if e.Recorded.Before(r.last.Recorded) {
		found("it was recorded before the event before")
	}
	at := r.place[e.Stream]
	if e.Revision != at.next {
		found("its revision is %d in place of %d", e.Revision, at.next)
	}
	if other, twice := r.ids[e.ID]; twice {
		found("its id %s is also in stream %s", e.ID, other)
	}
	if _, err := events.Vocabulary().Decode(e.Type, e.Data); err != nil {
		found("%v", err)
	}
	r.ids[e.ID] = e.Stream
	r.place[e.Stream] = place{next: e.Revision + 1, last: e.ID}
	r.digest.Add(e)
	r.Events, r.Head, r.last = r.Events+1, e.Position, events.Recorded{Position: e.Position, Recorded: e.Recorded}
}

func (r *Report) find(e *events.Recorded, what string) {
	if len(r.Problems) == MaxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{e.Position, e.Stream, e.Revision, what})
}
