package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/blob"
)

func TestContentIsFoundUnderItsHash(t *testing.T) {
	dir, s := open(t)
	b := put(t, s, "hello")
	require.Equal(t, blob.Blob{SHA256: hash("hello"), Size: 5}, b)
	require.Equal(t, "hello", read(t, s, b.SHA256))
	require.Equal(t, []string{b.SHA256[:2] + "/" + b.SHA256[2:]}, files(t, dir))

	s, err := blob.Open(dir)
	require.NoError(t, err)
	require.Equal(t, "hello", read(t, s, b.SHA256), "after opening again")
}

func TestFoldersAndFilesAreForTheirOwnerOnly(t *testing.T) {
	dir, s := open(t)
	put(t, s, "hello")
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestTheSameContentIsOneFile(t *testing.T) {
	dir, s := open(t)
	first := put(t, s, "hello")
	require.Equal(t, first, put(t, s, "hello"))
	put(t, s, "")
	require.Len(t, files(t, dir), 2)
}

func TestAFileThatWasCutShortIsReplaced(t *testing.T) {
	_, s := open(t)
	b := put(t, s, "hello")
	file, err := s.Get(b.SHA256)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(file.Name(), 2))
	require.NoError(t, file.Close())
	put(t, s, "hello")
	require.Equal(t, "hello", read(t, s, b.SHA256))
}

func TestTheLimitIsInclusive(t *testing.T) {
	dir, s := open(t)
	large := strings.Repeat("x", 100_000)
	_, err := s.Put(t.Context(), strings.NewReader(large), 100_000)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), strings.NewReader(""), 0)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), strings.NewReader("unlimited"), math.MaxInt64)
	require.NoError(t, err)
	before := files(t, dir)
	for limit, content := range map[int64]string{99_999: large, 0: "x", -1: "x"} {
		_, err = s.Put(t.Context(), strings.NewReader(content), limit)
		require.ErrorIs(t, err, blob.ErrTooLarge, "limit %d", limit)
	}
	require.Equal(t, before, files(t, dir), "nothing is left behind")
}

func TestAReaderThatFailsLeavesNothing(t *testing.T) {
	dir, s := open(t)
	broken := errors.New("the line is dead")
	_, err := s.Put(t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 100)
	require.ErrorIs(t, err, broken)
	require.Empty(t, files(t, dir))
}

func TestACancelledContextLeavesNothing(t *testing.T) {
	dir, s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := func(p []byte) (int, error) { cancel(); return copy(p, "half"), nil }
	_, err := s.Put(ctx, readFunc(first), 1<<20)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, files(t, dir))
}

func TestAFolderThatCannotBeMadeLeavesNothing(t *testing.T) {
	dir, s := open(t)
	inTheWay := hash("hello")[:2]
	require.NoError(t, os.WriteFile(filepath.Join(dir, inTheWay), nil, 0o600))
	_, err := s.Put(t.Context(), strings.NewReader("hello"), 100)
	require.Error(t, err)
	require.Equal(t, []string{inTheWay}, files(t, dir))
}

func TestOpeningRemovesWhatACrashLeftHalfWritten(t *testing.T) {
	dir, s := open(t)
	kept := put(t, s, "hello")
	half := filepath.Join(dir, "incoming", "12345")
	require.NoError(t, os.WriteFile(half, []byte("hal"), 0o600))

	s, err := blob.Open(dir)
	require.NoError(t, err)
	require.NoFileExists(t, half)
	require.Equal(t, "hello", read(t, s, kept.SHA256))
	put(t, s, "more")
}

func TestWhatIsNotThereDoesNotExist(t *testing.T) {
	_, s := open(t)
	_, err := s.Get(hash("never put"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestAMalformedHashIsNotAPath(t *testing.T) {
	dir, s := open(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("s"), 0o600))
	for _, name := range []string{
		"", "aa", "../secret", "aa/../../secret", strings.ToUpper(hash("a")), hash("a")[:63], hash("a") + "0",
		strings.Repeat("../", 21) + "s", strings.Repeat("g", 64), strings.Repeat("\x00", 64),
	} {
		_, err := s.Get(name)
		require.ErrorIs(t, err, fs.ErrInvalid, "%q", name)
	}
}

func TestManyMayPutTheSameContentAtOnce(t *testing.T) {
	dir, s := open(t)
	var all sync.WaitGroup
	for n := range 32 {
		all.Go(func() {
			content := strings.Repeat(string(rune('a'+n%4)), 70_000)
			b, err := s.Put(t.Context(), strings.NewReader(content), 1<<20)
			if err != nil || b.SHA256 != hash(content) {
				t.Errorf("put: %v, %v", b, err)
			}
		})
	}
	all.Wait()
	require.Len(t, files(t, dir), 4)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func open(t *testing.T) (dir string, s *blob.Store) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "media")
	s, err := blob.Open(dir)
	require.NoError(t, err)
	return dir, s
}

func put(t *testing.T, s *blob.Store, content string) blob.Blob {
	t.Helper()
	b, err := s.Put(t.Context(), strings.NewReader(content), 1<<20)
	require.NoError(t, err)
	return b
}

func read(t *testing.T, s *blob.Store, sha256 string) string {
	t.Helper()
	file, err := s.Get(sha256)
	require.NoError(t, err)
	var content bytes.Buffer
	_, err = content.ReadFrom(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return content.String()
}

// files returns every file of the folder, with slashes.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}
