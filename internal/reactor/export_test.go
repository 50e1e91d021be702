package reactor

import (
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Begun leaves a job as a process does that is killed in the middle of an attempt.
func (q *Queue) Begun(key string) error {
	return q.write(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `UPDATE job SET begun = 1 WHERE key = ?`, &sqlitex.ExecOptions{Args: []any{key}})
	})
}
