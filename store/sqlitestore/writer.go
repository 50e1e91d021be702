package sqlitestore

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/store"
)

// A group is closed when it has this much, however many more are waiting.
const (
	maxGroupEvents = 1024
	maxGroupBytes  = 8 << 20
	queueLength    = 1024
)

// maxPatience is the longest a group that could be written waits to grow.
const maxPatience = time.Millisecond

// request is one append on its way. Nothing in it is changed after it was sent.
type request struct {
	stream   string
	expected store.Revision
	batch    []store.Encoded
	done     chan outcome // has room for the one outcome, so nobody blocks on it
}

type outcome struct {
	appended store.Appended
	err      error
}

// writer is the one goroutine that changes the file.
type writer struct {
	requests chan *request
	stopping chan struct{} // closed by stop
	stopped  chan struct{} // closed when run has answered its last request
	stopOnce sync.Once

	// Everything below belongs to the goroutine in run.

	conn        *sqlite.Conn
	checkpoints *checkpointer
	store       *Store
	now         func() time.Time
	insert      *sqlite.Stmt
	index       indexer
	carried     []*request    // to be decided again in the next group
	last        int           // requests in the last group
	took        time.Duration // by its commit
	recorded    int64         // recorded time of the last event, nanoseconds
	unmarked    bool          // the mark could not be written
	broken      error         // not nil: a commit failed, nothing more is accepted
}

func newWriter(conn *sqlite.Conn, s *Store, o Options) *writer {
	return &writer{
		requests: make(chan *request, queueLength),
		stopping: make(chan struct{}),
		stopped:  make(chan struct{}),
		conn:     conn,
		store:    s,
		now:      o.Now,
		index:    indexer{conn: conn, tails: s.tails, heads: newHeads(), size: o.TailEvents, background: &s.background},
	}
}

// append hands a request to the writer and waits for the outcome.
func (w *writer) append(ctx context.Context, r *request) (store.Appended, error) {
	select {
	case <-w.stopping:
		return store.Appended{}, store.ErrClosed
	default:
	}
	select {
	case w.requests <- r: // most of the time there is room
	default:
		select {
		case w.requests <- r:
		case <-ctx.Done():
			return store.Appended{}, ctx.Err()
		case <-w.stopped:
			return store.Appended{}, store.ErrClosed
		}
	}
	select {
	case out := <-r.done:
		return out.appended, out.err
	case <-ctx.Done():
		return store.Appended{}, ctx.Err()
	case <-w.stopped:
		return lateOutcome(r)
	}
}

// lateOutcome is for a request that may have been sent behind the writer's back
// as it stopped.
func lateOutcome(r *request) (store.Appended, error) {
	select {
	case out := <-r.done:
		return out.appended, out.err
	default:
		return store.Appended{}, store.ErrClosed
	}
}

func (w *writer) stop() { w.stopOnce.Do(func() { close(w.stopping) }) }

func (w *writer) run() {
	defer close(w.stopped)
	defer w.checkpoints.stop()
	for {
		requests := w.collect()
		if len(requests) == 0 {
			w.finish()
			return
		}
		begun := time.Now()
		w.commit(requests)
		w.last, w.took = len(requests), time.Since(begun)
	}
}

// finish indexes the whole tail, so that the next start reads nothing again.
func (w *writer) finish() {
	if w.broken != nil {
		return
	}
	if err := w.index.finish(); err != nil {
		w.broken = err
		w.checkpoints.logger.Error("index of the log not finished; it will be at the next start", "err", err)
	}
}

// collect waits for work and takes what there is. It returns nothing when the
// store closes and nobody waits any more.
func (w *writer) collect() []*request {
	group := w.carried
	w.carried = nil
	if len(group) == 0 {
		select {
		case r := <-w.requests:
			group = append(group, r)
		case <-w.stopping:
		}
	}
	return w.takeWaiting(group)
}

// takeWaiting fills the group with what is in the queue and with what can be
// expected soon: callers woken by the last commit are about to send their next
// append. As long as the queue grows they are given the processor once more, and
// while they are fewer than last time a moment more.
func (w *writer) takeWaiting(group []*request) []*request {
	count, bytes := 0, 0
	for _, r := range group {
		count, bytes = count+len(r.batch), bytes+size(r.batch)
	}
	patience := time.Now().Add(min(w.took/2, maxPatience))
	for count < maxGroupEvents && bytes < maxGroupBytes {
		r := w.next(len(group) < w.last, patience)
		if r == nil {
			break
		}
		group = append(group, r)
		count, bytes = count+len(r.batch), bytes+size(r.batch)
	}
	return group
}

// next returns a request from the queue, nil when there is none. If more are
// expected it waits for one until the time given.
func (w *writer) next(expected bool, until time.Time) *request {
	for yielded := false; ; yielded = true {
		select {
		case r := <-w.requests:
			return r
		default:
		}
		if yielded {
			break
		}
		runtime.Gosched()
	}
	pause := time.Until(until)
	if !expected || pause <= 0 {
		return nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case r := <-w.requests:
		return r
	case <-timer.C:
	case <-w.stopping:
	}
	return nil
}

func size(batch []store.Encoded) (n int) {
	for _, e := range batch {
		n += len(e.Data) + len(e.Metadata)
	}
	return n
}

// fail makes the writer refuse everything from now on. A failed commit is never
// tried again: after a failed fsync nobody knows what the disk has.
func (w *writer) fail(err error) {
	w.broken = err
	w.store.failure.Store(&err)
	w.store.news.notify()
}

func (w *writer) refusal() error {
	return fmt.Errorf("%w: an earlier write failed: %w", store.ErrClosed, w.broken)
}

func (r *request) answer(appended store.Appended, err error) {
	r.done <- outcome{appended, err}
}
