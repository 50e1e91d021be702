package metric_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/projections/metric"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

const (
	service = "IS00000000000000000000000000000001"
	first   = "CH00000000000000000000000000000001"
	second  = "CH00000000000000000000000000000002"
	third   = "CH00000000000000000000000000000003"
	alba    = "MB0000000000000000000000000000000a"
	bo      = "MB0000000000000000000000000000000b"
)

func minute(n int) time.Time {
	return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
}

// past is a log in a file, with what happens in conversations.
type past struct {
	t    *testing.T
	dir  string
	log  store.Log
	last map[string]store.Revision
	head events.Position
	n    int
}

func newPast(t *testing.T) *past {
	dir := t.TempDir()
	log, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	rm, err := projections.Open(filepath.Join(dir, "read"), log, nil)
	require.NoError(t, err)
	require.NoError(t, rm.Close())
	return &past{t: t, dir: dir, log: log, last: map[string]store.Revision{}}
}

// happens appends events to a conversation.
func (p *past) happens(sid string, list ...events.Event) events.Position {
	p.t.Helper()
	stream := events.Stream(events.CategoryConversation, sid)
	for _, e := range list {
		last, begun := p.last[stream]
		if !begun {
			last = store.NoStream
		}
		p.n++
		eventType, data, err := events.Vocabulary().Encode(e)
		require.NoError(p.t, err)
		appended, err := p.log.Append(p.t.Context(), stream, last, []events.Proposed{{
			ID: events.NameID(fmt.Sprint(p.n)), Type: eventType, Data: data, Metadata: events.Metadata{Service: service},
		}})
		require.NoError(p.t, err)
		p.last[stream], p.head = appended.Revision, appended.Position
	}
	return p.head
}

// compute computes definitions over the history up to a position, and returns the file.
func (p *past) compute(upto events.Position, list ...metric.Definition) (*metric.Figures, []metric.Computed) {
	p.t.Helper()
	q, err := projections.OpenSQLAt(filepath.Join(p.dir, "read"), filepath.Join(p.dir, "log.db"), upto)
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, q.Close()) }()
	f, err := metric.Open(filepath.Join(p.dir, "metrics.db"))
	require.NoError(p.t, err)
	p.t.Cleanup(func() { require.NoError(p.t, f.Close()) })
	var all []metric.Computed
	for _, d := range list {
		c, err := f.Compute(p.t.Context(), d, q, upto)
		require.NoError(p.t, err)
		all = append(all, c)
	}
	return f, all
}

func built(t *testing.T, names ...string) []metric.Definition {
	t.Helper()
	all, err := metric.BuiltIn()
	require.NoError(t, err)
	list, err := metric.Find(all, names...)
	require.NoError(t, err)
	return list
}

func rows(t *testing.T, f *metric.Figures, id string) (list []string) {
	t.Helper()
	require.NoError(t, f.Rows(id, "", func(r metric.Figure) error {
		require.Equal(t, service, r.Service)
		list = append(list, fmt.Sprintf("%s/%s %g", r.Subject[32:], r.Label, r.Value))
		return nil
	}))
	return list
}

func created(sid string, n int) events.Event {
	return events.ConversationCreated{Conversation: sid, Service: service, State: events.StateActive, DateCreated: minute(n), DateUpdated: minute(n), At: minute(n)}
}

func says(author string, index int64, n int) events.Event {
	return events.MessageAdded{Message: fmt.Sprintf("IM%032d", index), Index: index, Author: author, DateCreated: minute(n), DateUpdated: minute(n), At: minute(n)}
}

func moves(from, to, reason string, n int) events.Event {
	return events.ConversationStateChanged{From: from, To: to, Reason: reason, DateUpdated: minute(n), At: minute(n)}
}

func reports(receipt int, participant, status string, n int) events.Event {
	return events.DeliveryUpdated{Receipt: fmt.Sprintf("DY%032d", receipt), Message: "IM1", Participant: participant, Status: status, At: minute(n)}
}

// recorded is a history worked out by hand: the first conversation is answered after two
// minutes and, opened again, after five; it closes after an hour. The second one is never
// answered. The third has receipts.
func recorded(t *testing.T) *past {
	p := newPast(t)
	p.happens(first, created(first, 0), says("ann", 0, 1), says("ann", 1, 2), says("bob", 2, 3),
		moves("active", "inactive", events.ReasonTimer, 20), moves("inactive", "active", events.ReasonAPI, 30),
		says("ann", 3, 31), says("bob", 4, 36), moves("active", "closed", events.ReasonAPI, 60))
	p.happens(second, created(second, 0), says("eve", 0, 5), moves("active", "inactive", events.ReasonTimer, 10))
	p.happens(third, created(third, 0),
		events.ParticipantAdded{Participant: alba, Binding: events.Binding{Type: "sms", Address: "+1", ProxyAddress: "+2"}, At: minute(1)},
		events.ParticipantAdded{Participant: bo, Identity: "bo", At: minute(1)},
		reports(1, alba, "sent", 2), reports(1, alba, "delivered", 3), reports(2, alba, "failed", 4), reports(3, bo, "read", 5))
	return p
}

