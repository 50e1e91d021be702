package bus_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

func TestReportsOfCarriersAreAnsweredWhenTheyAreKept(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	var mu sync.Mutex
	var kept []string
	take := func(_ context.Context, adapter, kind string, data []byte) error {
		switch string(data) {
		case "bad":
			return &engine.Failure{Kind: "invalid_argument", Code: "report_invalid", Message: "no"}
		case "broken":
			return errors.New("the disk is full")
		}
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, adapter+" "+kind+" "+string(data))
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- bus.ServeReports(ctx, nc, take, slog.New(slog.DiscardHandler)) }()
	client := newClient(t, nc)
	within, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for errors.Is(client.Report(within, "sms", "inbound", []byte("one")), bus.ErrNoEngine) {
		require.NoError(t, within.Err(), "the door opens")
	}
	var failure *engine.Failure
	require.ErrorAs(t, client.Report(within, "sms", "inbound", []byte("bad")), &failure)
	require.Equal(t, "report_invalid", failure.Code)
	require.ErrorAs(t, client.Report(within, "sms", "status", []byte("broken")), &failure)
	require.Equal(t, engine.KindInternal, failure.Kind)
	require.NotContains(t, failure.Message, "disk", "what is wrong inside stays inside")
	require.NoError(t, client.Report(within, "sms", "status", []byte("two")))
	stop()
	require.NoError(t, <-done)
	require.ErrorIs(t, client.Report(within, "sms", "inbound", []byte("three")), bus.ErrNoEngine)
	require.Equal(t, []string{"sms inbound one", "sms status two"}, kept)
}
