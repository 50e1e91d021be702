package reactor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// State of a job.
type State string

// The states of a job.
const (
	Pending   State = "pending"   // to be done, or done again
	Parked    State = "parked"    // given up; waits for somebody to retry or discard it
	Done      State = "done"      // and kept for a while
	Discarded State = "discarded" // by somebody, undone
)

// Job is one thing to do.
type Job struct {
	Key    string        // of what makes it: the same key is one job
	Target string        // who is asked
	Order  string        // a target's jobs of one order are done in the order they were put
	About  string        // CH… or another SID, for people
	What   string        // what it is, for people
	Data   []byte        // for who does it
	After  time.Duration // when it is put, how long until the first attempt
}

// Work is a job as it is handed over for an attempt.
type Work struct {
	Job
	Seq         int64
	Attempts    int  // made before this one
	Interrupted bool // one was begun whose end is not known
}

// The statements make the file. The index of heads is what lanes look for: the first
// pending job of each order.
var schema = []string{
	`PRAGMA journal_mode = WAL`,
	`CREATE TABLE IF NOT EXISTS cursor (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS job (
		seq      INTEGER PRIMARY KEY AUTOINCREMENT,
		key      TEXT NOT NULL UNIQUE,
		target   TEXT NOT NULL,
		ordering TEXT NOT NULL,
		about    TEXT NOT NULL,
		what     TEXT NOT NULL,
		data     BLOB NOT NULL,
		position TEXT NOT NULL, -- of the event that led to it
		since    TEXT NOT NULL, -- the cursor before that; both empty: no event did
		state    TEXT NOT NULL,
		head     INTEGER NOT NULL,
		begun    INTEGER NOT NULL DEFAULT 0,
		attempts INTEGER NOT NULL DEFAULT 0,
		due      INTEGER NOT NULL,
		created  INTEGER NOT NULL,
		updated  INTEGER NOT NULL,
		note     TEXT NOT NULL DEFAULT ''
	)`,
	`CREATE INDEX IF NOT EXISTS job_heads ON job (target, due) WHERE state = 'pending' AND head = 1`,
	`CREATE INDEX IF NOT EXISTS job_order ON job (target, ordering, seq) WHERE state = 'pending'`,
	`CREATE INDEX IF NOT EXISTS job_about ON job (about, seq)`,
	`CREATE INDEX IF NOT EXISTS job_ended ON job (state, updated) WHERE state <> 'pending'`,
	`CREATE TABLE IF NOT EXISTS attempt (
		job     INTEGER NOT NULL,
		at      INTEGER NOT NULL,
		took    INTEGER NOT NULL,
		note    TEXT NOT NULL,
		problem TEXT NOT NULL
	)`,
	`CREATE INDEX IF NOT EXISTS attempt_job ON attempt (job)`,
	`CREATE TABLE IF NOT EXISTS link (key TEXT PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE INDEX IF NOT EXISTS link_age ON link (created)`,
	`CREATE TABLE IF NOT EXISTS woken (target TEXT PRIMARY KEY) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS turn (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL)`, // of transactions
	`INSERT OR IGNORE INTO turn VALUES (1, 0)`,
}

// Queue keeps jobs in a file. It is safe for concurrent use, also by several
// processes: a server that works on it and people who look at it.
type Queue struct {
	now  func() time.Time
	sync Sync
	mark mark // for whoever has the turn

	mu      sync.Mutex
	waiting []*write          // for whoever has the turn next
	turn    chan *sqlite.Conn // holds the writing connection while nobody uses it
	reader  chan *sqlite.Conn // likewise
}

// write is a change and what came of it.
type write struct {
	do   func(*sqlite.Conn) error
	sync bool // whatever the queue is like
	err  error
	done chan struct{}
}

// Sync says what of a queue survives a power cut.
type Sync string

// How a queue is written.
const (
	// Full: all of it. For queues of what is put.
	Full Sync = "FULL"
	// Normal: not the last moments, cursor and jobs alike, which are made of the log
	// again; but that an attempt began, where Options.Marked wants that noted.
	Normal Sync = "NORMAL"
)

// OpenQueue opens the file at path or makes it. A nil clock is time.Now.
func OpenQueue(path string, sync Sync, now func() time.Time) (*Queue, error) {
	return openQueue(path, sqlite.OpenReadWrite|sqlite.OpenCreate, sync, now)
}

// OpenExisting is OpenQueue for a file that must be there; the error is os.ErrNotExist
// when it is not.
func OpenExisting(path string) (*Queue, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return openQueue(path, sqlite.OpenReadWrite, Full, nil)
}

