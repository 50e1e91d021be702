package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPlacingAndRemovingExcludeEachOther has both at the same moment, without
// the syncing in between that hides the race.
func TestPlacingAndRemovingExcludeEachOther(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "media"))
	require.NoError(t, err)
	sum := sha256.Sum256(nil)
	name := hex.EncodeToString(sum[:])
	old := time.Unix(0, 0)
	temporary := filepath.Join(s.dir, incoming, "new")
	for range 2000 {
		require.NoError(t, os.WriteFile(temporary, nil, 0o600))
		require.NoError(t, s.place(temporary, s.path(name), 0))
		require.NoError(t, os.WriteFile(temporary, nil, 0o600))
		require.NoError(t, os.Chtimes(s.path(name), old, old))

		var both sync.WaitGroup
		both.Go(func() { _, err = s.removeOld(name, old.Add(time.Hour)) })
		placed := s.place(temporary, s.path(name), 0)
		both.Wait()
		require.NoError(t, err)
		require.NoError(t, placed)
		require.FileExists(t, s.path(name))
	}
}
