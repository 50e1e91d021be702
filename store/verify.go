package store

import (
	"context"
	"fmt"
	"time"

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
}

// Problem is something that no sound log has.
type Problem struct {
	Position events.Position `json:"position"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	What     string          `json:"what"`
}

// Verify reads a whole log and checks what the contract promises: positions rise,
// recorded times never fall, revisions are dense per stream from 0, no event id is
// there twice, and every payload can be decoded. It tells progress, when that is
// not nil, how many events it has read. Memory grows with streams and events, about
// 100 bytes each.
//
// A log that is a Damaged is asked for damage to its files as well.
//
// The error is one of reading; a log that is read and unsound is no error.
func Verify(ctx context.Context, log LogReader, progress func(events int)) (Report, error) {
	v := &verifier{Report: Report{Problems: []Problem{}}, next: map[string]uint64{}, ids: map[events.ID]string{}}
	for e, err := range log.ReadAll(ctx, events.Position{}, Filter{}) {
		if err != nil {
			return v.Report, err
		}
		v.look(&e)
		if progress != nil {
			progress(v.Events)
		}
	}
	v.Streams, v.Digest = len(v.next), v.digest.String()
	if files, ok := log.(Damaged); ok {
		found, err := files.Damage(ctx)
		if err != nil {
			return v.Report, err
		}
		for _, what := range found {
			v.find(&events.Recorded{}, what)
		}
	}
	return v.Report, nil
}

// Damaged is a log in files whose structure can be checked.
type Damaged interface {
	// Damage reads the files and returns what is wrong with their structure, a sentence
	// each, some twenty at most. It does not see what is changed within an event.
	Damage(ctx context.Context) ([]string, error)
}

// verifier is a report in the making.
type verifier struct {
	Report
	next     map[string]uint64 // revision, by stream
	ids      map[events.ID]string
	digest   Digest
	recorded time.Time // of the last event
}

func (r *verifier) look(e *events.Recorded) {
	found := func(format string, args ...any) { r.find(e, fmt.Sprintf(format, args...)) }
	if r.Events > 0 && e.Position.Compare(r.Head) <= 0 {
		found("its position is not behind %s, that of the event before", r.Head)
	}
	if e.Recorded.Before(r.recorded) {
		found("it was recorded before the event before")
	}
	if next := r.next[e.Stream]; e.Revision != next {
		found("its revision is %d in place of %d", e.Revision, next)
	}
	if other, twice := r.ids[e.ID]; twice {
		found("its id %s is also in stream %s", e.ID, other)
	}
	if _, err := events.Vocabulary().Decode(e.Type, e.Data); err != nil {
		found("%v", err)
	}
	r.ids[e.ID] = e.Stream
	r.next[e.Stream] = e.Revision + 1
	r.digest.Add(e)
	r.Events, r.Head, r.recorded = r.Events+1, e.Position, e.Recorded
}

func (r *verifier) find(e *events.Recorded, what string) {
	if len(r.Problems) == MaxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{e.Position, e.Stream, e.Revision, what})
}
