//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A backup that is killed leaves its folder, with a log in it; the next one clears it away.
func TestABackupClearsAwayWhatAKilledOneLeft(t *testing.T) {
	data, beside := filepath.Join(t.TempDir(), "data"), t.TempDir()
	server := serving(t, data)
	out := filepath.Join(beside, "one.backup")
	killed := exec.Command("parley", "backup", "create", "--data", data, "--out", out)
	require.NoError(t, os.MkdirAll(filepath.Join(data, "media", "aa"), 0o700))
	large := filepath.Join(data, "media", "aa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	require.NoError(t, os.WriteFile(large, nil, 0o600))
	require.NoError(t, os.Truncate(large, 8<<30)) // it is busy with it
	require.NoError(t, killed.Start())
	places := func() []string {
		found, err := filepath.Glob(filepath.Join(beside, ".parley-*"))
		require.NoError(t, err)
		return found
	}
	require.NoError(t, eventually("the backup works in its folder", func() (bool, error) { return len(places()) == 1, nil }))
	require.NoError(t, killed.Process.Signal(syscall.SIGSTOP))
	left := places()

	// Somebody works in it: it stays.
	_, said, code := parley(t, "backup", "verify", "--temp", beside, filepath.Join(beside, "nothing"))
	require.Equal(t, exitFailure, code, said)
	require.Equal(t, left, places())
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	require.Equal(t, left, places(), "it was killed")

	require.NoError(t, os.Remove(large))
	_, said, code = parley(t, "backup", "create", "--data", data, "--out", out)
	require.Equal(t, exitOK, code, said)
	require.Empty(t, places())
	server.stop(t)
}
