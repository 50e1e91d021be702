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
// timers could be due: one entry per conversation, some 50 bytes each. It is
// safe for concurrent use.
//
// It is lazy: what would put an instant off, as every message does, is not told
// to it. The entry comes up too early instead and is filed again.
type Index struct {
	mu    sync.Mutex // guards all below
	names *names
	slots *slots
	heap  heap
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	s := newSlots()
	return &Index{names: newNames(), slots: s, heap: heap{slots: s}}
}

// File notes that the conversation could be due at the instant. The earlier of
// this and an instant already noted wins: looking too early costs one look,
// looking too late would be a late timer. The zero time means at once.
func (x *Index) File(conversation string, due time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k, at := x.names.key(conversation), nanos(due)
	n := x.slots.find(k)
	if n == none {
		x.heap.push(item{at, x.slots.add(k)})
		return
	}
	if pos := x.slots.all[n].pos; at < x.heap.items[pos].due {
		x.heap.forward(pos, at)
	}
}

// Forget removes the conversation: it ended, or lost its timers.
func (x *Index) Forget(conversation string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.names.key(conversation)
	if n := x.slots.find(k); n != none {
		x.heap.remove(x.slots.all[n].pos)
		x.slots.remove(n)
	}
	x.names.drop(k)
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
	for upto := nanos(now); limit > 0 && len(x.heap.items) > 0 && x.heap.items[0].due <= upto; limit-- {
		first := x.heap.items[0]
		k := x.slots.all[first.slot].key
		dst = append(dst, Entry{Conversation: x.names.name(k), Due: instant(first.due)})
		x.heap.remove(0)
		x.slots.remove(first.slot)
		x.names.drop(k)
	}
	return dst
}

// Len returns the number of conversations with an entry.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.slots.used
}

// Backlog returns the number of conversations due at now. It visits those only.
func (x *Index) Backlog(now time.Time) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.heap.count(0, nanos(now))
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
