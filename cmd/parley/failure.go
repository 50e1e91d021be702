package main

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// watchedLog is a log on disk as the engine writes to it. It accepts nothing
// after a failed write, so the first one ends the server: what the disk has is
// for the next start to find out.
type watchedLog struct {
	store.Log
	failed chan error // takes the first
}

// Append implements store.Appender. Whether a write that failed is on disk is
// not known, so whoever asked for it may ask again.
func (w watchedLog) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	appended, err := w.Log.Append(ctx, stream, expected, batch)
	if err == nil || !writeFailed(err) && w.failure() == nil {
		return appended, err
	}
	select {
	case w.failed <- err:
	default: // known already
	}
	if errors.Is(err, store.ErrUnavailable) {
		return appended, err
	}
	return appended, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// failure is why the log accepts nothing more; nil: it does, or is not on this disk.
func (w watchedLog) failure() error {
	if log, ok := w.Log.(interface{ Failed() error }); ok {
		return log.Failed()
	}
	return nil
}

// accepts says why nothing can be written, in words that everybody may read; empty: it can.
func (w watchedLog) accepts() string {
	return problem(w.failure() != nil, "a write failed: nothing is accepted until the log is opened again")
}

// writeFailed tells errors of the disk from refusals.
func writeFailed(err error) bool {
	switch sqlite.ErrCode(err) {
	case sqlite.ResultOK, sqlite.ResultError: // none, or not SQLite's
		return errors.Is(err, store.ErrClosed)
	default:
		return true
	}
}

// awaitFailure returns the first failed write.
func (w watchedLog) awaitFailure(ctx context.Context) error {
	select {
	case err := <-w.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}
