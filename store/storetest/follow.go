package storetest

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// concurrently runs f n times at once and waits.
func concurrently(n int, f func(int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { f(i) })
	}
	group.Wait()
}

func testFollow(t *testing.T, h Harness) {
	cases(t, h, map[string]func(*testing.T, *log){
		"waiting ends with the next append, for everybody": func(t *testing.T, l *log) {
			const waiters = 50
			heads := make(chan events.Position, waiters)
			for range waiters {
				go func() {
					position, _ := l.Wait(t.Context(), l.base)
					heads <- position
				}()
			}
			appended := l.must(t, l.stream(1), store.NoStream, l.batch("a", 200))
			for range waiters {
				require.Equal(t, appended.Position, <-heads)
			}
		},
		"no wake-up is lost": func(t *testing.T, l *log) {
			const rounds = 300
			go func() {
				for i := range rounds {
					if _, err := l.Append(t.Context(), l.stream(1), store.Revision(i-1), l.batch(fmt.Sprint(i), 1)); err != nil {
						return
					}
				}
			}()
			after, woken := l.base, 0
			for len(l.read(t, l.stream(1))) < rounds {
				position, err := l.Wait(t.Context(), after)
				require.NoError(t, err)
				require.Positive(t, position.Compare(after))
				after = position
				woken++
			}
			require.LessOrEqual(t, woken, rounds)
		},
		"waiting behind an old position returns at once": func(t *testing.T, l *log) {
			first := l.must(t, l.stream(1), store.NoStream, l.batch("a", 1))
			second := l.must(t, l.stream(1), 0, l.batch("b", 1))
			position, err := l.Wait(t.Context(), first.Position)
			require.NoError(t, err)
			require.Equal(t, second.Position, position)
		},
		"following crosses from history to news without loss or repeat":   func(t *testing.T, l *log) { follow(t, l, store.Filter{}) },
		"following with a filter crosses too":                             func(t *testing.T, l *log) { follow(t, l, store.Filter{StreamPrefixes: []string{l.stream(1)}}) },
		"a batch says how far the log was read when nothing was selected": followNothing,
	})
}

const (
	followWriters = 4
	followEach    = 150
)

// follow has followers that start before, in the midst of and after the writing.
// Each must see exactly what one read of the log gives in the end.
func follow(t *testing.T, l *log, filter store.Filter) {
	l.fill(t, 3, 60)
	last := l.batch("last", 1)
	results := make([][]events.ID, 3)
	var followers sync.WaitGroup
	start := func(i int) {
		followers.Go(func() { results[i] = followUntil(t.Context(), l, filter, last[0].ID) })
	}
	start(0)
	concurrently(followWriters, func(w int) {
		for i := range followEach {
			if w == 0 && i == followEach/2 {
				start(1)
			}
			if _, err := l.Append(t.Context(), l.stream(10+w), store.Revision(i-1), l.batch(fmt.Sprintf("%d %d", w, i), 1)); err != nil {
				return
			}
		}
	})
	start(2)
	l.must(t, l.stream(1000), store.NoStream, last)
	followers.Wait()
	want := ids(collect(t, l.ReadAll(t.Context(), l.base, filter)))
	require.Greater(t, len(want), followWriters*followEach)
	for i := range results {
		require.Equal(t, want, results[i])
	}
}

// followUntil follows until it has seen the event with the id last.
func followUntil(ctx context.Context, l *log, filter store.Filter, last events.ID) (seen []events.ID) {
	for batch, err := range store.Subscribe(ctx, l, l.base, filter) {
		if err != nil {
			return nil
		}
		seen = append(seen, ids(batch.Events)...)
		if len(seen) > 0 && seen[len(seen)-1] == last {
			return seen
		}
	}
	return nil
}

func followNothing(t *testing.T, l *log) {
	l.fill(t, 3, 10)
	for batch, err := range store.Subscribe(t.Context(), l, l.base, store.Filter{Types: []string{"none"}}) {
		require.NoError(t, err)
		require.Empty(t, batch.Events)
		require.True(t, batch.Live)
		require.Equal(t, head(t, l), batch.Upto)
		return
	}
}

