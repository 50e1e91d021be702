package broker_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/broker"
)

// What a consumer has in hand, was given again and has acknowledged is a state that a start
// takes; the same state cut short anywhere is not.
func TestAConsumersStateIsReadBeforeAStart(t *testing.T) {
	dir := t.TempDir()
	server, err := broker.Start(dir, &broker.Options{Token: "t"})
	require.NoError(t, err)
	nc, err := nats.Connect(server.URL(), nats.Token("t"))
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour})
	require.NoError(t, err)
	for range 20 {
		_, err := js.Publish(t.Context(), "s", []byte("x"))
		require.NoError(t, err)
	}
	got, err := consumer.Fetch(20)
	require.NoError(t, err)
	i := 0
	for m := range got.Messages() {
		switch i++; {
		case i%3 == 0:
			require.NoError(t, m.DoubleAck(t.Context()))
		case i%3 == 1:
			require.NoError(t, m.Nak())
		}
	}
	again, err := consumer.Fetch(5)
	require.NoError(t, err)
	for range again.Messages() { // are given again, and kept
	}
	nc.Close()
	server.Stop()
	path := filepath.Join(dir, "jetstream", "$G", "streams", "S", "obs", "c", "o.dat")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Greater(t, len(whole), 40, "there is something in hand")
	for n := 1; n < len(whole); n++ {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o600))
		_, err := broker.Start(dir, &broker.Options{Token: "t"})
		damage := new(broker.DamagedError)
		require.ErrorAs(t, err, &damage)
		require.Equal(t, path, damage.Path)
	}
	require.NoError(t, os.WriteFile(path, whole, 0o600))
	server, err = broker.Start(dir, &broker.Options{Token: "t"})
	require.NoError(t, err)
	server.Stop()
}
