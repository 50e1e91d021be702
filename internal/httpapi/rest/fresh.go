package rest

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// Freshness remembers what was written last where, so that a query waits for it
// and for nothing else. Safe for concurrent use.
type Freshness struct {
	mu    sync.Mutex // guards all
	last  *simplelru.LRU[string, events.Position]
	floor events.Position // highest position of what was forgotten
}

// freshEntries bounds the aggregates that are remembered one by one.
const freshEntries = 1 << 16

// NewFreshness returns one that remembers nothing.
func NewFreshness() *Freshness {
	f := &Freshness{}
	last, err := simplelru.NewLRU(freshEntries, func(_ string, p events.Position) { f.floor = later(f.floor, p) })
	if err != nil {
		panic(err) // only for a size below one
	}
	f.last = last
	return f
}

// Wrote notes a command's last event. It is what engine.Options.Wrote wants.
func (f *Freshness) Wrote(w engine.Written) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(w.Aggregate, w.Position)
	f.note(w.Service, w.Position)
	f.note(w.Account, w.Position)
}

func (f *Freshness) note(key string, p events.Position) {
	if key == "" {
		return
	}
	if before, known := f.last.Get(key); known && before.Compare(p) >= 0 {
		return
	}
	f.last.Add(key, p)
}

// position returns how far the read models must have come to show everything
// that was written here about the key.
func (f *Freshness) position(key string) events.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, known := f.last.Get(key); known {
		return p
	}
	return f.floor
}

func later(a, b events.Position) events.Position {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}
