package sqlitestore

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	// checkpointEvery is how many bytes of events are committed between two
	// checkpoints.
	checkpointEvery = 4 << 20
	// wrapFrames is the length of the write-ahead log, in pages, at which the
	// writer is asked to help starting it again from the beginning.
	wrapFrames = 16 << 20 / pageSize
	// waitFrames is the length at which the writer helps however much there is to do:
	// commits that are faster than the checkpoints beside them wait for one.
	waitFrames = 24 << 20 / pageSize
	// truncateFrames is the length at which readers are waited for as long as it takes.
	truncateFrames = 512 << 20 / pageSize
	pageSize       = 4096

	// wrapPatience is how long commits wait for the readers of the moment to end. New ones
	// do not count: they need the write-ahead log no more.
	wrapPatience = 500 * time.Millisecond
)

// checkpointer moves pages from the write-ahead log into the file, beside the
// commits. A checkpoint beside commits never catches up with the last one, so
// when the log has become long the writer does the last few pages itself,
// between two groups, and waits for a moment for those who still read the log; then it
// starts again from its beginning. Without that wait readers that follow each other would
// have it grow for ever.
//
// A checkpoint begins only when a group was committed since the last one ended,
// hence never on a write-ahead log that is completely in the file. SQLite before
// 3.51.3 could lose commits there.
type checkpointer struct {
	conn   *sqlite.Conn // used by run only
	logger *slog.Logger
	nudges chan struct{} // closed by stop
	length atomic.Int64  // pages in the write-ahead log, when it is too long
	worn   atomic.Int64  // pages that it must have for another attempt after one in vain

	// begun and committed count groups. The writer raises begun before a
	// COMMIT and committed after it.
	begun, committed atomic.Int64

	mu      sync.Mutex // held for a checkpoint
	covered int64      // begun at the end of the last checkpoint: no group behind it can be in the file

	// pending belongs to the writer: bytes committed since the last nudge.
	pending int
}

func newCheckpointer(conn *sqlite.Conn, logger *slog.Logger) *checkpointer {
	return &checkpointer{conn: conn, logger: logger, nudges: make(chan struct{}, 1)}
}

func (c *checkpointer) stop() { close(c.nudges) }

// run checkpoints when nudged, until stopped.
func (c *checkpointer) run() {
	for range c.nudges {
		c.mu.Lock()
		length, left := c.advance(c.conn, "PASSIVE")
		c.mu.Unlock()
		if worn := c.worn.Load(); length >= max(wrapFrames, worn) && left < wrapFrames/4 || length >= max(waitFrames, worn) {
			c.length.Store(length)
		}
	}
}

// after is called by the writer, on its connection, when it has committed a
// group.
func (c *checkpointer) after(conn *sqlite.Conn, bytes int) {
	c.committed.Store(c.begun.Load())
	c.wrap(conn)
	if c.pending += bytes; c.pending < checkpointEvery {
		return
	}
	c.pending = 0
	select {
	case c.nudges <- struct{}{}:
	default:
	}
}

// wrap does the last pages of a log that has become long, unless run is at work,
// which will say so again.
func (c *checkpointer) wrap(conn *sqlite.Conn) {
	if c.length.Load() == 0 || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.length.Swap(0) >= truncateFrames {
		c.advance(conn, "TRUNCATE")
		return
	}
	conn.SetBusyTimeout(wrapPatience)
	defer conn.SetBusyTimeout(busyPatience)
	c.worn.Store(0)
	if length, left := c.advance(conn, "RESTART"); left > 0 {
		c.worn.Store(length * 3 / 2) // somebody reads for long: commits wait for him less and less often
	}
}

// advance makes a checkpoint if there is something new, and returns as
// checkpoint does. An error is no loss: the pages stay in the write-ahead log
// and are written again by the next checkpoint.
func (c *checkpointer) advance(conn *sqlite.Conn, mode string) (length, left int64) {
	if c.committed.Load() <= c.covered {
		return 0, 0
	}
	length, left, err := checkpoint(conn, mode)
	if err != nil {
		c.logger.Error("checkpoint failed; the next one tries again", "err", err)
		return 0, 0
	}
	c.covered = c.begun.Load()
	return length, left
}

// checkpoint returns the pages in the write-ahead log and how many of them are
// not in the file yet; at least one when others were in the way of what the mode is for.
func checkpoint(conn *sqlite.Conn, mode string) (length, left int64, err error) {
	stmt, err := conn.Prepare("PRAGMA wal_checkpoint(" + mode + ")")
	if err != nil {
		return 0, 0, err
	}
	if _, err = stmt.Step(); err == nil {
		length = stmt.ColumnInt64(1)
		left = max(length-stmt.ColumnInt64(2), stmt.ColumnInt64(0))
	}
	return length, left, errors.Join(err, stmt.Reset())
}
