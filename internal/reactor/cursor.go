package reactor

import (
	"errors"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// CursorIn returns how far the log has led to jobs in the file at path, without changing
// it; zero before the first Move.
func CursorIn(path string) (at events.Position, err error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite) // what was killed left a journal to be read
	if err != nil {
		return at, err
	}
	q := &Queue{reader: make(chan *sqlite.Conn, 1)}
	q.reader <- conn
	at, _, err = q.Cursor()
	return at, errors.Join(err, conn.Close())
}

// mostChecked bounds the files that are read as a whole by Check, in bytes.
const mostChecked = 256 << 20

// Check says what is wrong with the file at path: whether it is a queue, and, unless it is
// very large, whether its pages fit together. It changes nothing.
func Check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if _, err := CursorIn(path); err != nil {
		return err
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	if err := hasAll(conn, path); err != nil || info.Size() > mostChecked {
		return errors.Join(err, conn.Close())
	}
	err = sqlitex.ExecuteTransient(conn, "PRAGMA quick_check(1)", &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
		if text := row.ColumnText(0); text != "ok" {
			return errors.New(text)
		}
		return nil
	}})
	return errors.Join(err, conn.Close())
}