func testCancel(t *testing.T, h Harness) {
	cases(t, h, map[string]func(*testing.T, *log){
		"a cancelled context ends every call": func(t *testing.T, l *log) {
			l.fill(t, 2, 20)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := l.Append(ctx, l.stream(5), store.NoStream, l.batch("a", 1))
			require.ErrorIs(t, err, context.Canceled)
			_, err = l.Head(ctx)
			require.ErrorIs(t, err, context.Canceled)
			_, err = l.Wait(ctx, l.base)
			require.ErrorIs(t, err, context.Canceled)
			requireEnds(t, l.ReadAll(ctx, l.base, store.Filter{}), context.Canceled, 0)
			requireEnds(t, l.ReadAll(ctx, l.base, store.Filter{Types: []string{"none"}}), context.Canceled, 0)
			requireEnds(t, l.ReadStream(ctx, l.stream(1), 0, store.Forwards), context.Canceled, 0)
			requireEnds(t, l.ReadStream(ctx, l.stream(1), store.End, store.Backwards), context.Canceled, 0)
			for _, err := range store.Subscribe(ctx, l, l.base, store.Filter{}) {
				require.ErrorIs(t, err, context.Canceled)
			}
		},
		"cancelling in the midst of a read ends it": func(t *testing.T, l *log) {
			l.fill(t, 2, 20)
			for _, read := range []func(context.Context) func(func(events.Recorded, error) bool){
				func(ctx context.Context) func(func(events.Recorded, error) bool) {
					return l.ReadAll(ctx, l.base, store.Filter{})
				},
				func(ctx context.Context) func(func(events.Recorded, error) bool) {
					return l.ReadStream(ctx, l.stream(1), 0, store.Forwards)
				},
			} {
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				var last error
				for _, err := range read(ctx) {
					if last = err; err == nil {
						n++
						cancel()
					}
				}
				cancel()
				require.ErrorIs(t, last, context.Canceled)
				require.Equal(t, 1, n)
			}
		},
		"who leaves in the same moment as its context ends is left alone": testLeavingAsTheContextEnds,
		"cancelling ends a wait": func(t *testing.T, l *log) {
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error)
			go func() {
				_, err := l.Wait(ctx, l.base)
				failed <- err
			}()
			cancel()
			require.ErrorIs(t, <-failed, context.Canceled)
		},
		"after a cancelled append, sending it again finds out": testCancelledAppends,
	})
}

// testLeavingAsTheContextEnds stops reading when the context has ended, or while it does:
// neither is to be told anything more, which would end the process.
func testLeavingAsTheContextEnds(t *testing.T, l *log) {
	const n = 5
	l.fill(t, 1, n)
	reads := map[string]func(ctx context.Context, one func() bool){
		"log": func(ctx context.Context, one func() bool) { leave(l.ReadAll(ctx, l.base, store.Filter{}), one) },
		"part of the log": func(ctx context.Context, one func() bool) {
			leave(l.ReadAll(ctx, l.base, store.Filter{StreamPrefixes: []string{l.stream(0)}}), one)
		},
		"stream": func(ctx context.Context, one func() bool) {
			leave(l.ReadStream(ctx, l.stream(0), 0, store.Forwards), one)
		},
		"backwards": func(ctx context.Context, one func() bool) {
			leave(l.ReadStream(ctx, l.stream(0), store.End, store.Backwards), one)
		},
		"subscription": func(ctx context.Context, one func() bool) {
			leave(store.Subscribe(ctx, l, l.base, store.Filter{}), one)
		},
		"patient subscription": func(ctx context.Context, one func() bool) {
			leave(store.Subscribe(ctx, store.Patient(l, nil), l.base, store.Filter{}), one)
		},
	}
	for name, read := range reads {
		for last := 1; last <= n && (last == 1 || !strings.Contains(name, "subscription")); last++ { // which has one batch
			for _, atOnce := range []bool{true, false} {
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				read(ctx, func() bool {
					if seen++; seen < last {
						return true
					}
					if atOnce {
						cancel()
					} else {
						go cancel()
					}
					return false
				})
				cancel()
				require.LessOrEqual(t, seen, last, name)
			}
		}
	}
	l.must(t, l.stream(9), store.NoStream, l.batch("after", 1))
}

// leave reads until one has had enough.
func leave[V any](sequence iter.Seq2[V, error], one func() bool) {
	for range sequence {
		if !one() {
			return
		}
	}
}

// requireEnds expects a sequence to yield n events and then an error.
func requireEnds(t *testing.T, sequence func(func(events.Recorded, error) bool), want error, n int) {
	t.Helper()
	var last error
	for _, err := range sequence {
		if last = err; err == nil {
			n--
		}
	}
	require.ErrorIs(t, last, want)
	require.Zero(t, n)
}

// testCancelledAppends cancels appends while they are made: each is there as a
// whole or not at all, and the second call brings it there in either case.
func testCancelledAppends(t *testing.T, l *log) {
	cancelled := 0
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		key := fmt.Sprint(i)
		expected := store.Revision(3*i - 1)
		go cancel()
		first, err := l.Append(ctx, l.stream(1), expected, l.batch(key, 3))
		cancel()
		again := l.must(t, l.stream(1), expected, l.batch(key, 3))
		if err == nil {
			requireRepeated(t, first, again)
			continue
		}
		require.ErrorIs(t, err, context.Canceled)
		cancelled++
	}
	require.Len(t, l.read(t, l.stream(1)), 600)
	t.Logf("%d of 200 appends were cancelled", cancelled)
	l.check(t)
}
