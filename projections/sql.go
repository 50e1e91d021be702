package projections

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
)

// SQL answers questions of analysts over ready views of the read models and of the
// log. Nothing can be written by it, and nothing seen but the views. It sees the
// generation that was live when it was opened. It is for one goroutine.
type SQL struct {
	conn   *sqlite.Conn
	hasLog bool
}

// OpenSQL opens the read models in dir, and the log in a file of SQLite; without one
// there are no views of events. Close it.
func OpenSQL(dir, log string) (*SQL, error) { return openSQL(dir, log, logViews) }

// OpenSQLAt is OpenSQL with a log that ends at the position. The views of the read models
// are of now.
func OpenSQLAt(dir, log string, upto events.Position) (*SQL, error) {
	history := fmt.Sprintf("FROM (SELECT * FROM log.events WHERE position <= %d)", upto.Commit)
	return openSQL(dir, log, strings.ReplaceAll(logViews, "FROM log.events", history))
}

func openSQL(dir, log, ofLog string) (*SQL, error) {
	path, err := livePath(dir)
	if err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(path, readerFlags|sqlite.OpenURI)
	if err != nil {
		return nil, damaged(path, err)
	}
	q := &SQL{conn: conn, hasLog: log != ""}
	if err := q.prepare(path, log, ofLog); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return q, nil
}

func (q *SQL) prepare(path, log, ofLog string) error {
	if err := identify(q.conn, path); err != nil {
		return err
	}
	if err := pragma(q.conn, "temp_store = MEMORY", "cache_size = -65536"); err != nil {
		return err
	}
	script := sqlViews
	if log != "" {
		file := url.URL{Scheme: "file", Path: log, RawQuery: "mode=ro"}
		if err := sqlitex.ExecuteTransient(q.conn, "ATTACH ? AS log", &sqlitex.ExecOptions{Args: []any{file.String()}}); err != nil {
			return fmt.Errorf("open log %s: %w", log, err)
		}
		script += ofLog
	}
	if err := sqlitex.ExecuteScript(q.conn, script, nil); err != nil {
		return fmt.Errorf("make views: %w", err)
	}
	if err := pragma(q.conn, "query_only = ON"); err != nil {
		return err
	}
	return q.conn.SetAuthorizer(sqlite.AuthorizeFunc(onlyViews))
}

// Close closes the files.
func (q *SQL) Close() error { return q.conn.Close() }

// SQLViews are the names of the views, those of the log last.
var SQLViews = []string{"conversations", "messages", "participants", "receipts", "timers", "events", "state_intervals"}

// beneath are what the views are made of.
var beneath = []string{"conversation_view", "message_view", "participant_view", "receipt_view"}

// joined are the tables of the views, which SQLite also asks for without a column, and
// without saying for which view, when it needs their rows alone. So it does for what a
// query defines itself, which is in no database.
var joined = []string{"conversation", "message", "participant", "receipt", "events"}

// tableFunctions take values apart and see nothing.
var tableFunctions = []string{"json_each", "json_tree"}

// onlyViews allows reading the views, and what they read.
func onlyViews(a sqlite.Action) sqlite.AuthResult {
	switch a.Type() {
	case sqlite.OpSelect, sqlite.OpRecursive, sqlite.OpFunction: // extensions cannot be loaded
		return sqlite.AuthResultOK
	case sqlite.OpRead:
		view := slices.Contains(SQLViews, a.Table()) && a.Database() == "temp"
		within := slices.Contains(SQLViews, a.Accessor()) || slices.Contains(beneath, a.Accessor())
		rows := a.Column() == "" && (a.Database() == "" || slices.Contains(joined, a.Table()))
		if view || within || rows || slices.Contains(tableFunctions, a.Table()) {
			return sqlite.AuthResultOK
		}
	}
	return sqlite.AuthResultDeny
}

// BadSQLError is what is wrong with a query.
type BadSQLError struct{ Reason string }

func (e *BadSQLError) Error() string { return e.Reason }

// Columns returns the names of a query's columns, each once, without running it.
func (q *SQL) Columns(query string) ([]string, error) {
	stmt, err := q.prepareQuery(query)
	if err != nil {
		return nil, err
	}
	return columnNames(stmt), stmt.Finalize()
}

// Rows runs one query and calls row for each row: nil, int64, float64, string or []byte
// for each column. The context bounds how long it may take; what is wrong with the query
// is a BadSQLError.
func (q *SQL) Rows(ctx context.Context, query string, row func(values []any) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stmt, err := q.prepareQuery(query)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Finalize() }() // its error was that of Step
	defer q.conn.SetInterrupt(q.conn.SetInterrupt(ctx.Done()))
	for {
		found, err := stmt.Step()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || !found {
			return q.explain(err)
		}
		if err := row(valuesOf(stmt)); err != nil {
			return err
		}
	}
}

func (q *SQL) prepareQuery(query string) (*sqlite.Stmt, error) {
	stmt, rest, err := q.conn.PrepareTransient(query)
	switch {
	case err != nil:
		return nil, q.explain(err)
	case stmt.ColumnCount() == 0:
		err = &BadSQLError{"a query begins with SELECT, VALUES or WITH"}
	case strings.Trim(query[len(query)-rest:], "; \t\r\n") != "":
		err = &BadSQLError{"one query at a time"}
	default:
		return stmt, nil
	}
	return nil, errors.Join(err, stmt.Finalize())
}

// columnNames are the names of a result. Of columns with the same name the driver knows
// one; the others are named by their place.
func columnNames(stmt *sqlite.Stmt) (names []string) {
	for i := range stmt.ColumnCount() {
		name := stmt.ColumnName(i)
		if name == "" || slices.Contains(names, name) {
			name = fmt.Sprintf("column_%d", i+1)
		}
		names = append(names, name)
	}
	return names
}

func valuesOf(stmt *sqlite.Stmt) []any {
	values := make([]any, stmt.ColumnCount())
	for i := range values {
		switch stmt.ColumnType(i) {
		case sqlite.TypeInteger:
			values[i] = stmt.ColumnInt64(i)
		case sqlite.TypeFloat:
			values[i] = stmt.ColumnFloat(i)
		case sqlite.TypeText:
			values[i] = stmt.ColumnText(i)
		case sqlite.TypeBlob:
			b := make([]byte, stmt.ColumnLen(i))
			stmt.ColumnBytes(i, b)
			values[i] = b
		}
	}
	return values
}

func (q *SQL) explain(err error) error {
	switch code := sqlite.ErrCode(err).ToPrimary(); {
	case err == nil:
		return nil
	case code == sqlite.ResultAuth:
		return &BadSQLError{"only the views can be read, and nothing written: " + strings.Join(SQLViews, ", ")}
	case code == sqlite.ResultError:
		text := strings.Replace(strings.TrimPrefix(err.Error(), "sqlite: prepare: "), "SQL logic error: ", "", 1)
		if !q.hasLog && strings.Contains(text, "no such table") {
			text += "; the log is in a database, so events and state_intervals are not here"
		}
		return &BadSQLError{text}
	}
	return err
}
