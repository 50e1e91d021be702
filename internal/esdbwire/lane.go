package esdbwire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Bounds of what is written as one append to the log. A single append of a client may
// have more.
const (
	maxTogether      = 1024    // events
	maxTogetherBytes = 1 << 20 // of their data, as they are kept
)

// lanes order the appends to each stream as they came. Those that come while one is
// being written are decided one after the other and written together: a stream takes as
// many as the disk does, and not one for each of its commits.
type lanes struct {
	*database
	ctx    context.Context // of what is written for several
	cancel func()
	work   sync.WaitGroup

	mu      sync.Mutex
	waiting map[string][]*task // by stream; there is one who works as long as there is an entry
}

// task is one append of a client.
type task struct {
	ctx      context.Context // ends when nobody waits for it any more
	stream   string
	expected expectation
	batch    []events.Proposed
	bytes    int
	done     chan written // takes the one
}

type written struct {
	outcome
	err error
}

func (t *task) answer(o outcome, err error) { t.done <- written{o, err} }

func newLanes(d *database) *lanes {
	ctx, cancel := context.WithCancel(context.Background())
	return &lanes{database: d, ctx: ctx, cancel: cancel, waiting: map[string][]*task{}}
}

// stop gives up what is being written, and waits. Nothing may come after it.
func (l *lanes) stop() {
	l.cancel()
	l.work.Wait()
}

// begin takes an append into the lane of its stream. It does not wait.
func (l *lanes) begin(ctx context.Context, stream string, x expectation, batch []events.Proposed) *task {
	t := &task{ctx: ctx, stream: stream, expected: x, batch: batch, done: make(chan written, 1)}
	for i := range batch {
		t.bytes += len(batch[i].Data)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, busy := l.waiting[stream]
	l.waiting[stream] = append(waiting, t)
	if !busy {
		l.work.Go(func() { l.run(stream) })
	}
	return t
}

// end waits for the outcome of an append.
func (t *task) end() (outcome, error) {
	select {
	case w := <-t.done:
		return w.outcome, w.err
	case <-t.ctx.Done():
		return outcome{}, t.ctx.Err()
	}
}

// run works until nothing waits.
func (l *lanes) run(stream string) {
	var list []*task
	for tries := 0; ; {
		list = l.take(stream, list)
		if len(list) == 0 {
			return
		}
		rest, moved := l.step(stream, list)
		if tries++; !moved {
			tries = 0
		}
		if tries == maxTries {
			rest[0].answer(outcome{}, fmt.Errorf("append to %.60q: %d conflicts in a row: %w", stream, maxTries, store.ErrUnavailable))
			rest, tries = rest[1:], 0
		}
		list = rest
	}
}

// take adds what waits to what is left, without those for which nobody waits any more.
func (l *lanes) take(stream string, left []*task) []*task {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := left[:0:0]
	for _, part := range [][]*task{left, l.waiting[stream]} {
		for _, t := range part {
			if err := t.ctx.Err(); err != nil {
				t.answer(outcome{}, err)
				continue
			}
			list = append(list, t)
		}
	}
	if l.waiting[stream] = nil; len(list) == 0 {
		delete(l.waiting, stream)
	}
	return list
}

// step does the first of the list, and as many behind it as go together, and returns the
// others. Moved says that somebody else wrote to the stream meanwhile: nothing is done.
func (l *lanes) step(stream string, list []*task) (rest []*task, moved bool) {
	first := list[0]
	if l.isOwn(stream) && first.expected.kind == exactly && len(first.batch) > 0 {
		g := gather(list, first.expected.revision, func(t *task) bool { return t.expected.kind == exactly })
		return list[len(g.tasks):], l.together(g, false)
	}
	l.deleting.RLock()
	defer l.deleting.RUnlock()
	s, err := l.state(l.ctx, stream)
	if err != nil {
		first.answer(outcome{}, err)
		return list[1:], false
	}
	base, refused := s.base(stream, first.expected)
	if refused != nil || base != s.last || s.deleted() || !first.usual() {
		first.answer(l.alone(first)) // it may be the same append again
		return list[1:], false
	}
	var newest past
	if slices.ContainsFunc(list, func(t *task) bool { return t.expected.kind != exactly }) {
		if newest, err = l.pastOf(l.ctx, stream, s.last); err != nil {
			first.answer(outcome{}, err)
			return list[1:], false
		}
	}
	if o, found := newest.find(first); found {
		first.answer(o, nil)
		return list[1:], false
	}
	g := gather(list, s.last, func(t *task) bool {
		_, before := newest.find(t)
		return !before && t.usual()
	})
	if moved = l.together(g, true); moved {
		return list, true
	}
	return list[len(g.tasks):], false
}

// usual reports whether an append has events, and so few that what is remembered of the
// stream says whether it was made before.
func (t *task) usual() bool {
	return len(t.batch) > 0 && (t.expected.kind == exactly || len(t.batch) <= pastBatch)
}

// alone decides and writes one append.
func (l *lanes) alone(t *task) (outcome, error) {
	for range maxTries {
		o, err := l.attempt(t.ctx, t.stream, t.expected, t.batch)
		if moved := new(wrongVersion); !errors.As(err, &moved) || t.expected.kind == exactly || moved.actual < 0 {
			return o, err
		}
	}
	return outcome{}, fmt.Errorf("append to %.60q: %d conflicts in a row: %w", t.stream, maxTries, store.ErrUnavailable)
}

// gathered are appends that go together.
type gathered struct {
	stream string
	base   store.Revision // behind which they are written
	tasks  []*task
	batch  []events.Proposed
}

// gather takes the first of a list, which is to be written behind base, and those behind
// it whose expectation holds then. It ends with one that has to be looked at by itself.
func gather(list []*task, base store.Revision, fits func(*task) bool) *gathered {
	g := &gathered{stream: list[0].stream, base: base}
	seen, bytes, last := map[events.ID]struct{}{}, 0, base
	for i, t := range list {
		holds := t.expected.kind != exactly || t.expected.revision == last
		bytes += t.bytes
		if i > 0 && (!holds || len(t.batch) == 0 || bytes > maxTogetherBytes || len(g.batch)+len(t.batch) > maxTogether || seenAny(seen, t) || !fits(t)) {
			break
		}
		for j := range t.batch {
			seen[t.batch[j].ID] = struct{}{}
		}
		g.tasks, g.batch = append(g.tasks, t), append(g.batch, t.batch...)
		last += store.Revision(len(t.batch))
	}
	return g
}

func seenAny(seen map[events.ID]struct{}, t *task) bool {
	for i := range t.batch {
		if _, there := seen[t.batch[i].ID]; there {
			return true
		}
	}
	return false
}

// together writes what was gathered as one, and answers each. It reports, where the
// tasks are to be decided anew, that the stream was elsewhere.
func (l *lanes) together(g *gathered, again bool) (moved bool) {
	if len(g.tasks) == 1 {
		t := g.tasks[0]
		o, err := l.put(t.ctx, t.stream, t.expected, g.base, t.batch)
		if elsewhere := new(wrongVersion); again && t.expected.kind != exactly && errors.As(err, &elsewhere) {
			return true
		}
		if err == nil {
			l.remember(g, map[store.Revision]events.Position{o.revision: o.position})
		}
		t.answer(o, err)
		return false
	}
	appended, err := l.appender.Append(l.ctx, l.stored(g.stream), g.base, g.batch)
	conflict := new(store.ConflictError)
	switch {
	case err == nil:
		l.tell(g, outcome{appended.Revision, appended.Position})
	case errors.As(err, &conflict) && again:
		return true
	case errors.As(err, &conflict), errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrTooLarge):
		l.apart(g, again) // one of them is not as it should be
	default:
		for _, t := range g.tasks {
			t.answer(outcome{}, err)
		}
	}
	return false
}

