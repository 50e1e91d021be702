package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// DivergingEvent is the event at which two generations part, as far as the rows that
// they have in the end tell: the live one is not folded again, for it may have been
// folded by other code.
type DivergingEvent struct {
	Position events.Position `json:"position"`
	Revision uint64          `json:"revision"`
	Stream   string          `json:"stream"`
	Type     string          `json:"type"`
	ID       events.ID       `json:"id"`
	Why      Divergence      `json:"why"`

	number ordinal
}

// Divergence says how the diverging event was told.
type Divergence string

// The ways to part.
const (
	// NotApplied: up to there the rebuilt row went through what the live one still
	// says; the live one did not follow the event.
	NotApplied Divergence = "the live one does not have it"
	// NotFollowed: the event says what the live one has and the rebuilt one never had.
	NotFollowed Divergence = "the rebuilt one does not have it"
	// TakenDifferently: the event gave the rebuilt row what it says; nothing in the
	// log says what the live one has.
	TakenDifferently Divergence = "the two took it differently"
)

// watch is a row that differs, while the log is folded once more to find out where.
type watch struct {
	difference *RowDifference
	columns    []*watchedValue
}

// watchedValue is one of its differing values. Whether the row exists is one, too.
type watchedValue struct {
	column  string // "" = whether the row exists
	live    string
	now     string
	parted  *DivergingEvent // it was as the live one has it, up to there
	carried *DivergingEvent // says what the live one has
	changed *DivergingEvent // gave it the value of now
}

const (
	absent  = "absent"
	present = "present"
)

func newWatch(d *RowDifference) *watch {
	w := &watch{difference: d}
	if d.Only != "" {
		live := absent
		if d.Only == OnlyLive {
			live = present
		}
		w.columns = []*watchedValue{{live: live, now: absent}}
	}
	for _, c := range d.Columns {
		w.columns = append(w.columns, &watchedValue{column: c.Column, live: c.Live, now: absent})
	}
	return w
}

// becomes notes what the row is after an event; nil when it does not exist.
func (w *watch) becomes(row rowValues, e *DivergingEvent) {
	for _, v := range w.columns {
		value := absent
		switch {
		case row != nil && v.column == "":
			value = present
		case row != nil:
			value = row[v.column]
		}
		v.becomes(value, e)
	}
}

func (v *watchedValue) becomes(value string, e *DivergingEvent) {
	if value == v.now {
		return
	}
	switch v.live {
	case value:
		v.parted = nil
	case v.now:
		v.parted = e
	}
	v.now, v.changed = value, e
}

// hears notes that an event which speaks of the row says what the live one has.
func (w *watch) hears(said map[string]bool, e *DivergingEvent) {
	for _, v := range w.columns {
		if said[v.live] && v.now != v.live {
			v.carried = e
		}
	}
}

// verdict is the first event at which one of the row's values parted.
func (w *watch) verdict() (first *DivergingEvent) {
	for _, v := range w.columns {
		if e := v.verdict(); e != nil && (first == nil || e.number < first.number) {
			first = e
		}
	}
	return first
}

func (v *watchedValue) verdict() *DivergingEvent {
	because := func(e *DivergingEvent, why Divergence) *DivergingEvent {
		told := *e
		told.Why = why
		return &told
	}
	switch {
	case v.parted != nil:
		return because(v.parted, NotApplied)
	case v.carried != nil:
		return because(v.carried, NotFollowed)
	case v.changed != nil:
		return because(v.changed, TakenDifferently)
	}
	return nil
}

// rowName names a row of any table.
type rowName struct {
	table string
	id    int64
}

// observer folds the log once more, event by event, and looks at the rows that differ.
type observer struct {
	g       *generation
	byRow   map[rowName]*watch
	bySid   map[string][]*watch
	touched map[rowName]struct{}
	swept   bool // rows were deleted by their parents
}

func newObserver(path string, differences []RowDifference) (*observer, error) {
	g, err := newGeneration(path, pastRows, false)
	if err != nil {
		return nil, err
	}
	o := &observer{g: g, byRow: map[rowName]*watch{}, bySid: map[string][]*watch{}, touched: map[rowName]struct{}{}}
	for i := range differences {
		w := newWatch(&differences[i])
		o.byRow[rowName{w.difference.Table, w.difference.ID}] = w
		o.bySid[w.difference.Sid] = append(o.bySid[w.difference.Sid], w)
	}
	g.fold.observe(func(table string, id int64) {
		if name := (rowName{table, id}); o.byRow[name] != nil {
			o.touched[name] = struct{}{}
		}
	}, func() { o.swept = true })
	return o, nil
}

