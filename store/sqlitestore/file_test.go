package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
	"github.com/parley-engine/parley/store/storetest"
)

var start events.Position

func proposed(n int) []events.Proposed {
	return []events.Proposed{{ID: events.NameID(fmt.Sprint(n)), Type: "test.happened.v1", Data: []byte(`{"n":1}`)}}
}

func open(t testing.TB, path string, options *sqlitestore.Options) *sqlitestore.Store {
	s, err := sqlitestore.Open(path, options)
	require.NoError(t, err)
	return s
}

func openReader(t testing.TB, path string) *sqlitestore.Reader {
	r, err := sqlitestore.OpenReadOnly(path)
	require.NoError(t, err)
	return r
}

// fill appends count events over the streams conversation-0 to conversation-(n-1).
func fill(t testing.TB, s store.Log, n, count int) {
	for i := range count {
		_, err := s.Append(t.Context(), fmt.Sprint("conversation-", i%n), store.Revision(i/n-1), proposed(i))
		require.NoError(t, err)
	}
}

func list(t testing.TB, l store.LogReader) (out []events.Recorded) {
	for e, err := range l.ReadAll(t.Context(), start, store.Filter{}) {
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

func stream(t testing.TB, l store.StreamReader, name string, direction store.Direction) (out []events.Recorded) {
	from := store.Revision(0)
	if direction == store.Backwards {
		from = store.End
	}
	for e, err := range l.ReadStream(t.Context(), name, from, direction) {
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

func TestASecondWriterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, nil)
	fill(t, s, 1, 3)
	_, err := sqlitestore.Open(path, nil)
	require.ErrorIs(t, err, sqlitestore.ErrLocked)
	require.ErrorContains(t, err, "open for writing elsewhere")
	require.Len(t, list(t, s), 3)
	require.NoError(t, s.Close())
	require.NoError(t, open(t, path, nil).Close())
}

func TestAForeignFileIsRefusedAndStaysAsItWas(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, path string){
		"text": func(t *testing.T, path string) {
			write(t, path, "Dear diary, this is longer than a header of 100 bytes would be. It goes on and on and on and on and on.")
		},
		"empty":         func(t *testing.T, path string) { write(t, path, "") },
		"other SQLite":  func(t *testing.T, path string) { script(t, path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)") },
		"WAL of others": func(t *testing.T, path string) { script(t, path, "PRAGMA journal_mode=WAL; CREATE TABLE t (a)") },
		"newer format":  func(t *testing.T, path string) { makeLog(t, path); script(t, path, "PRAGMA user_version = 99") },
		"cut header":    func(t *testing.T, path string) { makeLog(t, path); require.NoError(t, os.Truncate(path, 60)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "log.db")
			make(t, path)
			require.NoError(t, removeIfThere(path+".lock"))
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = sqlitestore.Open(path, nil)
			require.ErrorContains(t, err, path)
			_, err = sqlitestore.OpenReadOnly(path)
			require.ErrorContains(t, err, path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func write(t *testing.T, path, text string) {
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func script(t *testing.T, path, text string) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	require.NoError(t, err)
	for _, statement := range splitStatements(text) {
		require.NoError(t, sqlitex.ExecuteTransient(c, statement, nil))
	}
	require.NoError(t, c.Close())
}

func makeLog(t *testing.T, path string) {
	s := open(t, path, nil)
	fill(t, s, 2, 10)
	require.NoError(t, s.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func TestALogWithMissingEventsIsRefused(t *testing.T) {
	for name, damage := range map[string]string{
		"in the middle":      "DELETE FROM events WHERE position = 7; UPDATE index_progress SET indexed_upto = 0",
		"at the end":         "DELETE FROM events WHERE position > 7",
		"a revision skipped": "UPDATE events SET revision = 40 WHERE position = 7; UPDATE index_progress SET indexed_upto = 0",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log.db")
			makeLog(t, path)
			script(t, path, damage)
			_, err := sqlitestore.Open(path, nil)
			require.ErrorContains(t, err, "damaged")
		})
	}
}

func TestAFolderThatDoesNotExistIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere", "log.db")
	_, err := sqlitestore.Open(path, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = sqlitestore.OpenReadOnly(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWhatACrashWhileCreatingLeftIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	write(t, path+".new", "half a file")
	write(t, path+".new-journal", "half a journal")
	makeLog(t, path)
	_, err := os.Stat(path + ".new")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = os.Stat(path + ".new-journal")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadersSeeWhatTheWriterHasWhetherItIsOpenOrNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, &sqlitestore.Options{TailEvents: 64})
	fill(t, s, 3, 500)
	compare := func(t *testing.T, want store.Log, r *sqlitestore.Reader) {
		require.Equal(t, list(t, want), list(t, r))
		for _, direction := range []store.Direction{store.Forwards, store.Backwards} {
			require.Equal(t, stream(t, want, "conversation-1", direction), stream(t, r, "conversation-1", direction))
		}
	}
	r := openReader(t, path)
	compare(t, s, r)
	// the wait of another process, crossed by an append
	woken := make(chan events.Position)
	go func() {
		position, _ := r.Wait(context.Background(), events.At(500))
		woken <- position
	}()
	_, err := s.Append(t.Context(), "conversation-9", store.NoStream, proposed(999))
	require.NoError(t, err)
	require.Equal(t, events.At(501), <-woken)
	require.NoError(t, r.Close())
	require.NoError(t, s.Close())

	r = openReader(t, path)
	fromClosed := list(t, r)
	require.Len(t, fromClosed, 501)
	require.NoError(t, r.Close())
	require.ErrorIs(t, second(r.Head(t.Context())), store.ErrClosed)

	s = open(t, path, nil)
	require.Equal(t, fromClosed, list(t, s))
	require.NoError(t, s.Close())
}

func second(_ events.Position, err error) error { return err }

// A folder in the place of the shared memory stands for one that cannot be
// written to, since permissions do not bind the superuser.
func TestALogThatWasClosedCanBeReadWhereNothingCanBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	makeLog(t, path)
	require.NoError(t, os.Mkdir(path+"-shm", 0o500))
	r := openReader(t, path)
	require.Len(t, list(t, r), 10)
	require.Len(t, stream(t, r, "conversation-1", store.Backwards), 5)
	require.NoError(t, r.Close())
}

func TestClosingLeavesOneFile(t *testing.T) {
	dir := t.TempDir()
	makeLog(t, filepath.Join(dir, "log.db"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{"log.db", "log.db.lock"}, names)
}

func TestPathsMayHaveAnyCharacters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20 é")
	require.NoError(t, os.Mkdir(dir, 0o700))
	makeLog(t, filepath.Join(dir, "log?mode=memory.db"))
	s := open(t, filepath.Join(dir, "log?mode=memory.db"), nil)
	require.Len(t, list(t, s), 10)
	require.NoError(t, s.Close())
}

func TestTheViewCanBeReadByAnySQLiteTool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	makeLog(t, path)
	c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	require.NoError(t, err)
	var ids []string
	require.NoError(t, sqlitex.ExecuteTransient(c,
		`SELECT l.event_id FROM stream_index i, json_each(i.positions) p JOIN log l ON l.position = p.value
		 WHERE i.stream = 'conversation-1' ORDER BY l.revision`,
		&sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
			ids = append(ids, stmt.ColumnText(0))
			return nil
		}}))
	require.NoError(t, c.Close())
	var want []string
	for i := 1; i < 10; i += 2 {
		want = append(want, proposed(i)[0].ID.String())
	}
	require.Equal(t, want, ids)
}

func TestEveryStreamIsTheSameBeforeAndAfterItIsIndexed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, &sqlitestore.Options{TailEvents: 1 << 20})
	fill(t, s, 5, 900)
	before := stream(t, s, "conversation-3", store.Forwards)
	backwards := stream(t, s, "conversation-3", store.Backwards)
	require.NoError(t, s.Close())
	s = open(t, path, nil)
	require.Equal(t, before, stream(t, s, "conversation-3", store.Forwards))
	slices.Reverse(backwards)
	require.Equal(t, before, backwards)
	storetest.CheckLog(t, s, start)
	require.NoError(t, s.Close())
}

