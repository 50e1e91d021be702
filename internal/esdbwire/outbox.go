package esdbwire

import (
	"container/list"
	"sync"

	"github.com/parley-engine/parley/internal/esdbwire/competing"
)

// outbox is what waits to be sent to a consumer: never more than it has slots, since
// what is taken from the consumer is taken from here.
type outbox struct {
	more  chan struct{} // something was added
	roomy func()        // called when it is stuck no more

	mu      sync.Mutex
	waiting *list.List // of delivery
	of      map[*competing.Message]*list.Element
	stuck   bool
}

// delivery is a message on its way out.
type delivery struct {
	carried
	retries int
	of      *competing.Message // which one, not to be looked into
}

func newOutbox(roomy func()) outbox {
	return outbox{more: make(chan struct{}, 1), roomy: roomy, waiting: list.New(), of: map[*competing.Message]*list.Element{}}
}

// Ready implements competing.Receiver.
func (o *outbox) Ready() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.stuck
}

// Give implements competing.Receiver.
func (o *outbox) Give(m *competing.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[m] = o.waiting.PushBack(delivery{m.Event.(carried), m.Retries, m})
	signal(o.more)
}

// Withdraw implements competing.Receiver.
func (o *outbox) Withdraw(m *competing.Message, late bool) (unsent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	there := o.of[m]
	if there == nil {
		return false
	}
	o.waiting.Remove(there)
	delete(o.of, m)
	o.stuck = o.stuck || late
	return true
}

// next takes what is to be sent next, by who has sent all before it.
func (o *outbox) next() (d delivery, some bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stuck {
		o.stuck = false
		o.roomy()
	}
	first := o.waiting.Front()
	if first == nil {
		return d, false
	}
	d = o.waiting.Remove(first).(delivery)
	delete(o.of, d.of)
	return d, true
}

// signal tells whoever waits for it, now or next.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was told
	}
}

// always is ready.
var always = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
