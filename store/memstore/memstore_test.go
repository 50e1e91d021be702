package memstore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: func(testing.TB, string) store.Log { return memstore.New() }})
}

func proposed(name string) []events.Proposed {
	return []events.Proposed{{ID: events.NameID(name), Type: "test.happened.v1", Data: []byte("{}")}}
}

func TestWaitingBlocksDurablyInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		woken := make(chan events.Position, 1)
		go func() {
			position, _ := s.Wait(t.Context(), events.Position{})
			woken <- position
		}()
		synctest.Wait()
		require.Empty(t, woken)
		_, err := s.Append(t.Context(), "conversation-1", store.NoStream, proposed("a"))
		require.NoError(t, err)
		require.Equal(t, events.At(1), <-woken)
	})
}

func TestRecordedTimeIsTheClockOfTheBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		time.Sleep(24 * time.Hour)
		_, err := s.Append(t.Context(), "conversation-1", store.NoStream, proposed("a"))
		require.NoError(t, err)
		for e, err := range s.ReadStream(t.Context(), "conversation-1", 0, store.Forwards) {
			require.NoError(t, err)
			require.Equal(t, time.Now().UTC().Round(0), e.Recorded)
		}
	})
}

func TestRecordedTimeNeverFallsWhenTheClockDoes(t *testing.T) {
	s := memstore.New()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.Now = func() time.Time { now = now.Add(-time.Minute); return now }
	for i, name := range []string{"a", "b", "c"} {
		_, err := s.Append(t.Context(), "conversation-1", store.Revision(i-1), proposed(name))
		require.NoError(t, err)
	}
	storetest.CheckLog(t, s, events.Position{})
}
