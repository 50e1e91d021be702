package pubsub_test

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/pubsub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWatermillConformance runs watermill's own suite. The features, as they
// are: the order holds while one subscriber of a group is active, delivery is
// at least once, and what a group has handled does not come again for its new
// subscribers. The suite's test of reconnects compares with a list of sent
// messages that it is still writing, so it is left out;
// TestSubscriberSurvivesARestartOfTheBroker stands in.
func TestWatermillConformance(t *testing.T) {
	server := startBroker(t, t.TempDir(), "127.0.0.1:0")
	t.Cleanup(server.Stop)
	features := tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
		ForceShort:                          testing.Short(),
	}
	group := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		nc := connect(t, server)
		pub, err := pubsub.NewPublisher(nc, nil)
		require.NoError(t, err)
		return pub, subscriber(t, nc, &pubsub.StreamOptions{
			Group: group, MaxPending: 1000, AckWait: 5 * time.Second, Provision: streamPerTopic,
			FirstPause: time.Millisecond, LongestPause: 5 * time.Millisecond, Patience: 300 * time.Millisecond,
		})
	}
	t.Run("suite", func(t *testing.T) {
		tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) { return group(t, "suite") }, group)
	})
}

func streamPerTopic(topic string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: topic, Subjects: []string{topic}}
}

// startBroker runs a server that does not sync.
func startBroker(t *testing.T, dir, address string) *broker.Server {
	t.Helper()
	server, err := broker.Start(dir, &broker.Options{Address: address, SyncInterval: time.Minute})
	require.NoError(t, err)
	return server
}

func connect(t *testing.T, server *broker.Server) *nats.Conn {
	t.Helper()
	nc, err := server.Connect("test", nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func subscriber(t *testing.T, nc *nats.Conn, o *pubsub.StreamOptions) *pubsub.StreamSubscriber {
	t.Helper()
	sub, err := pubsub.NewStreamSubscriber(nc, o)
	require.NoError(t, err)
	return sub
}
