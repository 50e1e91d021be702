package rest

import (
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
)

// Freshness remembers what was written last where, so that a query waits for it
// and for nothing else. Safe for concurrent use.
type Freshness struct{ written *projections.Changes }

// freshEntries bounds the aggregates that are remembered one by one.
const freshEntries = 1 << 16

// NewFreshness returns one that knows how far the log had come when it began: what
// was acknowledged before a restart is waited for after it.
func NewFreshness(head events.Position) *Freshness {
	return &Freshness{projections.NewChanges(freshEntries, head)}
}

// Wrote notes a command's last event. It is what engine.Options.Wrote wants.
func (f *Freshness) Wrote(w engine.Written) {
	f.written.Note(w.Aggregate, w.Position)
	f.written.Note(w.Service, w.Position)
	f.written.Note(w.Account, w.Position)
}

// position returns how far the read models must have come to show everything
// that was written here about the key.
func (f *Freshness) position(key string) events.Position { return f.written.At(key) }

func later(a, b events.Position) events.Position {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}
