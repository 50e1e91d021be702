package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

func testConcurrent(t *testing.T, h Harness) {
	cases(t, h, map[string]func(*testing.T, *log){
		"the order of the log is the order of commits": testCommitOrder,
		"racing for one stream, one wins each revision": func(t *testing.T, l *log) {
			const writers, rounds = 8, 20
			var won [rounds]atomic.Int32
			concurrently(writers, func(w int) {
				for i := range rounds {
					_, err := l.Append(t.Context(), l.stream(1), store.Revision(i-1), l.batch(fmt.Sprintf("%d %d", w, i), 1))
					if err == nil {
						won[i].Add(1)
					}
				}
			})
			list := l.read(t, l.stream(1))
			for i := range list {
				require.EqualValues(t, 1, won[i].Load())
			}
			for i := len(list); i < rounds; i++ {
				require.Zero(t, won[i].Load())
			}
			l.check(t)
		},
		"racing with a fresh look after each conflict, all land": func(t *testing.T, l *log) {
			const writers, each = 8, 15
			failures := make([]error, writers)
			concurrently(writers, func(w int) {
				expected := store.NoStream
				for i := 0; i < each; {
					appended, err := l.Append(t.Context(), l.stream(1), expected, l.batch(fmt.Sprintf("%d %d", w, i), 1))
					var conflict *store.ConflictError
					switch {
					case err == nil:
						expected, i = appended.Revision, i+1
					case errors.As(err, &conflict):
						expected = conflict.Actual
					default:
						failures[w] = err
						return
					}
				}
			})
			require.NoError(t, errors.Join(failures...))
			require.Len(t, l.read(t, l.stream(1)), writers*each)
			l.check(t)
		},
	})
}

// testCommitOrder has readers read the log again and again while writers write:
// what a reader has seen never gets anything in front of it or between.
func testCommitOrder(t *testing.T, l *log) {
	const writers, each, readers = 8, 60, 3
	var writing, reading atomic.Int32
	writing.Store(writers)
	failures := make([]error, writers+readers)
	concurrently(writers+readers, func(n int) {
		if n >= writers {
			failures[n] = l.readAgainAndAgain(t, func() bool { return writing.Load() == 0 })
			reading.Add(1)
			return
		}
		defer writing.Add(-1)
		for i := range each {
			if _, err := l.Append(t.Context(), l.stream(n), store.Revision(2*i-1), l.batch(fmt.Sprintf("%d %d", n, i), 2)); err != nil {
				failures[n] = err
				return
			}
		}
	})
	require.NoError(t, errors.Join(failures...))
	require.EqualValues(t, readers, reading.Load())
	require.Len(t, l.all(t), writers*each*2)
	l.check(t)
}

func (l *log) readAgainAndAgain(t testing.TB, finished func() bool) error {
	var seen []events.ID
	for last := false; ; {
		n := 0
		for e, err := range l.ReadAll(t.Context(), l.base, store.Filter{}) {
			switch {
			case err != nil:
				return err
			case n == len(seen):
				seen = append(seen, e.ID)
			case seen[n] != e.ID:
				return fmt.Errorf("at place %d there was %s, now %s", n, seen[n], e.ID)
			}
			n++
		}
		if n != len(seen) {
			return fmt.Errorf("there were %d events, now %d", len(seen), n)
		}
		if last {
			return nil
		}
		last = finished()
	}
}
