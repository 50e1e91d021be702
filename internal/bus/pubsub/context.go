package pubsub

import (
	"context"
	"sync"
	"time"
)

// messageContext is the context of one attempt at one message: the values of
// the subscribe context and the delivery, and an end of its own. It does what
// two of the standard library's contexts and a timer would, at a fraction of
// their cost, because there is one for every message; the subscription ends it
// when its time is over.
type messageContext struct {
	context.Context // for its values; it has no end
	delivery        *Delivery
	deadline        time.Time // zero: none

	mu    sync.Mutex
	done  chan struct{} // made when somebody asks
	err   error         // set: ended
	after map[*func()]struct{}
}

type deliveryKey struct{}

// Value answers for the delivery and passes everything else on.
func (c *messageContext) Value(key any) any {
	if key == (deliveryKey{}) {
		return c.delivery
	}
	return c.Context.Value(key)
}

// Deadline returns when the attempt will be ended, if there is a limit.
func (c *messageContext) Deadline() (time.Time, bool) {
	return c.deadline, !c.deadline.IsZero()
}

// Done is closed when the context has ended.
func (c *messageContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err returns why the context ended, nil while it has not.
func (c *messageContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc is what the standard library looks for in foreign contexts: with it
// a derived context needs no goroutine to hear of the end.
func (c *messageContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f() // as context.AfterFunc does
		return func() bool { return false }
	}
	if c.after == nil {
		c.after = make(map[*func()]struct{}, 1)
	}
	c.after[&f] = struct{}{}
	return func() bool { return c.forget(&f) }
}

func (c *messageContext) forget(f *func()) (pending bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, pending = c.after[f]
	delete(c.after, f)
	return pending
}

// end ends the context; the first reason stays.
func (c *messageContext) end(reason error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = reason
	if c.done != nil {
		close(c.done)
	}
	after := c.after
	c.after = nil
	c.mu.Unlock()
	for f := range after {
		go (*f)() // as context.AfterFunc does
	}
}
