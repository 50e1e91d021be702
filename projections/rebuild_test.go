package projections_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

func TestCloseGivesUpARebuildAndWaitsForIt(t *testing.T) {
	for _, phase := range []projections.Phase{projections.Filling, projections.Indexing, projections.CatchingUp, projections.Verifying} {
		t.Run(string(phase), func(t *testing.T) {
			log, w, dir := memstore.New(), newWorld(1), t.TempDir()
			rm := open(t, dir, log, nil)
			head := w.grow(t, log, 1000)
			follow(t, rm, head)
			before := rm.Status()

			closed := make(chan error, 1)
			began := sync.OnceFunc(func() {
				go func() { closed <- rm.Close() }()
				projections.AwaitClosing(rm)
			})
			_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(p projections.Progress) {
				if p.Phase == phase {
					began()
				}
			})
			require.ErrorIs(t, err, store.ErrClosed)
			require.NoError(t, <-closed)
			_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
			require.ErrorIs(t, err, store.ErrClosed)

			rm = open(t, dir, log, nil)
			require.Equal(t, before.Generation, rm.Status().Generation)
			require.Equal(t, head, rm.Status().Position)
			_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
			require.ErrorIs(t, err, projections.ErrUnfinished)
			rebuilt, err := rm.Continue(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, rebuilt.Verified)
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			require.Equal(t, []string{dir + "/main-v3-g2.db", dir + "/main-v3-g3.db", dir + "/main.json"}, withoutWAL(files))
		})
	}
}

// withoutWAL leaves out what SQLite keeps beside a file that is open.
func withoutWAL(files []string) []string {
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "-wal") || strings.HasSuffix(f, "-shm") })
}

func TestCloseDuringTheSwapComesAfterIt(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	rm := open(t, dir, log, nil)
	head := w.grow(t, log, 100)
	follow(t, rm, head)
	closed := make(chan error, 1)
	rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(p projections.Progress) {
		if p.Phase == projections.Swapping {
			go func() { closed <- rm.Close() }()
		}
	})
	require.NoError(t, err)
	require.NoError(t, <-closed)
	rm = open(t, dir, log, nil)
	require.Equal(t, rebuilt.Generation, rm.Status().Generation)
	require.Equal(t, head, rm.Status().Position)
}

func TestTheFirstFillWaitsForARebuildThatIsThereBefore(t *testing.T) {
	for name, failure := range map[string]error{"and goes on from it": nil, "and fills when it failed": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, w := memstore.New(), newWorld(1)
				head := w.grow(t, log, 100)
				rm := open(t, t.TempDir(), log, nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				run := sync.OnceFunc(func() {
					run(t, rm)
					synctest.Wait() // Run has come as far as it can
					require.True(t, rm.Status().Running)
					if failure != nil {
						cancel()
					}
				})
				_, err := rm.Rebuild(ctx, projections.RebuildOptions{}, func(projections.Progress) { run() })
				require.ErrorIs(t, err, failure)
				require.NoError(t, rm.Wait(t.Context(), head))
				require.NoError(t, rm.Wait(t.Context(), w.grow(t, log, 20)))
				require.Equal(t, 2, rm.Status().Generation)
			})
		})
	}
}
