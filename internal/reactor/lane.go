package reactor

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

// lane is one target's way to its attempts. It ends when nothing is left to do for the
// target.
type lane struct {
	ctx  context.Context
	news chan struct{} // of one: there may be something
}

// wake has the jobs of a target looked at.
func (r *Reactor) wake(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, there := r.lanes[target]; there && target != "" {
		select {
		case l.news <- struct{}{}:
		default:
		}
		return
	}
	if root := r.lanes[""]; root != nil {
		r.open(root.ctx, target)
	}
}

// open begins a lane; the caller has the lock.
func (r *Reactor) open(ctx context.Context, target string) {
	l := &lane{ctx: ctx, news: make(chan struct{}, 1)}
	r.lanes[target] = l
	r.group.Go(func() { r.serve(l, target) })
}

// serve works on a target's jobs until there are none, or it is told to stop.
func (r *Reactor) serve(l *lane, target string) {
	for l.ctx.Err() == nil {
		jobs, next, err := r.queue.due(target, 4*r.o.Parallel)
		switch {
		case err != nil:
			r.o.Logger.Warn("jobs could not be read", "err", err)
			pause(l.ctx)
		case len(jobs) > 0:
			r.attemptAll(l.ctx, jobs)
		case !r.await(l, target, next):
			return
		}
	}
}

// await waits for news, or until the next job is due; false: the lane has ended.
func (r *Reactor) await(l *lane, target string, next time.Time) bool {
	if next.IsZero() {
		return !r.close(l, target)
	}
	timer := time.NewTimer(max(time.Millisecond, next.Sub(r.queue.now())))
	defer timer.Stop()
	select {
	case <-timer.C:
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

func (r *Reactor) attemptAll(ctx context.Context, jobs []Work) {
	var group errgroup.Group
	group.SetLimit(r.o.Parallel)
	for _, w := range jobs {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			r.attempt(ctx, w)
			return nil
		})
	}
	_ = group.Wait() // they fail none
}

// attempt attempts a job and notes what came of it. That it is told to stop meanwhile
// does not cut it off.
func (r *Reactor) attempt(ctx context.Context, w Work) {
	if r.o.Marked {
		if err := r.queue.begin(w); err != nil {
			r.o.Logger.Warn("attempt not begun", "job", w.Seq, "err", err)
			pause(ctx)
			return
		}
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
