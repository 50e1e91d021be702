package export_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/export"
)

// What is missing, changed or additional is named, file by file.
func TestHolesAreNamed(t *testing.T) {
	dir := t.TempDir()
	m, err := export.Run(t.Context(), days(t), export.Options{Format: export.CSV, Dir: dir})
	require.NoError(t, err)
	v, err := export.Verify(dir)
	require.NoError(t, err)
	require.Empty(t, v.Problems)
	require.Equal(t, []int{len(m.Partitions), 60}, []int{v.Files, v.Events})
	require.Positive(t, v.Bytes)

	gone, longer, other := m.Partitions[0], m.Partitions[1], m.Partitions[2]
	require.NoError(t, os.Remove(filepath.Join(dir, gone.File)))
	for file, change := range map[string]func(text []byte) []byte{
		longer.File: func(text []byte) []byte { return append(text, '\n') },
		other.File:  func(text []byte) []byte { text[len(text)-2] ^= 1; return text },
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), change(text), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wide", "notes.txt"), nil, 0o600))
	v, err = export.Verify(dir)
	require.NoError(t, err)
	require.Len(t, v.Problems, 4)
	require.Equal(t, []string{gone.File, export.Missing}, []string{v.Problems[0].File, v.Problems[0].Problem})
	require.Equal(t, []string{longer.File, export.Changed}, []string{v.Problems[1].File, v.Problems[1].Problem})
	require.Contains(t, v.Problems[1].Detail, "bytes, not ")
	require.Equal(t, []string{other.File, export.Changed}, []string{v.Problems[2].File, v.Problems[2].Problem})
	require.Contains(t, v.Problems[2].Detail, ", not "+other.SHA256)
	require.Equal(t, export.Problem{File: "wide/notes.txt", Problem: export.Additional}, v.Problems[3])
}

// Half an export is none, and a manifest leads nowhere else.
func TestNoExportIsVerified(t *testing.T) {
	_, err := export.Verify(t.TempDir())
	require.ErrorIs(t, err, export.ErrNoManifest)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"partitions":[{"file":"../x"}]}`), 0o600))
	_, err = export.Verify(dir)
	require.ErrorContains(t, err, `names the file "../x"`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{`), 0o600))
	_, err = export.Verify(dir)
	require.ErrorContains(t, err, "manifest.json: ")
}
