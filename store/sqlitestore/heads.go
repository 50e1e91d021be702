package sqlitestore

import (
	"sync"

	"github.com/parley-engine/parley/store"
)

// retiredTails is how many tails are kept after they were indexed, only to know
// the last revision of streams in recent use without asking the index.
const retiredTails = 4

// tails is the memory of the newest part of the log. Only the writer changes
// it; mu is held for that and by readers.
type tails struct {
	mu      sync.RWMutex
	active  *tail               // takes new events
	frozen  *tail               // is being indexed; nil when there is none
	retired [retiredTails]*tail // indexed already; newest first
}

// head returns the last revision of a stream whose events are in memory.
func (t *tails) head(stream string) (store.Revision, bool) {
	for _, part := range [...]*tail{t.active, t.frozen, t.retired[0], t.retired[1], t.retired[2], t.retired[3]} {
		if part == nil {
			continue
		}
		if s, ok := part.streams[stream]; ok {
			return s.head(), true
		}
	}
	return store.NoStream, false
}

// freeze sets the active tail aside to be indexed.
func (t *tails) freeze() *tail {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frozen, t.active = t.active, newTail(t.active.upto())
	return t.frozen
}

// retire forgets the positions of the frozen tail once the index has them.
func (t *tails) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	copy(t.retired[1:], t.retired[:])
	t.retired[0], t.frozen = t.frozen, nil
	t.retired[0].former = nil
}

// run is a stretch of one stream: the positions of its events from revision
// first on.
type run struct {
	first     store.Revision
	positions []uint64
}

func (r run) end() store.Revision { return r.first + store.Revision(len(r.positions)) }

// unindexed returns the newest events of a stream. The index knows all that come
// before first, and may already know some of these.
func (t *tails) unindexed(stream string) run {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var r run
	for _, part := range [...]*tail{t.frozen, t.active} {
		if part == nil {
			continue
		}
		if s, ok := part.streams[stream]; ok {
			if r.positions == nil {
				r.first = s.first
			}
			r.positions = append(r.positions, part.positions(s)...)
		}
	}
	return r
}
