package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Rescued is a row that the log does not account for: what is left of events that it lost.
type Rescued struct {
	Table        string         `json:"table"`
	Sid          string         `json:"sid"`
	Conversation string         `json:"conversation,omitempty"` // CH… that it belongs to
	Row          map[string]any `json:"row"`                    // texts and nulls, by column
}

// aggregateTables are the tables with one row an aggregate, and the category of its stream.
var aggregateTables = []struct{ table, category string }{
	{"account", events.CategoryAccount}, {"service", events.CategoryService}, {"user", events.CategoryUser}, {"role", events.CategoryRole},
	{"api_key", events.CategoryAPIKey}, {"credential", events.CategoryCredential}, {"push_binding", events.CategoryBinding},
	{"address_configuration", events.CategoryAddress}, {"media", events.CategoryMedia}, {"conversation", events.CategoryConversation},
}

// rescue compares a generation with a log that lacks its last events.
type rescue struct {
	conn    *sqlite.Conn
	streams store.StreamReader
	lines   *json.Encoder
	rows    int
}

// Rescue writes the rows of a folder's read models that the log does not account for, one
// in a line as JSON: of each aggregate whose last event it lacks, what is not as the
// events come to that it has. It reads one event of each stream, and more only of those.
// It changes nothing. The rows are those of the file that has seen most.
func Rescue(ctx context.Context, dir string, streams store.StreamReader, w io.Writer) (rows int, err error) {
	seen, err := Sightings(dir)
	if err != nil || len(seen) == 0 {
		return 0, err
	}
	furthest := (&store.LostEndError{Lost: seen}).Last()
	path := filepath.Join(dir, filepath.Base(furthest.By))
	conn, err := openReader(path)
	if err != nil {
		return 0, damaged(path, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	r := &rescue{conn: conn, streams: streams, lines: json.NewEncoder(w)}
	for _, t := range aggregateTables {
		if err := r.table(ctx, t.table, t.category); err != nil {
			return r.rows, fmt.Errorf("rescue rows of %s: %w", path, err)
		}
	}
	return r.rows, nil
}

// table rescues what is lost of one kind of aggregates.
func (r *rescue) table(ctx context.Context, table, category string) error {
	return sqlitex.Execute(r.conn, `SELECT * FROM "`+table+`" ORDER BY id`, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		sid := stmt.GetText("sid")
		at := events.Position{Commit: uint64(stmt.GetInt64("position")), Prepare: uint64(stmt.GetInt64("position_prepare"))}
		has, err := r.has(ctx, events.Stream(category, sid), store.Revision(stmt.GetInt64("last_revision")), at)
		switch {
		case err != nil || has:
			return err
		case table == "conversation":
			return r.conversation(ctx, sid)
		case table == "account":
			if err := r.messagingServices(sid); err != nil {
				return err
			}
		}
		return r.write(Rescued{Table: table, Sid: sid}, columnValues(stmt))
	}})
}

// has reports whether the log has a stream's event where a row says it is.
func (r *rescue) has(ctx context.Context, stream string, revision store.Revision, at events.Position) (bool, error) {
	for e, err := range r.streams.ReadStream(ctx, stream, revision, store.Forwards) {
		return err == nil && e.Position == at, err
	}
	return false, nil
}

// conversation writes the rows of a conversation that differ from what its events come to.
func (r *rescue) conversation(ctx context.Context, sid string) error {
	live, err := rowsOfConversation(r.conn, sid)
	if err != nil {
		return err
	}
	out, err := leftOut(r.conn)
	if err != nil {
		return err
	}
	upto := events.Position{Commit: 1<<63 - 1, Prepare: 1<<63 - 1}
	refolded, err := refoldRows(ctx, r.streams, sid, upto, &out)
	if err != nil {
		return err
	}
	for _, d := range differingPlaces(live, refolded) {
		if d.Only == OnlyRebuilt {
			continue // was removed by what is lost
		}
		if err := r.write(Rescued{Table: d.Table, Sid: d.Sid, Conversation: sid}, live[place{d.Table, d.Sid}]); err != nil {
			return err
		}
	}
	return nil
}

// messagingServices have no stream of their own: they are the account's.
func (r *rescue) messagingServices(account string) error {
	return sqlitex.Execute(r.conn, "SELECT * FROM messaging_service WHERE account_sid = ? ORDER BY id", &sqlitex.ExecOptions{
		Args: []any{account},
		ResultFunc: func(stmt *sqlite.Stmt) error {
			return r.write(Rescued{Table: "messaging_service", Sid: stmt.GetText("sid")}, columnValues(stmt))
		},
	})
}

func (r *rescue) write(line Rescued, row rowValues) error {
	line.Row = make(map[string]any, len(row))
	for name, value := range row {
		if line.Row[name] = value; value == Null {
			line.Row[name] = nil
		}
	}
	r.rows++
	return r.lines.Encode(line)
}