// A chunk of events this large ends before the positions that were found for it.
func TestAReaderThatPausesSeesNoHoleWhenItsStreamIsIndexedMeanwhile(t *testing.T) {
	const n = 40
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, nil)
	for i := range n {
		batch := proposed(-i)
		batch[0].Data = fmt.Appendf(nil, "%q", strings.Repeat("x", 100<<10))
		_, err := s.Append(t.Context(), "conversation-large", store.Revision(i-1), batch)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close()) // which indexes everything
	s = open(t, path, &sqlitestore.Options{TailEvents: 16})
	r := openReader(t, path)
	length := n
	for round, reading := range []store.StreamReader{s, r} {
		want, got := length, 0
		for e, err := range reading.ReadStream(t.Context(), "conversation-large", 0, store.Forwards) {
			require.NoError(t, err)
			require.EqualValues(t, got, e.Revision)
			if got++; got > 1 {
				continue
			}
			for range 5 {
				_, err := s.Append(t.Context(), "conversation-large", store.Revision(length-1), proposed(1000+length))
				require.NoError(t, err)
				length++
			}
			for i := range 60 {
				_, err := s.Append(t.Context(), fmt.Sprint("conversation-", round), store.Revision(i-1), proposed(100*round+i))
				require.NoError(t, err)
			}
		}
		require.Equal(t, want, got)
	}
	require.NoError(t, r.Close())
	require.NoError(t, s.Close())
}

func splitStatements(text string) []string { return strings.Split(text, ";") }
