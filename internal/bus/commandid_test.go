package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// named notes the ids of commands as they are carried out.
type named struct {
	ids  chan events.ID
	fail func() error // nil: never
}

func newNamed() *named { return &named{ids: make(chan events.ID, 100)} }

func (n *named) execute(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	n.ids <- c.ID
	if n.fail != nil {
		if err := n.fail(); err != nil {
			return engine.Outcome{}, err
		}
	}
	return accept(ctx, c)
}

func (n *named) next(t *testing.T) events.ID {
	t.Helper()
	select {
	case id := <-n.ids:
		return id
	case <-time.After(soon):
		require.Fail(t, "no command came")
	}
	return events.ID{}
}

const plainCommand = `{"command":"conversation.add-message","data":{"body":"hello"}}`

func publish(t *testing.T, nc *nats.Conn, subject, body string) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.Publish(within(t, soon), subject, []byte(body))
	require.NoError(t, err)
}

var away = &engine.Failure{Code: "store_away", Kind: engine.KindUnavailable, Retryable: true}

func TestDurableCommandWithoutIDKeepsOneOverRetriesAndRestarts(t *testing.T) {
	dir := t.TempDir()
	server := startBroker(t, dir)
	nc := connect(t, server)
	n := newNamed()
	tried := make(chan struct{}, 100)
	n.fail = func() error { tried <- struct{}{}; return away }
	stop := startBus(t, nc, n.execute, &bus.Options{FirstPause: time.Millisecond, LongestPause: time.Millisecond, Retries: 1000000})
	publish(t, nc, "parley.commands.new", `{"command":"conversation.create"}`)
	want := n.next(t)
	require.Equal(t, want, n.next(t), "tried again")
	drained := make(chan struct{})
	go func() { defer close(drained); stop() }()
	for open := true; open; {
		select {
		case <-n.ids:
		case <-tried:
		case <-drained:
			open = false
		}
	}
	nc.Close()
	server.Stop()

	again := newNamed()
	startBus(t, connect(t, startBroker(t, dir)), again.execute, nil)
	require.Equal(t, want, again.next(t), "after a restart")
}

// A stream that is made anew counts from 1 again. What it holds are other commands, though
// their sequences, and maybe their bodies, are those of former ones.
func TestCommandsOfANewStreamAreNewCommands(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, dir string){
		"the folder is gone": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
		"the stream is gone": func(t *testing.T, dir string) {
			paths, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", bus.StreamCommands))
			require.NoError(t, err)
			require.Len(t, paths, 1)
			require.NoError(t, os.RemoveAll(paths[0]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bus")
			seen := map[events.ID]bool{}
			for range 3 {
				server := startBroker(t, dir)
				nc := connect(t, server)
				n := newNamed()
				stop := startBus(t, nc, n.execute, nil)
				for range 6 {
					publish(t, nc, "parley.commands.CH1", plainCommand)
					id := n.next(t)
					require.False(t, seen[id], "named as a former one")
					seen[id] = true
				}
				stop()
				nc.Close()
				server.Stop()
				lose(t, dir)
			}
		})
	}
}

// What waited in the stream when the server was brought up to date may have been carried
// out already, under the id that the former version gave it.
func TestCommandsThatWaitedAtAnUpgradeKeepTheirFormerID(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(within(t, soon), jetstream.StreamConfig{Name: bus.StreamCommands, Subjects: []string{bus.SubjectSend}})
	require.NoError(t, err)
	for range 2 {
		publish(t, nc, "parley.commands.CH1", plainCommand)
	}
	n := newNamed()
	stop := startBus(t, nc, n.execute, nil)
	require.Equal(t, events.NameID("parley.commands:1"), n.next(t))
	require.Equal(t, events.NameID("parley.commands:2"), n.next(t))
	publish(t, nc, "parley.commands.CH1", plainCommand)
	require.NotEqual(t, events.NameID("parley.commands:3"), n.next(t))
	stop()

	n = newNamed()
	startBus(t, connectAgain(t, nc), n.execute, nil)
	publish(t, nc, "parley.commands.CH1", plainCommand)
	require.NotEqual(t, events.NameID("parley.commands:4"), n.next(t), "the next start remembers since when")
}

// Dead letters of one aggregate are in the order of their sequences, also when the
// commands' stream was made anew in between.
func TestLettersKeepTheirOrderWhenTheStreamIsMadeAnew(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	broken := func(context.Context, engine.Command) (engine.Outcome, error) {
		return engine.Outcome{}, fmt.Errorf("broken")
	}
	for round := range 2 {
		stop := startBus(t, nc, broken, nil)
		for i := range 3 - round {
			publish(t, nc, "parley.commands.CH1", fmt.Sprintf(`{"command":"x","data":{"round":%d,"i":%d}}`, round, i))
		}
		require.Eventually(t, func() bool { return len(letters(t, nc, "CH1")) == 3+2*round }, soon, time.Millisecond)
		stop()
		require.NoError(t, js.DeleteStream(within(t, soon), bus.StreamCommands))
		nc = connectAgain(t, nc)
		js, err = jetstream.New(nc)
		require.NoError(t, err)
	}
	var origins []uint64
	for _, l := range letters(t, nc, "CH1") {
		origins = append(origins, l.Origin)
	}
	require.IsIncreasing(t, origins)
}

func TestDurableCommandWithoutIDHasTheSameOnEveryNode(t *testing.T) {
	server := startBroker(t, t.TempDir())
	one := newNamed()
	tried := make(chan struct{})
	one.fail = func() error { <-tried; return away }
	first := startNode(t, server, "one", one.execute)
	publish(t, connect(t, server), "parley.commands.CH1", plainCommand)
	want := one.next(t)
	first.nc.Close() // a process that is gone without a word
	close(tried)
	two := newNamed()
	startNode(t, server, "two", two.execute)
	require.Equal(t, want, two.next(t))
}
