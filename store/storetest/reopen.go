package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

func testReopen(t *testing.T, h Harness) {
	t.Run("a log opened again has what its kind promises", func(t *testing.T) { testReopened(t, h) })
	t.Run("after closing every call says so", func(t *testing.T) { testClosed(t, h) })
	t.Run("closing ends those who wait", func(t *testing.T) {
		backend := h.Open(t, t.TempDir())
		failed := make(chan error)
		base := head(t, backend)
		for range 10 {
			go func() {
				_, err := backend.Wait(t.Context(), base)
				failed <- err
			}()
		}
		require.NoError(t, backend.Close())
		for range 10 {
			require.ErrorIs(t, <-failed, store.ErrClosed)
		}
	})
	t.Run("closing under load loses nothing that was acknowledged", func(t *testing.T) { testCloseUnderLoad(t, h) })
}

func testReopened(t *testing.T, h Harness) {
	dir := t.TempDir()
	backend := h.Open(t, dir)
	l := &log{Log: backend, base: head(t, backend), name: t.Name()}
	l.fill(t, 7, 200)
	first := l.must(t, l.stream(50), store.NoStream, l.batch("a", 3))
	l.must(t, l.stream(50), 2, l.batch("b", 1))
	want := l.all(t)
	require.NoError(t, backend.Close())

	backend = h.Open(t, dir)
	defer func() { require.NoError(t, backend.Close()) }()
	l.Log = backend
	if !h.Durable {
		require.Empty(t, l.read(t, l.stream(50)))
		return
	}
	require.Equal(t, want, l.all(t))
	require.Equal(t, want[len(want)-1].Position, head(t, l))
	requireRepeated(t, first, l.must(t, l.stream(50), store.NoStream, l.batch("a", 3)))
	requireConflict(t, l, l.stream(50), store.NoStream, 3, l.batch("c", 1))
	l.must(t, l.stream(50), 3, l.batch("d", 2))
	l.check(t)
}

func testClosed(t *testing.T, h Harness) {
	backend := h.Open(t, t.TempDir())
	l := &log{Log: backend, base: head(t, backend), name: t.Name()}
	l.fill(t, 2, 10)
	require.NoError(t, backend.Close())
	require.NoError(t, backend.Close(), "closing twice")
	_, err := l.Append(t.Context(), l.stream(1), 4, l.batch("a", 1))
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = l.Head(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = l.Wait(t.Context(), l.base)
	require.ErrorIs(t, err, store.ErrClosed)
	requireEnds(t, l.ReadAll(t.Context(), events.Position{}, store.Filter{}), store.ErrClosed, 0)
	requireEnds(t, l.ReadStream(t.Context(), l.stream(1), 0, store.Forwards), store.ErrClosed, 0)
}

// testCloseUnderLoad closes while writers write: each gets either an outcome
// that is true, or ErrClosed and nothing written.
func testCloseUnderLoad(t *testing.T, h Harness) {
	dir := t.TempDir()
	backend := h.Open(t, dir)
	l := &log{Log: backend, base: head(t, backend), name: t.Name()}
	const writers = 8
	acknowledged := make([]store.Revision, writers)
	failures := make([]error, writers)
	warm := make(chan struct{}, writers)
	go func() {
		for range writers {
			<-warm
		}
		_ = backend.Close() // its error is looked at below
	}()
	concurrently(writers, func(w int) {
		for i := store.NoStream; failures[w] == nil; i++ {
			acknowledged[w] = i
			_, failures[w] = l.Append(t.Context(), l.stream(w), i, l.batch(l.stream(w)+string(rune('a'+i+1)), 1))
			if i == 5 {
				warm <- struct{}{}
			}
		}
	})
	require.NoError(t, backend.Close())
	for _, err := range failures {
		require.ErrorIs(t, err, store.ErrClosed)
	}
	if !h.Durable {
		return
	}
	l.Log = h.Open(t, dir)
	defer func() { require.NoError(t, l.Close()) }()
	for w := range writers {
		require.Len(t, l.read(t, l.stream(w)), int(acknowledged[w])+1)
	}
	l.check(t)
}
