package timers

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what an operator asks of timers. Counts are since the start.
type Stats struct {
	Fired   uint64 // instants that came up and were answered
	Looks   uint64 // mere looks that were answered
	Refiled uint64 // answers with another instant to wait for
	Settled uint64 // answers with nothing to wait for
	Failed  uint64 // errors and panics, each tried again

	Filed   int // conversations in the index
	Backlog int // of those, due by now and not yet asked
	Failing int // conversations whose last answer was an error

	LastSweep time.Time     // when the last sweep began; zero: never
	Duration  time.Duration // of the last sweep
	Late      time.Duration // the oldest instant of the last sweep, behind its time; 0 when nothing came up
	LateMax   time.Duration // the largest Late so far
}

// counters is the moving half of Stats.
type counters struct {
	fired, looks, refiled, settled, failed atomic.Uint64

	mu   sync.Mutex
	last Stats // only the fields that swept writes; guarded by mu
}

func (c *counters) asked(e Entry) {
	if e.Due.IsZero() {
		c.looks.Add(1)
		return
	}
	c.fired.Add(1)
}

func (c *counters) swept(at time.Time, took, late time.Duration, failing int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last.LastSweep, c.last.Duration, c.last.Failing = at, took, failing
	c.last.Late, c.last.LateMax = late, max(c.last.LateMax, late)
}

// Stats returns the present figures.
func (s *Scheduler) Stats() Stats {
	c := &s.counters
	c.mu.Lock()
	st := c.last
	c.mu.Unlock()
	st.Fired, st.Looks, st.Failed = c.fired.Load(), c.looks.Load(), c.failed.Load()
	st.Refiled, st.Settled = c.refiled.Load(), c.settled.Load()
	st.Filed, st.Backlog = s.index.Len(), s.index.Backlog(time.Now())
	return st
}
