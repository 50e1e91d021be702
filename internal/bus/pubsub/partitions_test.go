package pubsub_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// A partition whose consumer is taken away, by an operator say, is given up to whoever
// takes it next, and read again.
func TestAPartitionThatEndsByItselfIsGivenUp(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), workQueue("work.>"))
	require.NoError(t, err)

	taken := make(chan string, 10)
	sub := pubsub.NewPartitionedSubscriber(nc, &pubsub.StreamOptions{Stream: "WORK", Group: "group"}, pubsub.Partitions{
		Count: 1,
		Share: func(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error {
			for ctx.Err() == nil {
				taken <- names[0]
				if err := do(ctx, names[0]); err != nil {
					return err
				}
			}
			return nil
		},
	})
	t.Cleanup(func() { require.NoError(t, sub.Close()) })
	messages, err := sub.Subscribe(t.Context(), "work.>")
	require.NoError(t, err)
	put := func(text string) {
		_, err := js.Publish(t.Context(), "work.0.key", []byte(text))
		require.NoError(t, err)
	}
	put("one")
	m := receive(t, messages)
	require.Equal(t, "one", string(m.Payload))
	m.Ack()

	name := <-taken
	require.Eventually(t, func() bool {
		consumer, err := js.Consumer(t.Context(), "WORK", name)
		require.NoError(t, err)
		return consumer.CachedInfo().AckFloor.Stream == 1
	}, soon, 5*time.Millisecond, "or it comes again, since nobody knows that it was handled")
	require.NoError(t, js.DeleteConsumer(t.Context(), "WORK", name))
	put("two")
	m = receive(t, messages)
	require.Equal(t, "two", string(m.Payload))
	m.Ack()
	require.NotEmpty(t, taken, "it was given up before")
}
