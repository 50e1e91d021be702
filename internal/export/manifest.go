package export

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/parley-engine/parley/events"
)

// Manifest is what an export has. It is written last.
type Manifest struct {
	Format     Format          `json:"format"`
	Version    string          `json:"version"`
	Log        events.ID       `json:"log,omitzero"`  // id of its first event
	Upto       events.Position `json:"upto,omitzero"` // everything up to here was considered; unless there is a last time
	First      events.Position `json:"first"`
	Last       events.Position `json:"last"`
	Events     int             `json:"events"`
	Types      map[string]int  `json:"types"` // as the rows of the wide table have them
	Anonymised bool            `json:"anonymised,omitempty"`
	Pseudonyms string          `json:"pseudonyms,omitempty"` // names the key: exports with the same can be joined
	Selection  Selection       `json:"selection"`
	Tables     []Table         `json:"tables"`
	Typed      []Typed         `json:"typed,omitempty"`   // the typed tables
	Untyped    int             `json:"untyped,omitempty"` // events in none of them: of types that are not Parley's
	Partitions []Partition     `json:"partitions"`
}

// Selection is what was asked for.
type Selection struct {
	From     events.Position `json:"from,omitzero"`
	To       events.Position `json:"to,omitzero"`
	FromTime time.Time       `json:"from_time,omitzero"`
	ToTime   time.Time       `json:"to_time,omitzero"`
	Types    []string        `json:"types,omitempty"`
	Streams  []string        `json:"streams,omitempty"`
	Service  string          `json:"service,omitempty"`
}

// Typed is the table of a type.
type Typed struct {
	Type    string         `json:"type"`
	Version int            `json:"version"` // of its columns
	Events  int            `json:"events"`
	Former  map[string]int `json:"former,omitempty"` // events that were written as a former version, by it
}

// Partition is a file.
type Partition struct {
	File    string `json:"file"`
	Table   Table  `json:"table"`
	Type    string `json:"type,omitempty"` // of a typed table
	Service string `json:"service"`        // none: of no service
	Day     string `json:"day"`            // of recorded_at, UTC
	Events  int    `json:"events"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// tally counts events, in the order of the log.
type tally struct {
	Events int             `json:"events"`
	First  events.Position `json:"first"`
	Last   events.Position `json:"last"`
	LastID events.ID       `json:"last_id"`
	Types  map[string]int  `json:"types"`
	Former map[string]int  `json:"former"` // by type as it was written
}

func newTally() tally { return tally{Types: map[string]int{}, Former: map[string]int{}} }

func (t *tally) count(e *events.Recorded, stored string) {
	if t.Events == 0 {
		t.First = e.Position
	}
	t.Events++
	t.Last, t.LastID = e.Position, e.ID
	t.Types[e.Type]++
	if events.CurrentType(stored) != stored {
		t.Former[stored]++
	}
}

// add counts what comes behind.
func (t *tally) add(later *tally) {
	if t.Events == 0 {
		t.First = later.First
	}
	t.Events += later.Events
	t.Last, t.LastID = later.Last, later.LastID
	for name, n := range later.Types {
		t.Types[name] += n
	}
	for name, n := range later.Former {
		t.Former[name] += n
	}
}

// describe puts into the manifest what was counted.
func (m *Manifest) describe(t *tally) {
	m.First, m.Last, m.Events, m.Types = t.First, t.Last, t.Events, t.Types
	slices.SortFunc(m.Partitions, func(a, b Partition) int { return cmp.Compare(a.File, b.File) })
	if !slices.Contains(m.Tables, TypedTables) {
		return
	}
	byType := map[string]*Typed{}
	for name, n := range t.Types {
		current := table(name)
		if current == "" {
			m.Untyped += n
			continue
		}
		if byType[current] == nil {
			byType[current] = &Typed{Type: current, Version: events.SchemaVersion(current), Former: map[string]int{}}
		}
		byType[current].Events += n
	}
	for name, n := range t.Former {
		byType[events.CurrentType(name)].Former[name] = n
	}
	for _, name := range slices.Sorted(maps.Keys(byType)) {
		m.Typed = append(m.Typed, *byType[name])
	}
}

// save writes the manifest whole, or not at all.
func (m *Manifest) save(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, manifestName)
	file, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func loadManifest(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	return m, json.Unmarshal(text, m)
}
