package projections

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// applicationID marks a SQLite file as a generation of ours: "PRLY".
const applicationID = 0x50524c59

// DamagedError says that a file of a read model cannot be used. The log has
// everything: building it anew loses nothing.
type DamagedError struct {
	Path   string
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("read model %s cannot be used: %s; run \"parley projection rebuild %s\" to build it anew from the log",
		e.Path, e.Reason, Name)
}

// mark is how far a generation has come. It is saved with the rows.
type mark struct {
	position events.Position
	event    ordinal   // events applied
	recorded time.Time // of the last event
	id       events.ID // of the last event
}

// generation is the writing side of one file. It belongs to one goroutine at a
// time.
type generation struct {
	path  string
	conn  *sqlite.Conn
	fold  *fold
	limit int // rows cached per table and half
	mark  mark
	dirty int // events since the last checkpoint

	quarantine *quarantine
}

// newGeneration makes an empty file. A bulk one is filled at full speed: no
// journal, no sync, no indexes; a crash leaves a file that no manifest names.
func newGeneration(path string, limit int, bulk bool) (*generation, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, fmt.Errorf("create read model: %w", err)
	}
	g := &generation{path: path, conn: conn, limit: limit}
	if err = g.furnish(); err == nil && !bulk {
		err = g.goLive(limit)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return g, nil
}

// furnish makes the tables of a new file.
func (g *generation) furnish() (err error) {
	err = pragma(g.conn, fmt.Sprintf("application_id = %d", applicationID), fmt.Sprintf("user_version = %d", Version),
		"journal_mode = OFF", "synchronous = OFF", "cache_size = -65536", "locking_mode = EXCLUSIVE")
	if err != nil {
		return err
	}
	if err := createTables(g.conn); err != nil {
		return err
	}
	g.quarantine, err = loadQuarantine(g.conn)
	g.fold = newFold(g.conn, g.limit, true)
	return err
}

// createTables makes all tables and views, without indexes.
func createTables(conn *sqlite.Conn) error {
	for _, spec := range tableSpecs {
		if err := spec.create(conn); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
	}
	if err := sqlitex.ExecuteScript(conn, createMark+views, nil); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	return nil
}

const createMark = `
	CREATE TABLE progress (
	  position INTEGER NOT NULL, position_prepare INTEGER NOT NULL, -- of the last event applied
	  events INTEGER NOT NULL,                                      -- applied since the beginning of the log
	  recorded INTEGER,                                             -- when the log took the last one
	  event_id TEXT                                                 -- of the last one
	);
	INSERT INTO progress VALUES (0, 0, 0, NULL, NULL);`

// openGeneration continues a file that a manifest names.
func openGeneration(path string, limit int) (*generation, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, damaged(path, err)
	}
	g := &generation{path: path, conn: conn, limit: limit, fold: newFold(conn, limit, false)}
	if err := identify(conn, path); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if g.mark, err = readMark(conn); err != nil {
		return nil, errors.Join(damaged(path, err), conn.Close())
	}
	if g.quarantine, err = loadQuarantine(conn); err != nil {
		return nil, errors.Join(damaged(path, err), conn.Close())
	}
	if err := g.livePragmas(); err != nil {
		return nil, errors.Join(damaged(path, err), conn.Close())
	}
	return g, nil
}

// openFilling continues to fill a file that saveFilling has saved.
func openFilling(path string, limit int) (g *generation, err error) {
	if g, err = openGeneration(path, limit); err != nil {
		return nil, err
	}
	g.fold = newFold(g.conn, limit, true)
	err = pragma(g.conn, "journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE")
	if err = errors.Join(err, g.fold.makeKeys()); err != nil {
		return nil, errors.Join(damaged(path, err), g.conn.Close())
	}
	return g, nil
}

// saveFilling ends the transaction in which a file is filled so that openFilling can go
// on. Rows that left the cache are found by an index from there on.
func (g *generation) saveFilling() error {
	err := errors.Join(g.fold.flush(), g.fold.deletePutOff(), g.fold.makeKeys(), writeMark(g.conn, g.mark),
		sqlitex.ExecuteTransient(g.conn, "COMMIT", nil))
	if err != nil {
		return err
	}
	return g.sync()
}

func damaged(path string, err error) error {
	return &DamagedError{Path: path, Reason: err.Error()}
}

// identify refuses files that are not ours or of another version.
func identify(conn *sqlite.Conn, path string) error {
	app, err := pragmaInt(conn, "application_id")
	if err != nil {
		return damaged(path, err)
	}
	version, err := pragmaInt(conn, "user_version")
	switch {
	case err != nil:
		return damaged(path, err)
	case app != applicationID:
		return &DamagedError{Path: path, Reason: "it is not a read model of Parley"}
	case version != Version:
		return &DamagedError{Path: path, Reason: fmt.Sprintf("it has version %d, not %d", version, Version)}
	}
	return nil
}

func pragma(conn *sqlite.Conn, settings ...string) error {
	for _, setting := range settings {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+setting, nil); err != nil {
			return fmt.Errorf("set %s: %w", setting, err)
		}
	}
	return nil
}

func pragmaInt(conn *sqlite.Conn, name string) (int64, error) {
	var n int64
	err := sqlitex.ExecuteTransient(conn, "PRAGMA "+name, &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error { n = stmt.ColumnInt64(0); return nil },
	})
	return n, err
}

func readMark(conn *sqlite.Conn) (m mark, err error) {
	found := false
	err = sqlitex.Execute(conn, "SELECT position, position_prepare, events, recorded, event_id FROM progress", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error {
			found = true
			m.position = events.Position{Commit: uint64(stmt.ColumnInt64(0)), Prepare: uint64(stmt.ColumnInt64(1))}
			m.event, m.recorded = stmt.ColumnInt64(2), columnInstant(stmt, 3)
			if stmt.ColumnIsNull(4) {
				return nil
			}
			return m.id.UnmarshalText([]byte(stmt.ColumnText(4)))
		},
	})
	if err == nil && !found {
		err = errors.New("it does not say how far it has come")
	}
	return m, err
}

