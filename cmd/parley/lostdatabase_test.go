package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// database serves a log as EventStoreDB does, at an address.
func database(t *testing.T, address string, log store.Log) (at string, end func()) {
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	server := esdbwire.New(esdbwire.Config{Log: log, Appender: log, WriteOwn: true})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return listener.Addr().String(), func() { server.Close(); require.NoError(t, <-served) }
}

// A database that was put back to what it was is found out as a file is.
func TestALogInADatabaseThatLostItsEndIsNotServed(t *testing.T) {
	data, log := filepath.Join(t.TempDir(), "data"), memstore.New()
	address, end := database(t, "127.0.0.1:0", log)
	where := "esdb://" + address + "?tls=false"
	first := serving(t, data, "--store", where)
	_, said, code := parley(t, "command", "send", "conversation.create", "--data", data)
	require.Equal(t, exitOK, code, said)
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, eventually("the read models have it", func() (bool, error) {
		out, _, _ := parley(t, "projection", "list", "--data", data, "-o", "json")
		return strings.Contains(out, `"`+head.String()+`"`), nil
	}))
	first.stop(t)
	end()

	earlier := memstore.New()
	for r, err := range log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		if r.Position.Compare(head) == 0 {
			break
		}
		_, err = earlier.Append(t.Context(), r.Stream, store.Revision(r.Revision)-1, []events.Proposed{{ID: r.ID, Type: r.Type, Data: r.Data, Metadata: r.Metadata}})
		require.NoError(t, err)
	}
	_, end = database(t, address, earlier)
	defer end()
	for _, command := range [][]string{{"serve"}, {"account", "create"}} {
		_, said, code = parley(t, append(command, "--data", data)...)
		require.Equal(t, exitFailure, code, said)
		require.Contains(t, said, "the log has lost its end")
		require.Contains(t, said, "has seen events up to "+head.String())
	}
	serving(t, data, "--accept-loss", "--reason", "the cluster was restored").stop(t)
	serving(t, data).stop(t)
	out, said, code := parley(t, "event", "list", "--type", events.LogLossAccepted{}.EventType(), "--data", data)
	require.Equal(t, exitOK, code, said)
	require.Contains(t, out, "the cluster was restored")
}
