package projections

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/parley-engine/parley/events"
)

// Status is what an operator sees of a projection. Compare Position with the
// log's head: liveness is movement against the head.
type Status struct {
	Name         string          `json:"name"`
	Version      int             `json:"version"`
	Generation   int             `json:"generation"`
	Position     events.Position `json:"position"` // everything up to here is in the rows
	Events       int64           `json:"events"`   // applied since the beginning of the log
	LastRecorded time.Time       `json:"last_recorded,omitzero"`
	Running      bool            `json:"running"`
	Error        string          `json:"error,omitempty"` // why it stopped
	Since        time.Time       `json:"since"`           // of Running or Error
}

// StoppedError says that the projection does not move: it met an error and
// waits to be run again. Its position is unmoved.
type StoppedError struct {
	Position events.Position
	Since    time.Time
	Err      error
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("projection %s is stopped at position %s since %s: %v",
		Name, e.Position, e.Since.Format(time.RFC3339), e.Err)
}

// Unwrap returns why.
func (e *StoppedError) Unwrap() error { return e.Err }

// progress tells waiters how far the live generation has come. Safe for
// concurrent use.
type progress struct {
	mu      sync.Mutex
	status  Status
	stopped error
	waiters map[*waiter]struct{}
}

type waiter struct {
	position events.Position
	done     chan struct{} // closed when position is reached or the projection stopped
	err      error         // set before done is closed
}

func (p *progress) get() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// reach publishes what has been committed.
func (p *progress) reach(generation int, m mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Generation, p.status.Position = generation, m.position
	p.status.Events, p.status.LastRecorded = m.event, m.recorded
	for w := range p.waiters {
		if w.position.Compare(m.position) <= 0 {
			p.release(w, nil)
		}
	}
}

// release lets a waiter go; mu is held.
func (p *progress) release(w *waiter, err error) {
	w.err = err
	close(w.done)
	delete(p.waiters, w)
}

func (p *progress) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Running, p.status.Error, p.status.Since = true, "", time.Now().UTC()
	p.stopped = nil
}

// stop ends a run; err is nil when it was asked to end.
func (p *progress) stop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Running, p.status.Since = false, time.Now().UTC()
	if err == nil {
		return
	}
	p.status.Error = err.Error()
	p.stopped = &StoppedError{Position: p.status.Position, Since: p.status.Since, Err: err}
	for w := range p.waiters {
		p.release(w, p.stopped)
	}
}

// wait blocks until position is reached.
func (p *progress) wait(ctx context.Context, position events.Position) error {
	w, err := p.enlist(position)
	if w == nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiters, w)
		return ctx.Err()
	}
}

// enlist returns no waiter when there is nothing to wait for.
func (p *progress) enlist(position events.Position) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case position.Compare(p.status.Position) <= 0:
		return nil, nil
	case p.stopped != nil:
		return nil, p.stopped
	}
	if p.waiters == nil {
		p.waiters = map[*waiter]struct{}{}
	}
	w := &waiter{position: position, done: make(chan struct{})}
	p.waiters[w] = struct{}{}
	return w, nil
}
