package reactor

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// lane is one target's way to its attempts. It ends when nothing is left to do for the
// target.
type lane struct {
	ctx  context.Context
	news chan struct{} // of one: there may be something

	mu     sync.Mutex
	flying map[int64]bool // jobs that are being attempted
}

func newLane(ctx context.Context) *lane {
	return &lane{ctx: ctx, news: make(chan struct{}, 1), flying: map[int64]bool{}}
}

// start notes that a job is being attempted, if it is not and there is room.
func (l *lane) start(seq int64, room int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flying[seq] || len(l.flying) >= room {
		return false
	}
	l.flying[seq] = true
	return true
}

// land notes that a job is no longer being attempted.
func (l *lane) land(seq int64) {
	l.mu.Lock()
	delete(l.flying, seq)
	l.mu.Unlock()
	l.tell()
}

// aloft is how many jobs are being attempted.
func (l *lane) aloft() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flying)
}

// tell says that there may be something.
func (l *lane) tell() {
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// wake has the jobs of a target looked at.
func (r *Reactor) wake(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, there := r.lanes[target]; there && target != "" {
		l.tell()
		return
	}
	if root := r.lanes[""]; root != nil {
		l := newLane(root.ctx)
		r.lanes[target] = l
		r.group.Go(func() { r.serve(l, target) })
	}
}

// serve works on a target's jobs until there are none, or it is told to stop.
func (r *Reactor) serve(l *lane, target string) {
	for l.ctx.Err() == nil {
		jobs, next, err := r.queue.due(target, r.o.Parallel+l.aloft())
		if err != nil {
			r.o.Logger.Warn("jobs could not be read", "err", err)
			pause(l.ctx)
			continue
		}
		started := false
		for _, w := range jobs {
			if l.start(w.Seq, r.o.Parallel) {
				started = true
				r.group.Go(func() {
					defer l.land(w.Seq)
					r.attempt(l.ctx, w)
				})
			}
		}
		if !started && !r.await(l, target, next) {
			return
		}
	}
}

// await waits for news, or until the next job is due; false: the lane has ended.
func (r *Reactor) await(l *lane, target string, next time.Time) bool {
	if next.IsZero() && l.aloft() == 0 {
		return !r.close(l, target)
	}
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(max(time.Millisecond, next.Sub(r.queue.now())))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-l.news:
	case <-l.ctx.Done():
		return false
	}
	return true
}

// close ends the lane, unless there is news.
func (r *Reactor) close(l *lane, target string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-l.news:
		return false
	default:
		delete(r.lanes, target)
		return true
	}
}

// attempt attempts a job and notes what came of it. That it is told to stop meanwhile
// does not cut it off.
func (r *Reactor) attempt(ctx context.Context, w Work) {
	wanted, err := r.begin(w)
	if err != nil {
		r.o.Logger.Warn("attempt not begun", "job", w.Seq, "err", err)
		pause(ctx)
	}
	if err != nil || !wanted {
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.Timeout)
	defer cancel()
	begun := r.queue.now()
	note, err := r.do(within, w)
	res := r.judge(w, note, err)
	res.at, res.took = begun, r.queue.now().Sub(begun)
	for r.queue.settle(w, res) != nil {
		r.o.Logger.Error("what came of an attempt could not be noted", "job", w.Seq)
		if !pause(ctx) {
			return // it is attempted again at the next start
		}
	}
	if r.o.Observe != nil {
		r.o.Observe(res.state, res.took)
	}
}

// begin reports whether a job is still to be done, and notes the attempt if that is
// wanted.
func (r *Reactor) begin(w Work) (bool, error) {
	if r.o.Marked {
		return r.queue.begin(w)
	}
	return r.queue.wanted(w)
}

// judge decides what an attempt means for its job.
func (r *Reactor) judge(w Work, note Note, err error) result {
	now := r.queue.now()
	res := result{state: Done, note: note.Text, due: now}
	if err == nil {
		return res
	}
	res.problem, res.state = err.Error(), Pending
	var later *Later
	var stop *Stop
	switch wait := r.o.Retry(w.Attempts + 1); {
	case errors.As(err, &stop), w.Attempts+1 >= r.o.Attempts:
		res.state = Parked
	case errors.As(err, &later):
		res.due = now.Add(max(wait, later.After))
	default:
		res.due = now.Add(wait)
	}
	return res
}

// Backoff is one second after the first attempt, doubled by each up to five minutes,
// and anything from half to one and a half of that, so that many do not come at once.
func Backoff(attempts int) time.Duration {
	d := 5 * time.Minute
	if attempts < 9 {
		d = time.Second << (attempts - 1)
	}
	return d/2 + rand.N(d)
}
