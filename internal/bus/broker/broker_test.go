package broker_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/bus/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, dir string, o *broker.Options) *broker.Server {
	t.Helper()
	server, err := broker.Start(dir, o)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

func TestStoredMessagesSurviveARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "bus")
	for round := range 2 {
		server := start(t, dir, &broker.Options{Token: "secret"})
		nc, err := server.Connect("test", nil)
		require.NoError(t, err)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		stream, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		require.NoError(t, err)
		require.EqualValues(t, round, stream.CachedInfo().State.Msgs)
		_, err = js.Publish(t.Context(), "s", nil)
		require.NoError(t, err)
		nc.Close()
		server.Stop()
	}
}

func TestTokenIsAskedFor(t *testing.T) {
	server := start(t, t.TempDir(), &broker.Options{Token: "secret"})
	_, err := broker.Connect(server.URL(), "wrong", "test", nil)
	require.ErrorIs(t, err, nats.ErrAuthorization)
	require.ErrorContains(t, err, "token or credentials were refused")
}

func TestPortInUseIsAClearError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, err = broker.Start(t.TempDir(), &broker.Options{Address: listener.Addr().String()})
	require.ErrorIs(t, err, broker.ErrAddress)
	require.ErrorContains(t, err, listener.Addr().String())
}

func TestFailedStartCanBeRepeated(t *testing.T) {
	dir := t.TempDir()
	_, err := broker.Start(dir, &broker.Options{Address: "256.0.0.1:1"})
	require.ErrorIs(t, err, broker.ErrAddress)
	start(t, dir, nil)
}

func TestAStartThatWasCutShortWhileMarkingIsRepeated(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "parley-bus.new"), []byte("parl"), 0o600))
	start(t, dir, nil).Stop()
	before, err := os.Stat(filepath.Join(dir, "parley-bus"))
	require.NoError(t, err)
	start(t, dir, nil).Stop()
	after, err := os.Stat(filepath.Join(dir, "parley-bus"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "a marked folder is not marked again")
	require.Equal(t, before.ModTime(), after.ModTime())
}

func TestForeignFolderIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "thesis.doc")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	_, err := broker.Start(dir, nil)
	require.ErrorIs(t, err, broker.ErrForeign)
	require.ErrorContains(t, err, "thesis.doc")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestSecondServerOnTheFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, nil)
	_, err := broker.Start(dir, nil)
	require.ErrorIs(t, err, broker.ErrLocked)
}

func TestFolderThatCannotBeMadeIsAClearError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := broker.Start(filepath.Join(file, "bus"), nil)
	require.ErrorContains(t, err, "bus store")
}

func TestOversizedMessageIsRefused(t *testing.T) {
	server := start(t, t.TempDir(), &broker.Options{MaxPayload: 1000})
	nc, err := server.Connect("test", nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	require.ErrorIs(t, nc.Publish("s", make([]byte, 1001)), nats.ErrMaxPayload)
}

func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		began := time.Now()
		server, err := broker.Start(dir, nil)
		require.NoError(b, err)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/start")
		server.Stop()
	}
}
