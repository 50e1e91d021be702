package bus_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/engine"
)

const soon = 10 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// startBroker runs a server that does not sync, on a folder of the test's.
func startBroker(t testing.TB, dir string) *broker.Server {
	t.Helper()
	return startBrokerAt(t, dir, "127.0.0.1:0")
}

func startBrokerAt(t testing.TB, dir, address string) *broker.Server {
	t.Helper()
	server, err := broker.Start(dir, &broker.Options{Address: address, Token: "secret", SyncInterval: time.Minute})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

func connect(t testing.TB, server *broker.Server) *nats.Conn {
	t.Helper()
	nc, err := server.Connect("test", nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// startBus runs a bus until the test ends, or until stop is called.
func startBus(t testing.TB, nc *nats.Conn, execute bus.Execute, o *bus.Options) (stop func()) {
	t.Helper()
	b, err := bus.New(nc, execute, o)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(context.Background()) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		require.NoError(t, err)
	}
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, b.Drain(ctx))
		if err, first := <-ended; first {
			require.NoError(t, err)
			close(ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

// accept carries nothing out and says so.
func accept(_ context.Context, c engine.Command) (engine.Outcome, error) {
	return engine.Outcome{CommandID: c.ID, Aggregate: c.Aggregate, Events: []string{}}, nil
}

func TestPlainClientWithoutHeadersGetsReplies(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, accept, nil)
	reply, err := nc.Request("parley.call.CH01", []byte(`{"command":"conversation.remove","data":{}}`), soon)
	require.NoError(t, err)
	var got bus.Reply
	require.NoError(t, json.Unmarshal(reply.Data, &got))
	require.True(t, got.OK, "%s", reply.Data)
	require.Equal(t, "CH01", got.Outcome.Aggregate)

	reply, err = nc.Request("parley.call.CH01", []byte(`not json`), soon)
	require.NoError(t, err)
	require.Contains(t, string(reply.Data), `"code":"body_unreadable"`)
}

func TestClientGetsOutcomesFromBothDoors(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, accept, nil)
	client, err := bus.NewClient(nc)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	outcome, err := client.Call(within(t, soon), engine.Command{Type: "conversation.remove", Aggregate: "CH01"})
	require.NoError(t, err)
	require.Equal(t, "CH01", outcome.Aggregate)
	outcome, err = client.Send(within(t, soon), engine.Command{Type: "conversation.remove", Aggregate: "CH02"})
	require.NoError(t, err)
	require.Equal(t, "CH02", outcome.Aggregate)
}
