package timers_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/timers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts the scheduler in the bubble; the returned function stops it and
// waits.
func run(t *testing.T, s *timers.Scheduler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// 30 days of traffic on 40 conversations, swept once a minute: whatever fires
// does so for its own instant, never early and never later than the next sweep,
// and a conversation that talks often enough never fires at all.
func TestAMonthOfTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := timers.NewScheduler(w.index, w.fire, nil)
		chance := rand.New(rand.NewPCG(1, 2))
		const talks = 40
		for i := range talks {
			w.create(sid(i), 36*time.Hour, 5*24*time.Hour)
		}
		w.create(sid(talks), 36*time.Hour, 0) // talks every hour
		for minute := range 30 * 24 * 60 {
			time.Sleep(time.Minute)
			s.Sweep(t.Context(), time.Now())
			if minute%60 == 7 {
				require.True(t, w.message(sid(talks)))
				w.message(sid(chance.IntN(talks)))
			}
		}
		require.Greater(t, len(w.firings()), talks)
		requirePunctual(t, w.firings(), time.Minute)
		for _, f := range w.firings() {
			require.NotEqual(t, sid(talks), f.conversation)
		}
		require.Zero(t, s.Stats().Failed)
	})
}

// The same under cron's own tick, for six hours with timers of seconds.
func TestUnderCronNothingIsASecondLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := timers.NewScheduler(w.index, w.fire, nil)
		stop := run(t, s)
		for i := range 1000 {
			time.Sleep(21700 * time.Millisecond)
			w.create(sid(i), time.Duration(60+i)*time.Second, 601*time.Second)
			w.message(sid(i * 9 / 10))
		}
		time.Sleep(time.Hour)
		stop()
		require.GreaterOrEqual(t, len(w.firings()), 2000)
		requirePunctual(t, w.firings(), time.Second)
		require.LessOrEqual(t, s.Stats().LateMax, time.Second)
		require.Zero(t, w.index.Len())
	})
}

func requirePunctual(t *testing.T, fired []firing, most time.Duration) {
	t.Helper()
	for _, f := range fired {
		late := f.at.Sub(f.due)
		require.GreaterOrEqual(t, late, time.Duration(0), "early: %+v", f)
		require.LessOrEqual(t, late, most, "late: %+v", f)
	}
}

// A message and the timer in the same instant, in both orders and at once:
// either the message came first and the clock starts anew, or the timer did and
// the message wakes the conversation up. In each case it becomes inactive an
// hour after the message, and the timer fires once per instant.
func TestAMessageRacingTheTimerInTheSameInstant(t *testing.T) {
	for name, race := range map[string]struct {
		meet  func(message, sweep func())
		fired []time.Duration
	}{
		"message first": {func(message, sweep func()) { message(); sweep() }, []time.Duration{2 * time.Hour}},
		"timer first":   {func(message, sweep func()) { sweep(); message() }, []time.Duration{time.Hour, 2 * time.Hour}},
		"at once": {func(message, sweep func()) {
			var both sync.WaitGroup
			both.Go(message)
			both.Go(sweep)
			both.Wait()
		}, nil}, // either
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				s := timers.NewScheduler(w.index, w.fire, nil)
				sweep := func() { s.Sweep(t.Context(), time.Now()) }
				began := time.Now()
				w.create(sid(1), time.Hour, 0)
				sweep() // the look
				time.Sleep(time.Hour)
				race.meet(func() { w.message(sid(1)) }, sweep)
				require.Equal(t, events.StateActive, w.state(sid(1)))
				for range 61 {
					time.Sleep(time.Minute)
					sweep()
				}

				require.Equal(t, events.StateInactive, w.state(sid(1)))
				var fired []time.Duration
				for _, due := range dues(w.firings(), sid(1)) {
					fired = append(fired, due.Sub(began))
				}
				if race.fired != nil {
					require.Equal(t, race.fired, fired)
				}
				require.Equal(t, 2*time.Hour, fired[len(fired)-1])
			})
		})
	}
}

