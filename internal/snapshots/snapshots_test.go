package snapshots_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/snapshots"
)

func TestASnapshotIsFoundUnderItsSchemaOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s, err := snapshots.Open(path, nil)
	require.NoError(t, err)
	s.Save(t.Context(), "conversation-1", "schema-a", []byte("old"))
	s.Save(t.Context(), "conversation-1", "schema-a", []byte("new"))
	require.NoError(t, s.Close())

	s, err = snapshots.Open(path, nil)
	require.NoError(t, err)
	data, found := s.Load(t.Context(), "conversation-1", "schema-a")
	require.True(t, found)
	require.Equal(t, "new", string(data))
	_, found = s.Load(t.Context(), "conversation-1", "schema-b")
	require.False(t, found)
	_, found = s.Load(t.Context(), "conversation-2", "schema-a")
	require.False(t, found)
	require.NoError(t, s.Close())
}

func TestADamagedFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	require.NoError(t, os.WriteFile(path, []byte("this is no database, and long enough to be seen as one that is damaged"), 0o600))
	s, err := snapshots.Open(path, nil)
	require.NoError(t, err)
	s.Save(t.Context(), "a", "b", []byte("c"))
	_, found := s.Load(t.Context(), "a", "b")
	require.True(t, found)
	require.NoError(t, s.Close())
}
