package broker

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// guardEvery is how often it is added up what waits for all clients.
const guardEvery = time.Second

// guard bounds what waits for clients that do not read, over all of them; for each of them
// the server does.
type guard struct {
	nats  *server.Server
	limit int64
	log   *slog.Logger
	end   chan struct{}
	ended chan struct{}

	pending atomic.Int64
	shed    atomic.Int64
	told    int64 // slow clients that were told of; of run alone
}

func startGuard(ns *server.Server, o Options) *guard {
	g := &guard{nats: ns, limit: o.MaxPendingTotal, log: o.Logger, end: make(chan struct{}), ended: make(chan struct{})}
	go g.run()
	return g
}

func (g *guard) run() {
	defer close(g.ended)
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.look()
		case <-g.end:
			return
		}
	}
}

func (g *guard) stop() {
	close(g.end)
	<-g.ended
}

// look adds up, and cuts off those for whom the most waits until the rest is within the
// limit.
func (g *guard) look() {
	const all = 1 << 20
	found, err := g.nats.Connz(&server.ConnzOptions{Sort: server.ByPending, Limit: all})
	if err != nil {
		return // it is stopping
	}
	total := int64(0)
	for _, c := range found.Conns {
		total += int64(c.Pending)
	}
	g.pending.Store(total)
	for _, c := range found.Conns { // the most first
		if total <= g.limit {
			break
		}
		if g.nats.DisconnectClientByID(c.Cid) == nil {
			total -= int64(c.Pending)
			g.shed.Add(1)
		}
	}
	g.tell()
}

// tell says how many were cut off since the last time.
func (g *guard) tell() {
	if slow := g.slow(); slow > g.told {
		g.log.Warn("bus clients that do not read were cut off", "clients", slow-g.told, "pending_bytes", g.pending.Load())
		g.told = slow
	}
}

func (g *guard) slow() int64 { return g.nats.NumSlowConsumers() + g.shed.Load() }

// Pressure is what waits for the clients of a server.
type Pressure struct {
	Pending int64 // bytes, as they were a second ago at the most
	Slow    int64 // clients that were cut off since the start because they did not read
}

// Pressure returns it.
func (s *Server) Pressure() Pressure {
	return Pressure{Pending: s.guard.pending.Load(), Slow: s.guard.slow()}
}
