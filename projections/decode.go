package projections

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"github.com/parley-engine/parley/events"
)

// decoded is an event with its payload read, or with why it cannot be read.
type decoded struct {
	recorded *events.Recorded
	event    events.Event
	err      error
}

// chunk is a run of the log on its way through the decoders.
type chunk struct {
	recorded []events.Recorded
	events   []events.Event
	err      error
	ready    chan struct{} // closed when events and err are set
}

// unread stands in a chunk for an event whose payload cannot be read.
type unread struct {
	events.Event
	err error
}

// giveWay lets others run now and then in loops that keep a processor busy for long.
// Without it whoever shares the process waits until the scheduler has had enough of the
// loop, ten milliseconds at a time, and a command has several such turns on its way.
func giveWay(i int) {
	if i%giveWayEvery == giveWayEvery-1 {
		runtime.Gosched()
	}
}

// giveWayEvery is so many events or rows: well below a millisecond. Seldom enough that a
// rebuild comes on where others never rest: each time it waits for all of them.
const giveWayEvery = 256

const (
	chunkEvents = 512
	chunksAhead = 64 // bounds what is read ahead: some 30 000 events
)

// decodeInParallel yields the events of the sequence in their order, their
// payloads read by as many workers as there are processors.
func decodeInParallel(ctx context.Context, log iter.Seq2[events.Recorded, error]) iter.Seq2[decoded, error] {
	return func(yield func(decoded, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer cancel()
		work, ordered := make(chan *chunk, chunksAhead), make(chan *chunk, chunksAhead)
		workers.Go(func() { cut(ctx, log, work, ordered) })
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for c := range work {
					c.decode()
				}
			})
		}
		for c := range ordered {
			<-c.ready
			if !c.yieldAll(yield) {
				return
			}
			c.recycle()
		}
		if err := ctx.Err(); err != nil {
			yield(decoded{}, err)
		}
	}
}

// cut reads the log and hands each chunk to the workers and, in order, to the
// consumer.
func cut(ctx context.Context, log iter.Seq2[events.Recorded, error], work, ordered chan<- *chunk) {
	defer close(ordered)
	defer close(work)
	send := func(c *chunk) bool {
		select {
		case ordered <- c:
			work <- c // there is room: work is as long as ordered, and emptied sooner
			return true
		case <-ctx.Done():
			return false
		}
	}
	c := newChunk()
	for recorded, err := range log {
		giveWay(len(c.recorded))
		if err != nil {
			c.err = err
			break
		}
		c.recorded = append(c.recorded, recorded)
		if len(c.recorded) == chunkEvents {
			if !send(c) {
				return
			}
			c = newChunk()
		}
	}
	send(c)
}

// chunks are used again: a rebuild goes through thousands.
var chunks = sync.Pool{New: func() any {
	return &chunk{recorded: make([]events.Recorded, 0, chunkEvents), events: make([]events.Event, 0, chunkEvents)}
}}

func newChunk() *chunk {
	c := chunks.Get().(*chunk)
	c.ready = make(chan struct{})
	return c
}

func (c *chunk) recycle() {
	clear(c.recorded)
	clear(c.events)
	c.recorded, c.events, c.err = c.recorded[:0], c.events[:0], nil
	chunks.Put(c)
}

func (c *chunk) decode() {
	defer close(c.ready)
	for i := range c.recorded {
		giveWay(i)
		r := &c.recorded[i]
		e, err := decode(r)
		if err != nil {
			e = unread{err: undecodable{err}}
		}
		c.events = append(c.events, e)
	}
}

func (c *chunk) yieldAll(yield func(decoded, error) bool) bool {
	for i := range c.recorded {
		d := decoded{recorded: &c.recorded[i], event: c.events[i]}
		if u, bad := d.event.(unread); bad {
			d.event, d.err = nil, u.err
		}
		if !yield(d, nil) {
			return false
		}
	}
	if c.err != nil {
		yield(decoded{}, c.err)
		return false
	}
	return true
}
