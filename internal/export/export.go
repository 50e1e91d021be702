package export

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Options say what of the log is wanted, and where to. From and To are inclusive; zero
// is no bound.
type Options struct {
	Format  Format
	Dir     string // new, or empty
	Version string // of the program, for the manifest

	From, To         events.Position // To zero: what the log has when it begins
	FromTime, ToTime time.Time
	Filter           store.Filter
	Service          string // only events of this one

	// Anonymise, unless nil, takes out of an event what tells who somebody is. What is
	// wanted is decided before.
	Anonymise func(e *events.Recorded) error
}

// Manifest is what an export has. It is written last.
type Manifest struct {
	Format     Format          `json:"format"`
	Version    string          `json:"version"`
	Upto       events.Position `json:"upto,omitzero"` // everything up to here was considered; unless there is a last time
	First      events.Position `json:"first"`
	Last       events.Position `json:"last"`
	Events     int             `json:"events"`
	Types      map[string]int  `json:"types"`
	Anonymised bool            `json:"anonymised,omitempty"`
	Selection  Selection       `json:"selection"`
	Partitions []Partition     `json:"partitions"`
}

// Selection is what was asked for.
type Selection struct {
	From     events.Position `json:"from,omitzero"`
	FromTime time.Time       `json:"from_time,omitzero"`
	ToTime   time.Time       `json:"to_time,omitzero"`
	Types    []string        `json:"types,omitempty"`
	Streams  []string        `json:"streams,omitempty"`
	Service  string          `json:"service,omitempty"`
}

// Partition is a file.
type Partition struct {
	File    string `json:"file"`
	Service string `json:"service"` // none: of no service
	Day     string `json:"day"`     // of recorded_at, UTC
	Events  int    `json:"events"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// ErrNotEmpty says that there is something in the folder already.
var ErrNotEmpty = errors.New("folder to export to is not empty")

const (
	manifestName = "manifest.json"
	building     = ".building" // rows on their way
)

var service = regexp.MustCompile(`^IS[0-9a-f]{32}$`)

// folderOf names the folder of a service. What is no SID names none.
func folderOf(sid string) string {
	if service.MatchString(sid) {
		return sid
	}
	return noService
}

// noService stands for the service of events that belong to none.
const noService = "none"

// Run exports. What it leaves when it fails has no manifest, and the next one there
// begins anew.
func Run(ctx context.Context, log store.LogReader, o Options) (*Manifest, error) {
	if err := prepare(o.Dir); err != nil {
		return nil, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	if o.To.IsZero() {
		o.To = head // what comes meanwhile is for the next one
	}
	m := &Manifest{Format: o.Format, Version: o.Version, Upto: o.To, Types: map[string]int{}, Anonymised: o.Anonymise != nil, Selection: Selection{
		o.From, o.FromTime, o.ToTime, o.Filter.Types, o.Filter.StreamPrefixes, o.Service,
	}}
	if !o.ToTime.IsZero() {
		m.Upto = events.Position{} // or it would tell when it was made
	}
	s := newSorter(filepath.Join(o.Dir, building), o.Format.gathered())
	err = errors.Join(m.collect(ctx, log, &o, s), s.close())
	if err == nil {
		err = m.convert(&o, s)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(o.Dir, building))
	}
	if err == nil {
		err = m.save(o.Dir)
	}
	return m, err
}

// prepare makes the folder. Of an export that failed nothing is kept.
func prepare(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, building)); err != nil {
			return fmt.Errorf("%s: %w", dir, ErrNotEmpty)
		}
	}
	for _, e := range entries {
		if name := e.Name(); name != building && name != manifestName+".new" && !strings.HasPrefix(name, servicePrefix) {
			return fmt.Errorf("%s, with %s that no export made: %w", dir, name, ErrNotEmpty)
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(dir, building), 0o700)
}

// servicePrefix begins the name of a service's folder.
const servicePrefix = "service="

// wants reports whether an event is asked for, and whether none behind it can be.
func (o *Options) wants(e *events.Recorded) (wanted, over bool) {
	switch {
	case !o.To.IsZero() && e.Position.Compare(o.To) > 0, !o.ToTime.IsZero() && e.Recorded.After(o.ToTime):
		return false, true
	case e.Recorded.Before(o.FromTime), o.Service != "" && e.Metadata.Service != o.Service:
		return false, false
	}
	return true, false
}

// collect sorts the rows into partitions.
func (m *Manifest) collect(ctx context.Context, log store.LogReader, o *Options, s *sorter) error {
	after := events.Position{}
	if o.From.Commit > 0 {
		after = events.At(o.From.Commit - 1)
	}
	for e, err := range log.ReadAll(ctx, after, o.Filter) {
		if err != nil {
			return err
		}
		wanted, over := o.wants(&e)
		if over {
			return nil
		}
		if !wanted || e.Position.Compare(o.From) < 0 {
			continue
		}
		if o.Anonymise != nil {
			if err := o.Anonymise(&e); err != nil {
				return fmt.Errorf("event %s: %w", e.Position, err)
			}
		}
		row := rowOf(&e)
		if err := s.put(partition{folderOf(row.ChatServiceSid), row.RecordedAt.Format(time.DateOnly)}, &row); err != nil {
			return err
		}
		if m.Events == 0 {
			m.First = e.Position
		}
		m.Last = e.Position
		m.Events++
		m.Types[e.Type]++
	}
	return nil
}

// convert writes each partition in the wanted format.
func (m *Manifest) convert(o *Options, s *sorter) error {
	list := s.partitions()
	slices.SortFunc(list, func(a, b partition) int { return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.day, b.day)) })
	for _, p := range list {
		name := filepath.Join(servicePrefix+p.service, "day="+p.day, "events."+string(o.Format))
		done, err := convert(s.path(p), filepath.Join(o.Dir, name), o.Format)
		if err != nil {
			return err
		}
		done.File, done.Service, done.Day, done.Events = filepath.ToSlash(name), p.service, p.day, s.rows[p]
		m.Partitions = append(m.Partitions, done)
	}
	return nil
}

// convert makes the file of a partition from what was gathered.
func convert(from, to string, format Format) (p Partition, err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return p, err
	}
	if format.gathered() == format {
		err = os.Rename(from, to)
	} else {
		err = columnar(from, to)
	}
	if err != nil {
		return p, err
	}
	file, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		return p, err
	}
	sum := sha256.New()
	p.Bytes, err = io.Copy(sum, file)
	p.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return p, errors.Join(err, file.Sync(), file.Close())
}

func columnar(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was read
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(toParquet(out, in), out.Close())
}

// save writes the manifest whole, or not at all.
func (m *Manifest) save(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, manifestName)
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
