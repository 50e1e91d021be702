package timers

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// failure is a conversation that waits to be asked again.
type failure struct {
	due      time.Time // as it was filed
	attempts int
	retry    time.Time // when to ask again
	waiting  bool      // not in the index
}

// answer is what became of one entry.
type answer struct {
	next  time.Time
	again bool // next is meaningful
	err   error
}

var (
	errNotAsked = errors.New("not asked: the sweep was cancelled")
	errPanic    = errors.New("panic while firing")
	errStuck    = errors.New("the next instant is not after the present one")
)

// Sweep asks about everything that is due at now, and returns when nothing is
// left, when the context ends, or when a whole batch failed (the engine is not
// there; the next tick tries again).
//
// Entries are taken in batches, oldest first, and started in that order, up to
// Options.Parallel at once. What a conversation answers is filed before the
// next batch is taken, so each conversation goes through its own instants in
// order, and across conversations nothing is started more than a batch before
// something older. Looks come before instants.
func (s *Scheduler) Sweep(ctx context.Context, now time.Time) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	began := time.Now()
	late := time.Duration(0)
	s.retry(now)
	for ctx.Err() == nil {
		s.batch = s.index.Take(s.batch[:0], now, s.options.Batch)
		if len(s.batch) == 0 {
			break
		}
		late = max(late, lateness(s.batch, now))
		if failed := s.settle(s.batch, s.ask(ctx, s.batch), now); failed == len(s.batch) {
			break
		}
	}
	s.counters.swept(now, time.Since(began), late, len(s.failing))
}

// retry puts conversations whose wait is over back at their own instants.
func (s *Scheduler) retry(now time.Time) {
	for conversation, f := range s.failing {
		if f.waiting && !f.retry.After(now) {
			s.index.File(conversation, f.due)
			f.waiting = false
			s.failing[conversation] = f
		}
	}
}

// ask fires the batch and returns its answers at the same places. Entries that
// were not started when the context ended are answered with errNotAsked. It
// returns, and nothing is lost, whatever fire does.
func (s *Scheduler) ask(ctx context.Context, batch []Entry) []answer {
	answers := make([]answer, len(batch))
	slots := make(chan struct{}, s.options.Parallel)
	var started sync.WaitGroup
	for i, entry := range batch {
		slots <- struct{}{}
		started.Go(func() {
			answers[i] = s.askOne(ctx, entry)
			<-slots
		})
	}
	started.Wait()
	return answers
}

func (s *Scheduler) askOne(ctx context.Context, entry Entry) (a answer) {
	if ctx.Err() != nil {
		return answer{err: errNotAsked}
	}
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())}
		}
	}()
	a.next, a.again, a.err = s.fire(ctx, entry.Conversation, entry.Due)
	switch {
	case a.err != nil && ctx.Err() != nil:
		a.err = errNotAsked
	case a.err == nil && a.again && !a.next.After(entry.Due):
		a.err = fmt.Errorf("%w: %s", errStuck, a.next)
	}
	return a
}

// settle files what was answered and returns how many entries failed. Failures
// of one batch are logged once, with the first of them.
func (s *Scheduler) settle(batch []Entry, answers []answer, now time.Time) (failed int) {
	var first int
	for i, a := range answers {
		entry := batch[i]
		switch {
		case errors.Is(a.err, errNotAsked):
			s.index.File(entry.Conversation, entry.Due)
			continue
		case a.err != nil:
			if failed++; failed == 1 {
				first = i
			}
			s.postpone(entry, now)
			s.counters.failed.Add(1)
			continue
		case a.again:
			s.index.File(entry.Conversation, a.next)
			s.counters.refiled.Add(1)
		default:
			s.counters.settled.Add(1)
		}
		delete(s.failing, entry.Conversation)
		s.counters.asked(entry)
	}
	if failed > 0 {
		s.log.Warn("timers failed and will be tried again", "failed", failed, "of", len(batch),
			"conversation", batch[first].Conversation, "due", batch[first].Due, "err", answers[first].err)
	}
	return failed
}

// postpone takes a conversation out of the sweep until its back-off is over. An
// earlier instant that is already waiting is kept.
func (s *Scheduler) postpone(entry Entry, now time.Time) {
	f := s.failing[entry.Conversation]
	if !f.waiting || entry.Due.Before(f.due) {
		f.due = entry.Due
	}
	wait := s.options.RetryMax
	if doubled := s.options.Retry << min(f.attempts, 30); doubled > 0 {
		wait = min(wait, doubled)
	}
	f.attempts, f.retry, f.waiting = f.attempts+1, now.Add(wait), true
	s.failing[entry.Conversation] = f
}

func lateness(batch []Entry, now time.Time) (late time.Duration) {
	for _, e := range batch {
		if !e.Due.IsZero() {
			return now.Sub(e.Due) // oldest first
		}
	}
	return 0
}
