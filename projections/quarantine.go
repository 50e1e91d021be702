package projections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Poison says what an event that cannot be applied does to the projection.
type Poison string

// The policies.
const (
	// Stop stops the projection with its position unmoved. It is the default.
	Stop Poison = "stop"
	// Quarantine parks the event and the later ones of its stream, for this
	// projection only, and goes on with everything else.
	Quarantine Poison = "quarantine"
)

// Quarantined is a stream whose events are parked.
type Quarantined struct {
	Stream   string          `json:"stream"`
	Position events.Position `json:"position"` // of the event that could not be applied
	Revision uint64          `json:"revision"`
	EventID  events.ID       `json:"event_id"`
	Type     string          `json:"type"`
	Error    string          `json:"error"`
	Since    time.Time       `json:"since"`
	Parked   int64           `json:"parked"` // events, with the first one
}

// Skipped is an event that a projection leaves out for good, also in rebuilds.
type Skipped struct {
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

const createQuarantine = `
	CREATE TABLE IF NOT EXISTS quarantined (
	  stream TEXT PRIMARY KEY,
	  position INTEGER NOT NULL, position_prepare INTEGER NOT NULL, revision INTEGER NOT NULL,
	  event_id TEXT NOT NULL, type TEXT NOT NULL, error TEXT NOT NULL, since INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE TABLE IF NOT EXISTS parked (
	  event INTEGER PRIMARY KEY, -- its number in the log
	  stream TEXT NOT NULL, position INTEGER NOT NULL, position_prepare INTEGER NOT NULL
	);
	CREATE TABLE IF NOT EXISTS skipped (
	  stream TEXT NOT NULL, revision INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
	  PRIMARY KEY (stream, revision)
	) WITHOUT ROWID;`

// spot is an event's place in its stream.
type spot struct {
	stream   string
	revision uint64
}

// quarantine is what of the log a generation does not apply.
type quarantine struct {
	conn    *sqlite.Conn
	on      bool              // the policy is Quarantine
	gaps    bool              // an event about something that is not there is left out
	streams map[string]uint64 // the revision from which on events are parked
	skipped map[spot]bool
}

// loadQuarantine reads what a file has, and makes its tables if it is from before there
// were any.
func loadQuarantine(conn *sqlite.Conn) (*quarantine, error) {
	q := &quarantine{conn: conn, streams: map[string]uint64{}, skipped: map[spot]bool{}}
	if err := sqlitex.ExecuteScript(conn, createQuarantine, nil); err != nil {
		return nil, err
	}
	return q, q.load(conn)
}

// load adds what a file has.
func (q *quarantine) load(conn *sqlite.Conn) error {
	err := sqlitex.Execute(conn, "SELECT stream, revision FROM quarantined", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		q.streams[s.ColumnText(0)] = uint64(s.ColumnInt64(1))
		return nil
	}})
	if err != nil {
		return err
	}
	return sqlitex.Execute(conn, "SELECT stream, revision FROM skipped", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		q.skipped[spot{s.ColumnText(0), uint64(s.ColumnInt64(1))}] = true
		return nil
	}})
}

// holds reports whether the event is behind one that could not be applied.
func (q *quarantine) holds(r *events.Recorded) bool {
	if len(q.streams) == 0 {
		return false
	}
	from, held := q.streams[r.Stream]
	return held && r.Revision >= from
}

func (q *quarantine) skips(r *events.Recorded) bool {
	return len(q.skipped) > 0 && q.skipped[spot{r.Stream, r.Revision}]
}

// takes reports whether the error is one to be quarantined: the event's own, not the
// disk's.
func (q *quarantine) takes(err error) bool { return q.on && poisonous(err) }

// undecodable is an event whose payload cannot be read.
type undecodable struct{ error }

func (u undecodable) Unwrap() error { return u.error }

// poisonous reports whether an event cannot be applied because of what it says. It has
// changed nothing then, in memory or on disk.
func poisonous(err error) bool {
	var unread undecodable
	var missing *MissingRowError
	var unknown *events.UnknownTypeError
	return errors.As(err, &unread) || errors.As(err, &missing) || errors.As(err, &unknown)
}

// begin parks an event that could not be applied; later ones of its stream follow.
func (q *quarantine) begin(n ordinal, r *events.Recorded, why error) error {
	err := sqlitex.Execute(q.conn, "INSERT OR REPLACE INTO quarantined VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &sqlitex.ExecOptions{Args: []any{
		r.Stream, int64(r.Position.Commit), int64(r.Position.Prepare), int64(r.Revision), r.ID.String(), r.Type, why.Error(), time.Now().UnixMilli(),
	}})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	q.streams[r.Stream] = r.Revision
	return q.park(n, r)
}