// apart writes one after the other.
func (l *lanes) apart(g *gathered, again bool) {
	for _, t := range g.tasks {
		if again {
			t.answer(l.alone(t))
		} else {
			t.answer(l.put(t.ctx, t.stream, t.expected, t.expected.revision, t.batch))
		}
	}
}

// tell answers each of those that were written together. Where the events of the others
// are the log says: positions are not to be counted.
func (l *lanes) tell(g *gathered, last outcome) {
	place := l.places(g, last)
	l.remember(g, place)
	at := g.base
	for _, t := range g.tasks {
		at += store.Revision(len(t.batch))
		t.answer(outcome{at, place[at]}, nil)
	}
}

// remember keeps what was written, where it is known where all of it is.
func (l *lanes) remember(g *gathered, place map[store.Revision]events.Position) {
	list := make([]pastEvent, len(g.batch))
	for i := range g.batch {
		at := g.base + 1 + store.Revision(i)
		if place[at].IsZero() {
			return
		}
		list[i] = pastEvent{g.batch[i].ID, at, place[at]}
	}
	l.pasts.add(g.stream, g.base, list)
}

// places returns where the events are. One that cannot be read is left out: what is
// written is written.
func (l *lanes) places(g *gathered, last outcome) map[store.Revision]events.Position {
	place := map[store.Revision]events.Position{last.revision: last.position}
	for e, err := range l.log.ReadStream(l.ctx, l.stored(g.stream), g.base+1, store.Forwards) {
		if err != nil || store.Revision(e.Revision) >= last.revision {
			break
		}
		place[store.Revision(e.Revision)] = e.Position
	}
	return place
}
