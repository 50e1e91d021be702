package store

import (
	"context"
	"time"

	"github.com/parley-engine/parley/events"
)

// Paced returns the log for a follower that need not hear of each append at
// once: when there is news, Wait lets more of it gather for the pause before it
// returns, so that many small steps become one. A value on hurry ends the pause;
// a nil hurry never does. Nothing else changes.
func Paced(log LogReader, pause time.Duration, hurry <-chan struct{}) LogReader {
	return &paced{LogReader: log, pause: pause, hurry: hurry}
}

type paced struct {
	LogReader
	pause time.Duration
	hurry <-chan struct{}
}

// Wait implements LogReader.
func (p *paced) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	if head, err := p.LogReader.Wait(ctx, after); err != nil {
		return head, err
	}
	timer := time.NewTimer(p.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.hurry:
	case <-ctx.Done():
	}
	return p.Head(ctx)
}
