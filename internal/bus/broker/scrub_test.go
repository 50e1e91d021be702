package broker_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/broker"
)

// Bytes that change under a running server end it before the broker comes upon them, and
// nothing else does: blocks are written, purged and replaced meanwhile.
func TestDamageUnderARunningServerEndsIt(t *testing.T) {
	dir := t.TempDir()
	server, err := broker.Start(dir, &broker.Options{Token: "secret", SyncInterval: time.Minute})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	nc, err := server.Connect("test", nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PARLEY_COMMANDS", Subjects: []string{"parley.commands.>"}})
	require.NoError(t, err)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for i := range 500 {
				m := nats.NewMsg("parley.commands.CH1")
				m.Header.Set("X", "y")
				m.Data = make([]byte, 2000)
				ack, err := js.PublishMsg(t.Context(), m)
				require.NoError(t, err)
				if i%100 == 99 {
					require.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject("parley.commands.>"), jetstream.WithPurgeSequence(ack.Sequence-50)))
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); working.Wait() }()
	for open := true; open; {
		server.Scrub()
		select {
		case <-done:
			open = false
		case err := <-server.Failed():
			require.NoError(t, err)
		default:
		}
	}
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "PARLEY_COMMANDS", "msgs", "*.blk"))
	require.NoError(t, err)
	f, err := os.OpenFile(blocks[len(blocks)-1], os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0xff, 0xff, 0xff}, 500)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	server.Scrub()
	select {
	case err := <-server.Failed():
		require.ErrorContains(t, err, "PARLEY_COMMANDS: 1 places in")
	default:
		require.Fail(t, "nothing was found")
	}
}
