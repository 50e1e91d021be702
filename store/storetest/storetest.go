// Package storetest is the conformance suite of the log: every backend passes
// it, the one in memory first. A backend says what it is capable of; what it is
// not capable of is checked to be so, not skipped.
package storetest

import (
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Harness tells the suite about a backend.
type Harness struct {
	// Open opens the log kept in dir, creating it the first time. Opening the
	// same dir after Close is opening the same log again. The log need not be
	// empty: the suite looks at what it has written itself.
	Open func(t testing.TB, dir string) store.Log
	// Durable says that a log opened again has all it ever acknowledged. When
	// false, it has nothing.
	Durable bool
}

// Run runs the whole suite.
func Run(t *testing.T, h Harness) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"Append", testAppend},
		{"Repeat", testRepeat},
		{"Refuse", testRefuse},
		{"Read", testRead},
		{"Follow", testFollow},
		{"Cancel", testCancel},
		{"Reopen", testReopen},
		{"LostEnd", testLostEnd},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
		{"Linearizable", testLinearizable},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, h) })
	}
}

// cases runs each named case on a fresh log.
func cases(t *testing.T, h Harness, list map[string]func(*testing.T, *log)) {
	for name, run := range list {
		t.Run(name, func(t *testing.T) { run(t, openLog(t, h)) })
	}
}

// log is a backend under test with the point from which the suite looks at it.
type log struct {
	store.Log
	base events.Position
	name string // makes streams and ids of this test its own
}

func openLog(t *testing.T, h Harness) *log {
	backend := h.Open(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, backend.Close()) })
	return &log{Log: backend, base: head(t, backend), name: t.Name()}
}

func head(t testing.TB, l store.LogReader) events.Position {
	position, err := l.Head(t.Context())
	require.NoError(t, err)
	return position
}

// stream returns a stream name of this test only.
func (l *log) stream(n int) string {
	return fmt.Sprintf("conversation-%s-%d", events.NameID(l.name), n)
}

// batch returns n events whose ids are derived from key.
func (l *log) batch(key string, n int) []events.Proposed {
	list := make([]events.Proposed, n)
	for i := range list {
		list[i] = events.Proposed{
			ID:       events.EventID(events.NameID(l.name+key), i),
			Type:     "test.happened.v1",
			Data:     fmt.Appendf(nil, `{"key":%q,"index":%d}`, key, i),
			Metadata: events.Metadata{Account: "AC1", Command: "test." + key},
		}
	}
	return list
}

// must appends and expects success.
func (l *log) must(t testing.TB, stream string, expected store.Revision, batch []events.Proposed) store.Appended {
	t.Helper()
	appended, err := l.Append(t.Context(), stream, expected, batch)
	require.NoError(t, err)
	return appended
}

// all returns what was appended since the test began.
func (l *log) all(t testing.TB) []events.Recorded {
	return collect(t, l.ReadAll(t.Context(), l.base, store.Filter{}))
}

func (l *log) read(t testing.TB, stream string) []events.Recorded {
	return collect(t, l.ReadStream(t.Context(), stream, 0, store.Forwards))
}

// tester is what testing.T and rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
}

func collect(t tester, sequence iter.Seq2[events.Recorded, error]) []events.Recorded {
	t.Helper()
	list := []events.Recorded{}
	for e, err := range sequence {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

func ids(list []events.Recorded) []events.ID {
	out := make([]events.ID, len(list))
	for i, e := range list {
		out[i] = e.ID
	}
	return out
}

func proposedIDs(list []events.Proposed) []events.ID {
	out := make([]events.ID, len(list))
	for i, e := range list {
		out[i] = e.ID
	}
	return out
}

// check reads everything again and asserts what always holds.
func (l *log) check(t testing.TB) { CheckLog(t, l.Log, l.base) }

// CheckLog reads the log behind base and asserts what always holds: positions
// rise, recorded times never fall, no event is there twice, revisions are dense
// per stream, and reading a stream gives what the whole log has of it.
func CheckLog(t testing.TB, l store.Log, base events.Position) {
	t.Helper()
	streams := map[string][]events.Recorded{}
	seen := map[events.ID]bool{}
	var last events.Recorded
	last.Position = base
	for e, err := range l.ReadAll(t.Context(), base, store.Filter{}) {
		require.NoError(t, err)
		require.Positive(t, e.Position.Compare(last.Position), "positions rise")
		require.False(t, e.Recorded.Before(last.Recorded), "recorded times never fall")
		require.False(t, seen[e.ID], "event %s is there twice", e.ID)
		seen[e.ID], last = true, e
		streams[e.Stream] = append(streams[e.Stream], e)
	}
	for stream, list := range streams {
		first := list[0].Revision
		for i, e := range list {
			require.Equal(t, first+uint64(i), e.Revision, "revisions are dense")
		}
		require.Equal(t, list, collect(t, l.ReadStream(t.Context(), stream, store.Revision(first), store.Forwards)))
	}
}
