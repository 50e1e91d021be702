package projections

import (
	"errors"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// snapshot is one state of a generation, held by a read transaction while the
// generation goes on.
type snapshot struct {
	conn *sqlite.Conn
}

func openSnapshot(path string) (*snapshot, error) {
	conn, err := openReader(path)
	if err != nil {
		return nil, damaged(path, err)
	}
	s := &snapshot{conn: conn}
	if err = sqlitex.ExecuteTransient(conn, "BEGIN", nil); err == nil {
		_, err = readMark(conn) // the first read begins the snapshot
	}
	if err != nil {
		return nil, errors.Join(damaged(path, err), conn.Close())
	}
	return s, nil
}

func (s *snapshot) close() error {
	return errors.Join(sqlitex.ExecuteTransient(s.conn, "COMMIT", nil), s.conn.Close())
}
