package esdbwire

import (
	"context"
	"slices"
	"sync"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// lookBack is how far behind the end a batch is looked for that is to be written at
// any revision: it may be the same append again.
const lookBack = 64

// pastBatch is how many events a batch may have to be looked for in what is remembered.
const pastBatch = 8

// past is the newest events of a stream.
type past struct {
	last   store.Revision // of the stream
	events []pastEvent    // in ascending order, the last one is last
}

type pastEvent struct {
	id       events.ID
	revision store.Revision
	position events.Position
}

// find looks for a batch that is to be written at any revision. One that is expected at
// a revision is found by the log itself.
func (p past) find(t *task) (outcome, bool) {
	n := len(t.batch)
	if t.expected.kind == exactly || n == 0 {
		return outcome{}, false
	}
	for end := len(p.events); end >= n && len(p.events)-end <= lookBack; end-- {
		if slices.EqualFunc(p.events[end-n:end], t.batch, func(e pastEvent, b events.Proposed) bool { return e.id == b.ID }) {
			return outcome{p.events[end-1].revision, p.events[end-1].position}, true
		}
	}
	return outcome{}, false
}

// pasts remember the newest events of the streams that were written to last.
type pasts struct {
	mu   sync.Mutex
	list map[string]past
}

// maxPasts bounds the streams, of which each takes some 3 kB.
const maxPasts = 1024

func (p *pasts) get(stream string) (past, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.list[stream]
	return one, ok
}

func (p *pasts) put(stream string, one past) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.list[stream]; !there && len(p.list) >= maxPasts {
		for any := range p.list {
			delete(p.list, any)
			break
		}
	}
	p.list[stream] = one
}

// add remembers what was written behind base, if that is what was known.
func (p *pasts) add(stream string, base store.Revision, list []pastEvent) {
	one, known := p.get(stream)
	if !known || one.last != base {
		return
	}
	one.events = append(slices.Clip(one.events), list...)
	one.events = one.events[max(0, len(one.events)-lookBack-pastBatch):]
	one.last = base + store.Revision(len(list))
	p.put(stream, one)
}

// pastOf returns the newest events of a stream that ends where it is known to. It is read
// if it is not remembered.
func (d *database) pastOf(ctx context.Context, stream string, last store.Revision) (past, error) {
	if one, ok := d.pasts.get(stream); ok && one.last == last {
		return one, nil
	}
	one := past{last: last}
	for e, err := range d.log.ReadStream(ctx, d.stored(stream), last, store.Backwards) {
		if err != nil {
			return one, err
		}
		one.events = append(one.events, pastEvent{e.ID, store.Revision(e.Revision), e.Position})
		if len(one.events) == lookBack+pastBatch {
			break
		}
	}
	slices.Reverse(one.events)
	d.pasts.put(stream, one)
	return one, nil
}
