package projections_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

// Readers that never rest, over many swaps and rollbacks and under traffic, see a
// conversation whole and never an earlier state than they saw before.
func TestReadersSeeNothingOfSwapsAndRollbacks(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 500)))
	run(t, rm)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			if err := rm.Wait(t.Context(), w.grow(t, log, 20)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 3 {
		group.Go(func() { readOnAndOn(ctx, t, rm) })
	}
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
		require.NoError(t, err)
		require.True(t, rebuilt.Verified)
		back, err := rm.Rollback(t.Context())
		require.NoError(t, err)
		require.Less(t, back.Generation, rebuilt.Generation)
		require.Equal(t, back.Generation, rm.Status().Generation)
		forth, err := rm.Rollback(t.Context())
		require.NoError(t, err)
		require.Equal(t, rebuilt.Generation, forth.Generation)
	}
	cancel()
	group.Wait()
	require.NoError(t, rm.Wait(t.Context(), w.grow(t, log, 20)))
	rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	require.True(t, rebuilt.Verified, "what was rolled back to and forth is what the log says")
}

// readOnAndOn lists conversations until told to stop. A page is one state of the rows.
func readOnAndOn(ctx context.Context, t *testing.T, rm *projections.ReadModels) {
	var events int64
	for ctx.Err() == nil {
		before, err := rm.Position(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		list, err := rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{})
		if err != nil || len(list.Items) == 0 {
			t.Errorf("%d conversations, %v", len(list.Items), err)
			return
		}
		after, err := rm.Position(t.Context())
		if err != nil || after.Compare(before) < 0 {
			t.Errorf("from %s back to %s, %v", before, after, err)
			return
		}
		digests, _, err := rm.Digests(t.Context())
		if err != nil || digests[7].Rows == 0 {
			t.Errorf("%v, %v", digests, err)
			return
		}
		events++
	}
	if events == 0 {
		t.Error("nothing was read")
	}
}

func TestTheFormerGenerationIsKeptCaughtUpForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w, dir := memstore.New(), newWorld(1), t.TempDir()
		rm := open(t, dir, log, &projections.Options{KeepFormer: time.Minute})
		require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 300)))
		stop := run(t, rm)
		former, live := "main-v3-g1.db", "main-v3-g2.db"
		_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
		require.NoError(t, err)
		head := w.grow(t, log, 300)
		require.NoError(t, rm.Wait(t.Context(), head))
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{former, live, "main.json"}, names(t, dir))
		require.Equal(t, head, projections.PositionOf(t, filepath.Join(dir, former)), "nobody asked for it yet")
		stop()

		stop = run(t, rm) // a restart does not forget it
		time.Sleep(50 * time.Second)
		require.Contains(t, names(t, dir), former)
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{live, "main.json"}, names(t, dir), "its time is over")
		_, err = rm.Rollback(t.Context())
		require.ErrorIs(t, err, projections.ErrNoFormer)
		stop()
	})
}

func TestRollingBackBringsTheFormerRowsAndWhatCameSince(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	rm := open(t, dir, log, nil)
	_, err := rm.Rollback(t.Context())
	require.ErrorIs(t, err, projections.ErrNoFormer)
	head := w.grow(t, log, 200)
	follow(t, rm, head)
	projections.Exec(t, rm, "UPDATE message SET body = 'wrong' WHERE id = (SELECT min(id) FROM message)")
	wrong := digests(t, rm)
	_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{Accept: true, Reason: "it is wrong"}, nil)
	require.NoError(t, err)
	right := digests(t, rm)
	require.NotEqual(t, wrong, right)
	manifest, err := os.ReadFile(filepath.Join(dir, "main.json"))
	require.NoError(t, err)
	require.Contains(t, string(manifest), `"accepted": "it is wrong"`)

	_, err = rm.Rollback(t.Context())
	require.NoError(t, err)
	require.Equal(t, wrong, digests(t, rm))
	_, err = rm.Rollback(t.Context())
	require.NoError(t, err)
	require.Equal(t, right, digests(t, rm))

	// One of another log, or none at all, is nothing to go back to.
	require.NoError(t, os.Remove(filepath.Join(dir, "main-v3-g2.db")))
	_, err = rm.Rollback(t.Context())
	require.ErrorIs(t, err, projections.ErrNoFormer)
	require.Equal(t, right, digests(t, rm))
	follow(t, rm, w.grow(t, log, 20))
}

func TestARollbackIsRefusedDuringARebuild(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	follow(t, rm, w.grow(t, log, 100))
	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(projections.Progress) {
		_, err := rm.Rollback(t.Context())
		require.ErrorIs(t, err, projections.ErrRebuilding)
	})
	require.NoError(t, err)
}
