package crashtest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

var (
	rounds = flag.Int("rounds", 3, "how often TestCrash kills the server")
	seed   = flag.Uint64("seed", 0, "of TestCrash; 0 takes the time")
)

const (
	clients    = 8
	fullEvery  = 25 // rounds between two readings of the whole log and two rebuilds
	settleTime = 60 * time.Second
)

// crash is a run of TestCrash.
type crash struct {
	t        *testing.T
	program  *program
	random   *rand.Rand
	ledger   *ledger
	history  *history // what of the log has been read so far
	nc       *nats.Conn
	clients  []*client
	told     told // of losses
	log      logTold
	saved    saved
	restored bool
}

// The program is killed again and again while clients work; whatever they were
// told stays true, and nothing happens twice.
func TestCrash(t *testing.T) {
	began := time.Now()
	if *seed == 0 {
		*seed = uint64(began.UnixNano())
	}
	t.Logf("seed %d", *seed)
	c := &crash{t: t, program: build(t), random: rand.New(rand.NewPCG(*seed, 0)), ledger: &ledger{}, history: newHistory(), told: told{syncs: map[string]int{}}}
	c.program.start()
	c.connect()
	c.begin()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	working, ctx := errgroup.WithContext(ctx)
	for _, client := range c.clients {
		working.Go(func() error { return client.work(ctx) })
	}
	for round := 1; round <= *rounds && ctx.Err() == nil; round++ {
		c.round(round)
	}
	cancel()
	require.NoError(t, working.Wait())
	c.settle()
	require.True(t, c.restored || *rounds < 3, "a backup was restored in the middle")
	fmt.Printf("crash: %d rounds, %d kills, %d times bytes of the broker changed, failed syncs %v, %d commands told to be lost, %d commands acknowledged, %d posted, %d events, %s, seed %d\n",
		*rounds, c.program.kills, c.told.hurts, c.told.syncs, c.told.posts, len(c.ledger.acks), len(c.ledger.posts), c.history.events, time.Since(began).Round(time.Second), *seed)
	fmt.Printf("crash: the write-ahead log hurt %d times, pages of the log %d times: %d starts refused, %d told by store verify, %d times nothing was missing; %d losses accepted, with %d acknowledged commands\n",
		c.log.wal, c.log.pages, c.log.refused, c.log.verified, c.log.unharmed, c.log.accepted, c.log.commands)
}

// connect makes one connection for all clients, which comes back by itself.
func (c *crash) connect() {
	nc, err := nats.Connect(c.program.url(), nats.Token(c.program.token()), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	require.NoError(c.t, err)
	c.nc = nc
	c.t.Cleanup(nc.Close)
	for n := range clients {
		b, err := bus.NewClient(nc)
		require.NoError(c.t, err)
		c.clients = append(c.clients, &client{number: n, bus: b, rest: c.program.restDoor(), ledger: c.ledger, random: rand.New(rand.NewPCG(*seed, uint64(n)+1))})
	}
}

// begin makes what the clients' commands stand on.
func (c *crash) begin() {
	must := func(client *client, commandType string, f fields) string {
		outcome, err := client.do(c.t.Context(), commandType, "", f)
		require.NoError(c.t, err)
		require.NotEmpty(c.t, outcome.Sid, commandType)
		return outcome.Sid
	}
	first := c.clients[0]
	numbers := must(first, "account.add-messaging-service", fields{"friendly_name": "Numbers"})
	must(first, "account.configure", fields{"default_messaging_service": numbers})
	common := must(first, "conversation.create", fields{"friendly_name": "Common"})
	for _, client := range c.clients {
		client.common, client.steady = common, must(client, "conversation.create", fields{"friendly_name": "Steady"})
	}
}

// round has a sync of each file fail, kills the server at some moment under load, in every
// fourth round once more while it starts, hurts its files, and looks at what is left.
func (c *crash) round(n int) {
	c.failSyncs()
	time.Sleep(time.Duration(50+c.random.IntN(400)) * time.Millisecond)
	c.program.kill()
	for c.random.IntN(4) == 0 {
		c.program.spawn()
		time.Sleep(time.Duration(c.random.IntN(150)) * time.Millisecond)
		c.program.kill()
	}
	c.restoring(n)
	c.hurt(n)
	if !c.hurtLog(n) {
		c.program.start()
	}
	c.hear()
	known := c.ledger.known()
	c.follow(c.history)
	c.forgive(known)
	require.NoError(c.t, known.audit(c.history), "round %d", n)
	c.backup(n)
	if n%fullEvery == 0 {
		c.full()
		c.t.Logf("round %d: %d commands acknowledged, %d events", n, len(known.acks), c.history.events)
	}
}

// full reads the whole log again, for what is gone from it, and has the read
// models built again.
func (c *crash) full() {
	known, whole := c.ledger.known(), newHistory()
	c.follow(whole)
	c.forgive(known)
	require.NoError(c.t, known.audit(whole))
	c.program.rebuild(c.t.Context())
}

// follow reads what the log has behind the history.
func (c *crash) follow(h *history) {
	c.t.Helper()
	log, err := sqlitestore.OpenReadOnly(c.program.log())
	require.NoError(c.t, err)
	defer func() { require.NoError(c.t, log.Close()) }()
	for recorded, err := range log.ReadAll(c.t.Context(), h.position, store.Filter{}) {
		require.NoError(c.t, err)
		require.NoError(c.t, h.add(recorded))
	}
}

// settle waits until what was posted is done and no timer is overdue, checks
// everything once more, stops the server in peace and checks its folder.
func (c *crash) settle() {
	for deadline := time.Now().Add(settleTime); ; time.Sleep(50 * time.Millisecond) {
		c.follow(c.history)
		waiting := c.ledger.waiting(c.history)
		stream, due, late := c.history.overdue(time.Now().Add(-3 * time.Second))
		if waiting <= c.told.posts && !late {
			break
		}
		require.True(c.t, time.Now().Before(deadline), "%d posts wait; %s has been due since %s", waiting, stream, due)
	}
	require.Empty(c.t, c.program.letters(c.t.Context()), "dead letters")
	c.full()
	c.program.stop()
	before := c.history.events
	c.history = newHistory()
	c.follow(c.history)
	require.GreaterOrEqual(c.t, c.history.events, before)
	known := c.ledger.known()
	c.forgive(known)
	require.NoError(c.t, known.audit(c.history))
	c.program.rebuild(c.t.Context())
	require.NotEqual(c.t, events.Position{}, c.history.position)
}
