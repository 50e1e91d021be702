package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/backup"
)

func archive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := backup.NewWriter(&b)
	require.NoError(t, err)
	for _, name := range []string{"log.db", "media/aa/bb", "secrets/key"} {
		text := strings.Repeat(name, 1000)
		require.NoError(t, w.Add(t.Context(), name, strings.NewReader(text+"more"), int64(len(text))))
	}
	require.NoError(t, w.Close(&backup.Manifest{Account: "AC1", Events: 7}))
	return b.Bytes()
}

func TestAnArchiveIsUnpackedAsItWasPacked(t *testing.T) {
	dir := t.TempDir()
	m, err := backup.Unpack(t.Context(), bytes.NewReader(archive(t)), dir)
	require.NoError(t, err)
	require.Equal(t, []any{1, "AC1", 7, 3}, []any{m.Format, m.Account, m.Events, len(m.Files)})
	for _, name := range []string{"log.db", "media/aa/bb", "secrets/key"} {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.Equal(t, strings.Repeat(name, 1000), string(text))
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}
	require.EqualValues(t, 1000*(6+11+11), m.Bytes())
}

func TestAFileIsNoShorterThanWasSaid(t *testing.T) {
	w, err := backup.NewWriter(io.Discard)
	require.NoError(t, err)
	require.ErrorIs(t, w.Add(t.Context(), "log.db", strings.NewReader("short"), 6), io.EOF)
}

func TestWhoIsInterruptedStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, err := backup.NewWriter(io.Discard)
	require.NoError(t, err)
	require.ErrorIs(t, w.Add(ctx, "log.db", strings.NewReader("text"), 4), context.Canceled)
	_, err = backup.Unpack(ctx, bytes.NewReader(archive(t)), t.TempDir())
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, backup.ErrDamaged)
}

// Every archive that was cut short or has another byte is refused, or has what it had.
func TestADamagedArchiveIsRefused(t *testing.T) {
	whole := archive(t)
	for n := range whole {
		_, err := backup.Unpack(t.Context(), bytes.NewReader(whole[:n]), t.TempDir())
		require.ErrorIs(t, err, backup.ErrDamaged, "cut at %d", n)
		changed := bytes.Clone(whole)
		changed[n] ^= 0x10
		if m, err := backup.Unpack(t.Context(), bytes.NewReader(changed), t.TempDir()); err == nil {
			require.Len(t, m.Files, 3, "changed at %d", n)
		}
	}
}

// forged is an archive of any entries, its last one the manifest.
func forged(t *testing.T, manifest string, entries ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	require.NoError(t, err)
	w := tar.NewWriter(z)
	for _, h := range entries {
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write(make([]byte, h.Size))
		require.NoError(t, err)
	}
	if manifest != "" {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: backup.ManifestName, Size: int64(len(manifest)), Typeflag: tar.TypeReg}))
		_, err = w.Write([]byte(manifest))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return &b
}

func TestWhatDoesNotBelongIntoAnArchiveIsRefused(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Size: 3, Typeflag: tar.TypeReg} }
	const none = `{"format":1,"files":[]}`
	for name, row := range map[string]struct {
		archive io.Reader
		says    string
	}{
		"a way out":        {forged(t, none, file("../out")), `"../out" is no file within it`},
		"an absolute path": {forged(t, none, file("/out")), `"/out" is no file within it`},
		"a link":           {forged(t, none, tar.Header{Name: "l", Linkname: "/etc", Typeflag: tar.TypeSymlink}), `"l" is no file`},
		"a file too many":  {forged(t, none, file("a")), "it has 1 files of 0"},
		"a file twice":     {forged(t, none, file("a"), file("a")), `"a" is there twice`},
		"another content":  {forged(t, `{"format":1,"files":[{"name":"a","size":3,"sha256":"00"}]}`, file("a")), `"a" is not what its manifest says`},
		"no manifest":      {forged(t, "", file("a")), "it was cut short"},
		"another format":   {forged(t, `{"format":2}`), "format 2"},
		"no JSON":          {forged(t, `{`), `"manifest.json"`},
		"nothing":          {strings.NewReader(""), "damaged"},
		"something else":   {strings.NewReader("hello"), "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inner := filepath.Join(dir, "inner")
			require.NoError(t, os.Mkdir(inner, 0o700))
			_, err := backup.Unpack(t.Context(), row.archive, inner)
			require.ErrorContains(t, err, row.says)
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, left, 1, fmt.Sprint("nothing beside the folder: ", left))
		})
	}
}
