package storetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

func testAppend(t *testing.T, h Harness) {
	cases(t, h, map[string]func(*testing.T, *log){
		"revisions start at zero and are dense": func(t *testing.T, l *log) {
			first := l.must(t, l.stream(1), store.NoStream, l.batch("a", 3))
			second := l.must(t, l.stream(1), 2, l.batch("b", 1))
			require.Equal(t, store.Revision(2), first.Revision)
			require.Equal(t, store.Revision(3), second.Revision)
			require.Positive(t, second.Position.Compare(first.Position))
			list := l.read(t, l.stream(1))
			require.Len(t, list, 4)
			require.Equal(t, first.Position, list[2].Position)
			require.Equal(t, second.Position, list[3].Position)
			require.Equal(t, second.Position, head(t, l))
			l.check(t)
		},
		"conflict carries expected and actual and leaves the log untouched": func(t *testing.T, l *log) {
			l.must(t, l.stream(1), store.NoStream, l.batch("a", 2))
			for _, expected := range []store.Revision{store.NoStream, 0, 2, 7} {
				requireConflict(t, l, l.stream(1), expected, 1, l.batch("b", 1))
			}
			requireConflict(t, l, l.stream(2), 0, store.NoStream, l.batch("c", 1))
			require.Len(t, l.all(t), 2)
		},
		"a revision that no stream reaches is a conflict, and writing goes on": testFarRevisions,
		"an acknowledged event can be read at once": func(t *testing.T, l *log) {
			for i := range 50 {
				appended := l.must(t, l.stream(1), store.Revision(i-1), l.batch(strings.Repeat("x", i+1), 1))
				require.Equal(t, appended.Position, head(t, l))
				list := collect(t, l.ReadStream(t.Context(), l.stream(1), store.Revision(i), store.Forwards))
				require.Len(t, list, 1)
				require.Equal(t, appended.Position, list[0].Position)
			}
		},
		"events come back byte for byte": testRoundTrip,
		"slices handed in and out are independent": func(t *testing.T, l *log) {
			batch := l.batch("a", 1)
			want := bytes.Clone(batch[0].Data)
			l.must(t, l.stream(1), store.NoStream, batch)
			clear(batch[0].Data)
			clear(l.read(t, l.stream(1))[0].Data)
			clear(l.all(t)[0].Data)
			require.Equal(t, want, l.read(t, l.stream(1))[0].Data)
			require.Equal(t, want, l.all(t)[0].Data)
		},
		"a batch of the largest size is one append": func(t *testing.T, l *log) {
			l.must(t, l.stream(1), store.NoStream, l.batch("a", store.MaxBatch))
			require.Equal(t, proposedIDs(l.batch("a", store.MaxBatch)), ids(l.read(t, l.stream(1))))
			l.check(t)
		},
	})
}

// testFarRevisions has revisions behind which a batch has no room: the greatest number
// comes before its last event.
func testFarRevisions(t *testing.T, l *log) {
	l.must(t, l.stream(1), store.NoStream, l.batch("a", 2))
	for n := range 4 {
		for below := range store.Revision(5) {
			expected := store.End - 1 - below
			requireConflict(t, l, l.stream(1), expected, 1, l.batch("b", n+1))
			requireConflict(t, l, l.stream(2), expected, store.NoStream, l.batch("c", n+1))
		}
	}
	l.must(t, l.stream(1), 1, l.batch("after", 3))
	require.Len(t, l.all(t), 5)
}

func requireConflict(t testing.TB, l *log, stream string, expected, actual store.Revision, batch []events.Proposed) {
	t.Helper()
	before := head(t, l)
	_, err := l.Append(t.Context(), stream, expected, batch)
	var conflict *store.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, store.ConflictError{Stream: stream, Expected: expected, Actual: actual}, *conflict)
	require.Equal(t, before, head(t, l))
}

