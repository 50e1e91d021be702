package projections

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Scope is a part of the read models that can be made anew by itself: a conversation
// with all it holds, or a service with its conversations, users, roles, bindings and
// media. One of the two is set.
type Scope struct {
	Conversation string `json:"conversation,omitempty"`
	Service      string `json:"service,omitempty"`
}

// Refolded is the outcome of a refold.
type Refolded struct {
	Scope
	Position events.Position `json:"position"` // the rows stand there
	Events   int64           `json:"events"`   // folded
	Rows     int64           `json:"rows"`     // that the scope has now
	Healed   int64           `json:"healed"`   // that were missing, too many or different
	Took     time.Duration   `json:"took"`
}

// refold makes the rows of a scope anew, in a file of their own.
type refold struct {
	rm      *ReadModels
	scope   Scope
	streams map[string]bool // of the scope, as far as they are known
	g       *generation
	folded  int64
}

// Refold makes the rows of a scope anew from the log, beside the live ones, and puts
// them in their place in one transaction: readers see the former or the new ones. It
// reads the whole log once, for rows are numbered by their events, at no more than the
// rate, if that is above zero. It is refused while a rebuild runs. Without a Run the
// live rows stay at the position that they have.
func (rm *ReadModels) Refold(ctx context.Context, scope Scope, rate int) (Refolded, error) {
	select {
	case rm.rebuilding <- struct{}{}:
		defer func() { <-rm.rebuilding }()
	default:
		return Refolded{}, ErrRebuilding
	}
	began := time.Now()
	f := &refold{rm: rm, scope: scope, streams: map[string]bool{}}
	if scope.Conversation != "" {
		f.streams[events.Stream(events.CategoryConversation, scope.Conversation)] = true
	}
	done, err := f.run(ctx, newControl(nil, &job{RebuildOptions: RebuildOptions{Rate: rate}}))
	if err != nil {
		return Refolded{}, fmt.Errorf("refold: %w", err)
	}
	done.Took = time.Since(began)
	rm.options.Logger.Info("rows refolded", "conversation", scope.Conversation, "service", scope.Service, "healed", done.Healed)
	return done, nil
}

func (f *refold) run(ctx context.Context, pace *control) (done Refolded, err error) {
	path := f.rm.path(strings.TrimSuffix(fileName(f.rm.progress.get().Generation), ".db") + ".refold.db")
	if err := removeDatabase(path); err != nil {
		return done, err
	}
	if f.g, err = newGeneration(path, f.rm.options.RebuildRows/2, true); err != nil {
		return done, err
	}
	f.rm.leaveOut(f.g)
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, f.g.close())
		}
		err = errors.Join(err, removeDatabase(path))
	}()
	for range closeInRounds {
		before := f.g.mark.event
		if err := f.read(ctx, pace); err != nil {
			return done, err
		}
		if f.g.mark.event-before <= store.SubscribeBatch {
			break
		}
	}
	f.rm.writing.Lock()
	defer f.rm.writing.Unlock()
	switch {
	case f.rm.closed:
		return done, store.ErrClosed
	case f.rm.live == nil:
		return done, errors.New("the projection is stopped")
	}
	if err := f.read(ctx, newControl(nil, &job{})); err != nil {
		return done, err
	}
	err = errors.Join(f.g.fold.flush(), f.g.fold.deletePutOff(), f.g.close())
	closed = true
	if err != nil {
		return done, err
	}
	return f.replace(path)
}

// leaveOut makes a generation leave out what the live one does.
func (rm *ReadModels) leaveOut(g *generation) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.live != nil {
		g.quarantine.like(rm.live.quarantine)
	}
}

func (rm *ReadModels) path(file string) string { return filepath.Join(rm.dir, file) }

// read folds what the scope has behind the mark up to where the live rows are. Every
// event counts, for it is the number of its row.
func (f *refold) read(ctx context.Context, pace *control) error {
	upto := f.rm.progress.get().Position
	for r, err := range f.rm.between(ctx, f.g.mark.position, upto) {
		if err == nil {
			err = f.take(&r)
		}
		if err == nil {
			err = pace.step(ctx)
		}
		if err != nil {
			return eventError(&r, err)
		}
	}
	return nil
}

