package esdbstore_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/esdbstore"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
	"github.com/parley-engine/parley/store/storetest"
)

// TestMain lets the test program be the server of its tests, in a process of its own.
func TestMain(m *testing.M) {
	file := os.Getenv(serveFile)
	if file == "" {
		goleak.VerifyTestMain(m) // does not return
	}
	if err := serveHere(file, os.Getenv(serveAddress)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve makes a log the database of others.
func serve(t testing.TB, log store.Log) (url string, end func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := esdbwire.New(esdbwire.Config{Log: log, Appender: log, WriteOwn: true})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return "esdb://" + listener.Addr().String() + "?tls=false", func() {
		server.Close()
		require.NoError(t, <-done)
	}
}

// closing is a store whose server, and the server's log, end with it.
type closing struct {
	store.Log
	once  sync.Once
	after []func() error
}

func (c *closing) Close() error {
	err := c.Log.Close()
	c.once.Do(func() {
		for _, f := range c.after {
			err = errors.Join(err, f())
		}
	})
	return err
}

func over(open func(testing.TB, string) store.Log, o *esdbstore.Options) func(testing.TB, string) store.Log {
	return func(t testing.TB, dir string) store.Log {
		behind := open(t, dir)
		url, end := serve(t, behind)
		s, err := esdbstore.Open(t.Context(), url, o)
		require.NoError(t, err)
		return &closing{Log: s, after: []func() error{func() error { end(); return nil }, behind.Close}}
	}
}

func overMemory(testing.TB, string) store.Log { return memstore.New() }

func overSQLite(t testing.TB, dir string) store.Log {
	s, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(t, err)
	return s
}

func TestConformanceOverMemory(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: over(overMemory, nil)})
}

func TestConformanceOverSQLite(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: over(overSQLite, nil), Durable: true})
}

func TestConformanceUnderAPrefix(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: over(overMemory, &esdbstore.Options{Prefix: "parley."})})
}

// TestConformanceOfAServer runs the suite against a real server. Each log of the suite
// has a prefix of its own there.
func TestConformanceOfAServer(t *testing.T) {
	url := os.Getenv("PARLEY_TEST_ESDB")
	if url == "" {
		t.Skip("PARLEY_TEST_ESDB names no server, as in esdb://localhost:2113?tls=false")
	}
	run := events.NameID(time.Now().String()).String()[:8]
	storetest.Run(t, storetest.Harness{Durable: true, Open: func(t testing.TB, dir string) store.Log {
		prefix := "parley-test-" + run + "-" + events.NameID(dir).String()[:8] + "."
		s, err := esdbstore.Open(t.Context(), url, &esdbstore.Options{Prefix: prefix})
		require.NoError(t, err)
		return s
	}})
}
