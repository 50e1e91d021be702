// Package ratelimit bounds how often something may happen for each of several
// keys at once: an account, an API key, an address.
package ratelimit

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// Limiter has a bucket of tokens for each key. It is safe for concurrent use. A
// nil Limiter limits nothing.
//
// The buckets that were used last are remembered. One that was forgotten begins
// full, as a new key does, so whoever can use more keys than are remembered can
// have more than his share: keys that cost nothing to make need a limit of what
// they are made from.
type Limiter struct {
	mu      sync.Mutex // guards what follows
	buckets *simplelru.LRU[string, *rate.Limiter]
	latest  time.Time

	perSecond rate.Limit
	burst     int
}

// slack is added to what a refused caller is told: a bucket computes in fractions,
// and he who comes when he was told must not find that a billionth is missing.
const slack = time.Microsecond

// New returns a limiter of perSecond tokens a second and key, saved up to burst,
// for the given number of remembered keys; the last two are at least one. Without
// a positive, finite rate it returns nil: no limits.
func New(perSecond float64, burst, keys int) *Limiter {
	if perSecond <= 0 || math.IsNaN(perSecond) || math.IsInf(perSecond, 1) {
		return nil
	}
	buckets, err := simplelru.NewLRU[string, *rate.Limiter](max(keys, 1), nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Limiter{buckets: buckets, perSecond: rate.Limit(perSecond), burst: max(burst, 1)}
}

// Allow takes one token from the bucket of every key, or none at all when one of
// them is empty; then retryAfter is when the slowest of them has one, if nobody
// else takes it. A key that is named twice counts once, and no keys are always
// allowed.
//
// now is the caller's clock, as time.Now gives it. One that is earlier than that
// of another call counts as the later one, so that callers who overtake each other
// do not have the same moment twice.
func (l *Limiter) Allow(now time.Time, keys ...string) (ok bool, retryAfter time.Duration) {
	if l == nil {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now = l.forwards(now)
	reserved := make([]*rate.Reservation, 0, 4) // on the stack: few keys are usual
	for i, key := range keys {
		if slices.Contains(keys[:i], key) {
			continue
		}
		r := l.bucket(key).ReserveN(now, 1)
		reserved = append(reserved, r)
		retryAfter = max(retryAfter, r.DelayFrom(now))
	}
	if retryAfter == 0 {
		return true, 0
	}
	for _, r := range reserved {
		r.CancelAt(now)
	}
	return false, min(retryAfter, rate.InfDuration-slack) + slack
}

// forwards returns now, or the latest time seen if that is later.
func (l *Limiter) forwards(now time.Time) time.Time {
	if now.After(l.latest) {
		l.latest = now
	}
	return l.latest
}

func (l *Limiter) bucket(key string) *rate.Limiter {
	b, ok := l.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(l.perSecond, l.burst)
		l.buckets.Add(key, b)
	}
	return b
}
