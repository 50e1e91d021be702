package timers

import (
	"fmt"
	"iter"
	"math"
	"sync"
	"time"
)

// Entry says when a conversation could be due. The zero Due asks for a look at
// once, whatever the time.
type Entry struct {
	Conversation string // CH…
	Due          time.Time
}

// Index orders conversations by the earliest instant at which one of their
// timers could be due: one entry per conversation, some 60 bytes each. It is
// safe for concurrent use.
//
// It is lazy. Bringing an entry forward leaves the former one in the heap,
// where it is dropped when it comes up; when more than half of a heap is such
// leftovers it is built anew, so the heap stays below twice the entries.
type Index struct {
	mu    sync.Mutex
	names *names
	filed map[key]int64 // the one true instant of each conversation; guarded by mu
	heap  heap          // what filed says, and leftovers; guarded by mu
}

// minSweepable is the size below which leftovers are not worth a rebuild.
const minSweepable = 1024

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{names: newNames(), filed: make(map[key]int64)}
}

// File notes that the conversation could be due at the instant. The earlier of
// this and an instant already noted wins: looking too early costs one look,
// looking too late would be a late timer. The zero time means at once.
func (x *Index) File(conversation string, due time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k, at := x.names.key(conversation), nanos(due)
	if noted, ok := x.filed[k]; ok && noted <= at {
		return
	}
	x.filed[k] = at
	x.heap.push(item{at, k})
	x.compact()
}

// Forget removes the conversation: it ended, or lost its timers.
func (x *Index) Forget(conversation string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.names.key(conversation)
	delete(x.filed, k)
	x.names.drop(k)
	x.compact()
}

// Load files every entry of the sequence, as start-up does with the rows of a
// read model, and stops at the first error.
func (x *Index) Load(entries iter.Seq2[Entry, error]) error {
	for e, err := range entries {
		if err != nil {
			return fmt.Errorf("load due index: %w", err)
		}
		x.File(e.Conversation, e.Due)
	}
	return nil
}

// Take removes up to limit entries that are due at now, oldest first, and
// appends them to dst. Entries of the same instant come in the order of ids.
func (x *Index) Take(dst []Entry, now time.Time, limit int) []Entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	for upto := nanos(now); limit > 0 && len(x.heap) > 0 && x.heap[0].due <= upto; {
		it := x.heap.pop()
		if !x.current(it) {
			continue
		}
		dst = append(dst, Entry{Conversation: x.names.name(it.key), Due: instant(it.due)})
		delete(x.filed, it.key)
		x.names.drop(it.key)
		limit--
	}
	return dst
}

// Len returns the number of conversations with an entry.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.filed)
}

// Backlog returns the number of conversations due at now. It visits those only.
func (x *Index) Backlog(now time.Time) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	due := make(map[key]bool)
	x.heap.upto(nanos(now), func(it item) {
		if x.current(it) {
			due[it.key] = true
		}
	})
	return len(due)
}

// current tells an entry from a leftover.
func (x *Index) current(it item) bool {
	at, ok := x.filed[it.key]
	return ok && at == it.due
}

// compact builds the heap anew when leftovers are the greater part of it.
func (x *Index) compact() {
	if len(x.heap) < minSweepable || len(x.heap) <= 2*len(x.filed) {
		return
	}
	fresh := make(heap, 0, len(x.filed))
	for k, at := range x.filed {
		fresh = append(fresh, item{at, k})
	}
	fresh.order()
	x.heap = fresh
}

// nanos is the instant in nanoseconds since 1970. Instants outside 1678–2262
// become the nearest end: a look at once, or in 2262 another look.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(minInstant):
		return math.MinInt64
	case t.After(maxInstant):
		return math.MaxInt64
	default:
		return t.UnixNano()
	}
}

var (
	minInstant = time.Unix(0, math.MinInt64)
	maxInstant = time.Unix(0, math.MaxInt64)
)

// instant is the reverse of nanos.
func instant(n int64) time.Time {
	if n == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
