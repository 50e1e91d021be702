package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// ErrLocked says that another process, or another Store of this one, has the
// log open for writing.
var ErrLocked = errors.New("log is locked")

// Options of a Store. The zero value is what production uses.
type Options struct {
	Now     func() time.Time // clock of recorded times; nil means time.Now
	Logger  *slog.Logger     // nil discards
	Readers int              // connections for reading; 0 means 4
	// TailEvents is how many events are gathered before they are indexed; 0
	// means 131 072. After a crash up to three times as many are read again.
	TailEvents int
}

func (o *Options) withDefaults() Options {
	filled := Options{}
	if o != nil {
		filled = *o
	}
	if filled.Now == nil {
		filled.Now = time.Now
	}
	if filled.Logger == nil {
		filled.Logger = slog.New(slog.DiscardHandler)
	}
	if filled.Readers <= 0 {
		filled.Readers = 4
	}
	if filled.TailEvents <= 0 {
		filled.TailEvents = 1 << 17
	}
	return filled
}

// Store is a log in a SQLite file, open for writing. It is safe for concurrent
// use. After an error of the disk nothing more is accepted, reading goes on,
// and the log must be opened again.
type Store struct {
	path   string
	lock   *os.File
	pool   *pool
	writer *writer
	tails  *tails
	head   atomic.Uint64 // position of the last durable event
	news   signal

	failure atomic.Pointer[error] // why nothing is accepted any more; nil: it is

	// background are the goroutines Open started and Close waits for.
	background sync.WaitGroup
	closeOnce  sync.Once
	closeErr   error
}

var _ store.Log = (*Store)(nil)

// Open opens the log at path for writing, and creates it when there is no file.
// It refuses a file that is not a log, and a log somebody else writes to
// ([ErrLocked]). Unlike other constructors it starts goroutines, because a
// writer that has to be started separately could not answer an Append: the
// writer, the checkpointer, and one that sorts what is to be indexed. Close ends
// them and waits for them.
func Open(path string, options *Options) (*Store, error) {
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	s, err := openLocked(path, options.withDefaults())
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	s.start()
	return s, nil
}

func openLocked(path string, o Options) (*Store, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create log %s: %w", path, err)
		}
		if err := os.Truncate(path+".lock", 0); err != nil { // it may be of a log that was here before
			return nil, err
		}
	}
	if err := identify(path); err != nil {
		return nil, err
	}
	s := &Store{path: path, tails: &tails{}, pool: newPool(o.Readers, func() (*sqlite.Conn, error) { return openReading(path) })}
	if err := s.openWriter(o); err != nil {
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) openWriter(o Options) error {
	c, err := openWriting(s.path)
	if err != nil {
		return err
	}
	s.writer = newWriter(c, s, o)
	if err := s.writer.recover(); err != nil {
		return errors.Join(err, s.closeUnchanged(c))
	}
	checkpoints, err := openWriting(s.path)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	s.writer.checkpoints = newCheckpointer(checkpoints, o.Logger)
	return nil
}

// closeUnchanged closes a connection that may write, of a log that is damaged. Where it is
// the last one, SQLite would move what the write-ahead log has into the file and remove it;
// one that may only read does not.
func (s *Store) closeUnchanged(c *sqlite.Conn) error {
	last, err := openReading(s.path)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	_, err = lastPosition(last) // the file is opened by the first read
	return errors.Join(err, c.Close(), last.Close())
}

func (s *Store) start() {
	s.background.Go(s.writer.run)
	s.background.Go(s.writer.checkpoints.run)
}

// Path returns the path the log was opened with.
func (s *Store) Path() string { return s.path }

// Append implements store.Appender.
func (s *Store) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if err := ctx.Err(); err != nil {
		return store.Appended{}, err
	}
	encoded, err := store.Encode(stream, expected, batch)
	if err != nil {
		return store.Appended{}, err
	}
	return s.writer.append(ctx, &request{stream: stream, expected: expected, batch: encoded, done: make(chan outcome, 1)})
}

// Failed returns why the log accepts nothing more until it is opened again: a write
// that failed. Nil says that it does, or that it was closed.
func (s *Store) Failed() error {
	if failure := s.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// Head implements store.LogReader.
func (s *Store) Head(ctx context.Context) (events.Position, error) {
	if err := ctx.Err(); err != nil {
		return events.Position{}, err
	}
	if s.pool.isClosed() {
		return events.Position{}, store.ErrClosed
	}
	return events.At(s.head.Load()), nil
}

// Wait implements store.LogReader.
func (s *Store) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	for {
		changed := s.news.next()
		head, err := s.Head(ctx)
		if err != nil || head.Compare(after) > 0 {
			return head, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return events.Position{}, ctx.Err()
		}
	}
}

// Close refuses new appends, finishes the ones it has, indexes what is in
// memory, waits for its goroutines and gives the file back. Closing twice is
// harmless.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.shutDown() })
	return s.closeErr
}

// shutDown closes the writing connection last: the last one to close folds the
// write-ahead log into the file and removes it.
func (s *Store) shutDown() error {
	s.writer.stop()
	s.background.Wait()
	err := s.pool.close()
	s.news.notify()
	return errors.Join(err, s.writer.checkpoints.conn.Close(), s.writer.conn.Close(), s.lock.Close())
}
