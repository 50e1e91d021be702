package metric

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
)

// Computed says of which history figures are.
type Computed struct {
	Definition
	Position events.Position `json:"position"` // everything up to here
	At       time.Time       `json:"at"`
	Took     time.Duration   `json:"took"`
	Rows     int64           `json:"rows"`
	Digest   uint64          `json:"digest,string"` // of the rows, whatever their order
}

// Figure is a row of a metric.
type Figure struct {
	Subject string  `json:"subject"`
	Service string  `json:"service"`
	Label   string  `json:"label,omitempty"`
	Value   float64 `json:"value"`
}

// Summary is what the figures of a label come to.
type Summary struct {
	Label string  `json:"label"`
	Count int64   `json:"count"`
	Sum   float64 `json:"sum"`
	Mean  float64 `json:"mean"`
	Min   float64 `json:"min"`
	P50   float64 `json:"p50"` // the smallest value that half of them do not exceed
	P90   float64 `json:"p90"`
	Max   float64 `json:"max"`
}

// Figures keeps what was computed, each version of each metric by itself, in a file of
// SQLite. It is for one goroutine; other processes may have it open.
type Figures struct{ conn *sqlite.Conn }

const schema = `
	CREATE TABLE IF NOT EXISTS computed (
	  metric TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, about TEXT NOT NULL, sha256 TEXT NOT NULL,
	  position INTEGER NOT NULL, position_prepare INTEGER NOT NULL, at INTEGER NOT NULL, took INTEGER NOT NULL,
	  rows INTEGER NOT NULL, digest INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS figure (metric TEXT NOT NULL, subject TEXT NOT NULL, service TEXT NOT NULL, label TEXT NOT NULL, value REAL NOT NULL);
	CREATE INDEX IF NOT EXISTS figure_label ON figure (metric, label, value);`

// Open opens the file, which is made if it is missing. Close it.
func Open(path string) (*Figures, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, fmt.Errorf("open metrics %s: %w", path, err)
	}
	conn.SetBlockOnBusy()
	if err := sqlitex.ExecuteScript(conn, schema, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("open metrics %s: %w", path, err), conn.Close())
	}
	return &Figures{conn}, nil
}

// Close closes the file.
func (f *Figures) Close() error { return f.conn.Close() }

// Compute runs the definition over the history that history shows, which ends at the
// position, and replaces the figures that it had. On an error they stay.
func (f *Figures) Compute(ctx context.Context, d Definition, history *projections.SQL, position events.Position) (c Computed, err error) {
	began := time.Now()
	c = Computed{Definition: d, Position: position, At: began.UTC()}
	columns, err := history.Columns(d.Query)
	if err != nil {
		return c, fmt.Errorf("%s: %w", d.ID(), err)
	}
	if !slices.Equal(columns, []string{"subject", "service", "label", "value"}) {
		return c, fmt.Errorf("%s: %w: its columns are %v, not subject, service, label, value", d.ID(), ErrDefinition, columns)
	}
	end, err := sqlitex.ImmediateTransaction(f.conn)
	if err != nil {
		return c, err
	}
	defer end(&err)
	if err := f.exec("DELETE FROM figure WHERE metric = ?", d.ID()); err != nil {
		return c, err
	}
	err = history.Rows(ctx, d.Query, func(values []any) error {
		figure, counts, err := figureOf(values)
		if err != nil || !counts {
			return err
		}
		c.Rows++
		c.Digest += figure.digest()
		return f.exec("INSERT INTO figure VALUES (?, ?, ?, ?, ?)", d.ID(), figure.Subject, figure.Service, figure.Label, figure.Value)
	})
	if err != nil {
		return c, fmt.Errorf("%s: %w", d.ID(), err)
	}
	c.Took = time.Since(began)
	return c, f.exec("INSERT OR REPLACE INTO computed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", d.ID(), d.Name, d.Version, d.About, d.SHA256,
		int64(position.Commit), int64(position.Prepare), c.At.UnixMilli(), c.Took.Milliseconds(), c.Rows, int64(c.Digest))
}

func (f *Figures) exec(sql string, args ...any) error {
	return sqlitex.Execute(f.conn, sql, &sqlitex.ExecOptions{Args: args})
}

// figureOf reads a row of a definition; one without a value does not count.
func figureOf(values []any) (f Figure, counts bool, err error) {
	text := func(v any) string {
		s, _ := v.(string) // NULL is no text
		return s
	}
	f = Figure{Subject: text(values[0]), Service: text(values[1]), Label: text(values[2])}
	switch v := values[3].(type) {
	case nil:
		return f, false, nil
	case int64:
		f.Value = float64(v)
	case float64:
		f.Value = v
	default:
		return f, false, fmt.Errorf("%w: the value of %s is no number", ErrDefinition, f.Subject)
	}
	return f, true, nil
}

