package projections

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// FollowWithoutFilling follows the log up to the position event by event in
// batches, without the fast way for an empty generation.
func FollowWithoutFilling(ctx context.Context, rm *ReadModels, upto events.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := rm.begin(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- rm.follow(ctx) }()
	waited := make(chan error, 1)
	go func() { waited <- rm.Wait(ctx, upto) }()
	select {
	case err := <-ended:
		rm.end(err)
		return err
	case err := <-waited:
		cancel()
		<-ended
		rm.end(nil)
		return err
	}
}

// BulkInsertCopy inserts the rows of the live generation, held in memory, into
// a new file with the same tables, and makes the same indexes. It returns how
// long that took: the fastest a rebuild could be.
func BulkInsertCopy(t testing.TB, path string, rm *ReadModels) (took time.Duration, rows int) {
	from, err := openReader(filepath.Join(rm.dir, rm.manifest.File))
	require.NoError(t, err)
	defer func() { require.NoError(t, from.Close()) }()
	load := func(n int, err error) {
		require.NoError(t, err)
		rows += n
	}
	to, err := newGeneration(path, 1<<30, true)
	require.NoError(t, err)
	defer func() { require.NoError(t, to.close()) }()
	f := to.fold
	load(copyRows(f.accounts, from))
	load(copyRows(f.messagingServices, from))
	load(copyRows(f.services, from))
	load(copyRows(f.users, from))
	load(copyRows(f.roles, from))
	load(copyRows(f.conversations, from))
	load(copyRows(f.participants, from))
	load(copyRows(f.messages, from))
	load(copyRows(f.receipts, from))
	load(copyRows(f.webhooks, from))
	load(copyRows(f.apiKeys, from))
	load(copyRows(f.credentials, from))
	load(copyRows(f.pushBindings, from))
	load(copyRows(f.addresses, from))
	load(copyRows(f.media, from))
	began := time.Now()
	require.NoError(t, sqlitex.ExecuteTransient(to.conn, "BEGIN", nil))
	require.NoError(t, f.flush())
	require.NoError(t, sqlitex.ExecuteTransient(to.conn, "COMMIT", nil))
	require.NoError(t, to.goLive(1000))
	return time.Since(began), rows
}

// copyRows makes every row of a table a row to be inserted.
func copyRows[K comparable, R any](t *table[K, R], from *sqlite.Conn) (int, error) {
	rows, err := query(from, t.spec.columns, "FROM "+t.spec.name+" ORDER BY id")
	for i := range rows {
		t.mark(&entry[R]{row: rows[i]}, indexedChange)
	}
	return len(rows), err
}

// ApplySome applies batches of the given sizes, then leaves the projection as a
// crash would: nothing is closed but the files.
func ApplySome(ctx context.Context, rm *ReadModels, sizes []int) error {
	if err := rm.begin(); err != nil {
		return err
	}
	defer rm.end(nil)
	var batch store.Batch
	for r, err := range rm.log.ReadAll(ctx, rm.progress.get().Position, store.Filter{}) {
		if err != nil {
			return err
		}
		batch.Events, batch.Upto = append(batch.Events, r), r.Position
		if len(sizes) == 0 {
			return nil
		}
		if len(batch.Events) < sizes[0] {
			continue
		}
		if err := rm.apply(batch); err != nil {
			return err
		}
		batch.Events, sizes = nil, sizes[1:]
	}
	return nil
}

// Exec changes the live generation behind the projection's back.
func Exec(t testing.TB, rm *ReadModels, sql string) {
	t.Helper()
	rm.writing.Lock()
	defer rm.writing.Unlock()
	require.NoError(t, sqlitex.ExecuteScript(rm.live.conn, sql, nil))
}

// Dump is every value of a table, row by row, for a test to show what differs.
func Dump(t testing.TB, path, table string) (rows []string) {
	t.Helper()
	conn, err := openReader(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, sqlitex.ExecuteTransient(conn, "SELECT * FROM "+table+" ORDER BY id", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			var row string
			for i := range stmt.ColumnCount() {
				row += stmt.ColumnName(i) + "=" + stmt.ColumnText(i) + " "
			}
			rows = append(rows, row)
			return nil
		},
	}))
	return rows
}

// LivePath is the file of the live generation.
func LivePath(rm *ReadModels) string { return filepath.Join(rm.dir, rm.manifest.File) }

// PositionOf a file of a generation.
func PositionOf(t testing.TB, path string) events.Position {
	t.Helper()
	conn, err := openReader(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	m, err := readMark(conn)
	require.NoError(t, err)
	return m.position
}

// NewGeneration makes one and closes it.
func NewGeneration(path string, bulk bool) error {
	g, err := newGeneration(path, 10, bulk)
	if err != nil {
		return err
	}
	return g.close()
}

// MakeForeign makes a database of somebody else.
func MakeForeign(t testing.TB, path string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "CREATE TABLE cake (flavour TEXT)", nil))
	require.NoError(t, conn.Close())
}

// DecodeHot is the short way of decoding; false when it is not taken.
var DecodeHot = decodeHot

// AwaitClosing returns once Close was called, which may still be waiting.
func AwaitClosing(rm *ReadModels) {
	for {
		rm.writing.Lock()
		closing := rm.closed
		rm.writing.Unlock()
		if closing {
			return
		}
		runtime.Gosched()
	}
}