func (f *refold) take(r *events.Recorded) error {
	f.g.mark.event++
	f.g.mark.position = r.Position
	if !f.streams[r.Stream] && !f.mayBegin(r) {
		return nil
	}
	e, err := decode(r)
	if err != nil && !f.g.quarantine.holds(r) && !f.g.quarantine.skips(r) {
		return err
	}
	if !f.streams[r.Stream] && serviceOf(e) != f.scope.Service {
		return nil
	}
	f.streams[r.Stream] = true
	if f.g.quarantine.holds(r) || f.g.quarantine.skips(r) {
		return nil
	}
	f.folded++
	return f.g.fold.apply(f.g.mark.event, r, e)
}

// mayBegin reports whether the event makes something that a service can have.
func (f *refold) mayBegin(r *events.Recorded) bool { return f.scope.Service != "" && r.Revision == 0 }

// serviceOf is the service that what an event makes belongs to; empty for others.
func serviceOf(e events.Event) string {
	switch e := e.(type) {
	case events.ConversationCreated:
		return e.Service
	case events.UserCreated:
		return e.Service
	case events.RoleCreated:
		return e.Service
	case events.BindingCreated:
		return e.Service
	case events.MediaCreated:
		return e.Service
	}
	return ""
}

// scopeTables are the tables of a scope, children first, with the condition that selects
// its rows; ? is the SID. Rows whose parents are gone belong to nobody's scope.
func (s Scope) tables() (tables [][2]string, sid string) {
	column, sid := "sid", s.Conversation
	if s.Service != "" {
		column, sid = "chat_service_sid", s.Service
	}
	ids := "SELECT id FROM main.conversation WHERE " + column + " = ?1 UNION SELECT id FROM anew.conversation WHERE " + column + " = ?1"
	tables = [][2]string{
		{"receipt", "message IN (SELECT id FROM main.message WHERE conversation IN (" + ids + ") UNION SELECT id FROM anew.message)"},
		{"webhook", "conversation IN (" + ids + ")"},
		{"message", "conversation IN (" + ids + ")"},
		{"participant", "conversation IN (" + ids + ")"},
		{"conversation", column + " = ?1"},
	}
	if s.Service != "" {
		for _, table := range []string{"user", "role", "push_binding", "media"} {
			tables = append(tables, [2]string{table, column + " = ?1"})
		}
	}
	return tables, sid
}

// replace puts the new rows in the place of the live ones. rm.writing is held.
func (f *refold) replace(path string) (done Refolded, err error) {
	live := f.rm.live
	done = Refolded{Scope: f.scope, Position: live.mark.position, Events: f.folded}
	if err := sqlitex.Execute(live.conn, "ATTACH ? AS anew", &sqlitex.ExecOptions{Args: []any{path}}); err != nil {
		return done, err
	}
	defer func() {
		live.fold = newFold(live.conn, live.limit, false) // what it kept in memory is outdated
		err = errors.Join(err, sqlitex.ExecuteTransient(live.conn, "DETACH anew", nil))
	}()
	end, err := sqlitex.ImmediateTransaction(live.conn)
	if err != nil {
		return done, err
	}
	defer end(&err)
	tables, sid := f.scope.tables()
	for _, t := range tables {
		if err := replaceRows(live.conn, t[0], t[1], sid, &done); err != nil {
			return done, fmt.Errorf("replace %s: %w", t[0], err)
		}
	}
	return done, nil
}

// replaceRows replaces the rows of a table and counts those that were wrong.
func replaceRows(conn *sqlite.Conn, table, condition, sid string, done *Refolded) error {
	former := "SELECT * FROM main." + table + " WHERE " + condition
	next := "SELECT * FROM anew." + table
	wrong, err := countRows(conn, "SELECT count(DISTINCT id) FROM (SELECT * FROM ("+former+" EXCEPT "+next+") UNION ALL SELECT * FROM ("+next+" EXCEPT "+former+"))", sid)
	if err != nil {
		return err
	}
	done.Healed += wrong
	rows, err := countRows(conn, "SELECT count(*) FROM anew."+table)
	if err != nil {
		return err
	}
	done.Rows += rows
	if wrong == 0 {
		return nil
	}
	err = sqlitex.Execute(conn, "DELETE FROM main."+table+" WHERE id IN (SELECT id FROM ("+former+"))", &sqlitex.ExecOptions{Args: []any{sid}})
	if err != nil {
		return err
	}
	return sqlitex.ExecuteTransient(conn, "INSERT INTO main."+table+" SELECT * FROM anew."+table, nil)
}
