package projections

import (
	"context"

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
