package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

func appendOne(t *testing.T, log store.Log, n int) {
	t.Helper()
	_, err := log.Append(t.Context(), "role-1", store.Revision(n-1), []events.Proposed{{ID: events.EventID(events.NameID("paced"), n), Type: "role.removed.v1", Data: []byte("{}")}})
	require.NoError(t, err)
}

func TestAPacedFollowerGathersNewsUnlessSomebodyHurries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, hurry := memstore.New(), make(chan struct{}, 1)
		paced := store.Paced(log, time.Minute, hurry)
		begun := time.Now()
		appendOne(t, log, 0)
		go func() { time.Sleep(30 * time.Second); appendOne(t, log, 1) }()
		head, err := paced.Wait(t.Context(), events.Position{})
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(begun))
		newest, err := log.Head(t.Context())
		require.NoError(t, err)
		require.Equal(t, newest, head, "what came during the pause is there")

		appendOne(t, log, 2)
		hurry <- struct{}{}
		_, err = paced.Wait(t.Context(), head)
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(begun))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = paced.Wait(ctx, events.At(99))
		require.ErrorIs(t, err, context.Canceled)
	})
}
