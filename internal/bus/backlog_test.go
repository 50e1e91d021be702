package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

func requireBacklog(t *testing.T, nc *nats.Conn, commands uint64) (oldest time.Time) {
	t.Helper()
	var got bus.Backlog
	require.Eventually(t, func() bool {
		var err error
		got, err = bus.MeasureBacklog(within(t, soon), nc)
		require.NoError(t, err)
		return got.Commands == commands
	}, soon, time.Millisecond, "%d are waited for", commands)
	require.Equal(t, commands == 0, got.Oldest.IsZero())
	return got.Oldest
}

// What waits is counted while a command hangs, while no server runs, and not any more when
// it is done; the oldest is the first that is not done, though later ones are.
func TestBacklogIsWhatIsAcknowledgedAndNotDone(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	got, err := bus.MeasureBacklog(t.Context(), nc)
	require.NoError(t, err)
	require.Zero(t, got)

	release := make(chan struct{})
	hanging := func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		if c.Aggregate == "CH1" {
			select {
			case <-release:
			case <-ctx.Done():
				return engine.Outcome{}, away
			}
		}
		return accept(ctx, c)
	}
	stop := startBus(t, nc, hanging, &bus.Options{Patience: time.Millisecond})
	requireBacklog(t, nc, 0)
	publish(t, nc, "parley.commands.CH1", plainCommand)
	oldest := requireBacklog(t, nc, 1)
	require.WithinDuration(t, time.Now(), oldest, soon)
	for range 5 {
		publish(t, nc, "parley.commands.CH2", plainCommand)
	}
	require.Equal(t, oldest, requireBacklog(t, nc, 1))
	publish(t, nc, "parley.commands.CH1", plainCommand)
	require.Equal(t, oldest, requireBacklog(t, nc, 2))
	stop()
	for range 3 {
		publish(t, nc, "parley.commands.CH2", plainCommand)
	}
	require.Equal(t, oldest, requireBacklog(t, nc, 5))
	close(release)
	startBus(t, connectAgain(t, nc), hanging, nil)
	requireBacklog(t, nc, 0)
}

func TestBacklogIsCountedOverAllPartitions(t *testing.T) {
	server := startBroker(t, t.TempDir())
	n := newNamed()
	first := startNode(t, server, "one", n.execute)
	nc := connect(t, server)
	publish(t, nc, "parley.commands.CH1", plainCommand)
	n.next(t)
	requireBacklog(t, nc, 0)
	first.stop()
	for i := range 50 {
		publish(t, nc, fmt.Sprintf("parley.commands.CH%d", i), plainCommand)
	}
	requireBacklog(t, nc, 50)
	startNode(t, server, "two", n.execute)
	requireBacklog(t, nc, 0)
}
