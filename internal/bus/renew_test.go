package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// tally writes down, by aggregate, the numbers of the commands that were carried out.
type tally struct {
	mu   sync.Mutex
	done map[string][]int
	n    int
	hold chan struct{} // each command takes one, if not nil
}

func (y *tally) execute(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	if y.hold != nil {
		select {
		case <-y.hold:
		case <-ctx.Done():
			return engine.Outcome{}, ctx.Err()
		}
	}
	var data struct{ N int }
	if err := json.Unmarshal(c.Body, &data); err != nil {
		return engine.Outcome{}, err
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.done[c.Aggregate] = append(y.done[c.Aggregate], data.N)
	y.n++
	return accept(ctx, c)
}

func (y *tally) count() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.n
}

// losses reads the counters of what was deleted.
func losses(t *testing.T, r *prometheus.Registry, what string) (n float64) {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "parley_bus_deleted_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == what {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

func numberedMsg(aggregate string, n int) *nats.Msg {
	m := nats.NewMsg("parley.commands." + aggregate)
	m.Data = fmt.Appendf(nil, `{"command":"conversation.remove","data":{"n":%d}}`, n)
	return m
}

func deleteConsumers(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	stream, err := js.Stream(t.Context(), bus.StreamCommands)
	require.NoError(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		err := js.DeleteConsumer(t.Context(), bus.StreamCommands, name)
		require.True(t, err == nil || strings.Contains(err.Error(), "not found"), "%v", err)
	}
}

// Whoever may do everything on the broker deletes the consumer again and again, under
// load: every command is done once, in its order, and the bus goes on.
func TestACommandIsDoneOnceThoughTheConsumerIsDeleted(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(connectAgain(t, nc))
	require.NoError(t, err)
	y := &tally{done: map[string][]int{}, hold: make(chan struct{}, 1<<16)}
	registry := prometheus.NewRegistry()
	stop := startBus(t, nc, y.execute, &bus.Options{Registerer: registry, AckWait: 600 * time.Millisecond, FirstPause: time.Millisecond})
	const aggregates, each = 7, 40
	for i := range each {
		for a := range aggregates {
			_, err := js.PublishMsg(t.Context(), numberedMsg(fmt.Sprint("CH", a), i))
			require.NoError(t, err)
			y.hold <- struct{}{}
		}
		if i%8 == 3 {
			deleteConsumers(t, js)
		}
	}
	require.Eventually(t, func() bool { return y.count() >= aggregates*each }, 6*soon, time.Millisecond)
	deleteConsumers(t, js)
	require.Eventually(t, func() bool { return losses(t, registry, "consumer") >= 2 }, soon, time.Millisecond)
	y.hold <- struct{}{}
	_, err = js.PublishMsg(t.Context(), numberedMsg("CHlast", 0))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return y.count() >= aggregates*each+1 }, 6*soon, time.Millisecond)
	stop()
	for aggregate, done := range y.done {
		for i, n := range done {
			require.Equal(t, i, n, "%s: %v", aggregate, done)
		}
	}
	require.Equal(t, aggregates*each+1, y.count())
	require.Zero(t, losses(t, registry, "messages"))
	require.Zero(t, losses(t, registry, "stream"))
}

// On a broker of others a consumer may be deleted while no server runs, and takes what it
// knew with it; handled commands are gone from the stream by then.
func TestACommandIsNotRepeatedThoughTheConsumerIsDeletedBetweenStarts(t *testing.T) {
	server := startBroker(t, t.TempDir())
	js, err := jetstream.New(connect(t, server))
	require.NoError(t, err)
	y := &tally{done: map[string][]int{}}
	first := startNode(t, server, "one", y.execute)
	for i := range 50 {
		_, err := js.PublishMsg(t.Context(), numberedMsg("CH1", i))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return y.count() == 50 }, soon, time.Millisecond)
	first.stop()
	deleteConsumers(t, js)
	_, err = js.PublishMsg(t.Context(), numberedMsg("CH1", 50))
	require.NoError(t, err)
	startNode(t, server, "two", y.execute)
	require.Eventually(t, func() bool { return y.count() >= 51 }, soon, time.Millisecond)
	require.Equal(t, 51, y.count())
}

// Several processes share a broker: whoever reads the partition whose consumer was deleted
// goes on where it was.
func TestACommandIsDoneOnceThoughTheConsumerOfItsPartitionIsDeleted(t *testing.T) {
	server := startBroker(t, t.TempDir())
	js, err := jetstream.New(connect(t, server))
	require.NoError(t, err)
	y := &tally{done: map[string][]int{}}
	startNode(t, server, "one", y.execute)
	for round := range 3 {
		for i := range 10 {
			_, err := js.PublishMsg(t.Context(), numberedMsg("CH1", 10*round+i))
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return y.count() >= 10*(round+1) }, 3*soon, time.Millisecond)
		deleteConsumers(t, js)
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	for i, n := range y.done["CH1"] {
		require.Equal(t, i, n, "%v", y.done["CH1"])
	}
	require.Equal(t, 30, y.n)
}

