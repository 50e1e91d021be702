package reactor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// Entry is a job as people see it.
type Entry struct {
	Seq      int64     `json:"id"`
	State    State     `json:"state"`
	What     string    `json:"what"`
	About    string    `json:"about"`
	Target   string    `json:"target"`
	Position string    `json:"position,omitempty"` // of the event that led to it
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due,omitzero"` // of the next attempt; only while pending
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Note     string    `json:"note,omitempty"` // of the last attempt
}

// Attempt is what came of one attempt.
type Attempt struct {
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"took_ns"`
	Note    string        `json:"note,omitempty"`
	Problem string        `json:"problem,omitempty"` // empty: it was done
}

// Selection selects jobs; the zero value selects all.
type Selection struct {
	State State
	About string
	Seqs  []int64
	Limit int // newest first; 0: all
}

func (s Selection) where() (clause string, args []any) {
	var parts []string
	if s.State != "" {
		parts, args = append(parts, "state = ?"), append(args, string(s.State))
	}
	if s.About != "" {
		parts, args = append(parts, "about = ?"), append(args, s.About)
	}
	if len(s.Seqs) > 0 {
		parts = append(parts, "seq IN (?"+strings.Repeat(", ?", len(s.Seqs)-1)+")")
		for _, seq := range s.Seqs {
			args = append(args, seq)
		}
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

// Entries lists jobs, the newest first.
func (q *Queue) Entries(s Selection) (list []Entry, err error) {
	clause, args := s.where()
	if s.Limit > 0 {
		clause += fmt.Sprintf(" ORDER BY seq DESC LIMIT %d", s.Limit)
	} else {
		clause += " ORDER BY seq DESC"
	}
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.ExecuteTransient(conn, `SELECT seq, state, what, about, target, position, attempts, due, created, updated, note FROM job`+clause, &sqlitex.ExecOptions{
			Args: args,
			ResultFunc: func(row *sqlite.Stmt) error {
				e := Entry{Seq: row.ColumnInt64(0), State: State(row.ColumnText(1)), What: row.ColumnText(2), About: row.ColumnText(3), Target: row.ColumnText(4),
					Position: row.ColumnText(5), Attempts: row.ColumnInt(6), Created: instant(row, 8), Updated: instant(row, 9), Note: row.ColumnText(10)}
				if e.State == Pending {
					e.Due = instant(row, 7)
				}
				list = append(list, e)
				return nil
			},
		})
	})
	return list, err
}

func instant(row *sqlite.Stmt, column int) time.Time {
	return time.UnixMicro(row.ColumnInt64(column)).UTC()
}

// Attempts lists what came of a job's attempts, the first one first.
func (q *Queue) Attempts(seq int64) (list []Attempt, err error) {
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT at, took, note, problem FROM attempt WHERE job = ? ORDER BY rowid`, &sqlitex.ExecOptions{
			Args: []any{seq},
			ResultFunc: func(row *sqlite.Stmt) error {
				list = append(list, Attempt{At: instant(row, 0), Took: time.Duration(row.ColumnInt64(1)) * time.Microsecond, Note: row.ColumnText(2), Problem: row.ColumnText(3)})
				return nil
			},
		})
	})
	return list, err
}

// ErrNotInState says that a job is not there, or not in a state that allows it.
var ErrNotInState = errors.New("there is no such job in a state that allows it")

// Retry has jobs attempted again now: parked and discarded ones, which begin anew, and
// pending ones. It returns how many.
func (q *Queue) Retry(s Selection) (n int, err error) {
	return q.change(s, `state IN ('parked', 'discarded', 'pending')`, func(conn *sqlite.Conn, seq int64) error {
		now := q.now().UnixMicro()
		if err := sqlitex.Execute(conn, `INSERT OR IGNORE INTO woken SELECT target FROM job WHERE seq = ?`, &sqlitex.ExecOptions{Args: []any{seq}}); err != nil {
			return err
		}
		return sqlitex.Execute(conn, `UPDATE job SET due = ?1, updated = ?1, attempts = 0,
			head = state = 'pending' AND head OR NOT EXISTS (SELECT 1 FROM job AS other WHERE other.target = job.target AND other.ordering = job.ordering AND other.state = 'pending'),
			state = 'pending' WHERE seq = ?2`, &sqlitex.ExecOptions{Args: []any{now, seq}})
	})
}

