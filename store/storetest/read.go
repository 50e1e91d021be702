package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

func testRead(t *testing.T, h Harness) {
	cases(t, h, map[string]func(*testing.T, *log){
		"a stream reads in both directions from every revision": testDirections,
		"a stream that does not exist is empty": func(t *testing.T, l *log) {
			l.must(t, l.stream(1), store.NoStream, l.batch("a", 1))
			for _, direction := range []store.Direction{store.Forwards, store.Backwards} {
				for _, from := range []store.Revision{-1, 0, 5, store.End} {
					require.Empty(t, collect(t, l.ReadStream(t.Context(), l.stream(2), from, direction)))
				}
			}
		},
		"a filter selects what it would select of everything": testFilters,
		"metadata that are not taken apart are the same": func(t *testing.T, l *log) {
			l.fill(t, 3, 10)
			everything := l.all(t)
			for _, filter := range []store.Filter{{EncodedMetadata: true}, {EncodedMetadata: true, StreamPrefixes: []string{l.stream(1)}}} {
				var want []events.Recorded
				for _, e := range everything {
					if filter.Match(e.Stream, e.Type) {
						want = append(want, e)
					}
				}
				got := collect(t, l.ReadAll(t.Context(), l.base, filter))
				for i := range got {
					if encoded := got[i].EncodedMetadata; encoded != nil {
						require.Zero(t, got[i].Metadata)
						metadata, err := events.ParseMetadata(encoded)
						require.NoError(t, err)
						got[i].Metadata, got[i].EncodedMetadata = metadata, nil
					}
				}
				require.Equal(t, want, got)
			}
		},
		"the whole log reads from every position": func(t *testing.T, l *log) {
			l.fill(t, 5, 40)
			everything := l.all(t)
			for i, e := range everything {
				rest := collect(t, l.ReadAll(t.Context(), e.Position, store.Filter{}))
				require.Equal(t, ids(everything[i+1:]), ids(rest))
			}
			beyond := events.Position{Commit: 1 << 63, Prepare: 1 << 63}
			require.Empty(t, collect(t, l.ReadAll(t.Context(), beyond, store.Filter{})))
		},
		"the whole log reads in both directions from every event": testReadFrom,
		"a position that is no event's is an error":               testNoPlaces,
		"a read ends at the head it found": func(t *testing.T, l *log) {
			l.must(t, l.stream(1), store.NoStream, l.batch("a", 3))
			for name, sequence := range map[string]func() int{
				"log":    func() int { return l.appendWhileReading(t, l.ReadAll(t.Context(), l.base, store.Filter{})) },
				"stream": func() int { return l.appendWhileReading(t, l.ReadStream(t.Context(), l.stream(1), 0, store.Forwards)) },
			} {
				before := len(l.all(t))
				require.Equal(t, before, sequence(), name)
			}
		},
		"leaving early releases everything": func(t *testing.T, l *log) {
			l.fill(t, 3, 30)
			for range 200 {
				for range l.ReadAll(t.Context(), l.base, store.Filter{}) {
					break
				}
				for range l.ReadStream(t.Context(), l.stream(1), 0, store.Forwards) {
					break
				}
			}
			require.Len(t, l.all(t), 30)
			l.must(t, l.stream(9), store.NoStream, l.batch("after", 1))
		},
		"readers that pause block neither writers nor readers":     testPausedReaders,
		"a reader that pauses while its stream grows sees no hole": testPausedWhileGrowing,
	})
}

// fill spreads count events over streams, some alone, some in pairs.
func (l *log) fill(t testing.TB, streams, count int) {
	next := make([]store.Revision, streams)
	for i := 0; i < count; {
		n := min(1+i%2, count-i)
		s := (i * 7) % streams
		l.must(t, l.stream(s), next[s]-1, l.batch(fmt.Sprintf("fill %d", i), n))
		next[s] += store.Revision(n)
		i += n
	}
}

func testDirections(t *testing.T, l *log) {
	const n = 70
	l.fill(t, 2, 2*n)
	want := l.read(t, l.stream(1))
	for from := store.Revision(-1); int(from) <= len(want)+1; from++ {
		first := min(int(max(from, 0)), len(want))
		require.Equal(t, want[first:], collect(t, l.ReadStream(t.Context(), l.stream(1), from, store.Forwards)))
		last := min(int(from)+1, len(want))
		backwards := slices.Clone(want[:last])
		slices.Reverse(backwards)
		require.Equal(t, backwards, collect(t, l.ReadStream(t.Context(), l.stream(1), from, store.Backwards)))
	}
	require.Empty(t, collect(t, l.ReadStream(t.Context(), l.stream(1), store.End, store.Forwards)))
	require.Len(t, collect(t, l.ReadStream(t.Context(), l.stream(1), store.End, store.Backwards)), len(want))
}

func testFilters(t *testing.T, l *log) {
	streams := []string{"user-", "userx-", "role-", "conversation-"}
	types := []string{"a.b.v1", "a.b.v2", "a.b.v10", "c.v1"}
	for i := range 120 {
		batch := l.batch(fmt.Sprint(i), 1)
		batch[0].Type = types[i/4%4]
		l.must(t, streams[i%4]+fmt.Sprint(l.stream(i)), store.NoStream, batch)
	}
	everything := l.all(t)
	require.Len(t, everything, 120)
	for _, filter := range []store.Filter{
		{}, {StreamPrefixes: []string{"user-"}}, {StreamPrefixes: []string{"user"}}, {StreamPrefixes: []string{"user-", "role-"}},
		{Types: []string{"a.b.v1"}}, {Types: []string{"a.b.v1", "c.v1"}}, {Types: []string{"a.b"}}, {Types: []string{""}},
		{StreamPrefixes: []string{"role-"}, Types: []string{"a.b.v10"}}, {StreamPrefixes: []string{"%", "_"}}, {StreamPrefixes: []string{""}},
	} {
		var want []events.ID
		for _, e := range everything {
			if filter.Match(e.Stream, e.Type) {
				want = append(want, e.ID)
			}
		}
		require.ElementsMatch(t, want, ids(collect(t, l.ReadAll(t.Context(), l.base, filter))), "%+v", filter)
	}
}

