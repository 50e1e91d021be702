package sqlitestore

import (
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// columns are what scanner reads, in its order.
const columns = `position, id, type, stream, revision, recorded, metadata, data`

// maxNames bounds the names a scanner remembers.
const maxNames = 16 << 10

// scanner turns rows into events. Names of types and streams come again and
// again; it hands out the same string for them.
type scanner struct {
	buffer []byte
	names  map[string]string
}

// event reads the current row.
func (s *scanner) event(stmt *sqlite.Stmt) (events.Recorded, error) {
	e := events.Recorded{
		Position: events.At(uint64(stmt.ColumnInt64(0))),
		Type:     s.name(stmt, 2),
		Stream:   s.name(stmt, 3),
		Revision: uint64(stmt.ColumnInt64(4)),
		Recorded: time.Unix(0, stmt.ColumnInt64(5)).UTC(),
	}
	stmt.ColumnBytes(1, e.ID[:])
	metadata, err := events.ParseMetadata(s.bytes(stmt, 6))
	if err != nil {
		return e, fmt.Errorf("event at position %s: %w", e.Position, err)
	}
	e.Metadata = metadata
	e.Data = append([]byte{}, s.bytes(stmt, 7)...)
	return e, nil
}

// selected reports whether the filter wants the current row.
func (s *scanner) selected(stmt *sqlite.Stmt, filter store.Filter) bool {
	if len(filter.Types) == 0 && len(filter.StreamPrefixes) == 0 {
		return true
	}
	return filter.Match(s.name(stmt, 3), s.name(stmt, 2))
}

// bytes returns a column's bytes, good until the next call.
func (s *scanner) bytes(stmt *sqlite.Stmt, column int) []byte {
	if s.buffer == nil {
		s.buffer = make([]byte, 4096)
	}
	n := stmt.ColumnBytes(column, s.buffer)
	if n == len(s.buffer) { // it may be longer
		s.buffer = make([]byte, stmt.ColumnLen(column)+1)
		n = stmt.ColumnBytes(column, s.buffer)
	}
	return s.buffer[:n]
}

func (s *scanner) name(stmt *sqlite.Stmt, column int) string {
	b := s.bytes(stmt, column)
	if name, ok := s.names[string(b)]; ok {
		return name
	}
	if s.names == nil || len(s.names) == maxNames {
		s.names = make(map[string]string)
	}
	name := strings.Clone(string(b))
	s.names[name] = name
	return name
}
