package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// Past answers queries about streams as they once were. Close it.
type Past struct {
	*Queries
	dir string
}

// AsOf folds a part of the log, as it folds the whole of it for the read models, into a
// file of its own that goes with Close. What of a stream comes behind the moment in
// question must not be in the history.
func AsOf(ctx context.Context, history iter.Seq2[events.Recorded, error]) (past *Past, err error) {
	return pastOf(ctx, history, false)
}

// AsOccurred is AsOf for a part of the log that has gaps: what had happened by a moment,
// whenever the log took it. An event about something that had not happened yet is left
// out.
func AsOccurred(ctx context.Context, history iter.Seq2[events.Recorded, error]) (*Past, error) {
	return pastOf(ctx, history, true)
}

func pastOf(ctx context.Context, history iter.Seq2[events.Recorded, error], gaps bool) (past *Past, err error) {
	dir, err := os.MkdirTemp("", "parley-past-")
	if err != nil {
		return nil, fmt.Errorf("look at the past: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	path := filepath.Join(dir, "past.db")
	if err := foldInto(ctx, path, history, gaps); err != nil {
		return nil, err
	}
	queries, err := newQueries(path, 1)
	if err != nil {
		return nil, err
	}
	return &Past{queries, dir}, nil
}

// pastRows are the rows kept in memory while the past is folded.
const pastRows = 1 << 20

func foldInto(ctx context.Context, path string, history iter.Seq2[events.Recorded, error], gaps bool) error {
	g, err := newGeneration(path, pastRows, true)
	if err != nil {
		return err
	}
	g.quarantine.gaps = gaps
	if err := sqlitex.ExecuteTransient(g.conn, "BEGIN", nil); err != nil {
		return errors.Join(err, g.close())
	}
	if err := g.takeAll(decodeInParallel(ctx, history), nil); err != nil {
		return errors.Join(err, g.close())
	}
	// It need not survive anything, so it stays as it was filled, and it is asked once, so
	// that only the keys are worth an index.
	return errors.Join(g.fold.flush(), g.fold.deletePutOff(), g.fold.makeKeys(), writeMark(g.conn, g.mark),
		sqlitex.ExecuteTransient(g.conn, "COMMIT", nil), g.close())
}

// Trace folds a conversation's history and calls seen after each event with what the
// conversation was before and after; zero where there was none.
func Trace(ctx context.Context, sid string, history iter.Seq2[events.Recorded, error], seen func(e *events.Recorded, before, after Conversation) error) (err error) {
	g, err := newGeneration(":memory:", pastRows, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	var before Conversation
	return g.takeAll(decodeInParallel(ctx, history), func(e *events.Recorded) error {
		after, err := g.fold.conversation(sid)
		if err == nil {
			err = seen(e, before, after)
		}
		before = after
		return err
	})
}

// conversation returns a row; zero when there is none.
func (f *fold) conversation(sid string) (Conversation, error) {
	row, err := f.conversations.get(sid)
	if err != nil || row == nil {
		return Conversation{}, err
	}
	return row.row, nil
}

// Close releases and removes the file.
func (p *Past) Close() error { return errors.Join(p.Queries.Close(), os.RemoveAll(p.dir)) }
