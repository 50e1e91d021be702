package projections

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// ErrNotFound is what every [NotFoundError] is.
var ErrNotFound = errors.New("not found")

// NotFoundError says that no row has the name.
type NotFoundError struct {
	Kind string // conversation, participant, …
	Name string // SID, unique name or identity that was asked for
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("%s %.300q not found", e.Kind, e.Name) }

// Is makes errors.Is(err, ErrNotFound) true.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// Queries answers questions about the live generation. Each query sees one
// state of the rows; a query that runs while generations are swapped ends on
// the one it began on. Safe for concurrent use.
type Queries struct {
	mu     sync.RWMutex // guards the fields, not the source's use
	source *source
	closed bool
}

// source is the reading side of one file.
type source struct {
	path  string
	pool  *sqlitex.Pool
	users sync.WaitGroup // queries that run
}

// ErrNoReadModels says that the folder holds no read models of this version.
var ErrNoReadModels = errors.New("there are no read models yet; start the server or run \"parley projection rebuild " + Name + "\"")

// OpenReadOnly answers queries from the folder whether or not a server runs on
// it. It sees the generation that is live at the time of the call. Close it.
func OpenReadOnly(dir string) (*Queries, error) {
	path, err := livePath(dir)
	if err != nil {
		return nil, err
	}
	conn, err := openReader(path)
	if err != nil {
		return nil, damaged(path, err)
	}
	if err := errors.Join(identify(conn, path), conn.Close()); err != nil {
		return nil, err
	}
	return newQueries(path, 1)
}

// livePath is the file of the live generation, if it is of this version.
func livePath(dir string) (string, error) {
	m, found, err := readManifest(dir)
	switch {
	case err != nil:
		return "", err
	case !found, m.Version != Version:
		return "", fmt.Errorf("%s: %w", dir, ErrNoReadModels)
	}
	return filepath.Join(dir, m.File), nil
}

func newQueries(path string, readers int) (*Queries, error) {
	s, err := openSource(path, readers)
	if err != nil {
		return nil, err
	}
	return &Queries{source: s}, nil
}

func openSource(path string, readers int) (*source, error) {
	pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{
		Flags: readerFlags, PoolSize: readers, PrepareConn: prepareReader,
	})
	if err != nil {
		return nil, fmt.Errorf("open read model: %w", err)
	}
	return &source{path: path, pool: pool}, nil
}

func openReader(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, readerFlags)
	if err != nil {
		return nil, err
	}
	if err := prepareReader(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// readerFlags: a database with a write-ahead file must be writable even to be
// read after a crash; query_only keeps readers from writing. Where the file must
// not be written, SQLite opens it for reading by itself.
const readerFlags = sqlite.OpenReadWrite

func prepareReader(conn *sqlite.Conn) error {
	return pragma(conn, "query_only = ON", "cache_size = -16384")
}

// Close waits for the queries that run and releases the file.
func (q *Queries) Close() error {
	q.mu.Lock()
	s, closed := q.source, q.closed
	q.closed = true
	q.mu.Unlock()
	if closed {
		return nil
	}
	return s.close()
}

// close waits for the last user first: closing a pool interrupts its queries.
func (s *source) close() error {
	s.users.Wait()
	return s.pool.Close()
}

// exchange lets later queries use another file and returns the former one.
func (q *Queries) exchange(next *source) *source {
	q.mu.Lock()
	defer q.mu.Unlock()
	former := q.source
	q.source = next
	return former
}

var errQueriesClosed = errors.New("the read models are closed")

func (q *Queries) enter() (*source, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return nil, errQueriesClosed
	}
	q.source.users.Add(1)
	return q.source, nil
}

// view runs do on a connection, inside a transaction, so that its statements
// see one state of the rows.
func (q *Queries) view(ctx context.Context, do func(conn *sqlite.Conn) error) error {
	s, err := q.enter()
	if err != nil {
		return err
	}
	defer s.users.Done()
	conn, err := s.pool.Take(ctx)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer s.pool.Put(conn)
	if err := sqlitex.Execute(conn, "BEGIN", nil); err != nil {
		return interrupted(ctx, err)
	}
	err = do(conn)
	conn.SetInterrupt(nil) // the transaction must end
	return interrupted(ctx, errors.Join(err, sqlitex.Execute(conn, "COMMIT", nil)))
}

// interrupted gives a query that the context ended the context's error.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultInterrupt {
		return ctx.Err()
	}
	return err
}

// Position returns how far the rows that queries see have come.
func (q *Queries) Position(ctx context.Context) (position events.Position, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		m, err := readMark(conn)
		position = m.position
		return err
	})
	return position, err
}

// Digests sums up every table, and says for which position of the log.
func (q *Queries) Digests(ctx context.Context) (list []Digest, position events.Position, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		m, err := readMark(conn)
		if err != nil {
			return err
		}
		position = m.position
		list, err = digests(conn)
		return err
	})
	return list, position, err
}

// query collects the rows of a statement whose first columns are those of the
// table.
func query[R any](conn *sqlite.Conn, columns []column[R], tail string, args ...any) ([]R, error) {
	var rows []R
	err := sqlitex.Execute(conn, "SELECT "+names(columns)+" "+tail, &sqlitex.ExecOptions{
		Args: args,
		ResultFunc: func(stmt *sqlite.Stmt) error {
			var r R
			scanRow(stmt, columns, &r)
			rows = append(rows, r)
			return nil
		},
	})
	return rows, err
}

// anyRow reports whether the statement has a row.
func anyRow(conn *sqlite.Conn, tail string, args ...any) (bool, error) {
	n, err := countRows(conn, "SELECT EXISTS (SELECT 1 "+tail+")", args...)
	return n > 0, err
}

// one is query for a row that must exist, of one table. An index finds it, and the row
// itself is asked whether it is the one: a damaged index leads to another one's.
func one[R any](conn *sqlite.Conn, columns []column[R], missing *NotFoundError, tail string, args ...any) (r R, err error) {
	table, condition, _ := strings.Cut(strings.TrimPrefix(tail, "FROM "), " WHERE ")
	found, right := false, false
	err = sqlitex.Execute(conn, "SELECT "+names(columns)+", "+condition+" FROM "+table+" WHERE id = (SELECT id "+tail+" LIMIT 1)",
		&sqlitex.ExecOptions{Args: append(slices.Clone(args), args...), ResultFunc: func(stmt *sqlite.Stmt) error {
			found, right = true, stmt.ColumnBool(len(columns))
			scanRow(stmt, columns, &r)
			return nil
		}})
	switch {
	case err == nil && !found:
		err = missing
	case err == nil && !right:
		err = &DamagedError{Path: table, Reason: "its index leads to the row of another " + missing.Kind}
	}
	if err != nil {
		var none R
		return none, err
	}
	return r, nil
}
