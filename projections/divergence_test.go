package projections_test

import (
	"context"
	"iter"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// wrongLog shows every event as a mistaken projection would take it.
type wrongLog struct {
	store.LogReader
	mistake func(e *events.Recorded) // nil: none
}

func (l *wrongLog) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return l.wrong(l.LogReader.ReadAll(ctx, after, filter))
}

func (l *wrongLog) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return l.wrong(l.LogReader.ReadFrom(ctx, from, direction, filter))
}

func (l *wrongLog) wrong(sequence iter.Seq2[events.Recorded, error]) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for e, err := range sequence {
			if err == nil && l.mistake != nil {
				l.mistake(&e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// parting is a history whose events have positions 1, 2, …
func parting() []events.Event {
	return []events.Event{
		created(),                    // 1
		joined(alba, "alba", "", 1),  // 2
		message(im1, 0, 2, alba, bo), // 3
		events.MessageBodyEdited{Message: im1, Body: "better", DateUpdated: minute(3)},          // 4
		events.MessageAttributesChanged{Message: im1, Attributes: "{}", DateUpdated: minute(4)}, // 5
		delivery(im1, bo, "sent", 5),                       // 6
		delivery(im1, bo, "delivered", 6),                  // 7
		message(im2, 1, 7),                                 // 8
		events.MessageRemoved{Message: im2, At: minute(8)}, // 9
		events.ConversationFriendlyNameChanged{FriendlyName: "Late", DateUpdated: minute(9)}, // 10
		state(events.StateActive, events.StateInactive, events.ReasonTimer, 9, 10),           // 11
	}
}

// renamed shows a change of name as one of dates that are what they were: a projection
// that does not follow it.
func renamed(e *events.Recorded) {
	if e.Position == events.At(10) {
		e.Type = events.ConversationDatesSet{}.EventType()
		e.Data = []byte(`{"friendly_name":"Late","date_created":"2026-03-01T09:00:00Z","date_updated":"2026-03-01T09:09:00Z"}`)
	}
}

func TestAMismatchNamesTheEventAtWhichTheTwoPart(t *testing.T) {
	for name, row := range map[string]struct {
		tamper  string // with the live rows
		mistake func(*events.Recorded)
		first   uint64 // position
		why     projections.Divergence
		table   string
		only    string
		column  string
	}{
		"the live one missed an edit": {
			tamper: "UPDATE message SET body = 'hi' WHERE sid = '" + im1 + "'",
			first:  4, why: projections.NotApplied, table: "message", column: "body",
		},
		"the live one has what nobody said": {
			tamper: "UPDATE message SET body = 'never said' WHERE sid = '" + im1 + "'",
			first:  4, why: projections.TakenDifferently, table: "message", column: "body",
		},
		"the live one missed a later status": {
			tamper: "UPDATE receipt SET status = 'sent'",
			first:  7, why: projections.NotApplied, table: "receipt", column: "status",
		},
		"the live one lost a row": {
			tamper: "DELETE FROM participant",
			first:  2, why: projections.NotApplied, table: "participant", only: projections.OnlyRebuilt,
		},
		"the live one kept a message that was removed": {
			tamper: "INSERT INTO message SELECT 8, conversation, '" + im2 + "', 1, author, participant_sid, body, media, attributes, subject, content_sid, content_variables, recipients, date_created, date_updated FROM message",
			first:  9, why: projections.NotApplied, table: "message", only: projections.OnlyLive,
		},
		"the earliest of several": {
			tamper: "UPDATE conversation SET friendly_name = 'x'; DELETE FROM receipt; UPDATE message SET body = 'hi'",
			first:  4, why: projections.NotApplied, table: "message", column: "body",
		},
		"the rebuilt one ignores a name": {
			mistake: renamed,
			first:   10, why: projections.NotFollowed, table: "conversation", column: "friendly_name",
		},
		"the rebuilt one ignores an edit": {
			mistake: func(e *events.Recorded) {
				if e.Position == events.At(4) {
					e.Data = []byte(`{"message":"` + im1 + `","body":"hi","date_updated":"2026-03-01T09:03:00Z"}`)
				}
			},
			first: 3, why: projections.TakenDifferently, table: "message", column: "body",
		},
		"the rebuilt one takes a state for another": {
			mistake: func(e *events.Recorded) {
				if e.Position == events.At(11) {
					e.Data = []byte(`{"from":"active","to":"closed","reason":"timer","due":"2026-03-01T09:09:00Z","date_updated":"2026-03-01T09:10:00Z","at":"2026-03-01T09:10:00Z"}`)
				}
			},
			first: 11, why: projections.NotFollowed, table: "conversation", column: "state",
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, w := memstore.New(), newWorld(1)
			shown, dir := &wrongLog{LogReader: log}, t.TempDir()
			rm := open(t, dir, shown, nil)
			var last events.Position
			for _, e := range parting() {
				last = w.append(t, log, record{streamOf(e), []events.Event{e}})
			}
			require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
			projections.Exec(t, rm, row.tamper)
			shown.mistake = row.mistake

			_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
			var mismatch *projections.MismatchError
			require.ErrorAs(t, err, &mismatch)
			require.Contains(t, err.Error(), "the first diverging event is")
			require.NotNil(t, mismatch.First)
			require.Equal(t, events.At(row.first), mismatch.First.Position, "%+v", mismatch.Rows)
			require.Equal(t, row.why, mismatch.First.Why)
			requireDifference(t, mismatch, row.table, row.only, row.column)
			files, err := filepath.Glob(filepath.Join(dir, "*.db"))
			require.NoError(t, err)
			require.Len(t, files, 1, "nothing is left of it")
		})
	}
}

func requireDifference(t *testing.T, m *projections.MismatchError, table, only, column string) {
	t.Helper()
	for _, d := range m.Rows {
		if d.Table != table || d.Only != only {
			continue
		}
		if column == "" {
			return
		}
		for _, c := range d.Columns {
			if c.Column == column {
				require.NotEqual(t, c.Live, c.Rebuilt)
				return
			}
		}
	}
	t.Fatalf("no difference of %s %s %s in %+v", table, only, column, m.Rows)
}

func TestWhatNoHistoryCanLeadToIsNotSwappedIn(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	shown := &wrongLog{LogReader: log}
	rm := open(t, t.TempDir(), shown, nil)
	var last events.Position
	for _, e := range parting() {
		last = w.append(t, log, record{streamOf(e), []events.Event{e}})
	}
	shown.mistake = func(e *events.Recorded) {
		if e.Position == events.At(11) {
			e.Data = []byte(`{"from":"active","to":"asleep","reason":"timer","due":"2026-03-01T09:09:00Z","date_updated":"2026-03-01T09:10:00Z","at":"2026-03-01T09:10:00Z"}`)
		}
	}
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	var mismatch *projections.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Empty(t, mismatch.Differences, "both are wrong alike")
	require.Equal(t, "a conversation is active, inactive or closed", mismatch.Violations[0].Invariant)
	require.Equal(t, ch, mismatch.Violations[0].Example)
	require.ErrorContains(t, err, "not so for 1 rows, as "+ch)
}
