package reactor

import (
	"errors"

	"zombiezen.com/go/sqlite"

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
