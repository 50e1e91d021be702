// Package snapshots keeps folded states in a SQLite file of their own. It is a
// disposable cache: nothing is synced, anything may be missing, and deleting the
// file loses nothing but time.
package snapshots

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

var setUp = []string{`PRAGMA journal_mode = MEMORY`, `PRAGMA synchronous = OFF`, `
CREATE TABLE IF NOT EXISTS snapshots (
	stream TEXT PRIMARY KEY,
	schema TEXT NOT NULL,
	data   BLOB NOT NULL
) WITHOUT ROWID`}

// Store is safe for concurrent use.
type Store struct {
	log  *slog.Logger
	turn chan *sqlite.Conn // holds the only connection while nobody uses it
}

// Open opens the file at path or makes it. A file that cannot be read is
// replaced: it is only a cache. A nil logger discards.
func Open(path string, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	conn, err := open(path)
	if err != nil {
		log.Warn("snapshots start anew", "err", err)
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return nil, fmt.Errorf("replace %s: %w", path, err)
		}
		if conn, err = open(path); err != nil {
			return nil, fmt.Errorf("snapshots %s: %w", path, err)
		}
	}
	s := &Store{log: log, turn: make(chan *sqlite.Conn, 1)}
	s.turn <- conn
	return s, nil
}

func open(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	for _, statement := range setUp {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			_ = conn.Close() // the first error says it all
			return nil, err
		}
	}
	return conn, nil
}

// Close closes the file; whoever is using it is waited for.
func (s *Store) Close() error { return (<-s.turn).Close() }

// Load returns the snapshot of a stream under a schema, if there is one.
func (s *Store) Load(ctx context.Context, stream, schema string) (data []byte, found bool) {
	err := s.with(ctx, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT data FROM snapshots WHERE stream = ? AND schema = ?`, &sqlitex.ExecOptions{
			Args: []any{stream, schema},
			ResultFunc: func(row *sqlite.Stmt) error {
				data, found = make([]byte, row.ColumnLen(0)), true
				row.ColumnBytes(0, data)
				return nil
			},
		})
	})
	if err != nil {
		s.log.Warn("snapshot not loaded", "stream", stream, "err", err)
		return nil, false
	}
	return data, found
}

// Save replaces the snapshot of a stream.
func (s *Store) Save(ctx context.Context, stream, schema string, data []byte) {
	err := s.with(ctx, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `INSERT OR REPLACE INTO snapshots (stream, schema, data) VALUES (?, ?, ?)`,
			&sqlitex.ExecOptions{Args: []any{stream, schema, data}})
	})
	if err != nil {
		s.log.Warn("snapshot not saved", "stream", stream, "err", err)
	}
}

func (s *Store) with(ctx context.Context, use func(*sqlite.Conn) error) error {
	select {
	case conn := <-s.turn:
		defer func() { s.turn <- conn }()
		return use(conn)
	case <-ctx.Done():
		return ctx.Err()
	}
}
