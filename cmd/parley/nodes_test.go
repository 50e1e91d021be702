package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/lease"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// cluster is a database and a broker, here, and nodes in processes of their own.
type cluster struct {
	t      *testing.T
	log    *sqlitestore.Store // behind the database
	bus    string             // folder of the broker
	broker *broker.Server
	flags  []string
	first  folder
}

const clusterToken = "the broker's token"

func newCluster(t *testing.T) *cluster {
	dir := t.TempDir()
	log, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	database := esdbwire.New(esdbwire.Config{Log: log, Appender: log, WriteOwn: true})
	served := make(chan error, 1)
	go func() { served <- database.Serve(listener) }()
	t.Cleanup(func() { database.Close(); require.NoError(t, <-served) })
	c := &cluster{t: t, log: log, bus: filepath.Join(dir, "bus")}
	c.startBroker("127.0.0.1:0")
	t.Cleanup(func() { c.broker.Stop() })
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte(clusterToken+"\n"), 0o600))
	c.flags = []string{
		"--store", "esdb://" + listener.Addr().String() + "?tls=false", "--broker", c.broker.URL(), "--broker-token-file", token,
		"--media", filepath.Join(dir, "media"),
	}
	return c
}

func (c *cluster) startBroker(address string) {
	c.t.Helper()
	var err error
	c.broker, err = broker.Start(c.bus, &broker.Options{Address: address, Token: clusterToken})
	require.NoError(c.t, err)
}

// node starts one more, with what the first one has.
func (c *cluster) node(name string) *process {
	c.t.Helper()
	dir := folder(filepath.Join(c.t.TempDir(), name))
	if c.first == "" {
		c.first = dir
	} else {
		require.NoError(c.t, os.MkdirAll(dir.path("secrets"), 0o700))
		for _, file := range []string{"account", "secrets/vault-key", "secrets/auth-token"} {
			data, err := os.ReadFile(c.first.path(file))
			require.NoError(c.t, err)
			require.NoError(c.t, os.WriteFile(dir.path(file), data, 0o600))
		}
	}
	var p *process
	c.t.Cleanup(func() { // after the process has ended
		if c.t.Failed() && p != nil {
			c.t.Logf("%s said:\n%s", name, p.errOut.String())
		}
	})
	p = serving(c.t, string(dir), append(c.flags, "--node", name)...)
	return p
}

// talk sends messages to a conversation, one after another, over the durable door,
// and keeps the longest time that one took.
func (c *cluster) talk(ctx context.Context, client *bus.Client, conversation string, from, to int) (slowest time.Duration, err error) {
	for i := from; i < to; i++ {
		body, err := json.Marshal(map[string]any{"body": fmt.Sprint(i)})
		if err != nil {
			return slowest, err
		}
		command := engine.Command{
			ID: events.NameID(fmt.Sprint(conversation, i)), Type: "conversation.add-message", Aggregate: conversation,
			Actor: events.Actor{Kind: events.ActorSystem}, Body: body,
		}
		begun := time.Now()
		if err := c.insist(ctx, client, command); err != nil {
			return slowest, err
		}
		slowest = max(slowest, time.Since(begun))
	}
	return slowest, nil
}

// insist sends a command until it is acknowledged, as a client does.
func (c *cluster) insist(ctx context.Context, client *bus.Client, command engine.Command) error {
	for {
		once, cancel := context.WithTimeout(ctx, 8*time.Second)
		_, err := client.Send(once, command)
		cancel()
		var failure *engine.Failure
		if err == nil || ctx.Err() != nil || errors.As(err, &failure) && !failure.Retryable {
			return err
		}
	}
}

// requireHistory reads the database's own file: every message that was acknowledged
// is there, once, in the order of sending.
func (c *cluster) requireHistory(conversations []string, n int) (nodes map[string]int) {
	c.t.Helper()
	nodes = map[string]int{}
	for _, conversation := range conversations {
		var bodies []string
		for e, err := range c.log.ReadStream(c.t.Context(), events.Stream(events.CategoryConversation, conversation), 0, store.Forwards) {
			require.NoError(c.t, err)
			nodes[e.Metadata.Node]++
			if e.Type == (events.MessageAdded{}).EventType() {
				var m events.MessageAdded
				require.NoError(c.t, json.Unmarshal(e.Data, &m))
				bodies = append(bodies, m.Body)
			}
		}
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint(i))
		}
		require.Equal(c.t, want, bodies, conversation)
	}
	return nodes
}

