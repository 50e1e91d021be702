package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// scriptAlter changes rows behind the projection's back, as a mistake in it would have.
func scriptAlter(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "alter GLOB SQL")
	paths, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	need(ts, neg, len(paths) > 0, "alter GLOB SQL, of files that are there")
	for _, path := range paths {
		conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
		ts.Check(err)
		ts.Check(sqlitex.ExecuteScript(conn, args[1], nil))
		ts.Check(conn.Close())
	}
}

// scriptAppend writes an event into the log that no command could have led to. No server
// may run.
func scriptAppend(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "append STREAM TYPE DATA")
	log, err := sqlitestore.Open(filepath.Join(string(dataOf(ts)), "log.db"), nil)
	ts.Check(err)
	last := store.NoStream
	for e, err := range log.ReadStream(context.Background(), args[0], 0, store.Forwards) {
		ts.Check(err)
		last = store.Revision(e.Revision)
	}
	_, err = log.Append(context.Background(), args[0], last, []events.Proposed{{
		ID: events.NameID(args[0] + args[1] + args[2]), Type: args[1], Data: []byte(args[2]),
	}})
	ts.Check(err)
	ts.Check(log.Close())
}

// scriptUntilMetric asks the running server.
func scriptUntilMetric(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "untilmetric REGEXP")
	wanted, err := regexp.Compile("(?m)^" + args[0])
	ts.Check(err)
	e, err := dataOf(ts).running()
	ts.Check(err)
	ts.Check(eventually("a match of "+args[0], func() (bool, error) {
		response, err := http.Get(e.forOperators() + "/metrics")
		if err != nil {
			return false, err
		}
		text, err := io.ReadAll(response.Body)
		return wanted.Match(text), errors.Join(err, response.Body.Close())
	}))
}