// Discard gives jobs up, pending and parked ones, saying why. It returns how many.
func (q *Queue) Discard(s Selection, reason string) (n int, err error) {
	return q.change(s, `state IN ('parked', 'pending')`, func(conn *sqlite.Conn, seq int64) error {
		if err := sqlitex.Execute(conn, `UPDATE job SET state = 'discarded', updated = ?, note = 'discarded: ' || ? WHERE seq = ?`, &sqlitex.ExecOptions{
			Args: []any{q.now().UnixMicro(), reason, seq},
		}); err != nil {
			return err
		}
		var order, target string
		if err := sqlitex.Execute(conn, `SELECT ordering, target FROM job WHERE seq = ?`, &sqlitex.ExecOptions{
			Args: []any{seq}, ResultFunc: func(row *sqlite.Stmt) error { order, target = row.ColumnText(0), row.ColumnText(1); return nil },
		}); err != nil {
			return err
		}
		if err := sqlitex.Execute(conn, `INSERT OR IGNORE INTO woken VALUES (?)`, &sqlitex.ExecOptions{Args: []any{target}}); err != nil {
			return err
		}
		return promote(conn, target, order)
	})
}

// change does something to each selected job that is in one of the states.
func (q *Queue) change(s Selection, states string, do func(*sqlite.Conn, int64) error) (n int, err error) {
	clause, args := s.where()
	if clause == "" {
		clause = " WHERE " + states
	} else {
		clause += " AND " + states
	}
	err = q.write(func(conn *sqlite.Conn) error {
		var seqs []int64
		if err := sqlitex.ExecuteTransient(conn, `SELECT seq FROM job`+clause+` ORDER BY seq`, &sqlitex.ExecOptions{
			Args: args, ResultFunc: func(row *sqlite.Stmt) error { seqs = append(seqs, row.ColumnInt64(0)); return nil },
		}); err != nil {
			return err
		}
		for _, seq := range seqs {
			if err := do(conn, seq); err != nil {
				return err
			}
		}
		n = len(seqs)
		return nil
	})
	if err == nil && n == 0 && len(s.Seqs) > 0 {
		err = ErrNotInState
	}
	return n, err
}

// Counts says how many jobs are in each state.
func (q *Queue) Counts() (counts map[State]int, err error) {
	counts = map[State]int{}
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT state, count(*) FROM job GROUP BY state`, &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { counts[State(row.ColumnText(0))] = row.ColumnInt(1); return nil },
		})
	})
	return counts, err
}

// Idle waits until no job can be attempted now, or ctx ends.
func (q *Queue) Idle(ctx context.Context) error {
	for {
		busy := false
		err := q.read(func(conn *sqlite.Conn) error {
			return sqlitex.Execute(conn, `SELECT 1 FROM job WHERE state = 'pending' AND head = 1 AND due <= ? LIMIT 1`, &sqlitex.ExecOptions{
				Args: []any{q.now().UnixMicro()}, ResultFunc: func(*sqlite.Stmt) error { busy = true; return nil },
			})
		})
		if err != nil || !busy {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settled is how far the log's events have led to nothing that is still to do, of
// those behind a position.
func (q *Queue) settled(behind events.Position) (at events.Position, err error) {
	at, _, err = q.Cursor()
	if err != nil {
		return at, err
	}
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT since FROM job WHERE state = 'pending' AND since <> '' ORDER BY seq`, &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error {
				since, err := events.ParsePosition(row.ColumnText(0))
				if err == nil && since.Compare(behind) >= 0 && since.Compare(at) < 0 {
					at = since
				}
				return err
			},
		})
	})
	return at, err
}
