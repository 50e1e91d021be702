package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// model is the log as one would write it on a napkin.
type model struct {
	log    []modelEvent
	expect map[string][]events.ID
}

type modelEvent struct {
	stream string
	id     events.ID
}

// append returns the new last revision, or the actual one when it conflicts.
func (m *model) append(stream string, expected store.Revision, batch []events.ID) (store.Revision, bool) {
	have := m.expect[stream]
	actual := store.Revision(len(have)) - 1
	if expected == actual {
		m.expect[stream] = append(have, batch...)
		for _, id := range batch {
			m.log = append(m.log, modelEvent{stream, id})
		}
		return actual + store.Revision(len(batch)), true
	}
	if end := expected + store.Revision(len(batch)); end <= actual && slices.Equal(have[expected+1:end+1], batch) {
		return end, true
	}
	return actual, false
}

// testModel runs random calls, closing and opening in between, against the
// model and compares every answer.
func testModel(t *testing.T, h Harness) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		m := &machine{t: r, h: h, dir: t.TempDir(), model: model{expect: map[string][]events.ID{}}}
		m.log = &log{Log: h.Open(t, m.dir), name: fmt.Sprint(t.Name(), round)}
		m.log.base = head(t, m.log)
		defer func() { require.NoError(t, m.log.Close()) }()
		actions := map[string]func(*rapid.T){"append": m.append, "read stream": m.readStream, "read log": m.readLog, "read everything": m.readEverything}
		if h.Durable {
			actions["reopen"] = func(r *rapid.T) { m.reopen(r, t) }
		}
		r.Repeat(actions)
		m.readEverything(r)
	})
}

type machine struct {
	t     *rapid.T
	h     Harness
	dir   string
	log   *log
	model model
	keys  int
}

func (m *machine) stream(r *rapid.T) string {
	return m.log.stream(rapid.IntRange(0, 3).Draw(r, "stream"))
}

// append sends new events, or an earlier batch, at a revision that is mostly right.
func (m *machine) append(r *rapid.T) {
	stream := m.stream(r)
	head := store.Revision(len(m.model.expect[stream])) - 1
	expected := store.Revision(rapid.IntRange(max(-1, int(head)-4), int(head)+1).Draw(r, "expected"))
	if rapid.IntRange(0, 2).Draw(r, "right") > 0 {
		expected = head
	}
	batch := m.log.batch(fmt.Sprint(rapid.IntRange(max(0, m.keys-5), m.keys).Draw(r, "key")), rapid.IntRange(1, 4).Draw(r, "size"))
	if m.holds(stream, expected, batch) {
		batch = m.log.batch(fmt.Sprint("new ", m.keys), len(batch))
	}
	m.keys++
	want, ok := m.model.append(stream, expected, proposedIDs(batch))
	appended, err := m.log.Append(r.Context(), stream, expected, batch)
	if ok {
		require.NoError(r, err)
		require.Equal(r, want, appended.Revision)
		return
	}
	var conflict *store.ConflictError
	require.ErrorAs(r, err, &conflict)
	require.Equal(r, store.ConflictError{Stream: stream, Expected: expected, Actual: want}, *conflict)
}

// holds reports whether the log has one of the ids and would take it again:
// backends need not notice that, so callers do not do it.
func (m *machine) holds(stream string, expected store.Revision, batch []events.Proposed) bool {
	if expected != store.Revision(len(m.model.expect[stream]))-1 {
		return false
	}
	return slices.ContainsFunc(m.model.log, func(e modelEvent) bool { return slices.Contains(proposedIDs(batch), e.id) })
}

func (m *machine) readStream(r *rapid.T) {
	stream := m.stream(r)
	want := slices.Clone(m.model.expect[stream])
	from := rapid.IntRange(-1, len(want)+1).Draw(r, "from")
	if rapid.Bool().Draw(r, "backwards") {
		want = want[:min(from+1, len(want))]
		slices.Reverse(want)
		require.Equal(r, nonNil(want), ids(collect(r, m.log.ReadStream(r.Context(), stream, store.Revision(from), store.Backwards))))
		return
	}
	want = want[min(max(from, 0), len(want)):]
	require.Equal(r, nonNil(want), ids(collect(r, m.log.ReadStream(r.Context(), stream, store.Revision(from), store.Forwards))))
}

func nonNil(list []events.ID) []events.ID { return append([]events.ID{}, list...) }

func (m *machine) readLog(r *rapid.T) {
	prefix := m.stream(r)
	want := []events.ID{}
	for _, e := range m.model.log {
		if e.stream == prefix {
			want = append(want, e.id)
		}
	}
	require.Equal(r, want, ids(collect(r, m.log.ReadAll(r.Context(), m.log.base, store.Filter{StreamPrefixes: []string{prefix}}))))
}

func (m *machine) readEverything(r *rapid.T) {
	list := collect(r, m.log.ReadAll(r.Context(), m.log.base, store.Filter{}))
	require.Len(r, list, len(m.model.log))
	for i, e := range list {
		got := modelEvent{e.Stream, e.ID}
		require.Equal(r, m.model.log[i], got)
	}
}

// reopen closes and opens, one time in four.
func (m *machine) reopen(r *rapid.T, t *testing.T) {
	if rapid.IntRange(0, 3).Draw(r, "reopen") > 0 {
		return
	}
	require.NoError(m.t, m.log.Close())
	m.log.Log = m.h.Open(t, m.dir)
}
