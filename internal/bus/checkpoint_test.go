package bus_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
)

func TestAPositionMarkIsSharedByItsName(t *testing.T) {
	server := startBroker(t, t.TempDir())
	mark, err := bus.NewPositionMark(connect(t, server), "webhooks")
	require.NoError(t, err)
	at, err := mark.Load(t.Context())
	require.NoError(t, err)
	require.Zero(t, at)
	require.NoError(t, mark.Save(t.Context(), events.At(7)))
	require.NoError(t, mark.Save(t.Context(), events.At(8)))
	other, err := bus.NewPositionMark(connect(t, server), "webhooks")
	require.NoError(t, err)
	at, err = other.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, events.At(8), at)
	elsewhere, err := bus.NewPositionMark(connect(t, server), "delivery")
	require.NoError(t, err)
	at, err = elsewhere.Load(t.Context())
	require.NoError(t, err)
	require.Zero(t, at)
}
