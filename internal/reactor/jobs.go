package reactor

import (
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// located is a job and the event that led to it.
type located struct {
	Job
	position events.Position // of the event; zero: none did
	since    events.Position // the cursor before
}

// Put adds jobs that no event led to, together with links, which Link finds again. A
// job whose key is known is left as it is, a link replaced. All is durable when it
// returns, or nothing.
func (q *Queue) Put(links map[string]string, jobs ...Job) error {
	return q.write(func(conn *sqlite.Conn) error {
		for key, value := range links {
			if err := link(conn, key, value, q.now()); err != nil {
				return err
			}
		}
		for _, j := range jobs {
			if err := q.insert(conn, j, "", ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// put adds what events led to, and moves the cursor.
func (q *Queue) put(jobs []located, upto events.Position) error {
	return q.write(func(conn *sqlite.Conn) error {
		for _, j := range jobs {
			if err := q.insert(conn, j.Job, j.position.String(), j.since.String()); err != nil {
				return err
			}
		}
		return move(conn, upto)
	})
}

func (q *Queue) insert(conn *sqlite.Conn, j Job, position, since string) error {
	return sqlitex.Execute(conn, `INSERT INTO job (key, target, ordering, about, what, data, position, since, state, head, due, created, updated)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', NOT EXISTS (SELECT 1 FROM job WHERE target = ?2 AND ordering = ?3 AND state = 'pending'), ?9 + ?10, ?9, ?9)
		ON CONFLICT (key) DO NOTHING`, &sqlitex.ExecOptions{
		Args: []any{j.Key, j.Target, j.Order, j.About, j.What, j.Data, position, since, q.now().UnixMicro(), j.After.Microseconds()},
	})
}

// due returns jobs of a target that can be attempted now, those first that wait the
// longest, and when the next one can; zero: there is none.
func (q *Queue) due(target string, limit int) (jobs []Work, next time.Time, err error) {
	now := q.now().UnixMicro()
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT seq, key, ordering, about, what, data, attempts, begun, due FROM job
			WHERE target = ? AND state = 'pending' AND head = 1 ORDER BY due LIMIT ?`, &sqlitex.ExecOptions{
			Args: []any{target, limit},
			ResultFunc: func(row *sqlite.Stmt) error {
				if due := row.ColumnInt64(8); due > now {
					if next.IsZero() {
						next = time.UnixMicro(due)
					}
					return nil
				}
				data := make([]byte, row.ColumnLen(5))
				row.ColumnBytes(5, data)
				jobs = append(jobs, Work{Seq: row.ColumnInt64(0), Attempts: row.ColumnInt(6), Interrupted: row.ColumnBool(7), Job: Job{
					Key: row.ColumnText(1), Target: target, Order: row.ColumnText(2), About: row.ColumnText(3), What: row.ColumnText(4), Data: data,
				}})
				return nil
			},
		})
	})
	return jobs, next, err
}

// targets lists those with something to do.
func (q *Queue) targets() (list []string, err error) {
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT DISTINCT target FROM job WHERE state = 'pending' AND head = 1`, &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { list = append(list, row.ColumnText(0)); return nil },
		})
	})
	return list, err
}

// woken lists, once, the targets whose jobs somebody else has put back.
func (q *Queue) woken() (list []string, err error) {
	find := func(conn *sqlite.Conn) error {
		list = nil
		return sqlitex.Execute(conn, `SELECT target FROM woken`, &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { list = append(list, row.ColumnText(0)); return nil },
		})
	}
	if err := q.read(find); err != nil || len(list) == 0 {
		return nil, err
	}
	return list, q.write(func(conn *sqlite.Conn) error {
		if err := find(conn); err != nil {
			return err
		}
		return sqlitex.Execute(conn, `DELETE FROM woken`, nil)
	})
}

// begin notes that an attempt begins, unless somebody has discarded the job, or it was
// attempted since it was read. It survives a power cut.
func (q *Queue) begin(w Work) (wanted bool, err error) {
	err = q.enter(&write{sync: true, done: make(chan struct{}), do: func(conn *sqlite.Conn) error {
		err := sqlitex.Execute(conn, `UPDATE job SET begun = 1 WHERE seq = ? AND state = 'pending' AND attempts = ?`, &sqlitex.ExecOptions{Args: []any{w.Seq, w.Attempts}})
		wanted = conn.Changes() > 0
		return err
	}})
	return wanted, err
}

// wanted reports whether a job is still to be done, and as it was read.
func (q *Queue) wanted(w Work) (wanted bool, err error) {
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT state = 'pending' AND attempts = ? FROM job WHERE seq = ?`, &sqlitex.ExecOptions{
			Args: []any{w.Attempts, w.Seq}, ResultFunc: func(row *sqlite.Stmt) error { wanted = row.ColumnBool(0); return nil },
		})
	})
	return wanted, err
}

// result is what came of an attempt.
type result struct {
	at      time.Time
	took    time.Duration
	state   State
	due     time.Time // of the next attempt; only when pending
	note    string    // what was said
	problem string    // empty: it is done
}

// settle notes what came of an attempt, and lets the next job of the order have its
// turn when this one is through. A job that somebody discarded meanwhile stays so.
func (q *Queue) settle(w Work, r result) error {
	return q.write(func(conn *sqlite.Conn) error {
		if err := sqlitex.Execute(conn, `INSERT INTO attempt (job, at, took, note, problem) VALUES (?, ?, ?, ?, ?)`, &sqlitex.ExecOptions{
			Args: []any{w.Seq, r.at.UnixMicro(), r.took.Microseconds(), r.note, r.problem},
		}); err != nil {
			return err
		}
		note := r.problem
		if note == "" {
			note = r.note
		}
		if err := sqlitex.Execute(conn, `UPDATE job SET attempts = attempts + 1, begun = 0, updated = ?1, due = ?2, note = ?3,
			state = iif(state = 'pending', ?4, state) WHERE seq = ?5`, &sqlitex.ExecOptions{
			Args: []any{q.now().UnixMicro(), r.due.UnixMicro(), note, string(r.state), w.Seq},
		}); err != nil {
			return err
		}
		if r.state == Pending {
			return nil
		}
		return promote(conn, w.Target, w.Order)
	})
}

// promote makes the first pending job of an order its head, if it has none.
func promote(conn *sqlite.Conn, target, order string) error {
	return sqlitex.Execute(conn, `UPDATE job SET head = 1 WHERE seq = (SELECT min(seq) FROM job WHERE target = ?1 AND ordering = ?2 AND state = 'pending')
		AND NOT EXISTS (SELECT 1 FROM job WHERE target = ?1 AND ordering = ?2 AND state = 'pending' AND head = 1)`,
		&sqlitex.ExecOptions{Args: []any{target, order}})
}

func link(conn *sqlite.Conn, key, value string, at time.Time) error {
	return sqlitex.Execute(conn, `INSERT OR REPLACE INTO link VALUES (?, ?, ?)`, &sqlitex.ExecOptions{Args: []any{key, value, at.UnixMicro()}})
}

// Link returns what was put under a key; empty: nothing, or too long ago.
func (q *Queue) Link(key string) (value string, err error) {
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT value FROM link WHERE key = ?`, &sqlitex.ExecOptions{
			Args: []any{key}, ResultFunc: func(row *sqlite.Stmt) error { value = row.ColumnText(0); return nil },
		})
	})
	return value, err
}

// forgetting removes attempts and jobs of a state.
var forgetting = []string{
	`DELETE FROM attempt WHERE job IN (SELECT seq FROM job WHERE state = ?3 AND state <> 'pending' AND updated < ?1 ORDER BY updated LIMIT ?2)`,
	`DELETE FROM job WHERE seq IN (SELECT seq FROM job WHERE state = ?3 AND state <> 'pending' AND updated < ?1 ORDER BY updated LIMIT ?2)`,
}

// forget removes what is done, or discarded, since before the instant, a part at a
// time; more says that there may be others.
func (q *Queue) forget(before time.Time) (more bool, err error) {
	const part = 1000
	err = q.write(func(conn *sqlite.Conn) error {
		for _, state := range []State{Done, Discarded} {
			for _, statement := range forgetting {
				if err := sqlitex.Execute(conn, statement, &sqlitex.ExecOptions{Args: []any{before.UnixMicro(), part, string(state)}}); err != nil {
					return err
				}
			}
			more = more || conn.Changes() == part
		}
		return sqlitex.Execute(conn, `DELETE FROM link WHERE created < ?`, &sqlitex.ExecOptions{Args: []any{before.UnixMicro()}})
	})
	return more, err
}
