package broker_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/broker"
)

// silent connects as a subscriber that never reads.
func silent(t *testing.T, url, token string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"auth_token\":%q}\r\nSUB parley.events.> 1\r\nPING\r\n", token)
	require.NoError(t, err)
	buffer := make([]byte, 4096)
	for said := ""; !strings.Contains(said, "PONG"); {
		n, err := conn.Read(buffer)
		require.NoError(t, err)
		said += string(buffer[:n])
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// flood publishes until the number of slow clients is reached, and returns the most memory
// that was in use. Who reads gets everything.
func flood(t *testing.T, server *broker.Server, silentOnes, slow int) (most int64) {
	t.Helper()
	nc, err := server.Connect("test", nil)
	require.NoError(t, err)
	defer nc.Close()
	reading, err := nc.SubscribeSync("parley.events.>")
	require.NoError(t, err)
	require.NoError(t, reading.SetPendingLimits(-1, -1))
	for range silentOnes {
		silent(t, server.URL(), "secret")
	}
	data := make([]byte, 32<<10)
	sent, deadline := 0, time.Now().Add(30*time.Second)
	for server.Pressure().Slow < int64(slow) && time.Now().Before(deadline) {
		for range 64 {
			require.NoError(t, nc.Publish("parley.events.x", data))
			sent++
		}
		require.NoError(t, nc.Flush())
		most = max(most, heap())
		for n, _, _ := reading.Pending(); n > 0; n, _, _ = reading.Pending() {
			_, err := reading.NextMsg(time.Second)
			require.NoError(t, err)
			sent--
		}
	}
	for ; sent > 0; sent-- {
		_, err := reading.NextMsg(5 * time.Second)
		require.NoError(t, err)
	}
	require.EqualValues(t, slow, server.Pressure().Slow)
	return most
}

func TestSubscribersThatNeverReadAreCutOffAndCounted(t *testing.T) {
	server, err := broker.Start(t.TempDir(), &broker.Options{Token: "secret", SyncInterval: time.Minute})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	before := heap()
	most := flood(t, server, 10, 10)
	require.Less(t, most-before, int64(500<<20), "bytes of memory")
}

// Many that each stay below the limit are too many together.
func TestSubscribersThatNeverReadAreBoundedTogether(t *testing.T) {
	server, err := broker.Start(t.TempDir(), &broker.Options{
		Token: "secret", SyncInterval: time.Minute, MaxPending: 1 << 40, MaxPendingTotal: 32 << 20, WriteDeadline: time.Hour,
	})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	nc, err := server.Connect("test", nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	for range 10 {
		silent(t, server.URL(), "secret")
	}
	data := make([]byte, 32<<10)
	require.Eventually(t, func() bool {
		for range 32 {
			require.NoError(t, nc.Publish("parley.events.x", data))
		}
		require.NoError(t, nc.Flush())
		return server.Pressure().Slow > 0
	}, 30*time.Second, time.Millisecond)
}
