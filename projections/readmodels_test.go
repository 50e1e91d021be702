package projections_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

func open(t testing.TB, dir string, log store.LogReader, options *projections.Options) *projections.ReadModels {
	t.Helper()
	rm, err := projections.Open(dir, log, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rm.Close()) })
	return rm
}

// run follows the log in the background; the returned function ends it.
func run(t testing.TB, rm *projections.ReadModels) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- rm.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

func follow(t testing.TB, rm *projections.ReadModels, upto events.Position) {
	t.Helper()
	stop := run(t, rm)
	require.NoError(t, rm.Wait(t.Context(), upto))
	stop()
}

func digests(t testing.TB, rm *projections.ReadModels) []projections.Digest {
	t.Helper()
	list, _, err := rm.Digests(t.Context())
	require.NoError(t, err)
	return list
}

func TestTheReadModelsFollowALivelyLogAndEqualTheirRebuild(t *testing.T) {
	log := memstore.New()
	rm := open(t, t.TempDir(), log, nil)
	stop := run(t, rm)
	w := newWorld(1)
	for range 10 {
		require.NoError(t, rm.Wait(t.Context(), w.grow(t, log, 300)))
	}
	rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	require.True(t, rebuilt.Verified)
	require.Equal(t, rm.Status().Generation, rebuilt.Generation)
	require.NoError(t, rm.Wait(t.Context(), w.grow(t, log, 300)))
	stop()
	require.NotZero(t, digests(t, rm)[7].Rows)
}
