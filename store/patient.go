package store

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/parley-engine/parley/events"
)

// Pauses of a patient follower, see Pause.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// Patient returns the log for a follower that outlives passing troubles: where the log
// is unavailable, every call tries again, from where it was, until the context ends.
// Every trouble is told to notice; nil hears of none.
func Patient(log LogReader, notice func(error)) LogReader {
	if notice == nil {
		notice = func(error) {}
	}
	return &patient{LogReader: log, notice: notice}
}

type patient struct {
	LogReader
	notice func(error)
}

// ReadAll implements LogReader.
func (p *patient) ReadAll(ctx context.Context, after events.Position, filter Filter) iter.Seq2[events.Recorded, error] {
	return p.read(ctx, func(last events.Position) iter.Seq2[events.Recorded, error] {
		if last.IsZero() {
			last = after
		}
		return p.LogReader.ReadAll(ctx, last, filter)
	})
}

// ReadFrom implements LogReader.
func (p *patient) ReadFrom(ctx context.Context, from events.Position, direction Direction, filter Filter) iter.Seq2[events.Recorded, error] {
	return p.read(ctx, func(last events.Position) iter.Seq2[events.Recorded, error] {
		switch {
		case last.IsZero():
			return p.LogReader.ReadFrom(ctx, from, direction, filter)
		case direction == Forwards:
			return p.LogReader.ReadAll(ctx, last, filter)
		}
		return behindFirst(p.LogReader.ReadFrom(ctx, last, direction, filter))
	})
}

// behindFirst leaves out the first event of a sequence.
func behindFirst(sequence iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		first := true
		for recorded, err := range sequence {
			if skip := first && err == nil; !skip && !yield(recorded, err) {
				return
			}
			first = false
		}
	}
}

// read yields what open does, again behind the last event that was yielded after each
// trouble.
func (p *patient) read(ctx context.Context, open func(last events.Position) iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		var last events.Position
		for tries := 0; ; tries++ {
			trouble := error(nil)
			for recorded, err := range open(last) {
				if errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
					trouble = err
					break
				}
				if !yield(recorded, err) || err != nil {
					return
				}
				last, tries = recorded.Position, 0
			}
			if trouble == nil {
				return
			}
			if err := p.rest(ctx, tries, trouble); err != nil {
				yield(events.Recorded{}, err)
				return
			}
		}
	}
}

// Wait implements LogReader.
func (p *patient) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	return p.ask(ctx, func() (events.Position, error) { return p.LogReader.Wait(ctx, after) })
}

// Head implements LogReader.
func (p *patient) Head(ctx context.Context) (events.Position, error) {
	return p.ask(ctx, func() (events.Position, error) { return p.LogReader.Head(ctx) })
}

func (p *patient) ask(ctx context.Context, question func() (events.Position, error)) (events.Position, error) {
	for tries := 0; ; tries++ {
		head, err := question()
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return head, err
		}
		if err := p.rest(ctx, tries, err); err != nil {
			return head, err
		}
	}
}

// rest pauses before the next attempt; the context's error ends it.
func (p *patient) rest(ctx context.Context, tries int, trouble error) error {
	p.notice(trouble)
	return Pause(ctx, tries, firstPause, longestPause)
}

// Pause rests before attempt n, from 0, of something that failed: as long as first,
// doubled each time up to longest, and up to a quarter less so that many do not come
// back at once. The context's error ends it.
func Pause(ctx context.Context, n int, first, longest time.Duration) error {
	rest := min(first<<min(n, 10), longest)
	timer := time.NewTimer(rest - rand.N(rest/4))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
