package bus_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// Nothing more is published: that the stream is gone must be noticed all the same.
func TestADeletedStreamOfEventsIsPublishedAnew(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	log := memstore.New()
	appendEvents(t, log, "conversation-CH1", store.NoStream, 20)
	p, _ := startEvents(t, nc, log, &bus.EventOptions{LookEvery: 10 * time.Millisecond})
	requirePublished(t, p, log)
	require.NoError(t, js.DeleteStream(t.Context(), bus.StreamEvents))
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), bus.StreamEvents)
		return err == nil && stream.CachedInfo().State.Msgs == 20
	}, soon, 10*time.Millisecond)
	requireAllOnce(t, published(t, nc), 20)
}

// What is removed stays removed, for it would come after later ones; it is told.
func TestRemovedEventsAreTold(t *testing.T) {
	for name, remove := range map[string]func(t *testing.T, s jetstream.Stream) error{
		"a purge":     func(t *testing.T, s jetstream.Stream) error { return s.Purge(t.Context()) },
		"one message": func(t *testing.T, s jetstream.Stream) error { return s.DeleteMsg(t.Context(), 3) },
	} {
		t.Run(name, func(t *testing.T) {
			nc := connect(t, startBroker(t, t.TempDir()))
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			log, logged := memstore.New(), &lines{}
			appendEvents(t, log, "conversation-CH1", store.NoStream, 20)
			p, _ := startEvents(t, nc, log, &bus.EventOptions{LookEvery: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(logged, nil))})
			requirePublished(t, p, log)
			stream, err := js.Stream(t.Context(), bus.StreamEvents)
			require.NoError(t, err)
			require.NoError(t, remove(t, stream))
			require.Eventually(t, func() bool { return len(logged.String()) > 0 }, soon, time.Millisecond)
			require.Contains(t, logged.String(), "events were removed from their stream by somebody else")
		})
	}
}
