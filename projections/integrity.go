package projections

import (
	"context"
	"errors"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Integrity checks pages and indexes of the live generation: that every index has every
// row, in its place, and no other. It reads the whole file, from the disk, on a connection
// of its own; a server goes on meanwhile.
func (q *Queries) Integrity(ctx context.Context) (*Drift, error) {
	s, err := q.enter()
	if err != nil {
		return nil, err
	}
	defer s.users.Done()
	conn, err := openReader(s.path)
	if err != nil {
		return nil, damaged(s.path, err)
	}
	d := &Drift{}
	conn.SetInterrupt(ctx.Done())
	m, err := readMark(conn)
	if err == nil {
		d.Position = m.position
		d.Damage, err = damageOf(conn)
	}
	if ctx.Err() == nil && corrupt(err) {
		d.Damage, err = append(d.Damage, err.Error()), nil
	}
	conn.SetInterrupt(nil)
	return d, interrupted(ctx, errors.Join(err, conn.Close()))
}

// maxDamage bounds what is told of one file.
const maxDamage = "20"

func damageOf(conn *sqlite.Conn) (list []string, err error) {
	err = sqlitex.ExecuteTransient(conn, "PRAGMA integrity_check("+maxDamage+")", &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		if text := stmt.ColumnText(0); text != "ok" {
			list = append(list, strings.TrimSpace(text))
		}
		return nil
	}})
	return list, err
}

// corrupt reports what SQLite says of a file it cannot make sense of.
func corrupt(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return true
	}
	return false
}
