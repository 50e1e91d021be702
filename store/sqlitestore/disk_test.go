package sqlitestore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// TestAFullDiskStopsTheWriterAndLosesNothing has SQLite refuse to let the file
// grow, which is what it reports when the disk is full.
func TestAFullDiskStopsTheWriterAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s, err := Open(path, nil)
	require.NoError(t, err)
	// The writer has not been given anything yet, so its connection is idle.
	require.NoError(t, sqlitex.ExecuteTransient(s.writer.conn, "PRAGMA max_page_count = 40", nil))
	acknowledged := store.NoStream
	for err == nil {
		acknowledged++
		_, err = s.Append(t.Context(), "conversation-1", acknowledged-1, event(int(acknowledged)))
	}
	require.ErrorContains(t, err, "disk is full")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, "outcome is unknown")

	_, err = s.Append(t.Context(), "conversation-2", store.NoStream, event(9999))
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorContains(t, err, "disk is full")
	require.ErrorContains(t, s.Failed(), "disk is full")
	require.Equal(t, int(acknowledged), count(t, s), "reading goes on")
	require.NoError(t, s.Close())

	s, err = Open(path, nil)
	require.NoError(t, err)
	require.Equal(t, int(acknowledged), count(t, s))
	_, err = s.Append(t.Context(), "conversation-1", acknowledged-1, event(int(acknowledged)))
	require.NoError(t, err, "sending it again finds out")
	require.NoError(t, s.Close())
}

// TestACommitThatFailsHasAnUnknownOutcome has a constraint that SQLite looks at
// when everything is written and the COMMIT begins.
func TestACommitThatFailsHasAnUnknownOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s, err := Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(s.writer.conn, `
		CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY);
		CREATE TEMP TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
		CREATE TEMP TRIGGER orphan AFTER INSERT ON main.events WHEN new.stream = 'conversation-2'
			BEGIN INSERT INTO child VALUES (1); END;`, nil))
	require.NoError(t, sqlitex.ExecuteTransient(s.writer.conn, "PRAGMA foreign_keys = ON", nil))
	_, err = s.Append(t.Context(), "conversation-1", store.NoStream, event(1))
	require.NoError(t, err)

	_, err = s.Append(t.Context(), "conversation-2", store.NoStream, event(2))
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotErrorIs(t, err, store.ErrClosed)
	require.ErrorContains(t, err, "outcome is unknown")
	require.ErrorContains(t, err, "FOREIGN KEY")
	_, err = s.Append(t.Context(), "conversation-1", 0, event(3))
	require.ErrorIs(t, err, store.ErrClosed)
	require.Equal(t, 1, count(t, s))
	require.NoError(t, s.Close())

	s, err = Open(path, nil)
	require.NoError(t, err)
	_, err = s.Append(t.Context(), "conversation-2", store.NoStream, event(2))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestAnAppendThatFailsByItselfIsRefusedAloneAndTheLogStaysOpen has a trigger refuse the
