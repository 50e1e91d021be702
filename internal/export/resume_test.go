package export_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/export"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// days is a log of some days, with messages in some services, and others' events.
func days(t *testing.T) (log *memstore.Store) {
	synctest.Test(t, func(t *testing.T) { log = memstore.New(); live(t, log) })
	return log
}

func live(t *testing.T, log *memstore.Store) {
	for i := range 60 {
		if i%20 == 19 {
			time.Sleep(24 * time.Hour) // of a bubble
		}
		kind, data, err := events.Vocabulary().Encode(events.MessageAdded{Message: fmt.Sprint("IM", i), Index: int64(i), Body: "hello"})
		require.NoError(t, err)
		if i%3 == 0 {
			kind, data = "test.kind.v1", []byte("{}")
		}
		m := events.Metadata{Service: fmt.Sprintf("IS%032x", i%4)}
		_, err = log.Append(t.Context(), fmt.Sprintf("conversation-CH%d", i), store.NoStream, []events.Proposed{{ID: events.NameID(fmt.Sprint("day ", i)), Type: kind, Data: data, Metadata: m}})
		require.NoError(t, err)
	}
}

// cutting is a log that cannot be read beyond an event.
type cutting struct {
	store.LogReader
	after int
	read  int // events, in all
}

func (c *cutting) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return c.cut(c.LogReader.ReadAll(ctx, after, filter))
}

func (c *cutting) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return c.cut(c.LogReader.ReadFrom(ctx, from, direction, filter))
}

func (c *cutting) cut(sequence iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		n := 0
		for e, err := range sequence {
			if n++; n > c.after {
				yield(events.Recorded{}, errBroken)
				return
			}
			c.read++
			if !yield(e, err) {
				return
			}
		}
	}
}

// Cut short behind an event, an export goes on to the same bytes, and reads again only
// what was not written.
func TestAnExportThatWasCutShortGoesOn(t *testing.T) {
	t.Parallel()
	log := days(t)
	const atATime, all = 4, 60 // events: about what is held
	step := 5
	if testing.Short() {
		step = 25
	}
	for i, format := range []export.Format{export.Parquet, export.JSONL, export.CSV} {
		o := export.Options{Format: format, Dir: t.TempDir(), Hold: 900}
		_, err := export.Run(t.Context(), log, o)
		require.NoError(t, err)
		whole := tree(t, o.Dir)
		for n := i; n < all; n += step {
			o.Dir, o.Resume = t.TempDir(), true
			_, err := export.Run(t.Context(), &cutting{LogReader: log, after: n}, o)
			require.ErrorIs(t, err, errBroken)
			require.NoFileExists(t, filepath.Join(o.Dir, "manifest.json"))
			counted := &cutting{LogReader: log, after: 1000}
			_, err = export.Run(t.Context(), counted, o)
			require.NoError(t, err)
			require.Equal(t, whole, tree(t, o.Dir), "cut behind %d", n)
			require.LessOrEqual(t, counted.read, all-n+atATime+2, "the first event, and those where it goes on")
		}
	}
}

// An export that cannot make one of its files goes on with that one: those that are made
// are not made again.
func TestAnExportThatWasCutShortAtAnyFileGoesOn(t *testing.T) {
	t.Parallel()
	log := days(t)
	o := export.Options{Format: export.Parquet, Dir: t.TempDir()}
	m, err := export.Run(t.Context(), log, o)
	require.NoError(t, err)
	whole := tree(t, o.Dir)
	files := []string{"manifest.json.new"}
	for _, p := range m.Partitions {
		files = append(files, p.File)
	}
	require.Len(t, files, 27)
	if testing.Short() {
		files = append(files[:1], files[len(files)/2:len(files)/2+3]...)
	}
	for _, file := range files {
		o := export.Options{Format: export.Parquet, Dir: t.TempDir()}
		inTheWay := filepath.Join(o.Dir, file)
		o.Anonymise = func(*events.Recorded) error { return os.MkdirAll(inTheWay, 0o700) }
		_, err := export.Run(t.Context(), log, o)
		require.ErrorContains(t, err, "is a directory", file)
		require.NoError(t, os.Remove(inTheWay))
		made := modified(t, o.Dir)
		require.NotContains(t, made, "/"+file)

		o.Anonymise = func(*events.Recorded) error { return nil }
		o.Resume = true
		told := 0
		o.Resumed = func(_ events.Position, files int) { told = files }
		_, err = export.Run(t.Context(), log, o)
		require.NoError(t, err)
		again := tree(t, o.Dir)
		require.Contains(t, again["/manifest.json"], `"anonymised": true`)
		again["/manifest.json"] = strings.Replace(again["/manifest.json"], "  \"anonymised\": true,\n", "", 1)
		require.Equal(t, whole, again)
		kept := 0
		for name, at := range modified(t, o.Dir) {
			if before, there := made[name]; there && before.Equal(at) {
				kept++
			}
		}
		require.Equal(t, told, kept, "what was made is not touched")
	}
}

