package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Options say what of the log is wanted, and where to. From and To are inclusive; zero
// is no bound.
type Options struct {
	Format  Format
	Tables  []Table // none: all
	Dir     string  // new, or empty
	Version string  // of the program, for the manifest

	From, To         events.Position // To zero: what the log has when it begins
	FromTime, ToTime time.Time
	Filter           store.Filter
	Service          string // only events of this one

	// Anonymise, unless nil, takes out of an event what tells who somebody is. What is
	// wanted is decided before. Pseudonyms names what it does that with.
	Anonymise  func(e *events.Recorded) error
	Pseudonyms string

	// Hold bounds the bytes of rows that are in memory before they are written, which is
	// what an export that is cut short loses; zero: 32 MiB.
	Hold int

	// Resume goes on with an export that was cut short, and begins one where there is
	// none. Resumed, unless nil, is told where: behind which position, with how many
	// files that are made.
	Resume  bool
	Resumed func(behind events.Position, files int)
}

// hold is what Hold is unless told otherwise.
const hold = 32 << 20

// Table is a kind of tables, which is the name of their folder too.
type Table string

// The kinds of tables: one of all events with their payloads as JSON, and one for each
// type with the payload's fields as columns.
const (
	WideTable   Table = "wide"
	TypedTables Table = "typed"
)

// work is an export on its way.
type work struct {
	o       Options
	start   start
	begun   bool // by an earlier one
	journal journal
	spool   *spool

	tally tally // of what the journal tells of
	later tally // of what the spool holds and has not written
	day   string
	made  map[string]Partition // by file
	fresh []Partition          // made today
}

// Run exports. What it leaves when it fails has no manifest; with Resume the next one
// there goes on, and without begins anew.
func Run(ctx context.Context, log store.LogReader, o Options) (*Manifest, error) {
	if len(o.Tables) == 0 {
		o.Tables = []Table{WideTable, TypedTables}
	}
	o.Hold = cmp.Or(o.Hold, hold)
	w := &work{o: o, tally: newTally(), later: newTally(), made: map[string]Partition{}}
	there, err := look(o.Dir)
	if err != nil {
		return nil, err
	}
	if there.finished && !o.Resume {
		return nil, fmt.Errorf("%s has an export: %w", o.Dir, ErrNotEmpty)
	}
	if err := w.identify(ctx, log); err != nil {
		return nil, err
	}
	if there.finished {
		return w.finished()
	}
	if err := w.open(ctx, log, there.begun); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if err := errors.Join(w.collect(ctx, log), w.close()); err != nil {
		return nil, err
	}
	return w.finish()
}

// identify tells this export from others.
func (w *work) identify(ctx context.Context, log store.LogReader) error {
	o := &w.o
	w.start = start{Version: o.Version, Format: o.Format, Tables: o.Tables, Pseudonyms: o.Pseudonyms, Selection: Selection{
		o.From, o.To, o.FromTime, o.ToTime, o.Filter.Types, o.Filter.StreamPrefixes, o.Service,
	}}
	first, err := eventAt(ctx, log, events.Position{}, store.Filter{})
	if first != nil {
		w.start.Log = first.ID
	}
	return err
}

// eventAt returns the first event that is selected from a position on, nil when there is
// none or the position is no event's.
func eventAt(ctx context.Context, log store.LogReader, from events.Position, filter store.Filter) (*events.Recorded, error) {
	for e, err := range log.ReadFrom(ctx, from, store.Forwards, filter) {
		if errors.Is(err, store.ErrNoEvent) {
			return nil, nil
		}
		return &e, err
	}
	return nil, nil
}

// open begins, or goes on.
func (w *work) open(ctx context.Context, log store.LogReader, begun bool) error {
	if begun && w.o.Resume {
		if err := w.goOn(); err != nil {
			return err
		}
	} else if err := w.begin(); err != nil {
		return err
	}
	if w.begun {
		return w.check(ctx, log)
	}
	if w.o.To.IsZero() {
		head, err := log.Head(ctx)
		if err != nil {
			return err
		}
		w.o.To = head // what comes meanwhile is for the next one
	}
	return w.journal.add(entry{Start: &w.start, Upto: &w.o.To})
}

