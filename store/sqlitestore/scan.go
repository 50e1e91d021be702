package sqlitestore

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// columns are what scanner reads, in its order.
const columns = `position, id, type, stream, revision, recorded, metadata, data`

// rememberedNames is how many names a scanner can hand out again.
const rememberedNames = 4096

// scanner turns rows into events. Names of types and streams come again and
// again; it hands out the same string for them. A name has one place, where the
// next one of the same hash takes over.
type scanner struct {
	buffer []byte
	seed   maphash.Seed
	names  [rememberedNames]string
}

func newScanner() *scanner { return &scanner{buffer: make([]byte, 4096), seed: maphash.MakeSeed()} }

// event reads the current row, with its metadata as they stand there when encoded.
func (s *scanner) event(stmt *sqlite.Stmt, e *events.Recorded, encoded bool) (err error) {
	e.Position = events.At(uint64(stmt.ColumnInt64(0)))
	stmt.ColumnBytes(1, e.ID[:])
	e.Type = s.name(stmt, 2)
	e.Stream = s.name(stmt, 3)
	e.Revision = uint64(stmt.ColumnInt64(4))
	e.Recorded = time.Unix(0, stmt.ColumnInt64(5)).UTC()
	if encoded {
		e.EncodedMetadata = bytes.Clone(s.bytes(stmt, 6))
	} else if e.Metadata, err = events.ParseMetadata(s.bytes(stmt, 6)); err != nil {
		return fmt.Errorf("log is damaged: event at position %s: %w", e.Position, err)
	}
	e.Data = bytes.Clone(s.bytes(stmt, 7))
	return nil
}

// selected reports whether the filter wants the current row.
func (s *scanner) selected(stmt *sqlite.Stmt, filter store.Filter) bool {
	if len(filter.Types) == 0 && len(filter.StreamPrefixes) == 0 {
		return true
	}
	return filter.Match(s.name(stmt, 3), s.name(stmt, 2))
}

// bytes returns a column's bytes, good until the next call; never nil.
func (s *scanner) bytes(stmt *sqlite.Stmt, column int) []byte {
	n := stmt.ColumnBytes(column, s.buffer)
	if n == len(s.buffer) { // it may be longer
		s.buffer = make([]byte, stmt.ColumnLen(column)+1)
		n = stmt.ColumnBytes(column, s.buffer)
	}
	return s.buffer[:n]
}

func (s *scanner) name(stmt *sqlite.Stmt, column int) string {
	b := s.bytes(stmt, column)
	place := &s.names[maphash.Bytes(s.seed, b)%rememberedNames]
	if *place != string(b) {
		*place = string(b)
	}
	return *place
}