func modified(t *testing.T, dir string) map[string]time.Time {
	times := map[string]time.Time{}
	for name := range tree(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		times[name] = info.ModTime()
	}
	return times
}

// cutShort leaves an export that was cut short.
func cutShort(t *testing.T, log store.LogReader, o export.Options) {
	_, err := export.Run(t.Context(), &cutting{LogReader: log, after: 30}, o)
	require.ErrorIs(t, err, errBroken)
}

// An export is gone on with only as it was begun.
func TestAnotherExportIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	log := days(t)
	begun := export.Options{Format: export.CSV, Version: "1", Hold: 2000, Pseudonyms: "a"}
	for says, change := range map[string]func(*export.Options){
		`format: it began with "csv", and this is "jsonl"`:              func(o *export.Options) { o.Format = export.JSONL },
		`version: it began with "1", and this is "2"`:                   func(o *export.Options) { o.Version = "2" },
		`pseudonyms: it began with "a", and this is "b"`:                func(o *export.Options) { o.Pseudonyms = "b" },
		`selection: it began with {}, and this is {"service":"IS1"}`:    func(o *export.Options) { o.Service = "IS1" },
		`selection: it began with {}, and this is {"to":"50"}`:          func(o *export.Options) { o.To = events.At(50) },
		`tables: it began with ["wide","typed"], and this is ["typed"]`: func(o *export.Options) { o.Tables = []export.Table{export.TypedTables} },
	} {
		for _, finished := range []bool{false, true} {
			o := begun
			o.Dir = t.TempDir()
			if finished {
				_, err := export.Run(t.Context(), log, o)
				require.NoError(t, err)
			} else {
				cutShort(t, log, o)
			}
			before := tree(t, o.Dir)
			o.Resume = true
			change(&o)
			_, err := export.Run(t.Context(), log, o)
			require.ErrorIs(t, err, export.ErrAnother)
			require.ErrorContains(t, err, says)
			require.Equal(t, before, tree(t, o.Dir))
		}
	}
}

// Another log is told by its first event, and the same one with another history by the
// last event that was taken.
func TestAnExportOfAnotherLogIsNotGoneOnWith(t *testing.T) {
	log := days(t)
	o := export.Options{Format: export.CSV, Hold: 1, Dir: t.TempDir(), Resume: true}
	cutShort(t, log, o)
	_, err := export.Run(t.Context(), filled(t, 60), o)
	require.ErrorIs(t, err, export.ErrAnother)
	require.ErrorContains(t, err, "log: it began with ")

	fork := memstore.New()
	for e, err := range log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		if e.Position.Commit < 25 {
			_, err := fork.Append(t.Context(), e.Stream, store.NoStream, []events.Proposed{{ID: e.ID, Type: e.Type, Data: e.Data, Metadata: e.Metadata}})
			require.NoError(t, err)
		}
	}
	_, err = export.Run(t.Context(), fork, o)
	require.ErrorIs(t, err, export.ErrAnother)
	require.ErrorContains(t, err, "at position 30, which it has, is not in this one")
	_, err = export.Run(t.Context(), log, o)
	require.NoError(t, err)
}

