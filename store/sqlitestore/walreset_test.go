package sqlitestore_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// SQLite before 3.51.3 has the WAL-reset bug: a checkpoint that begins when the
// write-ahead log is completely in the file, at the moment another connection
// begins that log again, may count the new pages as already moved. Committed
// transactions are lost. The driver's version decides which SQLite this is.
func TestSQLiteIsNewEnoughNotToLoseCommitsAtACheckpoint(t *testing.T) {
	c := dial(t, filepath.Join(t.TempDir(), "any.db"))
	var major, minor, patch int
	require.NoError(t, sqlitex.ExecuteTransient(c, "SELECT sqlite_version()", &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		_, err := fmt.Sscanf(stmt.ColumnText(0), "%d.%d.%d", &major, &minor, &patch)
		return err
	}}))
	require.GreaterOrEqual(t, major*1_000_000+minor*1_000+patch, 3_051_003)
	require.NoError(t, c.Close())
}

// TestCheckpointsBesideCommitsLoseNothing provokes the WAL-reset bug: one
// connection commits, one checkpoints without a pause, and a third looks whether
// every commit can be seen.
func TestCheckpointsBesideCommitsLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it keeps a processor busy for two seconds")
	}
	path := filepath.Join(t.TempDir(), "wal.db")
	writer, checkpointer, reader := dial(t, path), dial(t, path), dial(t, path)
	require.NoError(t, sqlitex.ExecuteTransient(writer, "CREATE TABLE e (position INTEGER PRIMARY KEY, data TEXT)", nil))
	var ended atomic.Bool
	defer ended.Store(true)
	var beside sync.WaitGroup
	beside.Go(func() {
		for !ended.Load() {
			// SQLITE_BUSY is possible and does no harm here.
			_ = sqlitex.Execute(checkpointer, "PRAGMA wal_checkpoint(PASSIVE)", nil)
		}
	})
	committed, seen := int64(0), int64(0)
	for begun := time.Now(); seen == committed && time.Since(begun) < 2*time.Second; {
		committed++
		require.NoError(t, sqlitex.Execute(writer, "INSERT INTO e VALUES (?, ?)", &sqlitex.ExecOptions{Args: []any{committed, strings.Repeat("x", 36)}}))
		seen = ask(t, reader, "SELECT max(position) FROM e")
	}
	ended.Store(true)
	beside.Wait()
	require.Equal(t, committed, seen, "a commit is gone")
	for _, c := range []*sqlite.Conn{writer, checkpointer, reader} {
		require.NoError(t, c.Close())
	}
	again := dial(t, path)
	require.Equal(t, committed, ask(t, again, "SELECT count(*) FROM e"))
	require.NoError(t, again.Close())
}

// dial opens any database file as the store does, but without fsync: nobody
// cuts the power.
func dial(t *testing.T, path string) *sqlite.Conn {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	require.NoError(t, err)
	c.SetBusyTimeout(5 * time.Second)
	for _, pragma := range []string{"journal_mode = WAL", "synchronous = OFF", "wal_autocheckpoint = 0"} {
		require.NoError(t, sqlitex.ExecuteTransient(c, "PRAGMA "+pragma, nil))
	}
	return c
}

func ask(t *testing.T, c *sqlite.Conn, query string) (answer int64) {
	require.NoError(t, sqlitex.Execute(c, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		answer = stmt.ColumnInt64(0)
		return nil
	}}))
	return answer
}