// see looks at the rows that an event changed or speaks of.
func (o *observer) see(r *events.Recorded) error {
	e := &DivergingEvent{Position: r.Position, Revision: r.Revision, Stream: r.Stream, Type: r.Type, ID: r.ID, number: o.g.mark.event}
	for _, w := range o.madeBy() {
		w.columns[0].carried = e
	}
	if o.swept {
		for name := range o.byRow {
			o.touched[name] = struct{}{}
		}
	}
	if len(o.touched) > 0 {
		if err := o.g.fold.flush(); err != nil {
			return err
		}
	}
	for name := range o.touched {
		row, err := rowOf(o.g.conn, name)
		if err != nil {
			return err
		}
		o.byRow[name].becomes(row, e)
	}
	o.swept = false
	clear(o.touched)
	return o.listen(r, e)
}

// madeBy are the rows that only the live one has and that the event made there.
func (o *observer) madeBy() (list []*watch) {
	for _, table := range tableSpecs {
		w := o.byRow[rowName{table.table(), o.g.mark.event}]
		if w != nil && w.difference.Only == OnlyLive {
			list = append(list, w)
		}
	}
	return list
}

// listen compares what an event says with what the live one has, for the rows that the
// event speaks of.
func (o *observer) listen(r *events.Recorded, e *DivergingEvent) error {
	about := map[*watch]struct{}{}
	mention := func(sid string) {
		for _, w := range o.bySid[sid] {
			about[w] = struct{}{}
		}
	}
	_, aggregate, _ := events.SplitStream(r.Stream)
	mention(aggregate)
	texts := quoted(string(r.Data))
	for _, text := range texts {
		mention(text)
	}
	if len(about) == 0 {
		return nil
	}
	said, err := leaves(r.Data)
	if err != nil {
		return fmt.Errorf("%s at %s: %w", r.Type, r.Position, err)
	}
	for w := range about {
		w.hears(said, e)
	}
	return nil
}

// quoted are the texts of a JSON document that could be SIDs.
func quoted(document string) (list []string) {
	const length = 34
	for {
		_, rest, found := strings.Cut(document, `"`)
		if !found {
			return list
		}
		if len(rest) > length && rest[length] == '"' {
			list = append(list, rest[:length])
		}
		document = rest
	}
}

// leaves are the values of a JSON document as columns would have them. Values that
// anything could have by itself are no evidence.
func leaves(document []byte) (map[string]bool, error) {
	var root any
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.UseNumber()
	if err := decoder.Decode(&root); err != nil {
		return nil, err
	}
	said := map[string]bool{}
	collect(root, said)
	for _, common := range []string{"", "{}", "0", "1", "true", "false"} {
		delete(said, common)
	}
	return said, nil
}

func collect(value any, into map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			collect(inner, into)
		}
	case []any:
		for _, inner := range v {
			collect(inner, into)
		}
	case json.Number:
		into[v.String()] = true
	case string:
		into[v] = true
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			into[strconv.FormatInt(at.UnixMilli(), 10)] = true
		}
	}
}

func rowOf(conn *sqlite.Conn, name rowName) (row rowValues, err error) {
	err = sqlitex.Execute(conn, "SELECT * FROM "+name.table+" WHERE id = ?", &sqlitex.ExecOptions{
		Args:       []any{name.id},
		ResultFunc: func(stmt *sqlite.Stmt) error { row = columnValues(stmt); return nil },
	})
	return row, err
}

// findEvents folds the log once more and says of each row where the two parted. It
// returns the first of those events.
func (b *rebuild) findEvents(ctx context.Context, differences []RowDifference) (first *DivergingEvent, err error) {
	path := strings.TrimSuffix(b.next.path, ".db") + ".diverging.db"
	o, err := newObserver(path, differences)
	if err != nil {
		return nil, errors.Join(err, removeDatabase(path))
	}
	defer func() { err = errors.Join(err, o.g.close(), removeDatabase(path)) }()
	if err := sqlitex.ExecuteTransient(o.g.conn, "BEGIN", nil); err != nil {
		return nil, err
	}
	o.g.quarantine.like(b.next.quarantine)
	log := decodeInParallel(ctx, b.rm.between(ctx, events.Position{}, b.next.mark.position))
	err = o.g.takeAll(log, func(r *events.Recorded) error {
		if o.g.mark.event%tellEvery == 0 {
			b.tell(Explaining)
		}
		return o.see(r)
	})
	if err != nil {
		return nil, err
	}
	for i := range differences {
		d := &differences[i]
		d.Event = o.byRow[rowName{d.Table, d.ID}].verdict()
		if d.Event != nil && (first == nil || d.Event.number < first.number) {
			first = d.Event
		}
	}
	return first, nil
}
