package projections_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

func TestTheShortWayOfDecodingGivesTheSameEvents(t *testing.T) {
	log, short := memstore.New(), 0
	newWorld(11).grow(t, log, 2000)
	for r, err := range log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		if requireSameEvent(t, r.Type, r.Data) {
			short++
		}
	}
	require.Greater(t, short, 1000, "the short way must be taken")
}

// requireSameEvent compares the two ways and reports whether the short one was
// taken.
func requireSameEvent(t *testing.T, eventType string, data []byte) bool {
	t.Helper()
	got, ok := projections.DecodeHot(eventType, data)
	if !ok {
		return false
	}
	want, err := events.Vocabulary().Decode(eventType, data)
	require.NoError(t, err, "%s", data)
	require.Equal(t, want, got, "%s", data)
	return true
}

func FuzzTheShortWayOfDecoding(f *testing.F) {
	for i, e := range []events.Event{
		message(im1, 3, 4, bo, cy), delivery(im1, bo, events.DeliveryRead, 3), events.ReadHorizonMoved{Participant: bo, Index: -1, At: minute(1)},
		events.MessageAdded{Body: "tab\t quote \" <b> & ünïcödé \u2028", Recipients: []string{}},
	} {
		data, err := json.Marshal(e)
		require.NoError(f, err)
		f.Add(byte(i), string(data))
	}
	f.Add(byte(0), `{"index":01}`)
	f.Add(byte(0), `{"index":-0}`)
	f.Add(byte(0), `{"recipients":["a" ,"b"]}`)
	f.Add(byte(2), `{"at":"2026-02-30T00:00:00Z","index":1,"index":2}`)
	f.Add(byte(2), `{"index":1,}`)
	f.Fuzz(func(t *testing.T, kind byte, data string) {
		types := []string{events.MessageAdded{}.EventType(), events.DeliveryUpdated{}.EventType(), events.ReadHorizonMoved{}.EventType()}
		requireSameEvent(t, types[int(kind)%len(types)], []byte(data))
	})
}