// all has every conversation talk at once and returns the longest time that a
// message took.
func (c *cluster) all(client *bus.Client, conversations []string, from, to int) time.Duration {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	slowest, failures := make([]time.Duration, len(conversations)), make([]error, len(conversations))
	var group sync.WaitGroup
	for i, conversation := range conversations {
		group.Go(func() { slowest[i], failures[i] = c.talk(ctx, client, conversation, from, to) })
	}
	group.Wait()
	require.NoError(c.t, errors.Join(failures...))
	longest := time.Duration(0)
	for _, d := range slowest {
		longest = max(longest, d)
	}
	return longest
}

func (c *cluster) client() *bus.Client {
	nc, err := broker.Connect(c.broker.URL(), clusterToken, "test", nil)
	require.NoError(c.t, err)
	c.t.Cleanup(nc.Close)
	client, err := bus.NewClient(nc)
	require.NoError(c.t, err)
	return client
}

// tell logs who has which lease.
func (c *cluster) tell() {
	nc, err := broker.Connect(c.broker.URL(), clusterToken, "test", nil)
	require.NoError(c.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(c.t, err)
	bucket, err := js.KeyValue(c.t.Context(), lease.Bucket)
	require.NoError(c.t, err)
	keys, err := bucket.Keys(c.t.Context())
	require.NoError(c.t, err)
	for _, key := range keys {
		if entry, err := bucket.Get(c.t.Context(), key); err == nil {
			c.t.Logf("%s: %s", key, entry.Value())
		}
	}
}

// partitions is how many parts the durable door has.
const partitions = 32

// create makes a conversation in every partition. Otherwise a node could have only such
// as nobody writes to: those of a killed node that are idle are free the longest, so
// they are what a newcomer finds.
func (c *cluster) create(client *bus.Client) (sids []string) {
	of := map[uint32]bool{}
	for i := 1; len(of) < partitions; i++ {
		sid := fmt.Sprintf("CH%032x", i)
		h := fnv.New32a() // as the broker divides
		_, _ = h.Write([]byte(sid))
		part := h.Sum32() % partitions
		if of[part] {
			continue
		}
		of[part] = true
		require.NoError(c.t, c.insist(c.t.Context(), client, engine.Command{
			ID: events.NameID("create" + sid), Type: "conversation.create", Aggregate: sid, Actor: events.Actor{Kind: events.ActorSystem}, Body: []byte(`{}`),
		}))
		sids = append(sids, sid)
	}
	return sids
}

// A node that is killed under load loses nothing that was acknowledged, nothing
// happens twice, and the commands of a conversation keep their order; so when the
// broker restarts.
func TestNodesShareALog(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers: not with -short")
	}
	c := newCluster(t)
	one, two := c.node("one"), c.node("two")
	client := c.client()
	conversations := c.create(client)
	each := 0
	stage := func(what string, n int, meanwhile func()) {
		t.Helper()
		done := make(chan struct{})
		go func() { defer close(done); meanwhile() }()
		longest := c.all(client, conversations, each, each+n)
		<-done
		each += n
		t.Logf("%s: the slowest of %d messages took %s", what, n*len(conversations), longest.Round(time.Millisecond))
		c.requireHistory(conversations, each)
	}
	// A node has its part once the others gave it up.
	until := func(names ...string) {
		t.Helper()
		before := c.requireHistory(conversations, each)
		for missing, begun := true, time.Now(); missing; {
			if time.Since(begun) > patience {
				c.tell()
				require.Fail(t, "a node does nothing", "%v of %v", before, names)
			}
			stage(fmt.Sprint(len(names), " nodes"), 5, func() {})
			now := c.requireHistory(conversations, each)
			missing = false
			for _, name := range names {
				missing = missing || now[name] == before[name]
			}
		}
	}
	until("one", "two")
	stage("one of two killed", 30, func() { _, err := two.end(os.Kill); require.NoError(t, err) })
	three, four := c.node("three"), c.node("four")
	until("one", "three", "four")
	stage("one of three killed", 30, func() { _, err := three.end(os.Kill); require.NoError(t, err) })
	stage("broker restarted", 30, func() {
		address := strings.TrimPrefix(c.broker.URL(), "nats://")
		c.broker.Stop()
		c.startBroker(address)
	})
	until("one", "four")
	t.Log("events written by node:", c.requireHistory(conversations, each))
	for _, p := range []*process{one, four} {
		requireCaughtUp(t, c, p)
		p.stop(t)
	}
	report, err := store.Verify(t.Context(), c.log, nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

// requireCaughtUp waits until a node shows what all have written.
func requireCaughtUp(t *testing.T, c *cluster, p *process) {
	t.Helper()
	head, err := c.log.Head(t.Context())
	require.NoError(t, err)
	out, errOut, code := parley(t, "projection", "list", "--data", string(p.folder), "-o", "json")
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, head.String())
}
