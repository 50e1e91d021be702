package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	all, err := products()
	require.NoError(t, err)
	require.NoError(t, run(root, all, true))
}

func TestSchemasOfCommandsAndEventsThatAreGoneAreGoneToo(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	all, err := products()
	require.NoError(t, err)
	made := map[string]bool{}
	for _, p := range all {
		made[p.path] = true
	}
	require.NoError(t, fs.WalkDir(os.DirFS(root), "docs/schemas", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			require.True(t, made[path], path)
		}
		return err
	}))
}

func TestEveryEventIsDocumentedWithAllItsFields(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	page, err := eventsPage(root)
	require.NoError(t, err)
	for _, name := range append(events.Vocabulary().Types(), events.FormerTypes()...) {
		require.Contains(t, string(page), "\n### "+name+"\n")
	}
	require.Contains(t, string(page), "| `media.filename` | string | *optional* |")
	require.Contains(t, string(page), "| `body` | string | *optional*; *personal* |")
}

func TestCheckNamesDriftedFilesAndWritesNothing(t *testing.T) {
	root := t.TempDir()
	fresh := func(string) ([]byte, error) { return []byte("fresh"), nil }
	list := []product{{"docs/a.md", fresh}, {"b.md", fresh}}
	require.NoError(t, os.WriteFile(filepath.Join(root, "b.md"), []byte("stale"), 0o600))

	require.ErrorContains(t, run(root, list, true), "docs/a.md\n  b.md")
	require.NoFileExists(t, filepath.Join(root, "docs/a.md"))

	require.NoError(t, run(root, list, false))
	require.NoError(t, run(root, list, true))
	data, err := os.ReadFile(filepath.Join(root, "b.md"))
	require.NoError(t, err)
	require.Equal(t, "fresh", string(data))
}

func TestAProductThatCannotBeMadeIsAnErrorWithItsPath(t *testing.T) {
	broken := errors.New("no ink")
	err := run(t.TempDir(), []product{{"c.md", func(string) ([]byte, error) { return nil, broken }}}, false)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "c.md")
}
