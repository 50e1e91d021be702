package events_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
)

func TestPositionsAsText(t *testing.T) {
	for text, p := range map[string]events.Position{
		"0": {}, "42": events.At(42), "42/41": {Commit: 42, Prepare: 41},
		"18446744073709551615": events.At(math.MaxUint64),
	} {
		require.Equal(t, text, p.String())
		parsed, err := events.ParsePosition(text)
		require.NoError(t, err)
		require.Equal(t, p, parsed)
	}
	for _, bad := range []string{"", "-1", "+1", "1/", "/1", "1/2/3", "0x1", " 1", "18446744073709551616", "1.5"} {
		_, err := events.ParsePosition(bad)
		require.ErrorContains(t, err, "not a log position", bad)
	}
}

func TestPositionsAreOrderedByCommitThenPrepare(t *testing.T) {
	rising := []events.Position{{}, {Commit: 0, Prepare: 1}, {Commit: 1, Prepare: 0}, events.At(1), {Commit: 2, Prepare: 1}, events.At(2)}
	for i, p := range rising {
		for j, q := range rising {
			switch {
			case i < j:
				require.Negative(t, p.Compare(q))
			case i > j:
				require.Positive(t, p.Compare(q))
			default:
				require.Zero(t, p.Compare(q))
			}
		}
	}
	require.True(t, rising[0].IsZero())
	require.False(t, rising[1].IsZero())
}

func TestPositionsSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := events.Position{Commit: rapid.Uint64().Draw(t, "commit"), Prepare: rapid.Uint64().Draw(t, "prepare")}
		data, err := json.Marshal(p)
		require.NoError(t, err)
		var got events.Position
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, p, got)
	})
}

func FuzzPosition(f *testing.F) {
	for _, s := range []string{"0", "42", "42/41", "007", "1/", "18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := events.ParsePosition(s)
		if err != nil {
			require.Zero(t, p)
			return
		}
		again, err := events.ParsePosition(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
