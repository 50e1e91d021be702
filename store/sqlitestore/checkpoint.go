package sqlitestore

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"zombiezen.com/go/sqlite"
)

const (
	// checkpointEvery is how many bytes of events are committed between two
	// checkpoints.
	checkpointEvery = 4 << 20
	// wrapFrames is the length of the write-ahead log, in pages, at which the
	// writer is asked to help starting it again from the beginning.
	wrapFrames = 32 << 20 / pageSize
	// truncateFrames is the length at which readers are made to wait for that.
	truncateFrames = 512 << 20 / pageSize
	pageSize       = 4096
)

// checkpointer moves pages from the write-ahead log into the file, beside the
// commits. A checkpoint beside commits never catches up with the last one, so
// when the log has become long the writer does the last few pages itself,
// between two groups; then the log starts again from its beginning.
type checkpointer struct {
	conn   *sqlite.Conn // used by run only
	logger *slog.Logger
	nudges chan struct{} // closed by stop
	length atomic.Int64  // pages in the write-ahead log, when it is too long

	// pending belongs to the writer: bytes committed since the last nudge.
	pending int
}

func newCheckpointer(conn *sqlite.Conn, logger *slog.Logger) *checkpointer {
	return &checkpointer{conn: conn, logger: logger, nudges: make(chan struct{}, 1)}
}

func (c *checkpointer) stop() { close(c.nudges) }

// run checkpoints when nudged, until stopped. An error is no loss: the pages
// stay in the write-ahead log and are written again by the next checkpoint.
func (c *checkpointer) run() {
	for range c.nudges {
		length, left, err := checkpoint(c.conn, "PASSIVE")
		if err != nil {
			c.logger.Error("checkpoint failed; the next one tries again", "err", err)
			continue
		}
		if length >= wrapFrames && left < wrapFrames/4 {
			c.length.Store(length)
		}
	}
}

// after is called by the writer, on its connection, when it has committed.
func (c *checkpointer) after(conn *sqlite.Conn, bytes int) {
	if length := c.length.Swap(0); length > 0 {
		mode := "PASSIVE"
		if length >= truncateFrames {
			mode = "TRUNCATE"
		}
		if _, _, err := checkpoint(conn, mode); err != nil {
			c.logger.Error("checkpoint failed; the next one tries again", "err", err)
		}
	}
	if c.pending += bytes; c.pending < checkpointEvery {
		return
	}
	c.pending = 0
	select {
	case c.nudges <- struct{}{}:
	default:
	}
}

// checkpoint returns the pages in the write-ahead log and how many of them are
// not in the file yet.
func checkpoint(conn *sqlite.Conn, mode string) (length, left int64, err error) {
	stmt, err := conn.Prepare("PRAGMA wal_checkpoint(" + mode + ")")
	if err != nil {
		return 0, 0, err
	}
	if _, err = stmt.Step(); err == nil {
		length = stmt.ColumnInt64(1)
		left = length - stmt.ColumnInt64(2)
	}
	return length, left, errors.Join(err, stmt.Reset())
}