// What is not as it was left is not gone on with.
func TestAnExportThatWasTouchedIsNotGoneOnWith(t *testing.T) {
	log := days(t)
	for _, name := range []string{".building/rows", ".building/journal", "wide/service=IS" + strings.Repeat("0", 32) + "/day=2000-01-01/events.csv"} {
		o := export.Options{Format: export.CSV, Hold: 1, Dir: t.TempDir(), Resume: true}
		cutShort(t, log, o)
		text, err := os.ReadFile(filepath.Join(o.Dir, name))
		require.NoError(t, err)
		touched := append([]byte("{}\n"), text...)
		if name == ".building/rows" {
			touched = text[:len(text)-1]
		}
		require.NoError(t, os.WriteFile(filepath.Join(o.Dir, name), touched, 0o600))
		_, err = export.Run(t.Context(), log, o)
		require.ErrorIs(t, err, export.ErrAnother, name)
		o.Resume = false
		_, err = export.Run(t.Context(), log, o)
		require.NoError(t, err, "it begins anew")
	}
}

// The last line of the journal may be half a line, and the journal may have none.
func TestAJournalEndsAnywhere(t *testing.T) {
	log := days(t)
	o := export.Options{Format: export.CSV, Dir: t.TempDir()}
	_, err := export.Run(t.Context(), log, o)
	require.NoError(t, err)
	whole := tree(t, o.Dir)
	for _, short := range []int{1, 10, 1 << 30} {
		o := export.Options{Format: export.CSV, Hold: 1, Dir: t.TempDir(), Resume: true}
		cutShort(t, log, o)
		journal := filepath.Join(o.Dir, ".building/journal")
		info, err := os.Stat(journal)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(journal, max(0, info.Size()-int64(short))))
		_, err = export.Run(t.Context(), log, o)
		require.NoError(t, err)
		require.Equal(t, whole, tree(t, o.Dir))
	}
}

// A finished export is left as it is.
func TestAFinishedExportIsNotMadeAgain(t *testing.T) {
	log := days(t)
	o := export.Options{Format: export.CSV, Dir: t.TempDir(), Resume: true}
	first, err := export.Run(t.Context(), log, o)
	require.NoError(t, err)
	put(t, log)
	before := tree(t, o.Dir)
	require.NoError(t, os.Mkdir(filepath.Join(o.Dir, ".building"), 0o700)) // cut short behind the manifest
	again, err := export.Run(t.Context(), log, o)
	require.NoError(t, err)
	require.Equal(t, first.Partitions, again.Partitions)
	require.Equal(t, before, tree(t, o.Dir))
	require.NoDirExists(t, filepath.Join(o.Dir, ".building"))
	o.Resume = false
	_, err = export.Run(t.Context(), log, o)
	require.ErrorIs(t, err, export.ErrNotEmpty)
}

// A log whose times fall is no log.
func TestTimesThatFallEndAnExport(t *testing.T) {
	falling := falling{days: []string{"2026-01-02", "2026-01-01"}}
	_, err := export.Run(t.Context(), falling, export.Options{Format: export.CSV, Dir: t.TempDir()})
	require.ErrorContains(t, err, "was recorded before the one before it")
}

// falling is a log that breaks its contract, as no store of ours can be made to.
type falling struct{ days []string }

func (f falling) Head(context.Context) (events.Position, error) {
	return events.At(uint64(len(f.days))), nil
}

func (f falling) Wait(context.Context, events.Position) (events.Position, error) {
	return events.Position{}, errors.ErrUnsupported
}

func (f falling) ReadFrom(ctx context.Context, from events.Position, _ store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return f.ReadAll(ctx, from, filter)
}

func (f falling) ReadAll(context.Context, events.Position, store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for i, day := range f.days {
			at, err := time.Parse(time.DateOnly, day)
			if !yield(events.Recorded{Position: events.At(uint64(i + 1)), Recorded: at, Type: "x.v1", Data: []byte("{}")}, err) {
				return
			}
		}
	}
}