// After three days without a running scheduler everything overdue fires in the
// first tick, each transition with its own instant, the oldest conversations
// first, and both steps of a conversation in order.
func TestThreeDaysOfDowntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		const talks = 1000
		began := time.Now()
		for i := range talks {
			w.create(sid(i), time.Minute*time.Duration(talks-i), 10*time.Minute)
		}
		w.create(sid(talks), 0, 30*24*time.Hour) // not due yet
		s := timers.NewScheduler(w.index, w.fire, &timers.Options{Parallel: 1, Batch: 16})
		s.Sweep(t.Context(), time.Now()) // the looks
		require.Empty(t, w.firings())

		time.Sleep(3 * 24 * time.Hour)
		require.Equal(t, talks, s.Stats().Backlog)
		stop := run(t, s)
		time.Sleep(time.Second)
		synctest.Wait()
		stop()

		fired := w.firings()
		require.Len(t, fired, 2*talks)
		var newest time.Time
		for _, f := range fired {
			// A batch is filed before the next is taken, so nothing is out of
			// order by more than the 16 minutes a batch can hold here.
			require.True(t, f.due.After(newest.Add(-16*time.Minute)), "%s after %s", f.due, newest)
			newest = later(newest, f.due)
		}
		for i := range talks {
			inactive := began.Add(time.Minute * time.Duration(talks-i))
			require.Equal(t, []time.Time{inactive, inactive.Add(10 * time.Minute)}, dues(fired, sid(i)))
			require.Equal(t, events.StateClosed, w.state(sid(i)))
		}
		require.Equal(t, events.StateActive, w.state(sid(talks)))
		require.Zero(t, s.Stats().Backlog)
		require.Greater(t, s.Stats().LateMax, 2*24*time.Hour)
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func dues(fired []firing, conversation string) (instants []time.Time) {
	for _, f := range fired {
		if f.conversation == conversation {
			instants = append(instants, f.due)
		}
	}
	return instants
}

func TestShorterTimersBringTheInstantForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		stop := run(t, timers.NewScheduler(w.index, w.fire, nil))
		w.create(sid(1), 365*24*time.Hour, 0)
		time.Sleep(time.Minute)
		w.configure(sid(1), time.Hour, 0)
		time.Sleep(time.Hour)
		stop()
		require.Equal(t, events.StateInactive, w.state(sid(1)))
	})
}

// The sweep is slower than the tick: ticks are skipped, sweeps never overlap,
// and no conversation is fired by two of them.
func TestATickIsSkippedWhileASweepRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := timers.NewIndex()
		var running, most, calls atomic.Int32
		fire := func(context.Context, string, time.Time) (time.Time, bool, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(3500 * time.Millisecond)
			running.Add(-1)
			calls.Add(1)
			return time.Now().Add(time.Second), true, nil
		}
		x.File(sid(1), time.Now())
		x.File(sid(2), time.Now())
		stop := run(t, timers.NewScheduler(x, fire, &timers.Options{Parallel: 1}))
		time.Sleep(60 * time.Second)
		stop()
		require.Equal(t, int32(1), most.Load())
		require.Greater(t, calls.Load(), int32(12))
		require.Equal(t, 2, x.Len())
	})
}

// Stopping waits for what is being fired.
func TestRunWaitsForTheRunningSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := timers.NewIndex()
		var finished atomic.Bool
		fire := func(context.Context, string, time.Time) (time.Time, bool, error) {
			time.Sleep(10 * time.Second)
			finished.Store(true)
			return time.Time{}, false, nil
		}
		x.File(sid(1), time.Now())
		stop := run(t, timers.NewScheduler(x, fire, nil))
		time.Sleep(2 * time.Second)
		require.False(t, finished.Load())
		stop()
		require.True(t, finished.Load())
	})
}

// A failing and a panicking conversation are asked again with their own
// instants after 1, 2, 4, … seconds, do not hold up the others, and are logged
// once a sweep.
func TestFailuresArePostponedAndNeverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld()
		began := time.Now()
		var mu sync.Mutex
		asked := make(map[string][]time.Duration)
		fire := func(_ context.Context, id string, due time.Time) (time.Time, bool, error) {
			mu.Lock()
			asked[id] = append(asked[id], time.Since(began))
			n := len(asked[id])
			mu.Unlock()
			require.True(t, due.Equal(began.Add(time.Minute)))
			if id == sid(1) && n <= 4 {
				panic("out of cheese")
			}
			if id == sid(2) && n <= 2 {
				return time.Time{}, false, errors.New("store is unavailable")
			}
			return time.Time{}, false, nil
		}
		for i := range 4 {
			w.index.File(sid(i), began.Add(time.Minute))
		}
		s := timers.NewScheduler(w.index, fire, &timers.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, s)
		time.Sleep(63 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, s.Stats().Failing)
		time.Sleep(time.Hour)
		stop()

		first := asked[sid(0)][0]
		require.Equal(t, []time.Duration{first}, asked[sid(3)])
		after := func(seconds ...int) (at []time.Duration) {
			for _, n := range seconds {
				at = append(at, first+time.Duration(n)*time.Second)
			}
			return at
		}
		require.Equal(t, after(0, 1, 3, 7, 15), asked[sid(1)])
		require.Equal(t, after(0, 1, 3), asked[sid(2)])
		require.Zero(t, s.Stats().Failing)
		require.Equal(t, uint64(6), s.Stats().Failed)
		require.Equal(t, 4, strings.Count(log.String(), "timers failed"))
		require.Contains(t, log.String(), "out of cheese")
	})
}