func TestADeletedStreamOfCommandsIsMadeAnew(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(connectAgain(t, nc))
	require.NoError(t, err)
	y := &tally{done: map[string][]int{}}
	registry := prometheus.NewRegistry()
	startBus(t, nc, y.execute, &bus.Options{Registerer: registry, AckWait: 600 * time.Millisecond, FirstPause: time.Millisecond})
	for round := range 2 {
		require.Eventually(t, func() bool {
			_, err := js.PublishMsg(t.Context(), numberedMsg("CH1", round))
			return err == nil
		}, soon, time.Millisecond)
		require.Eventually(t, func() bool { return y.count() == round+1 }, soon, time.Millisecond)
		require.NoError(t, js.DeleteStream(t.Context(), bus.StreamCommands))
	}
	require.Eventually(t, func() bool { return losses(t, registry, "stream") >= 2 }, soon, time.Millisecond)
	require.Equal(t, 2, int(losses(t, registry, "stream")))
	require.Equal(t, []int{0, 1}, y.done["CH1"])
}

// What is purged before it was handled is lost; it is told, and the bus goes on.
func TestPurgedCommandsAreTold(t *testing.T) {
	for name, after := range map[string]int{"others follow": 1, "nothing follows": 0} {
		t.Run(name, func(t *testing.T) {
			nc := connect(t, startBroker(t, t.TempDir()))
			js, err := jetstream.New(connectAgain(t, nc))
			require.NoError(t, err)
			y := &tally{done: map[string][]int{}, hold: make(chan struct{})}
			registry := prometheus.NewRegistry()
			logged := &lines{}
			startBus(t, nc, y.execute, &bus.Options{
				Registerer: registry, MaxPending: 1, AckWait: 600 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(logged, nil)),
			})
			for i := range 10 {
				_, err := js.PublishMsg(t.Context(), numberedMsg("CH1", i))
				require.NoError(t, err)
			}
			stream, err := js.Stream(t.Context(), bus.StreamCommands)
			require.NoError(t, err)
			requireHeld(t, stream)
			require.NoError(t, stream.Purge(t.Context()))
			close(y.hold)
			for i := range after {
				_, err := js.PublishMsg(t.Context(), numberedMsg("CH1", 10+i))
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool { return losses(t, registry, "messages") == 9 }, soon, time.Millisecond)
			require.Eventually(t, func() bool { return y.count() == 1+after }, soon, time.Millisecond)
			require.Contains(t, logged.String(), "removed from their stream by somebody else")
		})
	}
}

// requireHeld waits until one command is under way.
func requireHeld(t *testing.T, stream jetstream.Stream) {
	t.Helper()
	require.Eventually(t, func() bool {
		for info := range stream.ListConsumers(t.Context()).Info() {
			if info.NumAckPending == 1 {
				return true
			}
		}
		return false
	}, soon, time.Millisecond)
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A bucket that is deleted is made anew by the next mark that is saved.
func TestACheckpointIsSavedThoughItsBucketIsDeleted(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	mark, err := bus.NewPositionMark(nc, "webhooks")
	require.NoError(t, err)
	_, err = mark.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(t.Context(), bus.BucketCheckpoints))
	require.NoError(t, mark.Save(t.Context(), events.At(9)))
	at, err := mark.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, events.At(9), at)
}

// With the letters goes what waited behind them; the aggregate goes on, and the next
// letter is kept.
func TestADeletedStreamOfDeadLettersIsMadeAnew(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	y, registry := &tally{done: map[string][]int{}}, prometheus.NewRegistry()
	b, err := bus.New(connectAgain(t, nc), y.execute, &bus.Options{Registerer: registry, FirstPause: time.Millisecond})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(context.Background()) }()
	t.Cleanup(func() { require.NoError(t, b.Drain(context.Background())); require.NoError(t, <-ended) })
	<-b.Ready()
	letters, err := bus.OpenDeadLetters(t.Context(), nc)
	require.NoError(t, err)
	bury := func() {
		_, err := js.Publish(t.Context(), "parley.commands.CH1", []byte("not json"))
		require.NoError(t, err)
		require.Eventually(t, func() bool { n, _, err := letters.Depth(t.Context()); return err == nil && n == 1 }, soon, time.Millisecond)
	}
	bury()
	require.NoError(t, js.DeleteStream(t.Context(), bus.StreamDead))
	require.NoError(t, b.Tidy(t.Context()))
	require.Equal(t, 1, int(losses(t, registry, "stream")))
	_, err = js.PublishMsg(t.Context(), numberedMsg("CH1", 7))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return y.count() == 1 }, soon, time.Millisecond)
	bury()
}
