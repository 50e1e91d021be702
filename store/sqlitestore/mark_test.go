package sqlitestore_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// killed copies the files of a log that somebody writes to, as a killed writer leaves them.
func killed(t *testing.T, path string) string {
	copied := t.TempDir()
	require.NoError(t, os.CopyFS(copied, os.DirFS(filepath.Dir(path))))
	return filepath.Join(copied, filepath.Base(path))
}

// Whatever was acknowledged last is known beside the log: no event of it is lost unseen,
// whether or not somebody else had read it.
func TestTheLastAcknowledgedEventIsKnownBesideTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, nil)
	defer func() { require.NoError(t, s.Close()) }()
	seen, err := sqlitestore.LastSeen(path)
	require.NoError(t, err)
	require.Zero(t, seen.Position)
	fill(t, s, 1, 10)

	left := killed(t, path)
	seen, err = sqlitestore.LastSeen(left)
	require.NoError(t, err)
	require.Equal(t, store.Sighting{By: "log.db.lock", Position: events.At(10), Event: events.NameID("9")}, seen)
	require.NoError(t, check(t, left, seen))

	info, err := os.Stat(left + "-wal")
	require.NoError(t, err)
	require.NoError(t, os.Truncate(left+"-wal", info.Size()-1)) // the last commit is damaged
	require.ErrorIs(t, check(t, left, seen), store.ErrLostEnd)

	again := open(t, left, nil)
	_, err = again.Append(t.Context(), "other", store.NoStream, proposed(77))
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.ErrorIs(t, check(t, left, seen), store.ErrLostEnd, "another event is at the place")
	seen, err = sqlitestore.LastSeen(left)
	require.NoError(t, err)
	require.Equal(t, events.NameID("77"), seen.Event)
}

func check(t *testing.T, path string, seen store.Sighting) error {
	r := openReader(t, path)
	defer func() { require.NoError(t, r.Close()) }()
	return store.CheckSightings(t.Context(), r, []store.Sighting{seen})
}

func TestAMarkThatIsDamagedOrOfAFormerLogKnowsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	makeLog(t, path)
	mark, err := os.ReadFile(path + ".lock")
	require.NoError(t, err)
	for name, content := range map[string]string{"none": "", "short": string(mark[:20]), "zeros": strings.Repeat("\x00", len(mark)-1) + "\x01", "flipped": "\x01" + string(mark[1:])} {
		write(t, path+".lock", content)
		seen, err := sqlitestore.LastSeen(path)
		require.NoError(t, err, name)
		require.Zero(t, seen.Position, name)
	}
	write(t, path+".lock", string(mark))
	require.NoError(t, os.Remove(path))
	require.NoError(t, open(t, path, nil).Close())
	seen, err := sqlitestore.LastSeen(path)
	require.NoError(t, err)
	require.Zero(t, seen.Position, "the log is a new one")
}

// A page whose number of rows is changed hides events without an error of SQLite.
func TestVerifyFindsAPageThatLostRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, nil)
	for i := range 200 { // a stream each: no revision is missed
		_, err := s.Append(t.Context(), "conversation-"+strings.Repeat("x", i+1), store.NoStream, proposed(i))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	verify := func() (store.Report, error) {
		r := openReader(t, path)
		defer func() { require.NoError(t, r.Close()) }()
		return store.Verify(t.Context(), r, nil)
	}
	sound, err := verify()
	require.NoError(t, err)
	require.Equal(t, sound.Events, len(sound.Problems)+sound.More)
	found := 0
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for page := 4096; page < len(whole); page += 4096 {
		if whole[page] != 13 || whole[page+4] < 2 { // a leaf of a table with few rows
			continue
		}
		hurt := append([]byte{}, whole...)
		hurt[page+4]--
		write(t, path, string(hurt))
		report, err := verify()
		problems := len(report.Problems) + report.More - report.Events // each event is of a type that is not known
		require.True(t, err != nil || problems > 0, "page %d", page/4096+1)
		if err == nil && report.Events < sound.Events {
			found++
		}
	}
	require.NotZero(t, found, "pages of events were among them")
}

// A log with a hole is refused, and its files stay for whoever mends them.
func TestALogWithAHoleIsRefusedAndStaysAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	s := open(t, path, nil)
	defer func() { require.NoError(t, s.Close()) }()
	fill(t, s, 1, 10)
	left := killed(t, path)
	reader := openReader(t, left)
	require.Len(t, list(t, reader), 10)
	script(t, left, "DELETE FROM events WHERE position = 5")
	require.NoError(t, reader.Close())
	read := func() (all []string) {
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(left + suffix)
			require.NoError(t, err)
			all = append(all, string(content))
		}
		return all
	}
	before := read()
	require.NotEmpty(t, before[1])
	_, err := sqlitestore.Open(left, nil)
	require.ErrorContains(t, err, "log is damaged: events are missing before position 6")
	require.True(t, slices.Equal(before, read()), "the files were changed")
}

func TestAnEventThatCannotBeReadIsToldAsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	makeLog(t, path)
	script(t, path, "UPDATE events SET metadata = '' WHERE position = 3")
	r := openReader(t, path)
	defer func() { require.NoError(t, r.Close()) }()
	_, err := store.Verify(t.Context(), r, nil)
	require.ErrorContains(t, err, "log is damaged: event at position 3: ")
}