func (q *quarantine) park(n ordinal, r *events.Recorded) error {
	err := sqlitex.Execute(q.conn, "INSERT OR IGNORE INTO parked VALUES (?, ?, ?, ?)",
		&sqlitex.ExecOptions{Args: []any{n, r.Stream, int64(r.Position.Commit), int64(r.Position.Prepare)}})
	if err != nil {
		return fmt.Errorf("park: %w", err)
	}
	return nil
}

// release ends the quarantine of a stream.
func (q *quarantine) release(stream string) error {
	delete(q.streams, stream)
	return sqlitex.Execute(q.conn, "DELETE FROM quarantined WHERE stream = ?", &sqlitex.ExecOptions{Args: []any{stream}})
}

// skip leaves an event out for good.
func (q *quarantine) skip(s spot, reason string) error {
	q.skipped[s] = true
	return sqlitex.Execute(q.conn, "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?)",
		&sqlitex.ExecOptions{Args: []any{s.stream, int64(s.revision), reason, time.Now().UnixMilli()}})
}

// like makes a generation leave out what another one does.
func (q *quarantine) like(other *quarantine) {
	q.on = other.on
	maps.Copy(q.streams, other.streams)
	maps.Copy(q.skipped, other.skipped)
}

// inherit copies the events that another generation skips: that was decided once and for
// all. What it has parked is tried anew.
func (q *quarantine) inherit(list []Skipped) error {
	for _, s := range list {
		if err := q.skip(spot{s.Stream, s.Revision}, s.Reason); err != nil {
			return err
		}
	}
	return nil
}

// one applies the next event of the log, or parks it, or leaves it out.
func (g *generation) one(n ordinal, r *events.Recorded, e events.Event, err error) error {
	q := g.quarantine
	switch {
	case q.holds(r):
		return q.park(n, r)
	case q.skips(r):
		return nil
	case err == nil:
		err = g.fold.apply(n, r, e)
	}
	switch {
	case err == nil:
		return nil
	case q.takes(err):
		return q.begin(n, r, err)
	case q.gaps && errors.As(err, new(*MissingRowError)):
		return nil
	}
	return err
}

// Quarantined lists the streams whose events are parked.
func (q *Queries) Quarantined(ctx context.Context) (list []Quarantined, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) (err error) {
		list, err = quarantinedIn(conn)
		return err
	})
	return list, err
}

func quarantinedIn(conn *sqlite.Conn) (list []Quarantined, err error) {
	if there, err := anyRow(conn, "FROM sqlite_schema WHERE name = 'quarantined'"); !there || err != nil {
		return nil, err // from before there was a quarantine
	}
	const sql = `SELECT stream, position, position_prepare, revision, event_id, type, error, since,
		(SELECT count(*) FROM parked p WHERE p.stream = q.stream) FROM quarantined q ORDER BY position, position_prepare`
	err = sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		one := Quarantined{
			Stream: s.ColumnText(0), Position: events.Position{Commit: uint64(s.ColumnInt64(1)), Prepare: uint64(s.ColumnInt64(2))},
			Revision: uint64(s.ColumnInt64(3)), Type: s.ColumnText(5), Error: s.ColumnText(6), Since: columnInstant(s, 7), Parked: s.ColumnInt64(8),
		}
		list = append(list, one)
		return list[len(list)-1].EventID.UnmarshalText([]byte(s.ColumnText(4)))
	}})
	return list, err
}

// leftOut is what the rows that a reader sees leave out.
func leftOut(conn *sqlite.Conn) (quarantine, error) {
	q := quarantine{streams: map[string]uint64{}, skipped: map[spot]bool{}}
	there, err := anyRow(conn, "FROM sqlite_schema WHERE name = 'skipped'")
	if there {
		err = q.load(conn)
	}
	return q, err
}

// Skipped lists the events that are left out.
func (q *Queries) Skipped(ctx context.Context) (list []Skipped, err error) {
	err = q.view(ctx, func(conn *sqlite.Conn) (err error) {
		list, err = skippedIn(conn)
		return err
	})
	return list, err
}

func skippedIn(conn *sqlite.Conn) (list []Skipped, err error) {
	if there, err := anyRow(conn, "FROM sqlite_schema WHERE name = 'skipped'"); !there || err != nil {
		return nil, err
	}
	err = sqlitex.Execute(conn, "SELECT stream, revision, reason, at FROM skipped ORDER BY at, stream, revision", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		list = append(list, Skipped{s.ColumnText(0), uint64(s.ColumnInt64(1)), s.ColumnText(2), columnInstant(s, 3)})
		return nil
	}})
	return list, err
}

// Released is the outcome of a try with what was parked.
type Released struct {
	Stream  string       `json:"stream"`
	Applied int64        `json:"applied"`        // events that are in the rows now
	Skipped int64        `json:"skipped"`        // left out for good, this time
	Left    *Quarantined `json:"left,omitempty"` // what is parked still; nil: nothing
}

