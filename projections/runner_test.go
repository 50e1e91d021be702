package projections_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

func TestWaitReturnsOnceTheRowsAreThere(t *testing.T) {
	log := memstore.New()
	rm := open(t, t.TempDir(), log, nil)
	run(t, rm)
	var group sync.WaitGroup
	for i := range uint64(8) {
		group.Go(func() {
			w := newWorld(100 + i)
			for range 40 {
				r := w.create(w.tick())
				position := w.append(t, log, r)
				if err := rm.Wait(t.Context(), position); err != nil {
					t.Error(err)
					return
				}
				sid := r.stream[len("conversation-"):]
				if _, err := rm.Conversation(t.Context(), service, sid); err != nil {
					t.Errorf("waited for %s: %v", position, err)
				}
			}
		})
	}
	group.Wait()
}

func TestWaitEndsWithItsContext(t *testing.T) {
	rm := open(t, t.TempDir(), memstore.New(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, rm.Wait(ctx, events.At(1)), context.Canceled)
	require.NoError(t, rm.Wait(ctx, events.Position{}), "what is there needs no waiting")
}

// badEvent appends an event that cannot be applied.
func badEvent(t *testing.T, log *memstore.Store, eventType string) events.Position {
	t.Helper()
	appended, err := log.Append(t.Context(), "conversation-CHnowhere", -1, []events.Proposed{{
		ID: events.NameID("bad"), Type: eventType, Data: []byte(`{"friendly_name":"x"}`),
	}})
	require.NoError(t, err)
	return appended.Position
}

func TestAnErrorStopsTheProjectionWithItsPositionUnmoved(t *testing.T) {
	for name, row := range map[string]struct {
		eventType string
		check     func(t *testing.T, err error)
	}{
		"an unknown type of event": {"conversation.never-heard-of.v1", func(t *testing.T, err error) {
			var unknown *events.UnknownTypeError
			require.ErrorAs(t, err, &unknown)
		}},
		"an event about nothing": {events.ConversationFriendlyNameChanged{}.EventType(), func(t *testing.T, err error) {
			var missing *projections.MissingRowError
			require.ErrorAs(t, err, &missing)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			log, w := memstore.New(), newWorld(1)
			rm := open(t, t.TempDir(), log, nil)
			good := w.grow(t, log, 50)
			follow(t, rm, good)
			tables := digests(t, rm)
			bad := badEvent(t, log, row.eventType)

			for range 2 { // running again meets it again
				err := rm.Run(t.Context())
				var where *projections.EventError
				require.ErrorAs(t, err, &where)
				require.Equal(t, bad, where.Position)
				row.check(t, err)
			}
			status := rm.Status()
			require.Equal(t, good, status.Position)
			require.False(t, status.Running)
			require.Contains(t, status.Error, row.eventType)
			require.False(t, status.Since.IsZero())
			require.Equal(t, tables, digests(t, rm))

			var stopped *projections.StoppedError
			require.ErrorAs(t, rm.Wait(t.Context(), bad), &stopped)
			require.Equal(t, good, stopped.Position)
		})
	}
}

func TestWaitersLearnThatTheProjectionStopped(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	follow(t, rm, w.grow(t, log, 5))
	waiting := make(chan error, 1)
	go func() { waiting <- rm.Wait(t.Context(), events.At(1_000_000)) }()
	badEvent(t, log, "conversation.never-heard-of.v1")
	require.Error(t, rm.Run(t.Context()))
	var stopped *projections.StoppedError
	require.ErrorAs(t, <-waiting, &stopped)
}

func TestOnlyOneRunAtATime(t *testing.T) {
	log := memstore.New()
	rm := open(t, t.TempDir(), log, nil)
	run(t, rm)
	require.NoError(t, rm.Wait(t.Context(), newWorld(1).grow(t, log, 1)))
	require.ErrorIs(t, rm.Run(t.Context()), projections.ErrRunning)
}

func TestAProjectionGoesOnWhereItWas(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	for range 3 {
		position := w.grow(t, log, 100)
		rm, err := projections.Open(dir, log, nil)
		require.NoError(t, err)
		follow(t, rm, position)
		require.Equal(t, position, rm.Status().Position)
		require.NoError(t, rm.Close())
	}
	rm := open(t, dir, log, nil)
	require.Equal(t, 2, rm.Status().Generation, "only the first start had to fill")
	require.False(t, rm.Status().LastRecorded.IsZero())
}

func liveFile(t *testing.T, rm *projections.ReadModels) string {
	t.Helper()
	return projections.LivePath(rm)
}

func TestAFileThatIsMissingOrOfAnotherVersionIsBuiltAnew(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir, file string){
		"the file is gone":     func(t *testing.T, _, file string) { require.NoError(t, os.Remove(file)) },
		"the manifest is gone": func(t *testing.T, dir, _ string) { require.NoError(t, os.Remove(filepath.Join(dir, "main.json"))) },
		"it is an older version": func(t *testing.T, dir, file string) {
			manifest := `{"name":"main","version":0,"generation":7,"file":"` + filepath.Base(file) + `"}`
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.json"), []byte(manifest), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, w, dir := memstore.New(), newWorld(1), t.TempDir()
			rm, err := projections.Open(dir, log, nil)
			require.NoError(t, err)
			head := w.grow(t, log, 200)
			follow(t, rm, head)
			tables, file, generation := digests(t, rm), liveFile(t, rm), rm.Status().Generation
			require.NoError(t, rm.Close())
			spoil(t, dir, file)

			rm = open(t, dir, log, nil)
			follow(t, rm, head)
			require.Equal(t, tables, digests(t, rm))
			require.Greater(t, rm.Status().Generation, generation)
		})
	}
}

