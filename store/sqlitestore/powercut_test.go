package sqlitestore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
	"github.com/parley-engine/parley/store/storetest"
)

// image copies the files as a power cut would leave them: the file and the
// write-ahead log, without the shared memory.
func image(t *testing.T, path string) string {
	copied := filepath.Join(t.TempDir(), "log.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(copied+suffix, content, 0o600))
	}
	return copied
}

// TestAPowerCutBetweenCommitAndIndexLosesNothing cuts after every few appends,
// so that the index is met in every state: not begun, half written, finished.
func TestAPowerCutBetweenCommitAndIndexLosesNothing(t *testing.T) {
	options := &sqlitestore.Options{TailEvents: 30}
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, options)
	heads := map[string]store.Revision{}
	states := map[string]int{}
	for i := range 120 {
		name := fmt.Sprint("conversation-", i*i%7)
		head, known := heads[name]
		if !known {
			head = store.NoStream
		}
		batch := append(proposed(2*i), proposed(2*i+1)...)
		_, err := s.Append(t.Context(), name, head, batch)
		require.NoError(t, err)
		heads[name] = head + 2
		if i%3 == 0 {
			states[checkImage(t, image(t, path), heads, options)]++
		}
	}
	require.NoError(t, s.Close())
	requireExactIndex(t, path)
	require.Positive(t, states["not begun"])
	require.Positive(t, states["half written"])
	require.Positive(t, states["finished"])
	t.Logf("states of the index met: %v", states)
}

// checkImage opens what a power cut left, and says how far the index was.
func checkImage(t *testing.T, path string, heads map[string]store.Revision, options *sqlitestore.Options) string {
	state := indexState(t, path)
	// What a tool of another process reads, before anything is repaired.
	r := openReader(t, path)
	for name, head := range heads {
		require.Len(t, stream(t, r, name, store.Forwards), int(head)+1)
		require.Len(t, stream(t, r, name, store.Backwards), int(head)+1)
	}
	require.NoError(t, r.Close())
	s := open(t, path, options)
	for name, head := range heads {
		require.Len(t, stream(t, s, name, store.Forwards), int(head)+1)
		_, err := s.Append(t.Context(), name, head, []events.Proposed{{ID: events.NameID("after " + name), Type: "test.happened.v1"}})
		require.NoError(t, err)
	}
	storetest.CheckLog(t, s, start)
	require.NoError(t, s.Close())
	requireExactIndex(t, path)
	return state
}

func query(t *testing.T, path, text string, row func(*sqlite.Stmt)) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(c, text, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		row(stmt)
		return nil
	}}))
	require.NoError(t, c.Close())
}

func indexState(t *testing.T, path string) (state string) {
	query(t, path, `SELECT CASE WHEN pending_upto > 0 THEN 'half written' WHEN indexed_upto > 0 THEN 'finished' ELSE 'not begun' END
		FROM index_progress`, func(stmt *sqlite.Stmt) { state = stmt.ColumnText(0) })
	return state
}

// requireExactIndex compares the index of a closed log with the log.
func requireExactIndex(t *testing.T, path string) {
	differing := ""
	query(t, path, `
		WITH indexed AS (SELECT stream, first_revision + p.key AS revision, p.value AS position FROM stream_index, json_each(positions) p)
		SELECT stream, revision, position FROM indexed EXCEPT SELECT stream, revision, position FROM events
		UNION ALL SELECT * FROM (SELECT stream, revision, position FROM events EXCEPT SELECT stream, revision, position FROM indexed)
		UNION ALL SELECT 'counts', (SELECT count(*) FROM indexed), (SELECT count(*) FROM events)
			WHERE (SELECT count(*) FROM indexed) <> (SELECT count(*) FROM events)`,
		func(stmt *sqlite.Stmt) {
			differing += fmt.Sprintln(stmt.ColumnText(0), stmt.ColumnInt64(1), stmt.ColumnInt64(2))
		})
	require.Empty(t, differing)
}
