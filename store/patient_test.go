package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// flaky is a log out of reach for a while, and whose reads break off after each
// event.
type flaky struct {
	store.LogReader
	until  time.Time
	breaks int // how many reads break off
	err    error
}

func (f *flaky) away() error {
	if time.Now().Before(f.until) {
		return f.err
	}
	return nil
}

func (f *flaky) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return f.broken(f.LogReader.ReadAll(ctx, after, filter))
}

func (f *flaky) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return f.broken(f.LogReader.ReadFrom(ctx, from, direction, filter))
}

func (f *flaky) broken(sequence iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		if err := f.away(); err != nil {
			yield(events.Recorded{}, err)
			return
		}
		for e, err := range sequence {
			if !yield(e, err) {
				return
			}
			if f.breaks--; f.breaks >= 0 {
				yield(events.Recorded{}, f.err)
				return
			}
		}
	}
}

func (f *flaky) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	if err := f.away(); err != nil {
		return events.Position{}, err
	}
	return f.LogReader.Wait(ctx, after)
}

func (f *flaky) Head(ctx context.Context) (events.Position, error) {
	if err := f.away(); err != nil {
		return events.Position{}, err
	}
	return f.LogReader.Head(ctx)
}

// Whatever a follower asks for, it waits for the answer, and gets each event once.
func TestAPatientReaderGetsEachEventOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memstore.New()
		for i := range 9 {
			add(t, log, store.Revision(i-1), fmt.Sprint(i))
		}
		away := &flaky{LogReader: log, until: time.Now().Add(time.Minute), err: store.ErrUnavailable}
		follower := store.Patient(away, nil)
		head, err := follower.Head(t.Context())
		require.NoError(t, err)
		for direction, from := range map[store.Direction]events.Position{store.Forwards: {}, store.Backwards: head} {
			away.breaks = 4
			var seen []uint64
			for e, err := range follower.ReadFrom(t.Context(), from, direction, store.Filter{}) {
				require.NoError(t, err)
				seen = append(seen, e.Revision)
			}
			if direction == store.Backwards {
				slices.Reverse(seen)
			}
			require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8}, seen)
		}
	})
}

func TestAPatientFollowerGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memstore.New()
		for i := range 5 {
			add(t, log, store.Revision(i-1), fmt.Sprint(i))
		}
		unavailable := fmt.Errorf("%w: gone for a walk", store.ErrUnavailable)
		troubles := 0
		away := &flaky{LogReader: log, until: time.Now().Add(time.Minute), breaks: 3, err: unavailable}
		follower := store.Patient(away, func(err error) { require.Equal(t, unavailable, err); troubles++ })
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		begun, seen := time.Now(), 0
		for batch, err := range store.Subscribe(ctx, follower, events.Position{}, store.Filter{}) {
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				break
			}
			for _, e := range batch.Events {
				require.EqualValues(t, seen, e.Revision)
				seen++
			}
			stop()
		}
		require.Equal(t, 5, seen)
		require.InDelta(t, 60, time.Since(begun).Seconds(), 3, "noticed soon after it was back")
		require.Less(t, troubles, 60, "and without asking all the time")
	})
}

func TestPatienceEndsWithTheContextAndWithWhatDoesNotPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		away := &flaky{LogReader: memstore.New(), until: time.Now().Add(time.Hour), err: broken}
		follower := store.Patient(away, nil)
		_, err := follower.Wait(t.Context(), events.Position{})
		require.Equal(t, broken, err)
		for _, err := range follower.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
			require.Equal(t, broken, err)
		}
		away.err = store.ErrUnavailable
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = follower.Wait(ctx, events.Position{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, err := range follower.ReadAll(ctx, events.Position{}, store.Filter{}) {
			require.Error(t, err)
		}
	})
}
