package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// longHistory writes messages of a hundred services into a log.
func longHistory(t *testing.T, path string, messages int) {
	log, err := sqlitestore.Open(path, nil)
	require.NoError(t, err)
	const perBatch = 100
	for i := range messages / perBatch {
		batch := make([]events.Proposed, perBatch)
		for k := range batch {
			body := strings.Repeat(fmt.Sprint(i, " and ", k, ", "), 40)
			kind, data, err := events.Vocabulary().Encode(events.MessageAdded{Message: fmt.Sprint("IM", k), Index: int64(k), Body: body})
			require.NoError(t, err)
			m := events.Metadata{Account: "AC1", Service: fmt.Sprintf("IS%032x", i%100)}
			batch[k] = events.Proposed{ID: events.EventID(events.NameID(fmt.Sprint(i)), k), Type: kind, Data: data, Metadata: m}
		}
		_, err := log.Append(t.Context(), fmt.Sprintf("conversation-CH%032x", i), store.NoStream, batch)
		require.NoError(t, err)
	}
	require.NoError(t, log.Close())
}

// contents are the files of a folder, by name.
func contents(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path[len(dir):]] = string(text)
		return err
	}))
	return files
}

// An export that is killed, whether it takes rows or makes files, goes on to the same
// bytes.
func TestAnExportThatWasKilledGoesOn(t *testing.T) {
	t.Parallel()
	dir, whole := t.TempDir(), filepath.Join(t.TempDir(), "whole")
	require.NoError(t, folder(dir).furnish())
	longHistory(t, folder(dir).log(), 20_000)
	_, errOut, code := parley(t, "export", "--data", dir, "--out", whole)
	require.Equal(t, exitOK, code, errOut)

	out := filepath.Join(t.TempDir(), "out")
	args := []string{"export", "--data", dir, "--out", out, "--resume"}
	for n, sign := range []string{".building/journal", ".building/rows", "typed/*/*/*/events.parquet", "wide/*/*/events.parquet"} {
		exporting := exec.Command("parley", args...)
		require.NoError(t, exporting.Start())
		require.NoError(t, eventually(sign, func() (bool, error) {
			found, err := filepath.Glob(filepath.Join(out, sign))
			return len(found) > 0, err
		}))
		require.NoError(t, exporting.Process.Signal(os.Kill))
		require.Error(t, exporting.Wait(), "it was done before it was killed, %d: more events are needed", n)
		require.NoFileExists(t, filepath.Join(out, "manifest.json"))
		_, _, code := parley(t, "export", "verify", out)
		require.Equal(t, exitDifference, code)
	}
	_, errOut, code = parley(t, args...)
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, errOut, "going on behind position ")
	require.Equal(t, contents(t, whole), contents(t, out))
	_, errOut, code = parley(t, "export", "verify", out)
	require.Equal(t, exitOK, code, errOut)
}
