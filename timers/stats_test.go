package timers_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/timers"
)

// One conversation from creation to its end, as an operator sees it.
func TestStatsTellLooksFromInstantsAndHowLateTheyWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := timers.NewScheduler(w.index, w.fire, nil)
		require.Zero(t, s.Stats())

		began := time.Now()
		w.create(sid(1), time.Hour, 10*time.Minute)
		require.Equal(t, 1, s.Stats().Backlog, "the look")
		s.Sweep(t.Context(), began)
		require.Equal(t, timers.Stats{Looks: 1, Refiled: 1, Filed: 1, LastSweep: began}, s.Stats())

		time.Sleep(time.Hour + 3*time.Second)
		require.Equal(t, 1, s.Stats().Backlog)
		s.Sweep(t.Context(), time.Now()) // inactive; its own event asks for a look
		got := s.Stats()
		require.Equal(t, uint64(1), got.Fired)
		require.Equal(t, uint64(2), got.Looks)
		require.Equal(t, 3*time.Second, got.Late)

		time.Sleep(10 * time.Minute)
		s.Sweep(t.Context(), time.Now()) // closed
		got = s.Stats()
		require.Equal(t, uint64(2), got.Fired)
		require.Equal(t, uint64(1), got.Settled)
		require.Zero(t, got.Filed+got.Backlog+got.Failing)
		s.Sweep(t.Context(), time.Now())
		require.Zero(t, s.Stats().Late)
		require.Equal(t, 3*time.Second, s.Stats().LateMax)
	})
}
