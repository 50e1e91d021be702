package sqlitestore

import (
	"sync"

	"github.com/parley-engine/parley/store"
)

// tails is the memory of the newest part of the log. Only the writer changes
// it; mu is held for that and by readers.
type tails struct {
	mu     sync.RWMutex
	active *tail // takes new events
	frozen *tail // is being indexed; nil when there is none
}

// head returns the last revision of a stream that has events in memory.
func (t *tails) head(stream string) (store.Revision, bool) {
	if s, ok := t.active.streams[stream]; ok {
		return s.head(), true
	}
	if t.frozen != nil {
		if s, ok := t.frozen.streams[stream]; ok {
			return s.head(), true
		}
	}
	return store.NoStream, false
}

// freeze sets the active tail aside to be indexed.
func (t *tails) freeze() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frozen, t.active = t.active, newTail(t.active.upto())
}

// retire forgets the frozen tail once the index has all of it.
func (t *tails) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frozen = nil
}

// run is a stretch of one stream: the positions of its events from revision
// first on.
type run struct {
	first     store.Revision
	positions []uint64
}

func (r run) end() store.Revision { return r.first + store.Revision(len(r.positions)) }

// unindexed returns the newest events of a stream, without those that are before
// revision from and not needed: a busy stream may have a hundred thousand here,
// and what is read of it are the last few. The index knows all that come before
// first, and may already know some of these.
func (t *tails) unindexed(stream string, from store.Revision) run {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var r run
	for _, part := range [...]*tail{t.frozen, t.active} {
		if part == nil {
			continue
		}
		s, ok := part.streams[stream]
		if !ok {
			continue
		}
		if s.first <= from {
			r, s = run{}, s.since(from)
		}
		if r.positions == nil {
			r.first = s.first
		}
		r.positions = append(r.positions, part.positions(s)...)
	}
	return r
}

// newest returns at most n events of a stream that are in memory and end with revision
// upto, or with the stream's last one if that is before; none if that is not in memory.
func (t *tails) newest(stream string, upto store.Revision, n int) run {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, part := range [...]*tail{t.active, t.frozen} {
		if part == nil {
			continue
		}
		s, ok := part.streams[stream]
		if !ok || s.first > upto {
			continue
		}
		s = part.until(s, upto)
		s = s.since(max(s.first, s.head()-store.Revision(n)+1))
		return run{first: s.first, positions: part.positions(s)}
	}
	return run{}
}
