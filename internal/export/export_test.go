package export_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/export"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// filled is a log of more services than files may be open.
func filled(t *testing.T, n int) *memstore.Store {
	log := memstore.New()
	for i := range n {
		m := events.Metadata{Account: "AC1", Service: fmt.Sprintf("IS%032x", i%70), Actor: events.Actor{Kind: events.ActorUser, ID: "a \"b\",\r\nc"}, CommandID: events.NameID("c")}
		if i%10 == 0 {
			m.Service = "../../etc" // is none
		}
		if i%3 == 0 {
			m.Occurred = time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
		}
		_, err := log.Append(t.Context(), fmt.Sprintf("conversation-CH%d", i), store.NoStream, []events.Proposed{{
			ID: events.NameID(fmt.Sprint(i)), Type: fmt.Sprintf("test.kind-%d.v1", i%2), Data: fmt.Appendf(nil, `{"n":%d,"t":"<é>\n"}`, i), Metadata: m,
		}})
		require.NoError(t, err)
	}
	return log
}

// read returns all rows of an export by position, whatever the format.
func read(t *testing.T, dir string, m *export.Manifest) map[uint64]export.Row {
	rows := map[uint64]export.Row{}
	for _, p := range m.Partitions {
		text, err := os.ReadFile(filepath.Join(dir, p.File))
		require.NoError(t, err)
		require.EqualValues(t, len(text), p.Bytes)
		list := parse(t, m.Format, text)
		require.Len(t, list, p.Events, p.File)
		last := uint64(0)
		for _, r := range list {
			require.Greater(t, r.Position, last, "in order")
			last, rows[r.Position] = r.Position, r
		}
	}
	require.Len(t, rows, m.Events)
	return rows
}

func parse(t *testing.T, format export.Format, text []byte) (list []export.Row) {
	switch format {
	case export.Parquet:
		list, err := parquet.Read[export.Row](bytes.NewReader(text), int64(len(text)))
		require.NoError(t, err)
		for i := range list {
			list[i].RecordedAt, list[i].OccurredAt = list[i].RecordedAt.UTC(), list[i].OccurredAt.UTC()
		}
		return list
	case export.JSONL:
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			var r export.Row
			require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
			list = append(list, r)
		}
		return list
	}
	table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	for _, cells := range table[1:] {
		var r export.Row
		_, err := fmt.Sscan(cells[0], &r.Position)
		require.NoError(t, err)
		r.Type, r.Data, r.ActorID = cells[3], cells[17], cells[12]
		list = append(list, r)
	}
	return list
}

func TestAnExportHasEveryEventOnceInEveryFormat(t *testing.T) {
	const n = 500
	log := filled(t, n)
	for _, format := range []export.Format{export.Parquet, export.JSONL, export.CSV} {
		t.Run(string(format), func(t *testing.T) {
			dir := t.TempDir()
			m, err := export.Run(t.Context(), log, export.Options{Format: format, Dir: dir})
			require.NoError(t, err)
			require.Equal(t, n, m.Events)
			require.Equal(t, map[string]int{"test.kind-0.v1": n / 2, "test.kind-1.v1": n / 2}, m.Types)
			rows := read(t, dir, m)
			for e, err := range log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
				require.NoError(t, err)
				r := rows[e.Position.Commit]
				require.Equal(t, []string{e.Type, string(e.Data)}, []string{r.Type, r.Data})
				if format == export.CSV {
					continue // its readers make one line end of two characters
				}
				require.Equal(t, e.Metadata.Actor.ID, r.ActorID)
				require.Equal(t, []string{e.ID.String(), "conversation", e.Stream, e.Metadata.Service}, []string{r.EventID, r.Category, "conversation-" + r.Aggregate, r.ChatServiceSid})
				require.Equal(t, e.Recorded.Truncate(time.Microsecond), r.RecordedAt)
				if e.Metadata.Occurred.IsZero() {
					require.Equal(t, r.RecordedAt, r.OccurredAt)
				} else {
					require.Equal(t, e.Metadata.Occurred, r.OccurredAt)
				}
			}
			require.Len(t, m.Partitions, 64, "63 services and none")
			require.NoFileExists(t, filepath.Join(filepath.Dir(filepath.Dir(dir)), "etc"))
		})
	}
}

