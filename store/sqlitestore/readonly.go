package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// pollEvery is how often Wait of a Reader looks whether another process wrote.
const pollEvery = 50 * time.Millisecond

// Reader reads a log that another process may be writing to. It is safe for
// concurrent use and starts no goroutines.
type Reader struct{ pool *pool }

var (
	_ store.StreamReader = (*Reader)(nil)
	_ store.LogReader    = (*Reader)(nil)
	_ store.Damaged      = (*Reader)(nil)
)

// OpenReadOnly opens the log at path for reading, whether or not a Store has it
// open. It changes no event; SQLite's -wal and -shm files may appear beside the
// log. In a folder that cannot be written to, only a log that was closed can be
// read.
func OpenReadOnly(path string) (*Reader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	open, err := readingMode(path)
	if err != nil {
		return nil, err
	}
	return &Reader{pool: newPool(2, open)}, nil
}

// readingMode finds out how the log can be read: as usual, or as a file that
// nobody can change.
func readingMode(path string) (func() (*sqlite.Conn, error), error) {
	open := func() (*sqlite.Conn, error) { return openReading(path) }
	err := tryReading(open, path)
	if err == nil {
		return open, nil
	}
	if info, statErr := os.Stat(path + "-wal"); statErr == nil && info.Size() > 0 || statErr != nil && !errors.Is(statErr, fs.ErrNotExist) {
		return nil, err // it has commits that the file has not
	}
	immutable := func() (*sqlite.Conn, error) { return openImmutable(path) }
	if tryReading(immutable, path) != nil {
		return nil, err
	}
	return immutable, nil
}

func tryReading(open func() (*sqlite.Conn, error), path string) error {
	c, err := open()
	if err != nil {
		return notALog(path, err)
	}
	return errors.Join(checkIdentity(c, path), c.Close())
}

// Close waits for reads that are under way.
func (r *Reader) Close() error { return r.pool.close() }

// Head implements store.LogReader.
func (r *Reader) Head(ctx context.Context) (events.Position, error) {
	var head int64
	err := r.pool.with(ctx, func(c *reader) (err error) {
		head, err = lastPosition(c.Conn)
		return err
	})
	return events.At(uint64(head)), err
}

func lastPosition(c *sqlite.Conn) (head int64, err error) {
	stmt, err := c.Prepare(`SELECT max(position) FROM events`)
	if err != nil {
		return 0, err
	}
	if _, err = stmt.Step(); err == nil {
		head = stmt.ColumnInt64(0)
	}
	return head, errors.Join(err, stmt.Reset())
}

// Wait implements store.LogReader. Another process cannot nudge this one, so it
// looks every 50 ms.
func (r *Reader) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		head, err := r.Head(ctx)
		if err != nil || head.Compare(after) > 0 {
			return head, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return events.Position{}, ctx.Err()
		case <-r.pool.closing:
			return events.Position{}, store.ErrClosed
		}
	}
}

// ReadAll implements store.LogReader.
func (r *Reader) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		head, err := r.Head(ctx)
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		readAll(ctx, r.pool, after.Commit, head.Commit, filter)(yield)
	}
}

// ReadFrom implements store.LogReader.
func (r *Reader) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		head, err := r.Head(ctx)
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		readFrom(ctx, r.pool, from, head.Commit, direction, filter)(yield)
	}
}

// ReadStream implements store.StreamReader. What the index does not know yet is
// looked for in the newest part of the log itself.
func (r *Reader) ReadStream(ctx context.Context, stream string, from store.Revision, direction store.Direction) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		var place *cursor
		err := r.pool.with(ctx, func(c *reader) (err error) {
			place, err = c.placeInStream(stream, from, direction)
			return err
		})
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		inChunks(ctx, r.pool, place.read)(yield)
	}
}

func (r *reader) placeInStream(stream string, from store.Revision, direction store.Direction) (place *cursor, err error) {
	if err := exec(r.Conn, "BEGIN"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, exec(r.Conn, "END")) }()
	head, err := lastPosition(r.Conn)
	if err != nil {
		return nil, err
	}
	tail, err := r.scanTail(stream)
	return newCursor(stream, from, direction, uint64(head), tail), err
}

// scanTail finds the events of a stream that are not indexed yet.
func (r *reader) scanTail(stream string) (tail run, err error) {
	stmt, err := r.Prepare(`SELECT position, revision FROM events
		WHERE position > (SELECT indexed_upto FROM index_progress) AND stream = ? ORDER BY position`)
	if err != nil {
		return tail, err
	}
	stmt.BindText(1, stream)
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return tail, errors.Join(err, stmt.Reset())
		}
		if tail.positions == nil {
			tail.first = store.Revision(stmt.ColumnInt64(1))
		}
		tail.positions = append(tail.positions, uint64(stmt.ColumnInt64(0)))
	}
}

// maxDamage bounds what Damage tells.
const maxDamage = "20"

// Damage implements store.Damaged: pages that are not what they should be, rows out of
// order, pages that nothing leads to. The length of an event may have changed unseen, if
// that fits its page, and so may its content.
func (r *Reader) Damage(ctx context.Context) (found []string, err error) {
	err = r.pool.with(ctx, func(c *reader) error {
		c.SetInterrupt(ctx.Done())
		defer c.SetInterrupt(nil)
		return sqlitex.ExecuteTransient(c.Conn, "PRAGMA quick_check("+maxDamage+")", &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
			if text := row.ColumnText(0); text != "ok" {
				found = append(found, strings.TrimSpace(text))
			}
			return nil
		}})
	})
	return found, err
}
