package bus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/lease"
	"github.com/parley-engine/parley/internal/engine"
)

const nodeLife = 600 * time.Millisecond

// busNode is one of several processes on a broker, with a connection of its own.
type busNode struct {
	nc   *nats.Conn
	stop func()
}

func startNode(t *testing.T, server *broker.Server, name string, execute bus.Execute) busNode {
	t.Helper()
	nc := connect(t, server)
	leases, err := lease.Open(t.Context(), nc, lease.Options{Node: name, Life: nodeLife})
	require.NoError(t, err)
	b, err := bus.New(nc, execute, &bus.Options{Share: leases.Share, AckWait: 2 * time.Second, Patience: 2 * time.Second})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(context.Background()) }()
	stop := sync.OnceFunc(func() {
		require.NoError(t, b.Drain(context.Background()))
		if err := <-ended; !nc.IsClosed() {
			require.NoError(t, err)
		}
	})
	t.Cleanup(stop)
	<-b.Ready()
	return busNode{nc: nc, stop: stop}
}

// history is what was done, over all nodes, in the order of doing.
type history struct {
	mu   sync.Mutex
	done map[string][]int // by aggregate: what was done first when
	by   map[string]int   // commands done, by node
	more chan struct{}
}

func (h *history) node(name string) bus.Execute {
	return func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		var data struct{ N int }
		if err := json.Unmarshal(c.Body, &data); err != nil {
			return engine.Outcome{}, err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if !slices.Contains(h.done[c.Aggregate], data.N) {
			h.done[c.Aggregate] = append(h.done[c.Aggregate], data.N)
		}
		h.by[name]++
		select {
		case h.more <- struct{}{}:
		default:
		}
		return accept(ctx, c)
	}
}

// await returns when so many commands of each aggregate were done, in order.
func (h *history) await(t *testing.T, aggregates []string, n int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		h.mu.Lock()
		done := true
		for _, a := range aggregates {
			done = done && len(h.done[a]) == n
			require.True(t, slices.IsSorted(h.done[a]), "%s: %v", a, h.done[a])
		}
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-h.more:
		case <-late:
			t.Fatal("not everything was done")
		}
	}
}

// Durable commands of an aggregate are done in order and none is left out, however
// nodes come, go, and are cut off.
func TestNodesShareDurableCommands(t *testing.T) {
	server := startBroker(t, t.TempDir())
	h := &history{done: map[string][]int{}, by: map[string]int{}, more: make(chan struct{}, 1)}
	var aggregates []string
	for i := range 40 {
		aggregates = append(aggregates, fmt.Sprintf("CH%032d", i))
	}
	sent := 0
	first := startNode(t, server, "one", h.node("one"))
	client := connect(t, server)
	js, err := jetstream.New(client)
	require.NoError(t, err)
	send := func(n int) {
		for range n {
			for _, a := range aggregates {
				_, err := js.Publish(t.Context(), "parley.commands."+a, fmt.Appendf(nil, `{"command":"conversation.update","data":{"n":%d}}`, sent))
				require.NoError(t, err)
			}
			sent++
		}
	}
	send(5)
	second := startNode(t, server, "two", h.node("two"))
	send(20)
	h.await(t, aggregates, sent)
	third := startNode(t, server, "three", h.node("three"))
	send(20)
	first.nc.Close() // a process that is gone without a word
	send(20)
	h.await(t, aggregates, sent)
	second.stop()
	send(20)
	h.await(t, aggregates, sent)
	third.stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	t.Log(h.by)
	for _, name := range []string{"one", "two", "three"} {
		require.NotZero(t, h.by[name], name)
	}
}
