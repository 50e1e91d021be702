package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
)

// loseEnd cuts the commands' stream off in the middle of its blocks, under a consumer
// that has read to the end.
func loseEnd(t *testing.T, dir string) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", bus.StreamCommands, "msgs", "*.blk"))
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	info, err := os.Stat(blocks[0])
	require.NoError(t, err)
	require.NoError(t, os.Truncate(blocks[0], info.Size()/2))
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(blocks[0]), "index.db")))
}

// Commands whose sequences a consumer has passed are delivered all the same.
func TestCommandsOfAStreamThatLostItsEndAreDone(t *testing.T) {
	dir := t.TempDir()
	server := startBroker(t, dir)
	nc := connect(t, server)
	n := newNamed()
	stop := startBus(t, nc, n.execute, nil)
	for range 20 {
		publish(t, nc, "parley.commands.CH1", plainCommand)
		n.next(t)
	}
	stop()
	nc.Close()
	server.Stop()
	loseEnd(t, dir)

	nc = connect(t, startBroker(t, dir))
	for range 5 { // before anybody looks
		publish(t, nc, "parley.commands.CH1", plainCommand)
	}
	startBus(t, nc, n.execute, nil)
	for range 5 {
		publish(t, nc, "parley.commands.CH1", plainCommand)
	}
	for range 10 {
		n.next(t)
	}
}

// The same while the server runs: it ends, and the next start makes it good.
func TestABusWhoseStreamLosesItsEndEnds(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	n := newNamed()
	stop := startBus(t, nc, n.execute, nil)
	for range 3 {
		publish(t, nc, "parley.commands.CH1", plainCommand)
		n.next(t)
	}
	stop()
	stream, err := js.Stream(within(t, soon), bus.StreamCommands)
	require.NoError(t, err)
	requireBehind(t, nc, stream)
}

func requireBehind(t *testing.T, nc *nats.Conn, stream jetstream.Stream) {
	t.Helper()
	var name string
	for n := range stream.ConsumerNames(within(t, soon)).Name() {
		name = n
	}
	consumer, err := stream.Consumer(within(t, soon), name)
	require.NoError(t, err)
	config := consumer.CachedInfo().Config
	config.Metadata = map[string]string{"parley-upto": "1000", "parley-left": ""}
	b, err := bus.New(connectAgain(t, nc), accept, nil)
	require.NoError(t, err)
	_, err = stream.UpdateConsumer(within(t, soon), config)
	require.NoError(t, err)
	require.ErrorContains(t, b.ForgetHandled(context.Background()), fmt.Sprintf("ends at %d, but %s has read up to 1000", 3, name))
}
