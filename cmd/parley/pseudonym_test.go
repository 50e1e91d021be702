package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

// Of what others wrote it is not known what is in it: nothing of it is left.
func TestOthersEventsAreEmptyUnderPseudonyms(t *testing.T) {
	p, err := newPseudonyms("")
	require.NoError(t, err)
	kind, data, err := events.Vocabulary().Encode(events.ForeignRecorded{Type: "ann-was-here", Data: `{"name":"ann"}`, Metadata: "ann"})
	require.NoError(t, err)
	for _, e := range []events.Recorded{
		{Type: kind, Stream: "foreign-ann", Data: data},
		{Type: "other.v1", Stream: "ann", Data: []byte(`{"name":"ann"}`)},
	} {
		require.NoError(t, p.event(&e))
		require.Equal(t, "{}", string(e.Data))
		require.NotContains(t, e.Stream, "ann")
	}
}
