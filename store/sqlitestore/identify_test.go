package sqlitestore_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// A checkpoint writes the first page, with the new length of the file in it, and
// may end before the file has that length. The write-ahead log has the rest.
func TestALogIsOpenedAfterACheckpointThatWasCutShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s, err := sqlitestore.Open(path, nil)
	require.NoError(t, err)
	for revision := store.NoStream; revision < 20; revision++ {
		data := fmt.Appendf(nil, `"%d %s"`, revision, strings.Repeat("x", 1000))
		_, err := s.Append(t.Context(), "conversation-1", revision, []events.Proposed{{ID: events.NameID(string(data)), Type: "test.happened.v1", Data: data}})
		require.NoError(t, err)
	}
	cut := filepath.Join(t.TempDir(), "log.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NotEmpty(t, data)
		if suffix == "" {
			binary.BigEndian.PutUint32(data[28:], 1000) // pages in the file
		}
		require.NoError(t, os.WriteFile(cut+suffix, data, 0o600))
	}
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s, err = sqlitestore.Open(cut, nil)
	require.NoError(t, err)
	again, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, again)
	require.NoError(t, s.Close())
}
