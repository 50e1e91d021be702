package salvage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names that mean something here.
const (
	Commands = "PARLEY_COMMANDS"            // the stream whose messages must not be lost
	Reader   = "parley-parley_commands_all" // its consumer
	Dead     = "PARLEY_DEAD"                // that of the dead letters
	Events   = "PARLEY_EVENTS"              // the stream that is published again from the log
)

const (
	asideDir     = "damaged"                    // files as they were found
	againFile    = "publish-again"              // there: the stream of events is to be published again
	reportFile   = "report.txt"                 // in a folder of asideDir
	asideStamp   = "20060102T150405.000000000Z" // names such a folder
	streamsBelow = "jetstream/*/streams/*"
)

// Report is what was found and mended.
type Report struct {
	Found []string // one sentence each
	Lost  []Span   // commands that were acknowledged, not done, and are gone; by sequence
	Aside string   // folder with the files as they were; empty: nothing was found
}

// Span is of sequences, both included.
type Span struct{ From, To uint64 }

func (s Span) String() string {
	if s.From == s.To {
		return fmt.Sprint(s.From)
	}
	return fmt.Sprintf("%d-%d", s.From, s.To)
}

// Count is how many sequences the spans have.
func Count(spans []Span) (n uint64) {
	for _, s := range spans {
		n += s.To - s.From + 1
	}
	return n
}

// Mend looks at a broker's folder that nobody has open and mends what it can. A folder
// without damage is left as it is. Errors are of reading and writing.
func Mend(dir string) (*Report, error) {
	w := &work{dir: dir, report: &Report{}}
	w.aside = filepath.Join(dir, asideDir, time.Now().UTC().Format(asideStamp))
	if err := w.readNote(); err != nil {
		return nil, err
	}
	streams, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(streamsBelow)))
	if err != nil {
		return nil, err
	}
	for _, path := range streams {
		if err := w.stream(path); err != nil {
			return nil, fmt.Errorf("look for damage in %s: %w", path, err)
		}
	}
	return w.report, w.finish()
}

// work is one run of Mend.
type work struct {
	dir, aside string
	note       *Note // nil: none that can be believed
	unsure     bool  // what consumers have read cannot be said
	report     *Report
}

// readNote reads what was noted, if it is of the stream that is there.
func (w *work) readNote() error {
	note, damaged, err := readNote(w.dir)
	if err != nil {
		return err
	}
	if damaged {
		w.unsure = true
		w.found("%s is damaged; what it said is done without", noteFile)
		return w.drop(filepath.Join(w.dir, noteFile))
	}
	if note == nil {
		return nil
	}
	path, err := commandsFolder(w.dir)
	if err != nil {
		return err
	}
	if path == "" {
		w.streamGone(note)
		return os.Remove(filepath.Join(w.dir, noteFile))
	}
	if created, known := createdAt(path); !known || created.Equal(note.Created) {
		w.note = note
	}
	return nil
}

// streamGone says what went with the commands' stream.
func (w *work) streamGone(note *Note) {
	if floor := note.Readers[Reader].FloorStream; floor < note.Last {
		lost := Span{floor + 1, note.Last}
		w.report.Lost = append(w.report.Lost, lost)
		w.found("%s is gone, and with it the commands %s, of which some may have been done", Commands, lost)
	}
}

func (w *work) found(format string, args ...any) {
	w.report.Found = append(w.report.Found, fmt.Sprintf(format, args...))
	w.report.Aside = w.aside
}

// finish keeps the report, and notes that the folder's files are about to change.
func (w *work) finish() error {
	if w.report.Aside != "" {
		if err := os.MkdirAll(w.aside, 0o700); err != nil {
			return err
		}
		text := strings.Join(w.report.Found, "\n") + "\n"
		if err := replace(filepath.Join(w.aside, reportFile), []byte(text)); err != nil {
			return err
		}
	}
	if w.note == nil || !w.note.Clean && !w.note.Fell {
		return nil
	}
	w.note.Clean, w.note.Fell = false, false
	if w.unsure {
		w.note.Readers = nil
	}
	return w.note.write(w.dir)
}

// keep copies a file aside, before it is changed.
func (w *work) keep(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	within, err := filepath.Rel(w.dir, path)
	if err != nil {
		return err
	}
	to := filepath.Join(w.aside, within)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600) //nolint:gosec // within the folder that was just made for it
}

// drop removes a file, of which a copy is kept aside.
func (w *work) drop(path string) error {
	if err := w.keep(path); err != nil {
		return err
	}
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Reports counts the runs of Mend that found something and whose folders are there still.
func Reports(dir string) (n int, err error) {
	list, err := filepath.Glob(filepath.Join(dir, asideDir, "*", reportFile))
	return len(list), err
}

// Earlier are the sentences of earlier runs whose folders are there still, oldest first.
func Earlier(dir string) (sentences []string, err error) {
	list, err := filepath.Glob(filepath.Join(dir, asideDir, "*", reportFile))
	if err != nil {
		return nil, err
	}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		sentences = append(sentences, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	}
	return sentences, nil
}

// Again reports whether the stream of events is to be published again from its last event.
func Again(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, againFile))
	return err == nil
}

// PublishedAgain notes that it was.
func PublishedAgain(dir string) error {
	err := os.Remove(filepath.Join(dir, againFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
