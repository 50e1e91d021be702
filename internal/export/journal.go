package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/parley-engine/parley/events"
)

// start is what an export begins with, and goes on with.
type start struct {
	Version    string    `json:"version"`
	Format     Format    `json:"format"`
	Tables     []Table   `json:"tables"`
	Selection  Selection `json:"selection"`
	Pseudonyms string    `json:"pseudonyms"`
	Log        events.ID `json:"log"` // of its first event
}

// entry is a line of the journal of an export on its way: one of these.
type entry struct {
	Start *start           `json:"start,omitempty"`
	Upto  *events.Position `json:"upto,omitempty"` // with Start: where the log ended

	Run  *run       `json:"run,omitempty"`
	File *Partition `json:"file,omitempty"` // is made
	Over string     `json:"over,omitempty"` // this day: all its files are made
}

// run is what the spool was given at a time.
type run struct {
	Day      string    `json:"day"`
	Size     int64     `json:"size"` // of the spool then
	Segments []segment `json:"segments"`
	Tally    tally     `json:"tally"`
}

// journal is what an export has done. What a line tells of is durable before it is
// written; a line that is lost is done again.
type journal struct{ file *os.File }

func openJournal(path string) (journal, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	return journal{file}, err
}

func (j journal) add(e entry) error {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	return err
}

// readJournal returns what a journal tells, and cuts off a line that was not written to
// its end.
func readJournal(path string) ([]entry, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	var list []entry
	for line := range bytes.Lines(text[:whole]) {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, e)
	}
	return list, os.Truncate(path, int64(whole))
}

// differs tells in which of its parts an export that was begun is another one.
func (s *start) differs(then *start) error {
	now, before := s.parts(), then.parts()
	for _, name := range []string{"log", "version", "format", "tables", "selection", "pseudonyms"} {
		if !bytes.Equal(now[name], before[name]) {
			return fmt.Errorf("%w: %s: it began with %s, and this is %s", ErrAnother, name, before[name], now[name])
		}
	}
	return nil
}

func (s *start) parts() (parts map[string]json.RawMessage) {
	text, _ := json.Marshal(s)       // has nothing that cannot be written
	_ = json.Unmarshal(text, &parts) // was just written
	return parts
}