// tree is what is in a folder.
func tree(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path[len(dir):]] = string(text)
		return err
	}))
	return files
}

func put(t *testing.T, log *memstore.Store) {
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	_, err = log.Append(t.Context(), "conversation-"+head.String(), store.NoStream, []events.Proposed{{ID: events.NameID("x" + head.String()), Type: "test.kind-1.v1", Data: []byte("{}")}})
	require.NoError(t, err)
}

func TestTheSamePartIsTheSameBytes(t *testing.T) {
	log := filled(t, 300)
	for _, format := range []export.Format{export.Parquet, export.JSONL, export.CSV} {
		one, two := t.TempDir(), t.TempDir()
		o := export.Options{Format: format, Dir: one, To: events.At(200)}
		_, err := export.Run(t.Context(), log, o)
		require.NoError(t, err)
		o.Dir = two
		put(t, log) // behind the part
		_, err = export.Run(t.Context(), log, o)
		require.NoError(t, err)
		require.Equal(t, tree(t, one), tree(t, two), format)
	}
}

func TestAPartIsExported(t *testing.T) {
	log := filled(t, 100)
	run := func(o export.Options) *export.Manifest {
		o.Format, o.Dir = export.JSONL, t.TempDir()
		m, err := export.Run(t.Context(), log, o)
		require.NoError(t, err)
		require.Len(t, read(t, o.Dir, m), m.Events)
		return m
	}
	m := run(export.Options{From: events.At(10), To: events.At(20)})
	require.Equal(t, []any{11, events.At(10), events.At(20)}, []any{m.Events, m.First, m.Last})
	require.Equal(t, 50, run(export.Options{Filter: store.Filter{Types: []string{"test.kind-1.v1"}}}).Events)
	require.Equal(t, 2, run(export.Options{Service: fmt.Sprintf("IS%032x", 7)}).Events)
	require.Zero(t, run(export.Options{FromTime: time.Now().Add(time.Hour)}).Events)
	require.Equal(t, 100, run(export.Options{FromTime: time.Now().Add(-time.Hour), ToTime: time.Now().Add(time.Hour)}).Events)
}

// breaking is a log that cannot be read to its end.
type breaking struct{ store.LogReader }

var errBroken = errors.New("the disk broke")

func (b breaking) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		n := 0
		for e, err := range b.LogReader.ReadFrom(ctx, from, direction, filter) {
			if n++; n == 50 {
				yield(events.Recorded{}, errBroken)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestAnExportThatFailedHasNoManifestAndBeginsAnew(t *testing.T) {
	log, dir := filled(t, 100), t.TempDir()
	_, err := export.Run(t.Context(), breaking{log}, export.Options{Format: export.CSV, Dir: dir})
	require.ErrorIs(t, err, errBroken)
	require.NoFileExists(t, filepath.Join(dir, "manifest.json"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	_, err = export.Run(t.Context(), log, export.Options{Format: export.CSV, Dir: dir})
	require.ErrorIs(t, err, export.ErrNotEmpty, "somebody put something there")
	require.NoError(t, os.Remove(filepath.Join(dir, "notes.txt")))
	m, err := export.Run(t.Context(), log, export.Options{Format: export.CSV, Dir: dir})
	require.NoError(t, err)
	require.Equal(t, 100, m.Events)
	require.NoDirExists(t, filepath.Join(dir, ".building"))
	_, err = export.Run(t.Context(), log, export.Options{Format: export.CSV, Dir: dir})
	require.ErrorIs(t, err, export.ErrNotEmpty)
}