// When the engine is away, a sweep gives up after one batch; when it comes
// back, everything fires.
func TestAnOutageFailsOneBatchATickAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const talks = 500
		x := timers.NewIndex()
		for i := range talks {
			x.File(sid(i), time.Now())
		}
		var away atomic.Bool
		away.Store(true)
		var calls, fired atomic.Int32
		fire := func(context.Context, string, time.Time) (time.Time, bool, error) {
			calls.Add(1)
			if away.Load() {
				return time.Time{}, false, errors.New("away")
			}
			fired.Add(1)
			return time.Time{}, false, nil
		}
		s := timers.NewScheduler(x, fire, &timers.Options{Batch: 50})
		s.Sweep(t.Context(), time.Now())
		require.Equal(t, int32(50), calls.Load())
		stop := run(t, s)
		time.Sleep(30 * time.Second)
		away.Store(false)
		time.Sleep(2 * time.Minute)
		stop()
		require.Equal(t, int32(talks), fired.Load())
		require.Zero(t, x.Len())
	})
}

// A cancelled sweep puts back what it did not get to, at its own instant.
func TestACancelledSweepKeepsTheRest(t *testing.T) {
	const talks = 100
	x := timers.NewIndex()
	for i := range talks {
		x.File(sid(i), noon)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int32
	fire := func(ctx context.Context, _ string, _ time.Time) (time.Time, bool, error) {
		if calls.Add(1) == 10 {
			cancel()
			return time.Time{}, false, ctx.Err() // was under way, outcome unknown
		}
		return time.Time{}, false, nil
	}
	s := timers.NewScheduler(x, fire, &timers.Options{Parallel: 1, Batch: 32})
	s.Sweep(ctx, noon)
	require.Equal(t, int32(10), calls.Load())
	rest := x.Take(nil, noon, talks)
	require.Len(t, rest, talks-9)
	require.Equal(t, noon, rest[0].Due)
	require.Zero(t, s.Stats().Failed)
}

// A Fire that answers with an instant that is over would be asked for ever.
func TestAnAnswerThatDoesNotMoveIsAFailure(t *testing.T) {
	x := timers.NewIndex()
	x.File(sid(1), noon)
	calls := 0
	s := timers.NewScheduler(x, func(context.Context, string, time.Time) (time.Time, bool, error) {
		calls++
		return noon, true, nil
	}, nil)
	s.Sweep(t.Context(), noon.Add(time.Minute))
	require.Equal(t, 1, calls)
	require.Equal(t, uint64(1), s.Stats().Failed)
}

// Conversations of one batch start in due order, at most Parallel at once.
func TestABatchStartsInDueOrderWithBoundedParallelism(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := timers.NewIndex()
		for i := range 100 {
			x.File(sid(100-i), noon.Add(time.Duration(i)))
		}
		var mu sync.Mutex
		var running, most int
		began := make(map[time.Time]time.Duration)
		start := time.Now()
		fire := func(_ context.Context, _ string, due time.Time) (time.Time, bool, error) {
			mu.Lock()
			running++
			most = max(most, running)
			began[due] = time.Since(start)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return time.Time{}, false, nil
		}
		timers.NewScheduler(x, fire, &timers.Options{Parallel: 5}).Sweep(t.Context(), noon.Add(time.Hour))
		require.Equal(t, 5, most)
		for i := range 100 {
			require.Equal(t, time.Duration(i/5)*time.Second, began[noon.Add(time.Duration(i))])
		}
	})
}
