package projections

import (
	"encoding/json"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
)

// column ties a field of the row struct R to a column of its table.
type column[R any] struct {
	name  string
	decl  string
	class columnClass
	bind  func(stmt *sqlite.Stmt, i int, r *R)
	scan  func(stmt *sqlite.Stmt, i int, r *R)
}

// columnClass says which statement writes a column: an update that leaves
// indexed columns alone also leaves their indexes alone.
type columnClass int

const (
	plainColumn   columnClass = iota // may change at any time
	indexedColumn                    // changes seldom; part of an index
	fixedColumn                      // never changes
)

func (c column[R]) indexed() column[R] { c.class = indexedColumn; return c }
func (c column[R]) fixed() column[R]   { c.class = fixedColumn; return c }

// text is a text that is always there.
func text[R any](name string, field func(*R) *string) column[R] {
	return column[R]{name: name, decl: "TEXT NOT NULL",
		bind: func(s *sqlite.Stmt, i int, r *R) { s.BindText(i, *field(r)) },
		scan: func(s *sqlite.Stmt, i int, r *R) { *field(r) = s.ColumnText(i) },
	}
}

// optional is a text that is NULL when empty.
func optional[R any](name string, field func(*R) *string) column[R] {
	return column[R]{name: name, decl: "TEXT",
		bind: func(s *sqlite.Stmt, i int, r *R) {
			if v := *field(r); v != "" {
				s.BindText(i, v)
			} else {
				s.BindNull(i)
			}
		},
		scan: func(s *sqlite.Stmt, i int, r *R) { *field(r) = s.ColumnText(i) },
	}
}

// integer is a number that is always there.
func integer[R any, N ~int | ~int64 | ~uint64](name string, field func(*R) *N) column[R] {
	return column[R]{name: name, decl: "INTEGER NOT NULL",
		bind: func(s *sqlite.Stmt, i int, r *R) { s.BindInt64(i, int64(*field(r))) },
		scan: func(s *sqlite.Stmt, i int, r *R) { *field(r) = N(s.ColumnInt64(i)) },
	}
}

// rowID is the primary key.
func rowID[R any](field func(*R) *int64) column[R] {
	c := integer("id", field).fixed()
	c.decl = "INTEGER PRIMARY KEY"
	return c
}

// optionalInteger is NULL when the pointer is nil.
func optionalInteger[R any](name string, field func(*R) **int64) column[R] {
	return column[R]{name: name, decl: "INTEGER",
		bind: func(s *sqlite.Stmt, i int, r *R) {
			if v := *field(r); v != nil {
				s.BindInt64(i, *v)
			} else {
				s.BindNull(i)
			}
		},
		scan: func(s *sqlite.Stmt, i int, r *R) {
			*field(r) = nil
			if !s.ColumnIsNull(i) {
				v := s.ColumnInt64(i)
				*field(r) = &v
			}
		},
	}
}

// optionalID is the id of another row; NULL for zero, which means none.
func optionalID[R any](name string, field func(*R) *int64) column[R] {
	return column[R]{name: name, decl: "INTEGER",
		bind: func(s *sqlite.Stmt, i int, r *R) {
			if id := *field(r); id != 0 {
				s.BindInt64(i, id)
			} else {
				s.BindNull(i)
			}
		},
		scan: func(s *sqlite.Stmt, i int, r *R) { *field(r) = s.ColumnInt64(i) },
	}
}

// flag is 0 or 1.
func flag[R any](name string, field func(*R) *bool) column[R] {
	return column[R]{name: name, decl: "INTEGER NOT NULL",
		bind: func(s *sqlite.Stmt, i int, r *R) { s.BindBool(i, *field(r)) },
		scan: func(s *sqlite.Stmt, i int, r *R) { *field(r) = s.ColumnBool(i) },
	}
}

// instant is milliseconds since 1970, UTC; NULL for the zero time.
func instant[R any](name string, field func(*R) *time.Time) column[R] {
	return column[R]{name: name, decl: "INTEGER",
		bind: func(s *sqlite.Stmt, i int, r *R) {
			if t := *field(r); !t.IsZero() {
				s.BindInt64(i, t.UnixMilli())
			} else {
				s.BindNull(i)
			}
		},
		scan: func(s *sqlite.Stmt, i int, r *R) { *field(r) = columnInstant(s, i) },
	}
}

func columnInstant(s *sqlite.Stmt, i int) time.Time {
	if s.ColumnIsNull(i) {
		return time.Time{}
	}
	return time.UnixMilli(s.ColumnInt64(i)).UTC()
}

// duration is a number of milliseconds; NULL for zero, which means none.
func duration[R any](name string, field func(*R) *time.Duration) column[R] {
	return column[R]{name: name, decl: "INTEGER",
		bind: func(s *sqlite.Stmt, i int, r *R) {
			if d := *field(r); d != 0 {
				s.BindInt64(i, d.Milliseconds())
			} else {
				s.BindNull(i)
			}
		},
		scan: func(s *sqlite.Stmt, i int, r *R) {
			*field(r) = time.Duration(s.ColumnInt64(i)) * time.Millisecond
		},
	}
}

// position is two columns, one for each number; half of them each.
func positionCommit[R any](field func(*R) *events.Position) column[R] {
	return integer("position", func(r *R) *uint64 { return &field(r).Commit })
}

func positionPrepare[R any](field func(*R) *events.Position) column[R] {
	return integer("position_prepare", func(r *R) *uint64 { return &field(r).Prepare })
}

// document is a JSON text; NULL when isEmpty.
func document[R, V any](name string, field func(*R) *V, isEmpty func(V) bool) column[R] {
	return column[R]{name: name, decl: "TEXT",
		bind: func(s *sqlite.Stmt, i int, r *R) {
			v := *field(r)
			if isEmpty(v) {
				s.BindNull(i)
				return
			}
			data, _ := json.Marshal(v) // strings and numbers always marshal
			s.BindText(i, string(data))
		},
		scan: func(s *sqlite.Stmt, i int, r *R) {
			var v V
			if !s.ColumnIsNull(i) {
				_ = json.Unmarshal([]byte(s.ColumnText(i)), &v) // written by bind
			}
			*field(r) = v
		},
	}
}

func noElements[E any](list []E) bool { return len(list) == 0 }

// noFields is for structs that leave empty fields out of their JSON. It goes by
// the JSON: a list that was never set and one without elements read the same
// once they were stored, so they must be stored the same.
func noFields[V any](v V) bool {
	data, _ := json.Marshal(v) // strings and numbers always marshal
	return string(data) == "{}"
}

func names[R any](columns []column[R]) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.name
	}
	return strings.Join(list, ", ")
}