func openQueue(path string, flags sqlite.OpenFlags, sync Sync, now func() time.Time) (*Queue, error) {
	if now == nil {
		now = time.Now
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(markOf(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err // it is of a former file
		}
	}
	q := &Queue{now: now, sync: sync, mark: mark{path: markOf(path)}, turn: make(chan *sqlite.Conn, 1), reader: make(chan *sqlite.Conn, 1)}
	writing, err := connect(path, flags, sync)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	reading, err := connect(path, flags, sync)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), writing.Close())
	}
	if err := q.mark.open(); err != nil {
		return nil, errors.Join(err, writing.Close(), reading.Close())
	}
	q.turn <- writing
	q.reader <- reading
	return q, nil
}

func connect(path string, flags sqlite.OpenFlags, sync Sync) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(10 * time.Second)
	for _, statement := range append([]string{`PRAGMA synchronous = ` + string(sync)}, schema...) {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// Close closes the file; whoever is using it is waited for. Nothing may be done with
// it afterwards.
func (q *Queue) Close() error {
	return errors.Join((<-q.turn).Close(), (<-q.reader).Close(), q.mark.close())
}

// write makes a change durable. Changes that come at the same time share a
// transaction: whoever gets the turn makes all that wait.
func (q *Queue) write(do func(*sqlite.Conn) error) error {
	return q.enter(&write{do: do, done: make(chan struct{})})
}

func (q *Queue) enter(w *write) error {
	q.mu.Lock()
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()
	select {
	case conn := <-q.turn:
		q.commit(conn)
		q.turn <- conn
	case <-w.done:
	}
	<-w.done
	return w.err
}

func (q *Queue) commit(conn *sqlite.Conn) {
	q.mu.Lock()
	taken := q.waiting
	q.waiting = nil
	q.mu.Unlock()
	sync, err := q.begins(conn, taken)
	if err == nil {
		for _, w := range taken {
			w.err = attempted(conn, w.do)
		}
		var turn int64
		if turn, err = nextTurn(conn); err == nil {
			err = sqlitex.ExecuteTransient(conn, "COMMIT", nil)
		}
		if err != nil && !conn.AutocommitEnabled() {
			_ = sqlitex.ExecuteTransient(conn, "ROLLBACK", nil) // the first error says it all
		}
		if err == nil && sync == Full {
			q.mark.note(turn)
		}
	}
	for _, w := range taken {
		w.err = errors.Join(w.err, err)
		close(w.done)
	}
}

// begins begins a transaction that survives a power cut if one of the changes has to.
func (q *Queue) begins(conn *sqlite.Conn, taken []*write) (Sync, error) {
	sync := q.sync
	if slices.ContainsFunc(taken, func(w *write) bool { return w.sync }) {
		sync = Full
	}
	if !conn.AutocommitEnabled() { // the last one could not even be rolled back
		if err := sqlitex.ExecuteTransient(conn, "ROLLBACK", nil); err != nil {
			return sync, err
		}
	}
	if err := sqlitex.Execute(conn, `PRAGMA synchronous = `+string(sync), nil); err != nil {
		return sync, err
	}
	return sync, sqlitex.Execute(conn, "BEGIN IMMEDIATE", nil)
}

// attempted makes one change of a transaction, or none of it.
func attempted(conn *sqlite.Conn, do func(*sqlite.Conn) error) (err error) {
	release := sqlitex.Save(conn)
	defer release(&err)
	return do(conn)
}

// read has the reading connection for as long as look runs.
func (q *Queue) read(look func(*sqlite.Conn) error) error {
	conn := <-q.reader
	defer func() { q.reader <- conn }()
	return look(conn)
}

// Cursor returns how far the log has led to jobs; zero and false before the first
// Move.
func (q *Queue) Cursor() (position events.Position, begun bool, err error) {
	err = q.read(func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, `SELECT position FROM cursor`, &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) (err error) {
			begun = true
			position, err = events.ParsePosition(row.ColumnText(0))
			return err
		}})
	})
	return position, begun, err
}

// Move sets the cursor, wherever it was.
func (q *Queue) Move(to events.Position) error {
	return q.write(func(conn *sqlite.Conn) error { return move(conn, to) })
}

func move(conn *sqlite.Conn, to events.Position) error {
	return sqlitex.Execute(conn, `INSERT OR REPLACE INTO cursor VALUES (1, ?)`, &sqlitex.ExecOptions{Args: []any{to.String()}})
}
