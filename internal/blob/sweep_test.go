package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheSweepRemovesWhatIsOldAndHeldByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := open(t)
		held, loose := put(t, s, "held"), put(t, s, "loose")
		time.Sleep(time.Hour)
		young := put(t, s, "young")

		removed, bytes, err := s.Sweep(t.Context(), time.Now().Add(-time.Minute), holding(held.SHA256))
		require.NoError(t, err)
		require.Equal(t, 1, removed)
		require.EqualValues(t, len("loose"), bytes)
		_, err = s.Get(loose.SHA256)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, "held", read(t, s, held.SHA256))
		require.Equal(t, "young", read(t, s, young.SHA256))
	})
}

func TestPuttingAgainMakesYoung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := open(t)
		put(t, s, "hello")
		time.Sleep(time.Hour)
		b := put(t, s, "hello")
		removed, _, err := s.Sweep(t.Context(), time.Now().Add(-time.Minute), holding())
		require.NoError(t, err)
		require.Zero(t, removed)
		require.Equal(t, "hello", read(t, s, b.SHA256))
	})
}

// The end of the upload comes an hour after its last byte.
func TestASlowUploadIsYoungWhenItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := open(t)
		reads := 0
		b, err := s.Put(t.Context(), readFunc(func(p []byte) (int, error) {
			if reads++; reads == 1 {
				return copy(p, "hello"), nil
			}
			time.Sleep(time.Hour)
			return 0, io.EOF
		}), 100)
		require.NoError(t, err)
		file, err := s.Get(b.SHA256)
		require.NoError(t, err)
		info, err := file.Stat()
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.True(t, info.ModTime().Equal(time.Now()))
	})
}

// The sweeper has been told that nobody holds it when it is put again.
func TestWhatIsPutDuringTheSweepStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := open(t)
		b := put(t, s, "hello")
		time.Sleep(time.Hour)
		removed, bytes, err := s.Sweep(t.Context(), time.Now(), func(_ context.Context, sha256 string) (bool, error) {
			require.Equal(t, b.SHA256, sha256)
			put(t, s, "hello")
			return false, nil
		})
		require.NoError(t, err)
		require.Zero(t, removed)
		require.Zero(t, bytes)
		require.Equal(t, "hello", read(t, s, b.SHA256))
	})
}

// Whoever has put content finds it, however many sweeps ran meanwhile.
func TestSweepsAndPutsExcludeEachOther(t *testing.T) {
	dir, s := open(t)
	old := time.Unix(0, 0)
	for round := range 50 {
		content := fmt.Sprint(round)
		path := filepath.Join(dir, hash(content)[:2], hash(content)[2:])
		put(t, s, content)
		require.NoError(t, os.Chtimes(path, old, old))
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if _, _, err := s.Sweep(t.Context(), old.Add(time.Hour), holding()); err != nil {
					t.Error(err)
				}
			})
			both.Go(func() { put(t, s, content) })
		}
		both.Wait()
		require.Equal(t, content, read(t, s, hash(content)))
	}
}

func TestAQuestionThatFailsEndsTheSweepAndSaysWhatWasRemoved(t *testing.T) {
	_, s := open(t)
	for n := range 10 {
		put(t, s, fmt.Sprint(n))
	}
	broken, asked := errors.New("the read model is behind"), 0
	removed, bytes, err := s.Sweep(t.Context(), time.Now().Add(time.Hour), func(context.Context, string) (bool, error) {
		if asked++; asked == 4 {
			return false, broken
		}
		return false, nil
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, 3, removed)
	require.EqualValues(t, 3, bytes)
}

func TestACancelledSweepStops(t *testing.T) {
	dir, s := open(t)
	put(t, s, "hello")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Sweep(ctx, time.Now().Add(time.Hour), holding())
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, files(t, dir), 1)
}

func TestTheSweepLeavesStrangersAlone(t *testing.T) {
	dir, s := open(t)
	put(t, s, "hello")
	for _, stranger := range []string{"README", "zz/file", "ab/file", "incoming/half"} {
		path := filepath.Join(dir, stranger)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	removed, _, err := s.Sweep(t.Context(), time.Now().Add(time.Hour), holding())
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	require.ElementsMatch(t, []string{"README", "zz/file", "ab/file", "incoming/half"}, files(t, dir))
}

func holding(hashes ...string) func(context.Context, string) (bool, error) {
	return func(_ context.Context, sha256 string) (bool, error) {
		for _, held := range hashes {
			if held == sha256 {
				return true, nil
			}
		}
		return false, nil
	}
}
