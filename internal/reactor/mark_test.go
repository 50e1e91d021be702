package reactor_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/reactor"
)

// What a killed process leaves of a queue is all there, or it is told that it is not.
func TestAQueueThatLostItsEndIsNotTakenForWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "queue.db")
	q, err := reactor.OpenQueue(path, reactor.Full, nil)
	require.NoError(t, err)
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, q.Put(nil, reactor.Job{Key: key, Target: "t", Order: "o"}))
	}
	killed := func(hurt func(t *testing.T, path string)) error {
		left := t.TempDir()
		require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
		hurt(t, filepath.Join(left, "queue.db"))
		return reactor.Check(filepath.Join(left, "queue.db"))
	}
	cut := func(n int64) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			info, err := os.Stat(path + "-wal")
			require.NoError(t, err)
			require.NoError(t, os.Truncate(path+"-wal", info.Size()-n))
		}
	}
	require.NoError(t, killed(func(*testing.T, string) {}))
	require.ErrorContains(t, killed(cut(1)), "1 changes that were acknowledged are missing")
	require.ErrorContains(t, killed(cut(12<<10)), "that were acknowledged are missing")
	require.ErrorContains(t, killed(func(t *testing.T, path string) {
		data, err := os.ReadFile(path + "-wal")
		require.NoError(t, err)
		data[len(data)-100] ^= 1
		require.NoError(t, os.WriteFile(path+"-wal", data, 0o600))
	}), "remove ")
	require.NoError(t, killed(func(t *testing.T, path string) {
		cut(1)(t, path)
		require.NoError(t, os.Remove(path+"-mark")) // the way out
	}))
	require.NoError(t, q.Close())

	require.NoError(t, reactor.Check(path), "closed")
	require.NoError(t, os.Remove(path))
	again, err := reactor.OpenQueue(path, reactor.Full, nil)
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.NoError(t, reactor.Check(path), "a new one has nothing of the former")
}