// appendWhileReading appends an event for every event it reads, and returns how
// many it read.
func (l *log) appendWhileReading(t *testing.T, sequence func(func(events.Recorded, error) bool)) int {
	n := 0
	for e, err := range sequence {
		require.NoError(t, err)
		expected := store.Revision(len(l.read(t, l.stream(1)))) - 1
		l.must(t, l.stream(1), expected, l.batch("while "+e.ID.String(), 1))
		n++
	}
	return n
}

func testPausedReaders(t *testing.T, l *log) {
	l.fill(t, 3, 30)
	release := make(chan struct{})
	reading := make(chan struct{})
	counts := make(chan int)
	const readers = 40
	for range readers {
		go func() {
			n := 0
			for range l.ReadAll(t.Context(), l.base, store.Filter{}) {
				if n++; n == 1 {
					reading <- struct{}{}
					<-release
				}
			}
			counts <- n
		}()
	}
	for range readers {
		<-reading
	}
	l.must(t, l.stream(9), store.NoStream, l.batch("meanwhile", 100))
	require.Len(t, l.all(t), 130)
	close(release)
	for range readers {
		require.Equal(t, 30, <-counts)
	}
}

// testPausedWhileGrowing has events so large that no backend reads them all at
// once, and a stream whose place is known in every way a backend may have:
// long known, and new.
func testPausedWhileGrowing(t *testing.T, l *log) {
	const n = 40
	for i := range n {
		batch := l.batch(fmt.Sprint("large ", i), 1)
		batch[0].Data = fmt.Appendf(nil, "%q", strings.Repeat("x", 64<<10))
		l.must(t, l.stream(1), store.Revision(i)-1, batch)
	}
	l.traffic(t, 2)
	length := store.Revision(n)
	for round, direction := range []store.Direction{store.Forwards, store.Backwards} {
		want := l.read(t, l.stream(1))
		from := store.Revision(0)
		if direction == store.Backwards {
			slices.Reverse(want)
			from = store.End
		}
		var got []events.Recorded
		for e, err := range l.ReadStream(t.Context(), l.stream(1), from, direction) {
			require.NoError(t, err)
			if got = append(got, e); len(got) == 1 {
				l.must(t, l.stream(1), length-1, l.batch(fmt.Sprint("growth ", round), 5))
				length += 5
				l.traffic(t, 3+round)
			}
		}
		require.Equal(t, ids(want), ids(got))
	}
}

// traffic makes the rest of the log go on, in a stream of its own.
func (l *log) traffic(t testing.TB, stream int) {
	for i := range 12 {
		l.must(t, l.stream(stream), store.Revision(8*i)-1, l.batch(fmt.Sprint("traffic ", stream, i), 8))
	}
}

func testReadFrom(t *testing.T, l *log) {
	l.fill(t, 5, 40)
	everything := l.all(t)
	for i, e := range everything {
		require.Equal(t, ids(everything[i:]), ids(collect(t, l.ReadFrom(t.Context(), e.Position, store.Forwards, store.Filter{}))))
		down := collect(t, l.ReadFrom(t.Context(), e.Position, store.Backwards, store.Filter{}))
		slices.Reverse(down)
		require.GreaterOrEqual(t, len(down), i+1, "what the log had before the test is there, too")
		require.Equal(t, everything[:i+1], down[len(down)-i-1:])
	}
	filter := store.Filter{StreamPrefixes: []string{l.stream(1)}}
	for _, direction := range []store.Direction{store.Forwards, store.Backwards} {
		for _, e := range everything {
			want := []events.ID{}
			for _, o := range collect(t, l.ReadFrom(t.Context(), e.Position, direction, store.Filter{})) {
				if filter.Match(o.Stream, o.Type) {
					want = append(want, o.ID)
				}
			}
			require.Equal(t, want, ids(collect(t, l.ReadFrom(t.Context(), e.Position, direction, filter))), "where one begins need not be selected")
		}
	}
	require.Subset(t, ids(collect(t, l.ReadFrom(t.Context(), events.Position{}, store.Forwards, store.Filter{}))), ids(everything))
	require.Empty(t, collect(t, l.ReadFrom(t.Context(), events.Position{}, store.Backwards, store.Filter{})))
}

// Numbers that the log never gave are no places in it.
func testNoPlaces(t *testing.T, l *log) {
	l.fill(t, 2, 6)
	last := l.all(t)[5].Position
	for _, made := range []events.Position{
		{Commit: last.Commit, Prepare: last.Prepare + 1}, {Commit: last.Commit + 1, Prepare: last.Prepare + 1}, {Commit: 1 << 62, Prepare: 1 << 62}, {Prepare: 1},
	} {
		for _, direction := range []store.Direction{store.Forwards, store.Backwards} {
			n := 0
			for _, err := range l.ReadFrom(t.Context(), made, direction, store.Filter{}) {
				require.ErrorIs(t, err, store.ErrNoEvent, "%s", made)
				n++
			}
			require.Equal(t, 1, n, "%s", made)
		}
	}
}
