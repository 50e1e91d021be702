package projections_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// followed makes read models of the log in the folder and closes them.
func followed(t *testing.T, dir string, log store.LogReader, upto events.Position) {
	t.Helper()
	rm, err := projections.Open(dir, log, nil)
	require.NoError(t, err)
	follow(t, rm, upto)
	require.NoError(t, rm.Close())
}

func TestReadModelsOfALogThatWasRestoredFromABackupAreBuiltAnew(t *testing.T) {
	for name, row := range map[string]struct{ before, after int }{
		"shorter than the read models":             {100, 0},
		"empty":                                    {0, 0},
		"as long again, with other events":         {100, 100},
		"longer again, with other events":          {100, 300},
		"other from the first event on and longer": {0, 400},
	} {
		t.Run(name, func(t *testing.T) {
			dir, lost, log := t.TempDir(), memstore.New(), memstore.New()
			followed(t, dir, lost, newWorld(1).grow(t, lost, 200))
			var head events.Position
			if row.before > 0 {
				head = newWorld(1).grow(t, log, row.before)
			}
			if row.after > 0 {
				head = newWorld(2).grow(t, log, row.after)
			}
			requireOpenedForThisLog(t, dir, log, head)
		})
	}
}

// requireOpenedForThisLog opens read models of another history.
func requireOpenedForThisLog(t *testing.T, dir string, log store.Log, head events.Position) {
	t.Helper()
	var said bytes.Buffer
	rm := open(t, dir, log, &projections.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	require.Contains(t, said.String(), "restored from a backup")
	require.Zero(t, rm.Status().Position)
	position, err := rm.DueRows(t.Context(), func(projections.Due) bool { t.Error("a row of the lost history"); return true })
	require.NoError(t, err)
	require.Zero(t, position)

	run(t, rm)
	w := newWorld(77)
	r := w.create(w.tick())
	next := w.append(t, log, r)
	require.Positive(t, next.Compare(head))
	require.NoError(t, rm.Wait(t.Context(), next))
	_, err = rm.Conversation(t.Context(), service, r.stream[len("conversation-"):])
	require.NoError(t, err)
	require.Equal(t, next, rm.Status().Position)

	fresh := open(t, t.TempDir(), log, nil)
	follow(t, fresh, next)
	require.Equal(t, digests(t, fresh), digests(t, rm))
}

func TestACommandThatIsSentAgainAfterARestoreDoesNotHideIt(t *testing.T) {
	dir, lost, log := t.TempDir(), memstore.New(), memstore.New()
	synctest.Test(t, func(t *testing.T) {
		newWorld(1).grow(t, lost, 50)
		time.Sleep(time.Minute) // of the bubble
		newWorld(1).grow(t, log, 50)
	})
	head, err := lost.Head(t.Context())
	require.NoError(t, err)
	followed(t, dir, lost, head)
	requireOpenedForThisLog(t, dir, log, head) // same ids at the same positions
}

func TestReadModelsGoOnWithTheLogTheyWereMadeFrom(t *testing.T) {
	memory := memstore.New()
	file, err := sqlitestore.Open(filepath.Join(t.TempDir(), "log.db"), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	pairs := memstore.New()
	for name, row := range map[string]struct {
		log  store.Log
		read store.LogReader
	}{
		"in memory": {memory, memory},
		"in a file": {file, file},
		"with positions that share a first number": {pairs, pairLog{pairs}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, w := t.TempDir(), newWorld(1)
			for range 4 {
				w.grow(t, row.log, 1)
				head, err := row.read.Head(t.Context())
				require.NoError(t, err)
				followed(t, dir, row.read, head)
				rm := open(t, dir, row.read, nil)
				require.Equal(t, head, rm.Status().Position)
				require.Equal(t, 2, rm.Status().Generation)
				require.NoError(t, rm.Close())
			}
		})
	}
}

func TestOpenRefusesWhenTheLogCannotBeRead(t *testing.T) {
	dir, log := t.TempDir(), memstore.New()
	followed(t, dir, log, newWorld(1).grow(t, log, 5))
	broken := errors.New("unreadable")
	_, err := projections.Open(dir, unreadable{log, broken}, nil)
	require.ErrorIs(t, err, broken)
	require.Equal(t, 2, open(t, dir, log, nil).Status().Generation, "nothing was thrown away")
}

type unreadable struct {
	store.LogReader
	err error
}

func (u unreadable) ReadAll(context.Context, events.Position, store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) { yield(events.Recorded{}, u.err) }
}

func (u unreadable) ReadFrom(ctx context.Context, from events.Position, _ store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return u.ReadAll(ctx, from, filter)
}

// pairLog is a log whose positions are pairs, as KurrentDB's are: three events
// share a first number. As it does, it refuses every number that is no event's.
type pairLog struct{ log store.LogReader }

func pair(p events.Position) events.Position {
	return events.Position{Commit: (p.Commit + 2) / 3 * 100, Prepare: p.Commit * 7}
}

func single(p events.Position) events.Position { return events.At(p.Prepare / 7) }

func (l pairLog) Head(ctx context.Context) (events.Position, error) {
	head, err := l.log.Head(ctx)
	return pair(head), err
}

func (l pairLog) Wait(ctx context.Context, after events.Position) (events.Position, error) {
	head, err := l.log.Wait(ctx, single(after))
	return pair(head), err
}

func (l pairLog) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	if pair(single(after)) != after {
		return unreadable{err: fmt.Errorf("no place in the log: %s", after)}.ReadAll(ctx, after, filter)
	}
	return pairs(l.log.ReadAll(ctx, single(after), filter))
}

func (l pairLog) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	if pair(single(from)) != from {
		return unreadable{err: store.ErrNoEvent}.ReadAll(ctx, from, filter)
	}
	return pairs(l.log.ReadFrom(ctx, single(from), direction, filter))
}

func pairs(sequence iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for r, err := range sequence {
			if r.Position = pair(r.Position); !yield(r, err) {
				return
			}
		}
	}
}