// second event of a stream's batch, in a group with others.
func TestAnAppendThatFailsByItselfIsRefusedAloneAndTheLogStaysOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s, err := Open(path, nil)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(s.writer.conn, `
		CREATE TEMP TRIGGER refused BEFORE INSERT ON main.events WHEN new.stream = 'conversation-2' AND new.revision = 1
			BEGIN SELECT RAISE(ABORT, 'not this one'); END;`, nil))
	pair := func(n int) []events.Proposed { return append(event(n), event(n+1)...) }
	var group sync.WaitGroup
	outcomes := make([]error, 40)
	for i := range outcomes {
		group.Go(func() {
			stream := fmt.Sprint("user-", i)
			if i%4 == 0 {
				stream = "conversation-2"
			}
			_, outcomes[i] = s.Append(t.Context(), stream, store.NoStream, pair(2*i))
		})
	}
	group.Wait()
	for i, err := range outcomes {
		if i%4 != 0 {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "not this one")
		require.NotErrorIs(t, err, store.ErrClosed)
		require.NotErrorIs(t, err, store.ErrUnavailable)
		require.Equal(t, sqlite.ResultError, sqlite.ErrCode(err), "not an error of SQLite")
	}
	require.NoError(t, s.Failed())
	seen := map[string]int{}
	last := events.Position{}
	for e, err := range s.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		require.Equal(t, events.At(last.Commit+1), e.Position, "no gap")
		seen[e.Stream]++
		last = e.Position
	}
	require.Len(t, seen, 30)
	require.NotContains(t, seen, "conversation-2")
	require.NoError(t, s.Close())
	s, err = Open(path, nil)
	require.NoError(t, err)
	_, err = s.Append(t.Context(), "conversation-1", store.NoStream, event(0))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestAShellThatHoldsTheWriteLockPutsAppendsOffAndLeavesTheLogOpen(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "log.db"), nil)
	require.NoError(t, err)
	s.writer.conn.SetBusyTimeout(time.Millisecond)
	shell, err := sqlite.OpenConn(s.path, sqlite.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(shell, "BEGIN IMMEDIATE", nil))
	for range 3 {
		_, err = s.Append(t.Context(), "conversation-1", store.NoStream, event(0))
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.NotErrorIs(t, err, store.ErrClosed)
		require.ErrorContains(t, err, "another program")
		require.Equal(t, sqlite.ResultError, sqlite.ErrCode(err), "not an error of SQLite")
	}
	require.Zero(t, count(t, s))
	require.NoError(t, sqlitex.ExecuteTransient(shell, "ROLLBACK", nil))
	require.NoError(t, shell.Close())
	_, err = s.Append(t.Context(), "conversation-1", store.NoStream, event(0))
	require.NoError(t, err)
	require.Equal(t, 1, count(t, s))
	require.NoError(t, s.Close())
}

func event(n int) []events.Proposed {
	data := fmt.Appendf(nil, "%q", strings.Repeat("x", 1000))
	return []events.Proposed{{ID: events.NameID(fmt.Sprint(n)), Type: "test.happened.v1", Data: data}}
}

func count(t *testing.T, s *Store) (n int) {
	for _, err := range s.ReadStream(t.Context(), "conversation-1", 0, store.Forwards) {
		require.NoError(t, err)
		n++
	}
	return n
}

// TestTheWriteAheadLogIsUsedAgain appends many times its length.
func TestTheWriteAheadLogIsUsedAgain(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "log.db"), nil)
	require.NoError(t, err)
	big := []byte(`"` + strings.Repeat("x", 1<<20-1000) + `"`)
	var longest int64
	for i := range 80 {
		_, err := s.Append(t.Context(), "conversation-1", store.Revision(i-1), []events.Proposed{{ID: events.NameID(fmt.Sprint(i)), Type: "t.v1", Data: big}})
		require.NoError(t, err)
		longest = max(longest, walBytes(t, s.path))
	}
	require.Less(t, longest, int64(64<<20))
	require.NoError(t, s.Close())
}

func walBytes(t *testing.T, path string) int64 {
	info, err := os.Stat(path + "-wal")
	require.NoError(t, err)
	return info.Size()
}

func TestACheckpointBeginsOnlyWhenSomethingWasCommittedSinceTheLast(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "log.db"), nil)
	require.NoError(t, err)
	c := s.writer.checkpoints
	advance := func() int64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		length, left := c.advance(c.conn, "PASSIVE")
		require.Zero(t, left)
		return length
	}
	require.Zero(t, advance())
	for i := range 3 {
		_, err = s.Append(t.Context(), "conversation-1", store.Revision(i-1), event(i))
		require.NoError(t, err)
		_, err = s.Append(t.Context(), "conversation-1", 100, event(0)) // the groups before are wholly done
		require.Error(t, err)
		require.Positive(t, advance())
		require.Zero(t, advance())
	}
	require.NoError(t, s.Close())
}
