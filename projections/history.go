package projections

import (
	"context"
	"errors"
	"fmt"

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
	for r, err := range log.ReadFrom(ctx, m.position, store.Forwards, store.Filter{}) {
		switch {
		case errors.Is(err, store.ErrNoEvent):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read the log: %w", err)
		}
		return r.Position == m.position && r.ID == m.id && stored(r.Recorded).Equal(m.recorded), nil
	}
	return false, nil
}
