package lease_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/lease"
)

const life = 600 * time.Millisecond

func startBroker(t *testing.T) *broker.Server {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	server, err := broker.Start(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

// node is a process with a connection of its own.
func node(t *testing.T, server *broker.Server, name string) (*lease.Leases, *nats.Conn) {
	nc, err := server.Connect(name, nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	leases, err := lease.Open(t.Context(), nc, lease.Options{Node: name, Life: life})
	require.NoError(t, err)
	return leases, nc
}

// work counts who is at it. Each begin and end is told.
type work struct {
	mu    sync.Mutex
	at    map[string][]string // name to nodes
	news  chan struct{}
	worst int
}

func newWork() *work { return &work{at: map[string][]string{}, news: make(chan struct{}, 1)} }

func (w *work) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
	for _, nodes := range w.at {
		w.worst = max(w.worst, len(nodes))
	}
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *work) by(node string) func(context.Context, string) error {
	return func(ctx context.Context, name string) error {
		w.change(func() { w.at[name] = append(w.at[name], node) })
		<-ctx.Done()
		w.change(func() {
			i := slices.Index(w.at[name], node)
			w.at[name] = slices.Delete(w.at[name], i, i+1)
		})
		return nil
	}
}

// await returns when each node is at as many names as wanted.
func (w *work) await(t *testing.T, wanted map[string]int) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		got := map[string]int{}
		for _, nodes := range w.at {
			for _, n := range nodes {
				got[n]++
			}
		}
		w.mu.Unlock()
		if fmt.Sprint(got) == fmt.Sprint(wanted) {
			return
		}
		select {
		case <-w.news:
		case <-late:
			t.Fatalf("work is divided as %v, not %v", got, wanted)
		}
	}
}

// one adapts work to a single lease.
func one(do func(context.Context, string) error) func(context.Context) error {
	return func(ctx context.Context) error { return do(ctx, "it") }
}

func TestOneHoldsALeaseAndAnotherFollows(t *testing.T) {
	server, w := startBroker(t), newWork()
	first, _ := node(t, server, "a")
	second, _ := node(t, server, "b")
	var group sync.WaitGroup
	defer group.Wait()
	ctxA, stopA := context.WithCancel(t.Context())
	ctxB, stopB := context.WithCancel(t.Context())
	defer stopB()
	defer stopA()
	group.Go(func() { require.NoError(t, first.Hold(ctxA, "it", one(w.by("a")))) })
	w.await(t, map[string]int{"a": 1})
	group.Go(func() { require.NoError(t, second.Hold(ctxB, "it", one(w.by("b")))) })
	stopA()
	w.await(t, map[string]int{"b": 1})
	stopB()
	w.await(t, map[string]int{})
	require.Equal(t, 1, w.worst, "never two at a time")
}

// Who is cut off from the broker stops before another begins, and takes part
// again when it is back.
func TestWhoIsCutOffStops(t *testing.T) {
	server, w := startBroker(t), newWork()
	first, nc := node(t, server, "a")
	second, _ := node(t, server, "b")
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() { _ = first.Hold(ctx, "it", one(w.by("a"))) })
	w.await(t, map[string]int{"a": 1})
	group.Go(func() { _ = second.Hold(ctx, "it", one(w.by("b"))) })
	nc.Close()
	w.await(t, map[string]int{"b": 1})
	require.Equal(t, 1, w.worst)
}

func TestWorkIsDividedAmongWhoIsThere(t *testing.T) {
	server, w := startBroker(t), newWork()
	names := make([]string, 16)
	for i := range names {
		names[i] = fmt.Sprint("part-", i)
	}
	var group sync.WaitGroup
	defer group.Wait()
	join := func(name string) (leave func(), cut func()) {
		leases, nc := node(t, server, name)
		ctx, cancel := context.WithCancel(t.Context())
		group.Go(func() { require.NoError(t, leases.Share(ctx, names, w.by(name))) })
		return cancel, nc.Close
	}
	leaveA, _ := join("a")
	w.await(t, map[string]int{"a": 16})
	leaveB, _ := join("b")
	w.await(t, map[string]int{"a": 8, "b": 8})
	leaveC, cutC := join("c")
	w.await(t, map[string]int{"a": 6, "b": 5, "c": 5})
	leaveA()
	w.await(t, map[string]int{"b": 8, "c": 8})
	cutC()
	w.await(t, map[string]int{"b": 16})
	leaveB()
	leaveC()
	w.await(t, map[string]int{})
	require.Equal(t, 1, w.worst, "no name twice at a time")
}

func TestAFailureEndsHoldingAndFreesTheLease(t *testing.T) {
	server, w := startBroker(t), newWork()
	first, _ := node(t, server, "a")
	second, _ := node(t, server, "b")
	broken := errors.New("broken")
	require.ErrorIs(t, first.Hold(t.Context(), "it", func(context.Context) error { return broken }), broken)
	require.ErrorIs(t, first.Share(t.Context(), []string{"x", "y"}, func(context.Context, string) error { return broken }), broken)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() { require.NoError(t, second.Share(ctx, []string{"it", "x", "y"}, w.by("b"))) })
	w.await(t, map[string]int{"b": 3})
}

func TestParts(t *testing.T) {
	for members := 1; members < 40; members++ {
		var names []string
		sum := 0
		for i := range members {
			names = append(names, fmt.Sprintf("n%02d", i))
		}
		for _, n := range names {
			part := lease.Part(names, n, 16)
			require.InDelta(t, 16/float64(members), part, 1)
			sum += part
		}
		require.Equal(t, 16, sum)
	}
	require.Zero(t, lease.Part([]string{"a"}, "unknown", 16))
	require.Zero(t, lease.Part(nil, "a", 16))
}
