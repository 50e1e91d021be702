package projections

import (
	"context"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// standsOn reports whether the log has the last event of the mark at the position of the
// mark.
func standsOn(ctx context.Context, log store.LogReader, m mark) (bool, error) {
	return store.Has(ctx, log, m.sighting(""))
}

func (m mark) sighting(by string) store.Sighting {
	return store.Sighting{By: by, Position: m.position, Event: m.id, Recorded: m.recorded}
}

// before is a place in the log behind which the event at the position comes
// soon. Events may share the first number of their positions, and stores may
// look at nothing else, so it is the first number that is lowered.
func before(p events.Position) events.Position {
	if p.Commit == 0 {
		return events.Position{}
	}
	return events.At(p.Commit - 1)
}
