package export

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/parley-engine/parley/events"
)

const (
	manifestName = "manifest.json"
	building     = ".building" // what an export on its way has
	journalName  = "journal"
	spoolName    = "rows"
)

// fileName ends the path of every file of rows.
const fileName = "events."

// noService stands for the service of events that belong to none.
const noService = "none"

var service = regexp.MustCompile(`^IS[0-9a-f]{32}$`)

// folderOf names the folder of a service. What is no SID names none.
func folderOf(sid string) string {
	if service.MatchString(sid) {
		return sid
	}
	return noService
}

// path returns where in the export the rows of a day are, with slashes.
func (o *Options) path(l lot, t Table, day string) string {
	folder := string(WideTable)
	if t == TypedTables {
		folder = string(TypedTables) + "/type=" + l.Type
	}
	return folder + "/service=" + l.Service + "/day=" + day + "/" + fileName + string(o.Format)
}

// ErrNotEmpty says that there is something in the folder already.
var ErrNotEmpty = errors.New("folder to export to is not empty")

// ErrAnother says that an export cannot be gone on with, as it was begun otherwise, or is
// not as it was left.
var ErrAnother = errors.New("this export cannot be gone on with")

// what is in a folder to export to.
type found struct{ finished, begun bool }

func look(dir string) (f found, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return f, err
	}
	var foreign []string
	for _, e := range entries {
		switch name := e.Name(); name {
		case manifestName:
			f.finished = true
		case building:
			f.begun = true
		case manifestName + ".new", string(WideTable), string(TypedTables):
		default:
			foreign = append(foreign, name)
		}
	}
	switch {
	case len(foreign) > 0:
		return f, fmt.Errorf("%s, with %s that no export made: %w", dir, foreign[0], ErrNotEmpty)
	case len(entries) > 0 && !f.begun && !f.finished:
		return f, fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	return f, nil
}

// clean takes away what an unfinished export left. What says that it is unfinished goes
// last.
func clean(dir string) error {
	for _, name := range []string{manifestName + ".new", string(WideTable), string(TypedTables), building} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the folder for a new export.
func (w *work) begin() error {
	if err := clean(w.o.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(w.o.Dir, building), 0o700); err != nil {
		return err
	}
	return w.openFiles()
}

func (w *work) openFiles() (err error) {
	if w.journal, err = openJournal(w.building(journalName)); err != nil {
		return err
	}
	w.spool, err = openSpool(w.building(spoolName))
	return err
}

// goOn takes up what an export has done.
func (w *work) goOn() error {
	list, err := readJournal(w.building(journalName))
	if os.IsNotExist(err) || err == nil && len(list) == 0 {
		return w.begin() // it was cut short before it began
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnother, err)
	}
	first := list[0]
	if first.Start == nil || first.Upto == nil {
		return fmt.Errorf("%w: its journal has no beginning", ErrAnother)
	}
	if err := w.start.differs(first.Start); err != nil {
		return err
	}
	w.begun, w.o.To = true, *first.Upto
	if err := w.openFiles(); err != nil {
		return err
	}
	return w.replay(list[1:])
}

// replay brings the work to where the journal ends.
func (w *work) replay(list []entry) error {
	var size int64
	var segments []segment
	for _, e := range list {
		switch {
		case e.Run != nil:
			w.day, size = e.Run.Day, e.Run.Size
			segments = append(segments, e.Run.Segments...)
			w.tally.add(&e.Run.Tally)
		case e.File != nil:
			w.made[e.File.File] = *e.File
		case e.Over != "":
			w.day, size, segments = "", 0, nil
		}
	}
	if err := w.spool.restore(size, segments); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAnother, w.building(spoolName), err)
	}
	for _, p := range w.made {
		info, err := os.Stat(filepath.Join(w.o.Dir, filepath.FromSlash(p.File)))
		if err != nil || info.Size() != p.Bytes {
			return fmt.Errorf("%w: %s is not as it was made", ErrAnother, p.File)
		}
	}
	return nil
}

// sameAs reports whether a finished export is the one that is asked for.
func (w *work) sameAs(m *Manifest) error {
	then := start{m.Version, m.Format, m.Tables, m.Selection, m.Pseudonyms, m.Log}
	return w.start.differs(&then)
}

func (w *work) building(name string) string { return filepath.Join(w.o.Dir, building, name) }

// knows reports whether the log's events that were taken are there, by the last of them.
func (w *work) knows(e *events.Recorded) error {
	if e == nil || e.Position != w.tally.Last || e.ID != w.tally.LastID {
		return fmt.Errorf("%w: log: event %s at position %s, which it has, is not in this one", ErrAnother, w.tally.LastID, w.tally.Last)
	}
	return nil
}

// has reports whether a kind of table is asked for.
func (o *Options) has(t Table) bool { return slices.Contains(o.Tables, t) }
