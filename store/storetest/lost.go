package storetest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// testLostEnd opens a log that lacks what was acknowledged, as one that was put back to
// an earlier copy does: what others have seen of it finds that out, whatever it got since.
func testLostEnd(t *testing.T, h Harness) {
	dir, name := t.TempDir(), t.Name()
	begin := func() *log { return &log{Log: h.Open(t, dir), name: name} }
	l := begin()
	l.base = head(t, l)
	early := sighted("early", l.must(t, l.stream(1), store.NoStream, l.batch("a", 3)), l.batch("a", 3))
	require.NoError(t, store.CheckSightings(t.Context(), l, []store.Sighting{early, {By: "nothing"}}))
	require.NoError(t, l.Close())
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))

	l = begin()
	if h.Durable {
		l.must(t, l.stream(1), 2, l.batch("b", 1))
	}
	last := l.must(t, l.stream(2), store.NoStream, l.batch("c", 2))
	late := sighted("late", last, l.batch("c", 2))
	mark := store.Sighting{By: "a mark", Position: last.Position}
	require.NoError(t, store.CheckSightings(t.Context(), l, []store.Sighting{late, mark}))
	require.NoError(t, l.Close())

	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.CopyFS(dir, os.DirFS(copied)))
	l = begin()
	end := head(t, l)
	requireLost(t, store.CheckSightings(t.Context(), l, []store.Sighting{early, mark, late}), h, end, mark, late)

	// It goes on, and gets as long as it was, and longer: the event tells, a position alone
	// cannot.
	l.must(t, l.stream(3), store.NoStream, l.batch("d", 20))
	requireLost(t, store.CheckSightings(t.Context(), l, []store.Sighting{late}), h, head(t, l), late)
	require.NoError(t, l.Close())
}

func sighted(by string, a store.Appended, batch []events.Proposed) store.Sighting {
	return store.Sighting{By: by, Position: a.Position, Event: batch[len(batch)-1].ID}
}

func requireLost(t *testing.T, err error, h Harness, end events.Position, wanted ...store.Sighting) {
	t.Helper()
	lost := new(store.LostEndError)
	require.ErrorAs(t, err, &lost)
	require.ErrorIs(t, err, store.ErrLostEnd)
	require.Equal(t, end, lost.Head)
	if h.Durable { // one that keeps nothing has lost what was early as well
		require.Equal(t, wanted, lost.Lost)
		require.Equal(t, wanted[0].Position, lost.Last().Position)
	}
}
