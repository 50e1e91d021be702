package projections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Drift is how the live rows of a conversation differ from what its events come to.
// OnlyLive and OnlyRebuilt, Live and Rebuilt in its rows are those of a refold.
type Drift struct {
	Conversation string          `json:"conversation"`
	Position     events.Position `json:"position"` // both stand there
	Rows         []RowDifference `json:"rows"`     // none: there is no drift

	// Damage is what SQLite finds wrong with pages and indexes of the whole file; then
	// there is no conversation.
	Damage []string `json:"damage,omitempty"`
}

// conversationRows are the tables that a conversation's own events make, with how to
// find its rows. Ids are no part of the comparison: a refold of one conversation does not
// know the numbers of its events.
var conversationRows = []struct{ table, query string }{
	{"conversation", "SELECT * FROM conversation WHERE sid = ?"},
	{"participant", "SELECT p.* FROM participant p JOIN conversation c ON c.id = p.conversation WHERE c.sid = ?"},
	{"message", "SELECT m.* FROM message m JOIN conversation c ON c.id = m.conversation WHERE c.sid = ?"},
	{"webhook", "SELECT w.* FROM webhook w JOIN conversation c ON c.id = w.conversation WHERE c.sid = ?"},
	{"receipt", "SELECT r.*, m.sid AS message_sid FROM receipt r JOIN message m ON m.id = r.message JOIN conversation c ON c.id = m.conversation WHERE c.sid = ?"},
}

// place names a row within a conversation.
type place struct{ table, sid string }

func rowsOfConversation(conn *sqlite.Conn, sid string) (map[place]rowValues, error) {
	rows := map[place]rowValues{}
	for _, t := range conversationRows {
		err := sqlitex.Execute(conn, t.query, &sqlitex.ExecOptions{Args: []any{sid}, ResultFunc: func(stmt *sqlite.Stmt) error {
			row := columnValues(stmt)
			for _, id := range []string{"id", "conversation", "message"} {
				delete(row, id)
			}
			rows[place{t.table, row["sid"]}] = row
			return nil
		}})
		if err != nil {
			return nil, fmt.Errorf("rows of %s: %w", sid, err)
		}
	}
	return rows, nil
}

// Drift folds a conversation anew and compares the rows with the live ones, both at the
// same position of the log. A conversation that never was has no rows and no drift.
func (q *Queries) Drift(ctx context.Context, streams store.StreamReader, sid string) (*Drift, error) {
	d := &Drift{Conversation: sid}
	var live map[place]rowValues
	var out quarantine
	err := q.view(ctx, func(conn *sqlite.Conn) error {
		m, err := readMark(conn)
		if err == nil {
			d.Position = m.position
			out, err = leftOut(conn)
		}
		if err == nil {
			live, err = rowsOfConversation(conn, sid)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	refolded, err := refoldRows(ctx, streams, sid, d.Position, &out)
	if err == nil {
		d.Rows = differingPlaces(live, refolded)
	}
	return d, err
}

// refoldRows are the rows that a conversation's events up to the position come to.
// It leaves out what the live rows leave out.
func refoldRows(ctx context.Context, streams store.StreamReader, sid string, upto events.Position, out *quarantine) (rows map[place]rowValues, err error) {
	g, err := newGeneration(":memory:", pastRows, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	g.quarantine.like(out)
	stream := streams.ReadStream(ctx, events.Stream(events.CategoryConversation, sid), 0, store.Forwards)
	err = g.takeAll(decodeInParallel(ctx, until(stream, upto)), nil)
	if err == nil {
		err = g.fold.goLive(pastRows)
	}
	if err != nil {
		return nil, err
	}
	return rowsOfConversation(g.conn, sid)
}

// until ends a stream behind a position.
func until(stream history, upto events.Position) history {
	return func(yield func(events.Recorded, error) bool) {
		for e, err := range stream {
			if err == nil && e.Position.Compare(upto) > 0 {
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func differingPlaces(live, refolded map[place]rowValues) (list []RowDifference) {
	all := maps.Clone(live)
	maps.Copy(all, refolded)
	places := slices.SortedFunc(maps.Keys(all), func(a, b place) int {
		return strings.Compare(a.table+" "+a.sid, b.table+" "+b.sid)
	})
	for _, p := range places {
		d := RowDifference{Table: p.table, Sid: p.sid}
		before, isLive := live[p]
		after, isRefolded := refolded[p]
		switch {
		case !isRefolded:
			d.Only = OnlyLive
		case !isLive:
			d.Only = OnlyRebuilt
		default:
			d.Columns = differingColumns(before, after)
		}
		if d.Only != "" || len(d.Columns) > 0 {
			list = append(list, d)
		}
	}
	return list
}

// Watch compares one conversation after another with what its events come to, one at
// each interval, beginning somewhere and over and over again, until the context ends.
// checked is told of each; those that cannot be compared are tried again in their turn.
// Pages and indexes of the file are checked at first and then with every tenth, or more
// seldom: for at most a hundredth of the time. checked is told of damage only.
func (q *Queries) Watch(ctx context.Context, streams store.StreamReader, every time.Duration, checked func(*Drift, error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	after := rand.Int64() // wraps around at once unless it is below the highest
	var next time.Time    // when the file is checked
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if began := time.Now(); began.After(next) {
			if d, err := q.Integrity(ctx); ctx.Err() == nil && (err != nil || len(d.Damage) > 0) {
				checked(d, err)
			}
			next = began.Add(max(100*time.Since(began), 10*every))
		}
		sid, id, err := q.nextConversation(ctx, after)
		if err == nil && sid == "" {
			continue // none at all
		}
		var d *Drift
		if err == nil {
			after = id
			d, err = q.Drift(ctx, streams, sid)
		}
		if ctx.Err() == nil {
			checked(d, err)
		}
	}
}

// nextConversation is the one behind a row id, the first one behind the last; an empty
// SID when there is none. A number beyond all ids stands for some place in between.
func (q *Queries) nextConversation(ctx context.Context, after int64) (sid string, id int64, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) error {
		highest, err := countRows(conn, "SELECT ifnull(max(id), 0) FROM conversation")
		if err != nil || highest == 0 {
			return err
		}
		if after > highest {
			after %= highest
		}
		for _, from := range []int64{after, 0} {
			err := sqlitex.Execute(conn, "SELECT sid, id FROM conversation WHERE id > ? ORDER BY id LIMIT 1", &sqlitex.ExecOptions{
				Args:       []any{from},
				ResultFunc: func(stmt *sqlite.Stmt) error { sid, id = stmt.ColumnText(0), stmt.ColumnInt64(1); return nil },
			})
			if err != nil || sid != "" {
				return err
			}
		}
		return nil
	})
	return sid, id, err
}