func TestADamagedOrForeignFileIsRefusedUntilToldToReplaceIt(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir, file string){
		"damaged": func(t *testing.T, _, file string) {
			require.NoError(t, os.WriteFile(file, []byte("this is not a database, not even a little one, at all"), 0o600))
		},
		"foreign": func(t *testing.T, _, file string) {
			require.NoError(t, os.Remove(file))
			projections.MakeForeign(t, file)
		},
		"manifest unreadable": func(t *testing.T, dir, _ string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "main.json"), []byte("{"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, w, dir := memstore.New(), newWorld(1), t.TempDir()
			rm, err := projections.Open(dir, log, nil)
			require.NoError(t, err)
			head := w.grow(t, log, 50)
			follow(t, rm, head)
			tables, file := digests(t, rm), liveFile(t, rm)
			require.NoError(t, rm.Close())
			spoil(t, dir, file)

			var damage *projections.DamagedError
			_, err = projections.Open(dir, log, nil)
			require.ErrorAs(t, err, &damage)
			require.ErrorContains(t, err, `run "parley projection rebuild main"`)
			_, err = projections.OpenReadOnly(dir)
			require.ErrorAs(t, err, &damage)

			rm = open(t, dir, log, &projections.Options{ReplaceDamaged: true})
			follow(t, rm, head)
			require.Equal(t, tables, digests(t, rm))
		})
	}
}

func TestReadingWorksBesideAServerAndWithoutOne(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	_, err := projections.OpenReadOnly(dir)
	require.ErrorIs(t, err, projections.ErrNoReadModels)

	rm, err := projections.Open(dir, log, nil)
	require.NoError(t, err)
	stop := run(t, rm)
	head := w.grow(t, log, 100)
	require.NoError(t, rm.Wait(t.Context(), head))
	requirePosition(t, dir, head)
	stop()
	require.NoError(t, rm.Close())
	requirePosition(t, dir, head)
}

func requirePosition(t *testing.T, dir string, want events.Position) {
	t.Helper()
	q, err := projections.OpenReadOnly(dir)
	require.NoError(t, err)
	position, err := q.Position(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, position)
	require.NoError(t, q.Close())
	_, err = q.Position(t.Context())
	require.Error(t, err, "a closed reader answers nothing")
}

func TestRebuildGoesOnUnderTraffic(t *testing.T) {
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
	group.Go(func() {
		for ctx.Err() == nil {
			if _, err := rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for generation := 2; generation < 6; generation++ {
		var phases []projections.Phase
		rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(p projections.Progress) {
			if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
				phases = append(phases, p.Phase)
			}
		})
		require.NoError(t, err)
		require.True(t, rebuilt.Verified)
		require.Equal(t, generation, rebuilt.Generation)
		require.Equal(t, []projections.Phase{projections.Filling, projections.Indexing, projections.CatchingUp,
			projections.Verifying, projections.CatchingUp, projections.Swapping}, phases)
	}
	cancel()
	group.Wait()
	rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	require.True(t, rebuilt.Verified)
}

func TestOnlyTheFormerGenerationIsKept(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	rm := open(t, dir, log, nil)
	follow(t, rm, w.grow(t, log, 50))
	for range 3 {
		_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
		require.NoError(t, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "main-v3-g4.db"), filepath.Join(dir, "main-v3-g5.db")}, files)
}

func TestARebuildThatDiffersIsNotSwappedIn(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	rm := open(t, dir, log, nil)
	head := w.grow(t, log, 200)
	follow(t, rm, head)
	projections.Exec(t, rm, "UPDATE message SET body = 'wrong' WHERE id = (SELECT min(id) FROM message)")
	before := rm.Status()

	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	var mismatch *projections.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, head, mismatch.Position)
	require.Len(t, mismatch.Differences, 1)
	require.Equal(t, "message", mismatch.Differences[0].Live.Table)
	require.Equal(t, before, rm.Status())
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	require.NoError(t, err)
	require.Len(t, files, 2, "the refused file is gone; the live one and the empty first one are there")

	rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{Accept: true, Reason: "a test"}, nil)
	require.NoError(t, err)
	require.False(t, rebuilt.Verified)
	rebuilt, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	require.True(t, rebuilt.Verified)
}

func TestARebuildThatIsCancelledChangesNothing(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	rm := open(t, dir, log, nil)
	follow(t, rm, w.grow(t, log, 3000))
	for _, phase := range []projections.Phase{projections.Filling, projections.CatchingUp} {
		ctx, cancel := context.WithCancel(t.Context())
		before := rm.Status()
		_, err := rm.Rebuild(ctx, projections.RebuildOptions{}, func(p projections.Progress) {
			if p.Phase == phase {
				cancel()
			}
			_, nested := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
			require.ErrorIs(t, nested, projections.ErrRebuilding)
		})
		require.ErrorIs(t, err, context.Canceled, "%s", phase)
		require.NoError(t, rm.Cancel())
		require.ErrorIs(t, rm.Cancel(), projections.ErrNoRebuild)
		require.Equal(t, before, rm.Status())
		cancel()
	}
}
