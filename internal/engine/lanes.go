package engine

import (
	"context"
	"sync"
)

// lanes serialise work on one key: whoever enters a lane has it alone, in the
// order of arrival, until he leaves. Lanes of different keys are independent.
type lanes struct {
	mu   sync.Mutex // guards all
	open map[string]*lane
	idle []*lane // closed ones, to be opened again under another key
}

// maxIdle bounds the lanes that are kept to be opened again.
const maxIdle = 1024

type lane struct {
	turn  chan struct{} // holds a token while somebody is inside; waiters queue in order
	users int           // inside or waiting; the lane goes with the last one
}

func newLanes() *lanes { return &lanes{open: map[string]*lane{}} }

// enter waits for the lane and returns the function to leave it with.
func (l *lanes) enter(ctx context.Context, key string) (leave func(), err error) {
	l.mu.Lock()
	n := l.open[key]
	if n == nil {
		n = l.vacant()
		l.open[key] = n
	}
	n.users++
	l.mu.Unlock()
	select {
	case n.turn <- struct{}{}:
		return func() { <-n.turn; l.forget(key, n) }, nil
	case <-ctx.Done():
		l.forget(key, n)
		return nil, ctx.Err()
	}
}

// vacant returns a lane that nobody uses.
func (l *lanes) vacant() *lane {
	last := len(l.idle) - 1
	if last < 0 {
		return &lane{turn: make(chan struct{}, 1)}
	}
	n := l.idle[last]
	l.idle = l.idle[:last]
	return n
}

func (l *lanes) forget(key string, n *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.users--; n.users == 0 {
		delete(l.open, key)
		if len(l.idle) < maxIdle {
			l.idle = append(l.idle, n)
		}
	}
}
