package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// A copy into a database that is killed wherever it is goes on, and is whole then.
func TestACopyThatWasKilledGoesOn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "log.db")
	source, err := sqlitestore.Open(file, nil)
	require.NoError(t, err)
	const batches, perBatch = 2000, 5
	for i := range batches {
		stream := fmt.Sprintf("conversation-%d", i%50)
		kind, data, err := events.Vocabulary().Encode(events.MessageAdded{Body: fmt.Sprint(i)})
		require.NoError(t, err)
		batch := make([]events.Proposed, perBatch)
		for k := range batch {
			batch[k] = events.Proposed{ID: events.EventID(events.NameID(fmt.Sprint(i)), k), Type: kind, Data: data}
		}
		_, err = source.Append(t.Context(), stream, store.Revision(i/50*perBatch-1), batch)
		require.NoError(t, err)
	}
	require.NoError(t, source.Close())

	database := memstore.New()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := esdbwire.New(esdbwire.Config{Log: database, Appender: database, WriteOwn: true})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); require.NoError(t, <-served) })
	target := "esdb://" + listener.Addr().String() + "?tls=false"
	args := []string{"store", "copy", "--from", "sqlite:" + file, "--to", target, "--resume"}

	for _, upto := range []uint64{1, 2000, 6000} {
		copying := exec.Command("parley", args...)
		require.NoError(t, copying.Start())
		_, err := database.Wait(t.Context(), events.At(upto))
		require.NoError(t, err)
		require.NoError(t, copying.Process.Signal(os.Kill))
		require.Error(t, copying.Wait(), "it was done before it was killed: more events are needed")
	}
	out, errOut, code := parley(t, args...)
	require.Equal(t, exitOK, code, errOut)
	var copied struct {
		Events, Copied uint64
		Digest         string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &copied))
	require.Less(t, copied.Copied, uint64(batches*perBatch-6000))
	for _, from := range []string{"sqlite:" + file, target} {
		out, errOut, code = parley(t, "store", "verify", "--from", from)
		require.Equal(t, exitOK, code, errOut)
		require.Contains(t, out, copied.Digest)
	}
}
