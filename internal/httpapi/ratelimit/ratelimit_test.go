package ratelimit_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/internal/httpapi/ratelimit"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestABurstIsAllowedAndThenTheRate(t *testing.T) {
	l := ratelimit.New(2, 3, 10)
	for range 3 {
		allowed(t, l, start, "a")
	}
	refused(t, l, start, 500*time.Millisecond, "a")
	refused(t, l, start.Add(100*time.Millisecond), 400*time.Millisecond, "a")
	allowed(t, l, start.Add(500*time.Millisecond), "a")
	refused(t, l, start.Add(500*time.Millisecond), 500*time.Millisecond, "a")
	for range 3 {
		allowed(t, l, start.Add(time.Hour), "a")
	}
	refused(t, l, start.Add(time.Hour), 500*time.Millisecond, "a")
}

func TestKeysHaveBucketsOfTheirOwn(t *testing.T) {
	l := ratelimit.New(1, 1, 10)
	allowed(t, l, start, "a")
	refused(t, l, start, time.Second, "a")
	allowed(t, l, start, "b")
}

func TestATokenIsTakenFromEveryKeyOrFromNone(t *testing.T) {
	l := ratelimit.New(1, 2, 10)
	allowed(t, l, start, "account", "one")
	allowed(t, l, start, "one")
	for range 20 {
		refused(t, l, start, time.Second, "account", "one")
		refused(t, l, start, time.Second, "one", "account")
	}
	allowed(t, l, start, "account", "two")
	refused(t, l, start, time.Second, "account", "two")
}

func TestTheSlowestKeySaysWhenToComeAgain(t *testing.T) {
	l := ratelimit.New(1, 1, 10)
	allowed(t, l, start, "early")
	allowed(t, l, start.Add(600*time.Millisecond), "late")
	at := start.Add(700 * time.Millisecond)
	refused(t, l, at, 900*time.Millisecond, "early", "late")
	refused(t, l, at, 900*time.Millisecond, "late", "early")
	allowed(t, l, at.Add(900*time.Millisecond), "early", "late")
}

func TestAKeyThatIsNamedTwiceCountsOnce(t *testing.T) {
	l := ratelimit.New(1, 1, 10)
	allowed(t, l, start, "a", "a")
	refused(t, l, start, time.Second, "a", "a")
}

func TestNoKeysAreAlwaysAllowed(t *testing.T) {
	l := ratelimit.New(1, 1, 10)
	for range 5 {
		allowed(t, l, start)
	}
}

func TestAForgottenKeyBeginsFull(t *testing.T) {
	l := ratelimit.New(1, 1, 2)
	allowed(t, l, start, "a")
	allowed(t, l, start, "b")
	refused(t, l, start, time.Second, "a")
	allowed(t, l, start, "c") // in the place of b, which was used before a
	refused(t, l, start, time.Second, "a")
	allowed(t, l, start, "b")
}

func TestMoreKeysThanAreRememberedAreTakenFromTogether(t *testing.T) {
	l := ratelimit.New(1, 1, 1)
	allowed(t, l, start, "a", "b")
	refused(t, l, start, time.Second, "b")
}

func TestNoRateIsNoLimit(t *testing.T) {
	for _, perSecond := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		l := ratelimit.New(perSecond, 1, 1)
		require.Nil(t, l)
		for range 5 {
			allowed(t, l, start, "a")
		}
	}
}

func TestABurstAndAMemoryOfNothingAreOne(t *testing.T) {
	l := ratelimit.New(1, 0, -1)
	allowed(t, l, start, "a")
	refused(t, l, start, time.Second, "a")
}

func TestAVerySlowRateDoesNotOverflow(t *testing.T) {
	l := ratelimit.New(math.SmallestNonzeroFloat64, 1, 10)
	allowed(t, l, start, "a")
	ok, retryAfter := l.Allow(start.Add(time.Hour), "a")
	require.False(t, ok)
	require.Greater(t, retryAfter, 10000*time.Hour)
	allowed(t, l, start, "b")
}

func TestCallersThatOvertakeEachOtherDoNotHaveAMomentTwice(t *testing.T) {
	l := ratelimit.New(1, 1, 10)
	allowed(t, l, start, "a")
	for n := range 10 {
		refused(t, l, start.Add(500*time.Millisecond), 500*time.Millisecond, "a")
		refused(t, l, start.Add(time.Duration(n)*time.Millisecond), 500*time.Millisecond, "a")
	}
}

func TestManyAtOnceGetTheBurstTogether(t *testing.T) {
	l := ratelimit.New(1, 100, 10)
	var all sync.WaitGroup
	var passed atomic.Int64
	for n := range 8 {
		all.Go(func() {
			for range 50 {
				if ok, _ := l.Allow(start, "shared", fmt.Sprint(n)); ok {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 100, passed.Load())
}

// Whatever is asked for, no key passes more than its burst and its rate, and who
// waits as long as he was told passes, if he was alone.
func TestNobodyHasMoreThanHisShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.Float64Range(0.1, 1000).Draw(t, "per second")
		burst := rapid.IntRange(1, 5).Draw(t, "burst")
		l := ratelimit.New(perSecond, burst, 10)
		passed, now := map[string]int{}, start
		for range rapid.IntRange(1, 50).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "pause")))
			keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "keys")
			ok, retryAfter := l.Allow(now, keys...)
			if !ok {
				require.Positive(t, retryAfter)
				now = now.Add(retryAfter)
				ok, _ = l.Allow(now, keys...)
			}
			require.True(t, ok)
			for _, key := range keys {
				passed[key]++
				most := float64(burst) + now.Sub(start).Seconds()*perSecond
				require.LessOrEqual(t, float64(passed[key]), most+1e-3, key)
			}
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	l := ratelimit.New(1e6, 1e6, 10_000)
	keys := make([]string, 10_000)
	for n := range keys {
		keys[n] = fmt.Sprint(n)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		l.Allow(start.Add(time.Duration(n)*time.Microsecond), "account", keys[n%len(keys)])
	}
}

func allowed(t *testing.T, l *ratelimit.Limiter, now time.Time, keys ...string) {
	t.Helper()
	ok, retryAfter := l.Allow(now, keys...)
	require.True(t, ok, "allowed")
	require.Zero(t, retryAfter)
}

func refused(t *testing.T, l *ratelimit.Limiter, now time.Time, want time.Duration, keys ...string) {
	t.Helper()
	ok, retryAfter := l.Allow(now, keys...)
	require.False(t, ok, "allowed")
	require.InDelta(t, want, retryAfter, float64(2*time.Microsecond), "%s instead of %s", retryAfter, want)
}
