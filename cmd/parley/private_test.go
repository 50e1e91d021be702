//go:build unix

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requirePrivate walks a data folder, all of which is for its owner only.
func requirePrivate(t *testing.T, data string) {
	t.Helper()
	count := 0
	require.NoError(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		count++
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		require.Equal(t, want.String(), info.Mode().Perm().String(), path)
		return nil
	}))
	require.Greater(t, count, 20)
}

// unmasked runs this program with a umask that takes nothing from anybody.
func unmasked(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `umask 0; exec parley "$@"`, "sh"}, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestEverythingInTheDataFolderIsForItsOwnerOnly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(data, 0o755))
	require.NoError(t, os.Chmod(data, 0o755)) // whatever the umask of this test
	server := servingUnmasked(t, data)
	unmasked(t, "command", "send", "conversation.create", "--set", "unique_name=x", "--data", data)
	unmasked(t, "command", "send", "conversation.create", "--durable", "--data", data)
	requirePrivate(t, data)
	unmasked(t, "metric", "compute", "receipts", "--data", data)
	unmasked(t, "backup", "create", "--out", filepath.Join(t.TempDir(), "x"), "--data", data)
	requirePrivate(t, data)
	server.stop(t)
	requirePrivate(t, data)

	require.NoError(t, os.WriteFile(filepath.Join(data, "diary.txt"), nil, 0o600))
	require.NoError(t, os.Chmod(filepath.Join(data, "diary.txt"), 0o644))
	unmasked(t, "account", "create", "--data", data)
	info, err := os.Stat(filepath.Join(data, "diary.txt"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode().Perm(), "is not ours")
	require.NoError(t, os.Remove(filepath.Join(data, "diary.txt")))

	// What an earlier version made, or somebody opened up.
	for _, path := range []string{"", "log.db", "read", "secrets", "secrets/vault-key", "snapshots.db", "reactors/webhooks.db", "bus", "media"} {
		full := filepath.Join(data, path)
		info, err := os.Stat(full)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(full, info.Mode().Perm()|0o055))
	}
	unmasked(t, "account", "create", "--data", data)
	requirePrivate(t, data)
	require.NoError(t, os.Chmod(data, 0o777))
	require.NoError(t, os.Chmod(filepath.Join(data, "log.db"), 0o644))
	again := servingUnmasked(t, data)
	again.stop(t)
	requirePrivate(t, data)
	require.Equal(t, 1, strings.Count(again.errOut.String(), "others may no longer see"), again.errOut.String())
	require.Contains(t, again.errOut.String(), `"files_and_folders":2`)
}

// servingUnmasked is serving with a umask that takes nothing from anybody.
func servingUnmasked(t *testing.T, data string) *process {
	t.Helper()
	p := &process{folder: folder(data), ended: make(chan struct{})}
	p.cmd = exec.Command("sh", "-c", `umask 0; exec parley serve --data "$1"`, "sh", data)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errOut
	require.NoError(t, p.cmd.Start())
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _, _ = p.end(os.Kill) }) // it was stopped
	require.NoError(t, eventually("the server gets ready", p.ready))
	return p
}