func TestTheMetricsOfARecordedHistory(t *testing.T) {
	p := recorded(t)
	f, computed := p.compute(p.head, built(t)...)
	for id, want := range map[string][]string{
		"first_response.v1": {"01/ 120"},
		"first_response.v2": {"01/1 120", "01/2 300"},
		"resolution.v1":     {"01/" + events.ReasonAPI + " 3600"},
		"reopened.v1":       {"01/ 1", "02/ 0", "03/ 0"},
		"time_in_state.v1":  {"01/active 1200", "01/active 1800", "02/active 600", "01/inactive 600"},
		"deliveries.v1":     {"03 19/2026-03-01 chat read 1", "03 17/2026-03-01 sms delivered 1", "03 18/2026-03-01 sms failed 1", "03 16/2026-03-01 sms sent 1"},
		"receipts.v1":       {"03/chat read 1", "01/sms delivered 1", "02/sms failed 1"},
	} {
		require.Equal(t, want, rows(t, f, id), id)
	}
	require.Len(t, computed, 7)
	list, err := f.List()
	require.NoError(t, err)
	require.Len(t, list, 7)
	for i := range list {
		require.Equal(t, computed[i].Digest, list[i].Digest)
		require.Equal(t, p.head, list[i].Position)
		require.NotEmpty(t, list[i].About)
	}
	summaries, err := f.Summaries("time_in_state.v1", service)
	require.NoError(t, err)
	require.Equal(t, []metric.Summary{
		{Label: "active", Count: 3, Sum: 3600, Mean: 1200, Min: 600, P50: 1200, P90: 1800, Max: 1800},
		{Label: "inactive", Count: 1, Sum: 600, Mean: 600, Min: 600, P50: 600, P90: 600, Max: 600},
	}, summaries)
	none, err := f.Summaries("time_in_state.v1", "IS2")
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestTwoVersionsStandSideBySide(t *testing.T) {
	p := recorded(t)
	f, _ := p.compute(p.head, built(t, "first_response")...)
	var differ []string
	require.NoError(t, f.Diff("first_response.v1", "first_response.v2", func(d metric.Difference) error {
		text := func(v *float64) string {
			if v == nil {
				return "none"
			}
			return fmt.Sprint(*v)
		}
		differ = append(differ, fmt.Sprintf("%s/%s %s %s", d.Subject[32:], d.Label, text(d.From), text(d.To)))
		return nil
	}))
	require.Equal(t, []string{"01/ 120 none", "01/1 none 120", "01/2 none 300"}, differ)
	require.NoError(t, f.Diff("first_response.v1", "first_response.v1", func(metric.Difference) error { return context.Canceled }))
}

// The same version over the same history gives the same figures, also later.
func TestAMetricOfThePastIsReproducible(t *testing.T) {
	p := recorded(t)
	then := p.head
	definition := built(t, "first_response.v2")
	_, before := p.compute(then, definition...)
	p.happens(second, moves("inactive", "active", events.ReasonAPI, 40), says("eve", 1, 41), says("bob", 2, 45))
	f, now := p.compute(p.head, definition...)
	require.NotEqual(t, before[0].Digest, now[0].Digest)
	require.Equal(t, []string{"01/1 120", "01/2 300", "02/2 240"}, rows(t, f, "first_response.v2"))
	f, again := p.compute(then, definition...)
	require.Equal(t, before[0].Digest, again[0].Digest)
	require.Equal(t, []string{"01/1 120", "01/2 300"}, rows(t, f, "first_response.v2"))
}

func TestAFailedComputationLeavesTheFiguresThatThereWere(t *testing.T) {
	p := recorded(t)
	good := built(t, "reopened.v1")[0]
	f, _ := p.compute(p.head, good)
	q, err := projections.OpenSQLAt(filepath.Join(p.dir, "read"), filepath.Join(p.dir, "log.db"), p.head)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	for name, query := range map[string]string{
		"a value that is no number":        "select 'a' as subject, 'b' as service, '' as label, 'many' as value",
		"other columns":                    "select 1 as one",
		"an unknown view":                  "select 'a' as subject, 'b' as service, '' as label, 1 as value from secrets",
		"a table that is not for analysts": "select auth_token as subject, '' as service, '' as label, 1 as value from account",
		"no query":                         "delete from events",
		"nothing":                          "",
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			bad.Query = query
			_, err := f.Compute(t.Context(), bad, q, p.head)
			require.Error(t, err)
			require.ErrorContains(t, err, "reopened.v1")
			require.Len(t, rows(t, f, "reopened.v1"), 3)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Compute(ctx, good, q, p.head)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, rows(t, f, "reopened.v1"), 3)
	_, err = f.Known("reopened.v9")
	require.ErrorIs(t, err, metric.ErrNotComputed)
}

func TestFilesThatAreNoDefinitionsAreNamed(t *testing.T) {
	for name, text := range map[string]string{
		"first.sql":     "-- x\nselect 1",
		"First.v1.sql":  "-- x\nselect 1",
		"first.v0.sql":  "-- x\nselect 1",
		"first.v1.sql":  "select 1",
		"second.v1.sql": "-- only a comment",
		"long.v1.sql":   "-- x\n" + string(make([]byte, 1<<20)),
	} {
		_, err := metric.Read(fstest.MapFS{name: {Data: []byte(text)}})
		require.ErrorIs(t, err, metric.ErrDefinition, name)
		require.ErrorContains(t, err, name)
	}
	list, err := metric.Read(fstest.MapFS{"b.v2.sql": {Data: []byte("-- B\nx")}, "b.v10.sql": {Data: []byte("-- B\nx")}, "a.v1.sql": {Data: []byte("-- A\nx")}, "notes.txt": {}})
	require.NoError(t, err)
	require.Equal(t, []string{"a.v1", "b.v2", "b.v10"}, []string{list[0].ID(), list[1].ID(), list[2].ID()})
	_, err = metric.Find(list, "c")
	require.ErrorIs(t, err, metric.ErrUnknown)
	found, err := metric.Find(list, "b", "a.v1")
	require.NoError(t, err)
	require.Len(t, found, 3)
}