func testRoundTrip(t *testing.T, l *log) {
	odd := "\" \\ / < > & \u2028 é 漢字 🎈 \t\n\x00\x7f"
	batch := l.batch("a", 6)
	batch[0].Metadata = events.Metadata{
		Occurred: time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC),
		Account:  "AC" + odd, Service: "IS", Actor: events.Actor{Kind: events.ActorUser, ID: odd}, Command: odd,
		CommandID: events.NameID("c"), CommandHash: "00ff", Correlation: odd, Causation: odd, Traceparent: "00-1-2-01", Webhooks: true,
	}
	batch[1].Metadata = events.Metadata{}
	batch[1].Data = []byte(`{"a" : 1.0e+1,  "b":"\u00e9\ud83c\udf88 é","a":2}` + "\n")
	batch[2].Data = []byte(`"` + strings.Repeat("é🎈x", 60_000) + `"`)
	batch[3].Data = []byte{}
	batch[4].Type = "type with spaces é.v12"
	batch[5].Data = []byte("null")
	started := time.Now().Add(-time.Hour)
	l.must(t, l.stream(1), store.NoStream, batch)
	for i, e := range l.read(t, l.stream(1)) {
		require.Equal(t, batch[i].ID, e.ID)
		require.Equal(t, batch[i].Type, e.Type)
		require.True(t, bytes.Equal(batch[i].Data, e.Data), "data of event %d", i)
		require.Equal(t, batch[i].Metadata, e.Metadata)
		require.Equal(t, l.stream(1), e.Stream)
		require.Equal(t, time.UTC, e.Recorded.Location())
		require.True(t, e.Recorded.After(started))
	}
	l.check(t)
}

// requireRepeated expects the first outcome again, marked as such.
func requireRepeated(t testing.TB, first, again store.Appended) {
	t.Helper()
	require.Equal(t, place(first), place(again))
	require.True(t, again.Repeated, "marked as repeated")
}

// place is an outcome without what it says of others: a backend may take a first
// append for a repeated one, never the other way round.
func place(a store.Appended) store.Appended {
	a.Repeated = false
	return a
}

func testRepeat(t *testing.T, h Harness) {
	cases(t, h, map[string]func(*testing.T, *log){
		"the same append again returns the first outcome": func(t *testing.T, l *log) {
			first := l.must(t, l.stream(1), store.NoStream, l.batch("a", 3))
			requireRepeated(t, first, l.must(t, l.stream(1), store.NoStream, l.batch("a", 3)))
			require.Len(t, l.all(t), 3)
		},
		"also after others followed": func(t *testing.T, l *log) {
			l.must(t, l.stream(1), store.NoStream, l.batch("a", 2))
			second := l.must(t, l.stream(1), 1, l.batch("b", 2))
			l.must(t, l.stream(2), store.NoStream, l.batch("other", 5))
			l.must(t, l.stream(1), 3, l.batch("c", 2))
			requireRepeated(t, second, l.must(t, l.stream(1), 1, l.batch("b", 2)))
			require.Len(t, l.all(t), 11)
		},
		"a part, an excess, another order or other ids conflict": func(t *testing.T, l *log) {
			l.must(t, l.stream(1), store.NoStream, l.batch("a", 3))
			reversed := l.batch("a", 3)
			reversed[0], reversed[2] = reversed[2], reversed[0]
			shifted := l.batch("a", 3)[1:]
			requireConflict(t, l, l.stream(1), store.NoStream, 2, l.batch("a", 4))
			requireConflict(t, l, l.stream(1), store.NoStream, 2, reversed)
			requireConflict(t, l, l.stream(1), store.NoStream, 2, shifted)
			requireConflict(t, l, l.stream(1), store.NoStream, 2, l.batch("b", 3))
			requireConflict(t, l, l.stream(1), store.NoStream, 2, append(l.batch("a", 2), l.batch("b", 1)...))
			requireConflict(t, l, l.stream(1), 0, 2, l.batch("a", 2))
			requireConflict(t, l, l.stream(2), 0, store.NoStream, l.batch("a", 3))
		},
		"the same append many times at once lands once": func(t *testing.T, l *log) {
			outcomes := make([]store.Appended, 32)
			concurrently(len(outcomes), func(i int) {
				outcomes[i], _ = l.Append(t.Context(), l.stream(1), store.NoStream, l.batch("a", 3))
			})
			first := 0
			for _, outcome := range outcomes {
				require.Equal(t, place(outcomes[0]), place(outcome))
				if !outcome.Repeated {
					first++
				}
			}
			require.LessOrEqual(t, first, 1, "at most one wrote it")
			require.Equal(t, proposedIDs(l.batch("a", 3)), ids(l.all(t)))
		},
	})
}

