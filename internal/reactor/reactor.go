package reactor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// React says which jobs an event leads to. It changes nothing outside; an error stops
// the following, which goes on from the same event after a pause.
type React func(ctx context.Context, recorded events.Recorded) ([]Job, error)

// Do attempts a job. Nil: it is done; the note says how. An error that is a *Stop ends
// it; after any other one it is attempted again, *Later saying when.
type Do func(ctx context.Context, w Work) (Note, error)

// Note is what an attempt leaves behind.
type Note struct {
	Text string // for people; no bodies, no secrets
}

// Stop says that a job is not to be attempted again: it is parked.
type Stop struct{ Reason error }

func (s *Stop) Error() string { return s.Reason.Error() }

// Unwrap returns the reason.
func (s *Stop) Unwrap() error { return s.Reason }

// Later says when a job is to be attempted again.
type Later struct {
	After  time.Duration
	Reason error
}

func (l *Later) Error() string { return l.Reason.Error() }

// Unwrap returns the reason.
func (l *Later) Unwrap() error { return l.Reason }

// Options are settings; the zero value of each field works.
type Options struct {
	Filter   store.Filter  // of the events that are looked at; default: all
	Attempts int           // until a job is parked; default 10
	Parallel int           // attempts at a time for one target; default 8
	Timeout  time.Duration // of one attempt; default 30 s
	Keep     time.Duration // what is done is kept so long; default 7 days
	// Marked notes each attempt before it is begun, so that one that a crash cut off
	// is known to have begun: Work.Interrupted.
	Marked bool
	// Mark is how far others may take it that everything is done, where several
	// processes share the log; nil: this one is alone.
	Mark Mark
	// Retry says how long to wait after so many attempts; nil: Backoff.
	Retry  func(attempts int) time.Duration
	Logger *slog.Logger // nil: discard
	// Observe, if not nil, hears of every attempt: what came of it, and how long it took.
	Observe func(s State, took time.Duration)
}

// Mark is a position that processes share.
type Mark interface {
	// Load returns the last one saved; zero: none was.
	Load(ctx context.Context) (events.Position, error)
	Save(ctx context.Context, at events.Position) error
}

// Reactor follows a log and works on a queue.
type Reactor struct {
	queue *Queue
	log   store.LogReader
	react React
	do    Do
	o     Options

	mu    sync.Mutex
	lanes map[string]*lane
	group sync.WaitGroup

	saved    time.Time // when the cursor was; only for who follows
	position atomic.Pointer[events.Position]
	began    atomic.Pointer[events.Position] // settled up to here, as others know; nil: not known
}

// New returns a reactor. A nil react follows nothing: jobs are only put.
func New(queue *Queue, log store.LogReader, react React, do Do, o *Options) *Reactor {
	r := &Reactor{queue: queue, log: log, react: react, do: do, lanes: map[string]*lane{}}
	if o != nil {
		r.o = *o
	}
	r.o.Attempts = cmp.Or(r.o.Attempts, 10)
	r.o.Parallel = cmp.Or(r.o.Parallel, 8)
	r.o.Timeout = cmp.Or(r.o.Timeout, 30*time.Second)
	r.o.Keep = cmp.Or(r.o.Keep, 7*24*time.Hour)
	if r.o.Retry == nil {
		r.o.Retry = Backoff
	}
	if r.o.Logger == nil {
		r.o.Logger = slog.New(slog.DiscardHandler)
	}
	return r
}

// Put is Queue.Put; the jobs are attempted at once.
func (r *Reactor) Put(links map[string]string, jobs ...Job) error {
	if err := r.queue.Put(links, jobs...); err != nil {
		return err
	}
	for _, j := range jobs {
		r.wake(j.Target)
	}
	return nil
}

// Position returns how far the log has led to jobs; zero while it is not followed.
func (r *Reactor) Position() events.Position {
	if p := r.position.Load(); p != nil {
		return *p
	}
	return events.Position{}
}

// Run works until ctx ends; then it waits for the attempts under way, and returns nil.
// Run it once at a time.
func (r *Reactor) Run(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer r.end(stop)
	if err := r.start(working); err != nil {
		return err
	}
	r.group.Go(func() { r.housekeep(working) })
	for r.react != nil && ctx.Err() == nil {
		if err := r.follow(ctx); err != nil && ctx.Err() == nil {
			if unknown := new(events.UnknownTypeError); errors.As(err, &unknown) {
				return err
			}
			r.o.Logger.Warn("the log is not followed for now", "err", err)
			pause(ctx)
		}
	}
	<-ctx.Done()
	return nil
}

// start opens the lanes of what was left. What is put from now on opens its own.
func (r *Reactor) start(ctx context.Context) error {
	r.mu.Lock()
	r.lanes = map[string]*lane{"": {ctx: ctx}} // lends its context to those that open
	r.mu.Unlock()
	targets, err := r.queue.targets()
	if err != nil {
		return fmt.Errorf("jobs that were left: %w", err)
	}
	for _, t := range targets {
		r.wake(t)
	}
	return nil
}