// ErrNotQuarantined says that nothing of a stream is parked.
var ErrNotQuarantined = errors.New("nothing of that stream is parked")

// Retry applies the parked events of a stream in their order, up to the first that still
// cannot be applied.
func (rm *ReadModels) Retry(ctx context.Context, stream string) (Released, error) {
	return rm.release(ctx, stream, "")
}

// Skip leaves the first parked event of a stream out, for good and also in rebuilds, and
// then does what Retry does. It needs a reason, which is kept.
func (rm *ReadModels) Skip(ctx context.Context, stream, reason string) (Released, error) {
	if reason == "" {
		return Released{}, fmt.Errorf("%w: to skip an event needs a reason", ErrOptions)
	}
	return rm.release(ctx, stream, reason)
}

func (rm *ReadModels) release(ctx context.Context, stream, skip string) (done Released, err error) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	switch {
	case rm.closed:
		return done, store.ErrClosed
	case rm.live == nil:
		return done, errors.New("the projection is stopped")
	}
	if _, held := rm.live.quarantine.streams[stream]; !held {
		return done, fmt.Errorf("%w: %s", ErrNotQuarantined, stream)
	}
	parked, err := rm.live.quarantine.parkedOf(stream)
	if err != nil || len(parked) == 0 {
		return done, err
	}
	log := rm.log.ReadFrom(ctx, parked[0].position, store.Forwards, store.Filter{StreamPrefixes: []string{stream}})
	if done, err = rm.live.releaseIn(stream, skip, parked, log); err != nil {
		err = errors.Join(err, rm.live.close()) // its rows in memory are not to be trusted
		rm.live = nil
		rm.progress.stop(err)
		return done, err
	}
	rm.options.Logger.Info("parked events tried again", "stream", stream, "applied", done.Applied, "skipped", done.Skipped, "reason", skip)
	return done, nil
}

// parkedEvent is one that waits.
type parkedEvent struct {
	number   ordinal
	position events.Position
}

func (q *quarantine) parkedOf(stream string) (list []parkedEvent, err error) {
	err = sqlitex.Execute(q.conn, "SELECT event, position, position_prepare FROM parked WHERE stream = ? ORDER BY event", &sqlitex.ExecOptions{
		Args: []any{stream},
		ResultFunc: func(s *sqlite.Stmt) error {
			list = append(list, parkedEvent{s.ColumnInt64(0), events.Position{Commit: uint64(s.ColumnInt64(1)), Prepare: uint64(s.ColumnInt64(2))}})
			return nil
		},
	})
	return list, err
}

// releaseIn applies what is parked of a stream, in one transaction.
func (g *generation) releaseIn(stream, skip string, parked []parkedEvent, log history) (done Released, err error) {
	done.Stream = stream
	end, err := sqlitex.ImmediateTransaction(g.conn)
	if err != nil {
		return done, err
	}
	defer end(&err)
	if err := g.quarantine.release(stream); err != nil {
		return done, err
	}
	for r, err := range log {
		if err != nil {
			return done, fmt.Errorf("read the log: %w", err)
		}
		if r.Stream != stream || r.Position != parked[0].position {
			continue
		}
		if skip != "" && done.Skipped == 0 {
			done.Skipped++
			err = g.quarantine.skip(spot{stream, r.Revision}, skip)
		} else {
			done.Left, err = g.tryParked(&r, parked[0].number, &done)
		}
		if err == nil && done.Left == nil {
			err = g.quarantine.unpark(parked[0].number)
		}
		if parked = parked[1:]; len(parked) == 0 || done.Left != nil || err != nil {
			return done, errors.Join(err, g.fold.flush())
		}
	}
	return done, fmt.Errorf("the log does not have the event at position %s of %s", parked[0].position, stream)
}

func (q *quarantine) unpark(n ordinal) error {
	return sqlitex.Execute(q.conn, "DELETE FROM parked WHERE event = ?", &sqlitex.ExecOptions{Args: []any{n}})
}

// tryParked applies an event, or says what it is quarantined for.
func (g *generation) tryParked(r *events.Recorded, n ordinal, done *Released) (*Quarantined, error) {
	e, err := decode(r)
	if err != nil {
		err = undecodable{err}
	} else {
		err = g.fold.apply(n, r, e)
	}
	if err == nil {
		done.Applied++
		return nil, nil
	}
	if !poisonous(err) {
		return nil, err
	}
	if err := g.quarantine.begin(n, r, err); err != nil {
		return nil, err
	}
	list, err := quarantinedIn(g.conn)
	for i := range list {
		if list[i].Stream == r.Stream {
			return &list[i], err
		}
	}
	return nil, err
}