func testRefuse(t *testing.T, h Harness) {
	big := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	type refusal struct {
		stream   string
		expected store.Revision
		change   func([]events.Proposed) []events.Proposed
		want     error
	}
	same := func(b []events.Proposed) []events.Proposed { return b }
	rows := map[string]refusal{
		"no events":                        {"s-1", 0, func([]events.Proposed) []events.Proposed { return nil }, store.ErrInvalid},
		"no stream":                        {"", 0, same, store.ErrInvalid},
		"a stream that is not text":        {"s-\xff", 0, same, store.ErrInvalid},
		"a stream with control characters": {"s-\x00", 0, same, store.ErrInvalid},
		"a stream with a long name":        {strings.Repeat("s", store.MaxName+1), 0, same, store.ErrInvalid},
		"a revision that is none":          {"s-1", -2, same, store.ErrInvalid},
		"the end as a revision":            {"s-1", store.End, same, store.ErrInvalid},
		"an id twice":                      {"s-1", 0, func(b []events.Proposed) []events.Proposed { b[2].ID = b[0].ID; return b }, store.ErrInvalid},
		"an event without id":              {"s-1", 0, func(b []events.Proposed) []events.Proposed { b[1].ID = events.ID{}; return b }, store.ErrInvalid},
		"an event without type":            {"s-1", 0, func(b []events.Proposed) []events.Proposed { b[1].Type = ""; return b }, store.ErrInvalid},
		"a large event in the middle":      {"s-1", 0, func(b []events.Proposed) []events.Proposed { b[1].Data = big(store.MaxEventBytes); return b }, store.ErrTooLarge},
		"large metadata": {"s-1", 0, func(b []events.Proposed) []events.Proposed {
			b[1].Metadata.Correlation = string(big(store.MaxEventBytes))
			return b
		}, store.ErrTooLarge},
		"too many events": {"s-1", 0, func([]events.Proposed) []events.Proposed { return make([]events.Proposed, store.MaxBatch+1) }, store.ErrTooLarge},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			l := openLog(t, h)
			if row.stream == "s-1" {
				row.stream = l.stream(1)
			}
			l.must(t, l.stream(1), store.NoStream, l.batch("a", 1))
			_, err := l.Append(t.Context(), row.stream, row.expected, row.change(l.batch("b", 3)))
			require.ErrorIs(t, err, row.want)
			require.Equal(t, proposedIDs(l.batch("a", 1)), ids(l.all(t)))
			l.must(t, l.stream(1), 0, l.batch("b", 3))
		})
	}
	t.Run("too many bytes in one batch", func(t *testing.T) {
		l := openLog(t, h)
		batch := l.batch("a", store.MaxBatchBytes/store.MaxEventBytes)
		for i := range batch {
			batch[i].Data = big(store.MaxEventBytes - 1000)
		}
		batch = append(batch, l.batch("b", 1)...)
		batch[len(batch)-1].Data = big(8000)
		_, err := l.Append(t.Context(), l.stream(1), store.NoStream, batch)
		require.ErrorIs(t, err, store.ErrTooLarge)
		require.Empty(t, l.all(t))
	})
}
