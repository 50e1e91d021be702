package broker_test

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/internal/bus/broker"
)

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// Clients write parts of the server's complaints: none of them may end the server, and
// none may fill its log.
func TestAClientsWordsDoNotEndTheServer(t *testing.T) {
	logged := &lines{}
	a, secret := token(t, accountA, access.Commands)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a}, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	for _, presented := range []string{"x", secret} {
		raw, err := net.Dial("tcp", strings.TrimPrefix(server.URL(), "nats://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = raw.Close() })
		_, err = fmt.Fprintf(raw, "CONNECT {\"auth_token\":%q,\"lang\":\"go\",\"version\":\"critical write error\",\"name\":\"critical write error\"}\r\nPUB x 0\r\n\r\nPING\r\n", presented)
		require.NoError(t, err)
		require.Eventually(t, func() bool { return logged.count("authentication error")+logged.count("Publish Violation") > 0 }, soon, time.Millisecond)
	}
	require.Eventually(t, func() bool { return logged.count("critical write error") > 0 }, soon, time.Millisecond)
	nc, refused := client(t, server, secret)
	for range 500 {
		require.NoError(t, nc.Publish("critical-write-error.Critical", nil))
	}
	require.NoError(t, nc.PublishRequest("parley.call.x", "$JS.ACK.x", nil))
	requireRefused(t, refused, "many")
	require.NoError(t, nc.Flush())
	require.Eventually(t, func() bool { return logged.count("authentication error") > 0 }, soon, time.Millisecond)
	select {
	case err := <-server.Failed():
		require.NoError(t, err)
	default:
	}
	require.LessOrEqual(t, logged.count("\n"), 40)
	require.Zero(t, logged.count("level=ERROR"))
	require.Equal(t, nats.CONNECTED, nc.Status())
}