// check compares the log with the one that it began with.
func (w *work) check(ctx context.Context, log store.LogReader) error {
	if w.o.Resumed != nil {
		w.o.Resumed(w.tally.Last, len(w.made))
	}
	if w.tally.Events == 0 {
		return nil
	}
	e, err := eventAt(ctx, log, w.tally.Last, w.o.Filter)
	if err != nil {
		return err
	}
	return w.knows(e)
}

// wants reports whether an event is asked for, and whether none behind it can be.
func (w *work) wants(e *events.Recorded) (wanted, over bool) {
	o := &w.o
	switch {
	case e.Position.Compare(o.To) > 0, !o.ToTime.IsZero() && e.Recorded.After(o.ToTime):
		return false, true
	case e.Position.Compare(o.From) < 0, e.Recorded.Before(o.FromTime), o.Service != "" && e.Metadata.Service != o.Service:
		return false, false
	}
	return w.tally.Events == 0 || e.Position.Compare(w.tally.Last) > 0, false
}

// collect takes the rows day by day: recorded times never fall along the log.
func (w *work) collect(ctx context.Context, log store.LogReader) error {
	rest := log.ReadFrom(ctx, w.o.From, store.Forwards, w.o.Filter)
	if w.tally.Events > 0 {
		rest = log.ReadAll(ctx, w.tally.Last, w.o.Filter)
	}
	for e, err := range rest {
		if err != nil {
			return err
		}
		wanted, over := w.wants(&e)
		if over {
			break
		}
		if !wanted {
			continue
		}
		if err := w.take(ctx, &e); err != nil {
			return err
		}
	}
	return w.finishDay(ctx)
}

func (w *work) take(ctx context.Context, e *events.Recorded) error {
	day := e.Recorded.UTC().Format(time.DateOnly)
	if day < w.day {
		return fmt.Errorf("event %s at position %s was recorded before the one before it; parley store verify says more", e.ID, e.Position)
	}
	if day != w.day {
		if err := w.finishDay(ctx); err != nil {
			return err
		}
		w.day = day
	}
	stored := e.Type
	if w.o.Anonymise != nil {
		if err := w.o.Anonymise(e); err != nil {
			return fmt.Errorf("event %s: %w", e.Position, err)
		}
	}
	r := record{Row: rowOf(e), stored: stored}
	l := lot{Service: folderOf(r.ChatServiceSid)}
	if w.o.has(TypedTables) {
		l.Type = table(r.Type)
	}
	w.later.count(e, stored)
	if w.spool.put(l, &r); w.spool.bytes < w.o.Hold {
		return nil
	}
	return w.flush()
}

// flush makes what is held part of what is done.
func (w *work) flush() error {
	if w.later.Events == 0 {
		return nil
	}
	segments, err := w.spool.flush()
	if err != nil {
		return err
	}
	if err := w.journal.add(entry{Run: &run{w.day, w.spool.size, segments, w.later}}); err != nil {
		return err
	}
	w.tally.add(&w.later)
	w.later = newTally()
	return nil
}

// finish writes the manifest, and takes away what was only for the way.
func (w *work) finish() (*Manifest, error) {
	m := &Manifest{
		Format: w.o.Format, Version: w.o.Version, Log: w.start.Log, Upto: w.o.To, Selection: w.start.Selection, Tables: w.o.Tables,
		Anonymised: w.o.Anonymise != nil, Pseudonyms: w.o.Pseudonyms,
	}
	if !w.o.ToTime.IsZero() {
		m.Upto = events.Position{} // or it would tell when it was made
	}
	for _, p := range w.made {
		m.Partitions = append(m.Partitions, p)
	}
	m.describe(&w.tally)
	if err := m.save(w.o.Dir); err != nil {
		return nil, err
	}
	return m, os.RemoveAll(filepath.Join(w.o.Dir, building))
}

// finished ends an export that has its manifest.
func (w *work) finished() (*Manifest, error) {
	m, err := loadManifest(w.o.Dir)
	if err != nil {
		return nil, err
	}
	if err := w.sameAs(m); err != nil {
		return nil, err
	}
	if w.o.Resumed != nil {
		w.o.Resumed(m.Last, len(m.Partitions))
	}
	return m, os.RemoveAll(filepath.Join(w.o.Dir, building))
}

func (w *work) close() error {
	var problems []error
	if w.spool != nil {
		problems = append(problems, w.spool.file.Close())
	}
	if w.journal.file != nil {
		problems = append(problems, w.journal.file.Close())
	}
	return errors.Join(problems...)
}