// end lets no lane open any more, and waits for those that are.
func (r *Reactor) end(stop func()) {
	r.mu.Lock()
	delete(r.lanes, "")
	r.mu.Unlock()
	stop()
	r.group.Wait()
	within, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := r.saveMark(within); err != nil {
		r.o.Logger.Warn("others were not told how far everything is settled", "err", err)
	}
	r.began.Store(nil)
}

// follow turns events into jobs until something fails.
func (r *Reactor) follow(ctx context.Context) error {
	from, err := r.resume(ctx)
	if err != nil {
		return err
	}
	r.began.Store(&from)
	r.position.Store(&from)
	defer r.position.Store(nil)
	for batch, err := range store.Subscribe(ctx, r.log, from, r.o.Filter) {
		if err != nil {
			return err
		}
		if err := r.take(ctx, batch); err != nil {
			return err
		}
		r.position.Store(&batch.Upto)
	}
	return ctx.Err()
}

// Prepare makes sure that everything the log gets from now on is looked at. Call it
// before the first event is written that is to lead to something; Run does it too.
func (r *Reactor) Prepare(ctx context.Context) error {
	_, err := r.resume(ctx)
	return err
}

// resume returns where to go on: where everything is settled, among processes that
// share the log, else where this one was; at the first start of all, at the log's end.
// A log that ends before that is another log, or was restored: what it has already
// leads to nothing.
func (r *Reactor) resume(ctx context.Context) (events.Position, error) {
	head, err := r.log.Head(ctx)
	if err != nil {
		return head, err
	}
	at, begun, err := r.reached(ctx)
	if err != nil {
		return at, err
	}
	if !begun {
		at = head
	}
	if at.Compare(head) > 0 {
		r.o.Logger.Warn("the log ends before what was done because of it; going on from its end", "head", head, "cursor", at)
		at = head
	}
	if !begun && r.o.Mark != nil {
		if err := r.o.Mark.Save(ctx, at); err != nil {
			return at, fmt.Errorf("tell others how far: %w", err)
		}
	}
	return at, r.queue.Move(at)
}

func (r *Reactor) reached(ctx context.Context) (at events.Position, begun bool, err error) {
	if r.o.Mark != nil {
		at, err = r.o.Mark.Load(ctx)
		if err != nil {
			return at, false, fmt.Errorf("how far others are: %w", err)
		}
		if !at.IsZero() {
			return at, true, nil
		}
	}
	return r.queue.Cursor()
}

// take turns a batch into jobs. A cursor that only moves over events that lead to
// nothing is saved once in a while: they lead to nothing again.
func (r *Reactor) take(ctx context.Context, batch store.Batch) error {
	var jobs []located
	for _, recorded := range batch.Events {
		made, err := r.react(ctx, recorded)
		if err != nil {
			return fmt.Errorf("event at %s: %w", recorded.Position, err)
		}
		for _, j := range made {
			jobs = append(jobs, located{j, recorded.Position, r.Position()})
		}
	}
	if now := r.queue.now(); len(jobs) > 0 || now.Sub(r.saved) >= time.Second {
		if err := r.queue.put(jobs, batch.Upto); err != nil {
			return fmt.Errorf("keep jobs: %w", err)
		}
		r.saved = now
	}
	for _, j := range jobs {
		r.wake(j.Target)
	}
	return nil
}

// housekeep looks once a second for jobs that somebody put back, saves the shared
// mark, and now and then forgets what is old.
func (r *Reactor) housekeep(ctx context.Context) {
	const rarely = 600
	for i := 0; ; i++ {
		if err := r.tidy(ctx, i%rarely == 0); err != nil && ctx.Err() == nil {
			r.o.Logger.Warn("jobs could not be looked after", "err", err)
		}
		if !pause(ctx) {
			return
		}
	}
}

func (r *Reactor) tidy(ctx context.Context, thorough bool) error {
	woken, err := r.queue.woken()
	for _, t := range woken {
		r.wake(t)
	}
	for more := thorough; more && err == nil && ctx.Err() == nil; {
		more, err = r.queue.forget(r.queue.now().Add(-r.o.Keep))
	}
	if err != nil {
		return err
	}
	return r.saveMark(ctx)
}

// saveMark tells others up to where everything is settled, once this process knows
// where it began, and only forwards: what was left of an earlier time here has been done
// again by who had its turn meanwhile.
func (r *Reactor) saveMark(ctx context.Context) error {
	began := r.began.Load()
	if began == nil || r.o.Mark == nil {
		return nil
	}
	at, err := r.queue.settled(*began)
	if err != nil || at.Compare(*began) <= 0 {
		return err
	}
	if err := r.o.Mark.Save(ctx, at); err != nil {
		return err
	}
	r.began.Store(&at)
	return nil
}

// pause waits a second; false when the context ended.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