func writeMark(conn *sqlite.Conn, m mark) error {
	var recorded, id any
	if m.event > 0 {
		recorded, id = m.recorded.UnixMilli(), m.id.String()
	}
	return sqlitex.Execute(conn, "UPDATE progress SET position = ?, position_prepare = ?, events = ?, recorded = ?, event_id = ?",
		&sqlitex.ExecOptions{Args: []any{int64(m.position.Commit), int64(m.position.Prepare), m.event, recorded, id}})
}

// take folds the next event of a generation that is being filled.
func (g *generation) take(d decoded) error {
	err := g.one(g.mark.event+1, d.recorded, d.event, d.err)
	if err == nil {
		g.mark = mark{
			position: d.recorded.Position, event: g.mark.event + 1, recorded: stored(d.recorded.Recorded), id: d.recorded.ID,
		}
	}
	return err
}

// takeAll folds a history into a generation that is being filled, and calls after, unless
// it is nil, after each event.
func (g *generation) takeAll(history iter.Seq2[decoded, error], after func(e *events.Recorded) error) error {
	for d, err := range history {
		giveWay(int(g.mark.event))
		if err == nil {
			err = g.take(d)
		}
		if err != nil {
			return eventError(d.recorded, err)
		}
		if after == nil {
			continue
		}
		if err := after(d.recorded); err != nil {
			return err
		}
	}
	return nil
}

// goLive ends the filling of a new file: indexes are made, the file is synced
// and from here on it is a journalled database.
func (g *generation) goLive(limit int) error {
	if err := g.fold.goLive(limit); err != nil {
		return err
	}
	if err := g.sync(); err != nil {
		return err
	}
	return g.livePragmas()
}

// sync makes what was written without journal and sync last.
func (g *generation) sync() error {
	// Nobody but SQLite may open the file while SQLite has it: closing another
	// descriptor would drop this process's locks (POSIX), and other processes
	// would then take themselves for the last user and delete the write-ahead
	// file. So it is a write that syncs the file, not a call of ours.
	if err := pragma(g.conn, "locking_mode = NORMAL", "journal_mode = DELETE", "synchronous = FULL"); err != nil {
		return err
	}
	return writeMark(g.conn, g.mark)
}

// livePragmas: checkpoints are made by the runner between batches, not inside a
// commit.
func (g *generation) livePragmas() error {
	return pragma(g.conn, "journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0", "cache_size = -65536")
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// apply folds a batch and commits rows and position together. After an error
// nothing was changed in the file and the generation must be thrown away.
// Events that were applied before are skipped: after a swap the subscription may
// be behind the new generation.
func (g *generation) apply(batch store.Batch) error {
	for len(batch.Events) > 0 && batch.Events[0].Position.Compare(g.mark.position) <= 0 {
		batch.Events = batch.Events[1:]
	}
	if len(batch.Events) == 0 {
		g.reach(batch.Upto)
		return nil
	}
	if err := sqlitex.ExecuteTransient(g.conn, "BEGIN IMMEDIATE", nil); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := g.applyInside(batch); err != nil {
		return errors.Join(err, sqlitex.ExecuteTransient(g.conn, "ROLLBACK", nil))
	}
	if err := sqlitex.ExecuteTransient(g.conn, "COMMIT", nil); err != nil {
		return errors.Join(fmt.Errorf("commit: %w", err), sqlitex.ExecuteTransient(g.conn, "ROLLBACK", nil))
	}
	g.dirty += len(batch.Events)
	return nil
}

// reach notes that there is nothing of ours up to the position; that is not
// worth a write.
func (g *generation) reach(position events.Position) {
	if g.mark.position.Compare(position) < 0 {
		g.mark.position = position
	}
}

func (g *generation) applyInside(batch store.Batch) error {
	next := g.mark
	for i := range batch.Events {
		r := &batch.Events[i]
		e, err := decode(r)
		if err != nil {
			err = undecodable{err}
		}
		next.event++
		if err = g.one(next.event, r, e, err); err != nil {
			return &EventError{Position: r.Position, Stream: r.Stream, Type: r.Type, Err: err}
		}
		next.recorded, next.id = stored(r.Recorded), r.ID
	}
	next.position = batch.Upto
	if err := errors.Join(g.fold.flush(), writeMark(g.conn, next)); err != nil {
		return err
	}
	g.mark = next
	return nil
}

// EventError says which event could not be applied.
type EventError struct {
	Position events.Position
	Stream   string
	Type     string
	Err      error
}

func (e *EventError) Error() string {
	return fmt.Sprintf("apply %s of %s at position %s: %v", e.Type, e.Stream, e.Position, e.Err)
}

// Unwrap returns the cause.
func (e *EventError) Unwrap() error { return e.Err }

// checkpointEvery is how many events may be in the write-ahead file.
const checkpointEvery = 20_000

// checkpoint moves what the write-ahead file holds into the database, as far as
// readers allow. Call it when nobody waits for the next commit.
func (g *generation) checkpoint() error {
	g.dirty = 0
	return pragma(g.conn, "wal_checkpoint(PASSIVE)")
}

func (g *generation) close() error { return g.conn.Close() }

// fileName of a generation.
func fileName(number int) string { return fmt.Sprintf("%s-v%d-g%d.db", Name, Version, number) }

// removeDatabase deletes a file and what SQLite keeps beside it.
func removeDatabase(path string) error {
	var problems []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
