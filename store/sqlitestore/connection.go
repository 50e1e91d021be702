package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/store"
)

// busyPatience is how long to wait for somebody with a SQLite shell.
const busyPatience = 10 * time.Second

// openWriting opens a connection that may write. wal_autocheckpoint is off: the
// checkpointer does that beside the commits.
func openWriting(path string) (*sqlite.Conn, error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(busyPatience)
	return configured(c, "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA wal_autocheckpoint = 0",
		"PRAGMA cache_size = -32768", "PRAGMA temp_store = MEMORY")
}

// mapBytes is how much of the file is read without copying it into a cache
// first; it is the most SQLite allows. The streams of a log lie scattered over
// it, so a cache of any bounded size misses all the time.
const mapBytes = 0x7fff0000

func openReading(path string) (*sqlite.Conn, error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(busyPatience)
	return configured(c, "PRAGMA query_only = ON", fmt.Sprint("PRAGMA mmap_size = ", mapBytes),
		"PRAGMA cache_size = -8192", "PRAGMA temp_store = MEMORY")
}

func configured(c *sqlite.Conn, pragmas ...string) (*sqlite.Conn, error) {
	for _, pragma := range pragmas {
		if err := sqlitex.ExecuteTransient(c, pragma, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", pragma, err), c.Close())
		}
	}
	return c, nil
}

// reader is a connection with the memory of its scans.
type reader struct {
	*sqlite.Conn
	*scanner
}

// pool lends connections. They are opened when first needed.
type pool struct {
	open      func() (*sqlite.Conn, error)
	idle      chan *reader // holds as many as there may be; nil is one not opened yet
	closing   chan struct{}
	closeOnce sync.Once
}

func newPool(size int, open func() (*sqlite.Conn, error)) *pool {
	p := &pool{open: open, idle: make(chan *reader, size), closing: make(chan struct{})}
	for range size {
		p.idle <- nil
	}
	return p
}

func (p *pool) isClosed() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}

// with runs f with a connection of its own.
func (p *pool) with(ctx context.Context, f func(*reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.isClosed() {
		return store.ErrClosed
	}
	select {
	case r := <-p.idle:
		return p.lend(r, f)
	case <-p.closing:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) lend(r *reader, f func(*reader) error) error {
	defer func() { p.idle <- r }()
	if r == nil {
		c, err := p.open()
		if err != nil {
			return fmt.Errorf("open the log for reading: %w", err)
		}
		r = &reader{Conn: c, scanner: newScanner()}
	}
	return f(r)
}

// close waits until every connection is back.
func (p *pool) close() (err error) {
	p.closeOnce.Do(func() {
		close(p.closing)
		for range cap(p.idle) {
			if r := <-p.idle; r != nil {
				err = errors.Join(err, r.Close())
			}
		}
	})
	return err
}
