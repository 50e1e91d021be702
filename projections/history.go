package projections

import (
	"context"
	"fmt"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// standsOn reports whether the log has the last event of the mark at the
// position of the mark. One event is enough: a log only grows at its end. The
// time tells apart a command that was sent again after a restore, whose events
// have the same ids.
func standsOn(ctx context.Context, log store.LogReader, m mark) (bool, error) {
	if m.position.IsZero() {
		return true, nil
	}
	for r, err := range log.ReadAll(ctx, before(m.position), store.Filter{}) {
		switch {
		case err != nil:
			return false, fmt.Errorf("read the log: %w", err)
		case r.Position.Compare(m.position) >= 0:
			return r.Position == m.position && r.ID == m.id && stored(r.Recorded).Equal(m.recorded), nil
		}
	}
	return false, nil
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
