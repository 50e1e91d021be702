// Package bustest measures the doors of the bus against bare NATS, between the
// same two processes in the same run: one serves, the other calls. It is for
// benchmarks and takes any Execute, so the doors can be measured alone or with
// a real engine behind them.
package bustest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
)

// Subjects of the bare responders.
const (
	bareCall   = "bare.call."
	bareSend   = "bare.send."
	bareStream = "BARE"
)

// answer is about as long as an outcome.
var answer = []byte(`{"ok":true,"outcome":{"command_id":"0bdbb0a3-52c9-4f0e-8a3e-90c1e2b3d4f5","aggregate":"CH0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","revision":7,"position":"42","events":["conversation.message-added.v1"]}}`)

// Serve is the serving process: a broker in dir, a bus in front of execute, and
// bare responders beside it. It writes the broker's address to out and serves
// until in is closed.
func Serve(dir string, syncInterval time.Duration, execute bus.Execute, in io.Reader, out io.Writer) error {
	server, err := broker.Start(dir, &broker.Options{SyncInterval: syncInterval})
	if err != nil {
		return err
	}
	defer server.Stop()
	bare, err := broker.Connect(server.URL(), "", "bare", nil)
	if err != nil {
		return err
	}
	defer bare.Close()
	if err := respond(bare); err != nil {
		return err
	}
	doors, err := server.Connect("doors", nil)
	if err != nil {
		return err
	}
	defer doors.Close()
	return serveDoors(doors, execute, func() error {
		if _, err := fmt.Fprintln(out, server.URL()); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, in)
		return err
	})
}

func serveDoors(nc *nats.Conn, execute bus.Execute, while func() error) error {
	b, err := bus.New(nc, execute, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		cancel()
		return err
	}
	err = while()
	cancel()
	return errors.Join(err, <-ended)
}

// respond answers like the doors but with nothing in between.
func respond(nc *nats.Conn) error {
	if _, err := nc.Subscribe(bareCall+"*", func(m *nats.Msg) { _ = m.Respond(answer) }); err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: bareStream, Subjects: []string{bareSend + "*"}})
	if err != nil {
		return err
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "bare", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 4096})
	if err != nil {
		return err
	}
	_, err = consumer.Consume(func(m jetstream.Msg) {
		_ = nc.Publish(m.Headers().Get(bus.HeaderReplyTo), answer)
		_ = m.Ack()
	})
	return err
}

// Start runs this test binary again as the serving process, with the variable
// set in its environment; its TestMain must call Serve. It returns the broker's
// address.
func Start(tb testing.TB, variable, value string) (url string) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+value)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(tb, err)
	out, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	tb.Cleanup(func() {
		require.NoError(tb, in.Close())
		require.NoError(tb, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(tb, err)
	return strings.TrimSpace(line)
}
