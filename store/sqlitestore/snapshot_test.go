package sqlitestore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// What a snapshot has is a beginning of the log, whatever is appended meanwhile.
func TestASnapshotIsABeginningOfTheLog(t *testing.T) {
	dir := t.TempDir()
	log, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	put := func(i int) {
		_, err := log.Append(t.Context(), "conversation-CH1", store.Revision(i-1), []events.Proposed{{
			ID: events.NameID(fmt.Sprint(i)), Type: "conversation.removed.v1", Data: []byte(`{}`), Metadata: events.Metadata{Account: "AC1"},
		}})
		require.NoError(t, err)
	}
	for i := range 50 {
		put(i)
	}
	reader, err := sqlitestore.OpenReadOnly(log.Path())
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 50; ctx.Err() == nil; i++ {
			put(i)
		}
	})
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprint("snapshot", i))
		require.NoError(t, reader.Snapshot(t.Context(), path))
		copied, err := sqlitestore.Open(path, nil)
		require.NoError(t, err)
		report, err := store.Verify(t.Context(), copied, nil)
		require.NoError(t, err)
		require.Empty(t, report.Problems)
		require.GreaterOrEqual(t, report.Events, 50)
		require.EqualValues(t, report.Events, report.Head.Commit, "without holes, from the first one")
		_, err = copied.Append(t.Context(), "conversation-CH1", store.Revision(report.Events-1), []events.Proposed{{ID: events.NameID("new"), Type: "conversation.removed.v1", Data: []byte(`{}`)}})
		require.NoError(t, err, "it can be written to")
		require.NoError(t, copied.Close())
	}
	cancel()
	writing.Wait()
	taken := filepath.Join(dir, "taken")
	require.NoError(t, os.WriteFile(taken, []byte("mine"), 0o600))
	require.Error(t, reader.Snapshot(t.Context(), taken))
	_, err = reader.Head(t.Context())
	require.NoError(t, err)
}
