package projections_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

// A rebuild that is stopped again and again, with hardly any memory, comes to the same
// rows; and what it had done is not done again.
func TestARebuildThatIsStoppedGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w, dir := memstore.New(), newWorld(7), t.TempDir()
		w.rare = 3
		head := w.grow(t, log, 1000)
		options := &projections.Options{RebuildRows: 20, CacheRows: 20}
		rm := open(t, dir, log, options)
		require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
		total := rm.Status().Events

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		_, err := rm.Rebuild(ctx, projections.RebuildOptions{Rate: 100}, nil)
		cancel()
		var before int64
		for stops := 0; err != nil; stops++ {
			var suspended *projections.SuspendedError
			require.ErrorAs(t, err, &suspended)
			require.Equal(t, projections.Filling, suspended.Phase)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Less(t, stops, 10)
			require.NoError(t, rm.Close())
			rm = open(t, dir, log, options)
			waiting, statusErr := rm.Rebuilding()
			require.NoError(t, statusErr)
			require.False(t, waiting.Running)
			require.Equal(t, 100, waiting.Rate)

			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, err = rm.Continue(ctx, func(p projections.Progress) {
				if p.Phase == projections.Filling && time.Since(began) == 0 {
					require.Greater(t, p.Before, before, "it begins where it stopped")
					before = p.Before
				}
			})
			cancel()
		}
		require.Greater(t, before, total/2)
		require.Equal(t, 2, rm.Status().Generation)
		require.Equal(t, total, rm.Status().Events)
		require.NoError(t, rm.Wait(t.Context(), head))
	})
}

func TestARateBoundsARebuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := memstore.New(), newWorld(1)
		head := w.grow(t, log, 500)
		rm := open(t, t.TempDir(), log, nil)
		require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
		began := time.Now()
		_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{Rate: 50}, nil)
		require.NoError(t, err)
		require.InDelta(t, float64(rm.Status().Events)/50, time.Since(began).Seconds(), 1)
	})
}

func TestARebuildIsPausedAndResumed(t *testing.T) {
	for name, phase := range map[string]projections.Phase{"while filling": projections.Filling, "while catching up": projections.CatchingUp} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, w, dir := memstore.New(), newWorld(1), t.TempDir()
				rm := open(t, dir, log, nil)
				require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 500)))
				require.ErrorIs(t, rm.Pause(), projections.ErrNoRebuild)
				require.ErrorIs(t, rm.Resume(), projections.ErrNoRebuild)
				ended := make(chan error, 1)
				go func() {
					_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(p projections.Progress) {
						if p.Phase == phase {
							require.NoError(t, rm.Pause())
						}
					})
					ended <- err
				}()
				synctest.Wait()
				status, err := rm.Rebuilding()
				require.NoError(t, err)
				require.True(t, status.Running)
				require.True(t, status.Paused)
				require.Equal(t, phase, status.Phase)
				require.Equal(t, 1, rm.Status().Generation)
				for len(ended) == 0 { // it pauses once more each time it reports the phase
					require.NoError(t, resumed(rm))
					synctest.Wait()
				}
				require.NoError(t, <-ended)
				require.Equal(t, 2, rm.Status().Generation)
				status, err = rm.Rebuilding()
				require.NoError(t, err)
				require.Nil(t, status)
			})
		})
	}
}

// resumed does not mind that it is done.
func resumed(rm *projections.ReadModels) error {
	if err := rm.Resume(); !errors.Is(err, projections.ErrNoRebuild) {
		return err
	}
	return nil
}

func TestAPausedRebuildIsPausedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w, dir := memstore.New(), newWorld(1), t.TempDir()
		rm := open(t, dir, log, nil)
		require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 500)))
		ended := make(chan error, 1)
		go func() {
			_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(projections.Progress) { require.NoError(t, rm.Pause()) })
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, rm.Close())
		var suspended *projections.SuspendedError
		require.ErrorAs(t, <-ended, &suspended)

		rm = open(t, dir, log, nil)
		go func() {
			_, err := rm.Continue(t.Context(), nil)
			ended <- err
		}()
		synctest.Wait()
		status, err := rm.Rebuilding()
		require.NoError(t, err)
		require.True(t, status.Paused)
		require.NoError(t, rm.Cancel())
		require.ErrorIs(t, <-ended, projections.ErrCancelled)
		require.Equal(t, []string{"main-v3-g1.db", "main.json"}, names(t, dir))
		_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
		require.NoError(t, err)
	})
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, f := range withoutWAL(files) {
		list = append(list, filepath.Base(f))
	}
	return list
}

// Whatever a killed process left of a rebuild, the next one ends it well.
func TestWhatAKilledRebuildLeftIsNotTrusted(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, dir, file string) string{
		"half a file, which nothing was said of": func(t *testing.T, _, file string) string {
			require.NoError(t, os.WriteFile(file, []byte("SQLite format 3\x00 and then the power went"), 0o600))
			return ""
		},
		"a file that was said to be good and is not": func(t *testing.T, _, file string) string {
			require.NoError(t, os.WriteFile(file, []byte("nothing of the kind"), 0o600))
			return "filling"
		},
		"no file":                             func(*testing.T, string, string) string { return "filled" },
		"a file that is another read model's": func(t *testing.T, _, file string) string { projections.MakeForeign(t, file); return "filled" },
	} {
		t.Run(name, func(t *testing.T) {
			log, w, dir := memstore.New(), newWorld(1), t.TempDir()
			head := w.grow(t, log, 300)
			rm := open(t, dir, log, nil)
			require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
			saved := leave(t, dir, filepath.Join(dir, "main-v3-g2.db"))
			job, err := json.Marshal(map[string]any{"generation": 2, "file": "main-v3-g2.db", "saved": saved, "phase": "filling"})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.rebuild.json"), job, 0o600))
			require.NoError(t, rm.Close())
			rm = open(t, dir, log, nil)
			rebuilt, err := rm.Continue(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, rebuilt.Verified)
			require.Equal(t, []string{"main-v3-g1.db", "main-v3-g2.db", "main.json"}, names(t, dir))
		})
	}
}

func TestADamagedJobIsNamedAndCanBeCancelled(t *testing.T) {
	log, dir := memstore.New(), t.TempDir()
	rm := open(t, dir, log, nil)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.rebuild.json"), []byte(`{"generation"`), 0o600))
	var damage *projections.DamagedError
	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.ErrorAs(t, err, &damage)
	require.ErrorContains(t, err, "main.rebuild.json")
	require.NoError(t, rm.Cancel())
	_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
}

func TestOptionsOfARebuild(t *testing.T) {
	rm := open(t, t.TempDir(), memstore.New(), nil)
	for _, o := range []projections.RebuildOptions{{Rate: -1}, {Accept: true}, {Reason: "why"}} {
		_, err := rm.Rebuild(t.Context(), o, nil)
		require.ErrorIs(t, err, projections.ErrOptions, fmt.Sprint(o))
	}
}
