package projections

import (
	"errors"
	"maps"
	"slices"

	"zombiezen.com/go/sqlite"
)

// RowDifference is a row that two generations have differently, or only one of them has.
type RowDifference struct {
	Table   string             `json:"table"`
	ID      int64              `json:"id"`  // of the row: the number of the event that made it
	Sid     string             `json:"sid"` // of the resource
	Only    string             `json:"only,omitempty"`
	Columns []ColumnDifference `json:"columns,omitempty"` // none when only one has the row
	Event   *DivergingEvent    `json:"event,omitempty"`   // where they part; nil when it was not found
}

// The values of RowDifference.Only.
const (
	OnlyLive    = "live"
	OnlyRebuilt = "rebuilt"
)

// ColumnDifference is a value that two generations have differently, as text.
type ColumnDifference struct {
	Column  string `json:"column"`
	Live    string `json:"live"`
	Rebuilt string `json:"rebuilt"`
}

// maxRowDifferences bounds the rows of a table that are compared value by value, the
// first by id.
const maxRowDifferences = 1000

// rowValues is a row as text, by column. SQLite's types are not told apart: they are
// the same in both generations, and NULL is its own text.
type rowValues map[string]string

// Null is how a value that is not there reads in a difference; no text of ours has a zero
// byte.
const Null = "\x00"

// rowCursor goes through a table by id.
type rowCursor struct {
	stmt *sqlite.Stmt
	id   int64
	more bool
}

func openRows(conn *sqlite.Conn, table string) (*rowCursor, error) {
	stmt, _, err := conn.PrepareTransient("SELECT id, * FROM " + table + " ORDER BY id")
	if err != nil {
		return nil, err
	}
	c := &rowCursor{stmt: stmt}
	return c, c.next()
}

func (c *rowCursor) next() (err error) {
	if c.more, err = c.stmt.Step(); c.more {
		c.id = c.stmt.ColumnInt64(0)
	}
	return err
}

func (c *rowCursor) values() rowValues { return columnValues(c.stmt) }

func columnValues(stmt *sqlite.Stmt) rowValues {
	row := make(rowValues, stmt.ColumnCount())
	for i := range stmt.ColumnCount() {
		if row[stmt.ColumnName(i)] = Null; !stmt.ColumnIsNull(i) {
			row[stmt.ColumnName(i)] = stmt.ColumnText(i)
		}
	}
	return row
}

// differingRows compares a table row by row and stops when it has found as many as are
// looked at.
func differingRows(table string, live, rebuilt *sqlite.Conn) (found []RowDifference, err error) {
	a, err := openRows(live, table)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.stmt.Finalize()) }()
	b, err := openRows(rebuilt, table)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stmt.Finalize()) }()
	for (a.more || b.more) && len(found) < maxRowDifferences {
		d, err := nextPair(table, a, b)
		if err != nil {
			return found, err
		}
		if d.Only != "" || len(d.Columns) > 0 {
			found = append(found, d)
		}
	}
	return found, nil
}

// nextPair compares the rows that come next, and moves on.
func nextPair(table string, live, rebuilt *rowCursor) (RowDifference, error) {
	d := RowDifference{Table: table}
	switch {
	case !rebuilt.more || live.more && live.id < rebuilt.id:
		d.ID, d.Only, d.Sid = live.id, OnlyLive, live.values()["sid"]
		return d, live.next()
	case !live.more || rebuilt.id < live.id:
		d.ID, d.Only, d.Sid = rebuilt.id, OnlyRebuilt, rebuilt.values()["sid"]
		return d, rebuilt.next()
	}
	before, after := live.values(), rebuilt.values()
	d.ID, d.Sid, d.Columns = live.id, after["sid"], differingColumns(before, after)
	return d, errors.Join(live.next(), rebuilt.next())
}

func differingColumns(live, rebuilt rowValues) (list []ColumnDifference) {
	for _, name := range slices.Sorted(maps.Keys(rebuilt)) {
		if live[name] != rebuilt[name] {
			list = append(list, ColumnDifference{Column: name, Live: live[name], Rebuilt: rebuilt[name]})
		}
	}
	return list
}