func (f Figure) digest() uint64 {
	h := fnv.New64a()
	for _, text := range []string{f.Subject, f.Service, f.Label} {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) // never fails
		_, _ = h.Write([]byte(text))
	}
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(f.Value)))
	return h.Sum64()
}

// List tells what was computed, by name and version.
func (f *Figures) List() (list []Computed, err error) {
	err = sqlitex.Execute(f.conn, "SELECT name, version, about, sha256, position, position_prepare, at, took, rows, digest FROM computed ORDER BY name, version", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			list = append(list, Computed{
				Definition: Definition{Name: s.ColumnText(0), Version: s.ColumnInt(1), About: s.ColumnText(2), SHA256: s.ColumnText(3)},
				Position:   events.Position{Commit: uint64(s.ColumnInt64(4)), Prepare: uint64(s.ColumnInt64(5))},
				At:         time.UnixMilli(s.ColumnInt64(6)).UTC(), Took: time.Duration(s.ColumnInt64(7)) * time.Millisecond,
				Rows: s.ColumnInt64(8), Digest: uint64(s.ColumnInt64(9)),
			})
			return nil
		},
	})
	return list, err
}

// ErrNotComputed says that there are no figures of a metric yet.
var ErrNotComputed = errors.New("was not computed yet")

// Known returns what was computed of a metric, by its ID.
func (f *Figures) Known(id string) (Computed, error) {
	list, err := f.List()
	for _, c := range list {
		if c.ID() == id {
			return c, err
		}
	}
	return Computed{}, errors.Join(err, fmt.Errorf("metric %s %w; run \"parley metric compute %s\"", id, ErrNotComputed, id))
}

// Rows yields the figures of a metric by label and subject; of one service unless that
// is empty.
func (f *Figures) Rows(id, service string, yield func(Figure) error) error {
	return sqlitex.Execute(f.conn, "SELECT subject, service, label, value FROM figure WHERE metric = ?1 AND (?2 = '' OR service = ?2) ORDER BY label, subject, value", &sqlitex.ExecOptions{
		Args: []any{id, service},
		ResultFunc: func(s *sqlite.Stmt) error {
			return yield(Figure{s.ColumnText(0), s.ColumnText(1), s.ColumnText(2), s.ColumnFloat(3)})
		},
	})
}

// Summaries sum up a metric by label; of one service unless that is empty.
func (f *Figures) Summaries(id, service string) (list []Summary, err error) {
	const sql = `SELECT label, count(*), sum(value), avg(value), min(value),
		min(CASE WHEN 2 * place >= n THEN value END), min(CASE WHEN 10 * place >= 9 * n THEN value END), max(value)
		FROM (SELECT label, value, row_number() OVER (PARTITION BY label ORDER BY value) AS place, count(*) OVER (PARTITION BY label) AS n
		  FROM figure WHERE metric = ?1 AND (?2 = '' OR service = ?2))
		GROUP BY label ORDER BY label`
	err = sqlitex.Execute(f.conn, sql, &sqlitex.ExecOptions{
		Args: []any{id, service},
		ResultFunc: func(s *sqlite.Stmt) error {
			list = append(list, Summary{s.ColumnText(0), s.ColumnInt64(1), s.ColumnFloat(2), s.ColumnFloat(3), s.ColumnFloat(4), s.ColumnFloat(5), s.ColumnFloat(6), s.ColumnFloat(7)})
			return nil
		},
	})
	return list, err
}

// Difference is a figure that two versions of a metric have differently. A version that
// has none of the subject and label has no value.
type Difference struct {
	Subject string   `json:"subject"`
	Label   string   `json:"label,omitempty"`
	From    *float64 `json:"from"`
	To      *float64 `json:"to"`
}

// Diff yields what differs between two metrics, by label and subject. Several figures of
// a subject and label count as their sum.
func (f *Figures) Diff(from, to string, yield func(Difference) error) error {
	const sql = `SELECT subject, label, sum(CASE WHEN metric = ?1 THEN value END) AS former, sum(CASE WHEN metric = ?2 THEN value END) AS later
		FROM figure WHERE metric IN (?1, ?2) GROUP BY label, subject HAVING former IS NOT later ORDER BY label, subject`
	return sqlitex.Execute(f.conn, sql, &sqlitex.ExecOptions{
		Args: []any{from, to},
		ResultFunc: func(s *sqlite.Stmt) error {
			return yield(Difference{s.ColumnText(0), s.ColumnText(1), number(s, 2), number(s, 3)})
		},
	})
}

func number(s *sqlite.Stmt, column int) *float64 {
	if s.ColumnIsNull(column) {
		return nil
	}
	v := s.ColumnFloat(column)
	return &v
}
