package projections_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

func TestChangesNeverSayTooLittle(t *testing.T) {
	c := projections.NewChanges(2, events.At(3))
	require.Equal(t, events.At(3), c.At("a"), "before it was there")
	c.Note("a", events.At(5))
	c.Note("a", events.At(4)) // late
	c.Note("", events.At(99))
	require.Equal(t, events.At(5), c.At("a"))
	c.Note("b", events.At(6))
	c.Note("c", events.At(7)) // a is forgotten
	require.Equal(t, events.At(5), c.At("a"), "what was forgotten was no later")
	require.Equal(t, events.At(5), c.At("never seen"))
	require.Equal(t, events.At(7), c.At("c"))
}

// The stamp of a conversation changes with what is in it, with nothing else, and
// with the generation.
func TestAStampChangesWithTheConversationAndTheGeneration(t *testing.T) {
	log, w := memstore.New(), newWorld(7)
	w.population = 5
	rm := open(t, t.TempDir(), log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 200)))
	before := map[string]projections.Stamp{}
	for _, talk := range w.open {
		before[talk.sid] = rm.Stamp(talk.sid)
	}
	revisions := func() map[string]uint64 {
		found := map[string]uint64{}
		for sid := range before {
			if c, err := rm.Conversation(t.Context(), "", sid); err == nil {
				found[sid] = c.LastRevision
			}
		}
		return found
	}
	was := revisions()
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 20)))
	is, moved := revisions(), 0
	for sid, stamp := range before {
		if was[sid] != is[sid] {
			moved++
		}
		require.Equal(t, was[sid] != is[sid], stamp != rm.Stamp(sid), "%s from revision %d to %d", sid, was[sid], is[sid])
	}
	require.NotZero(t, moved)
	for sid := range before {
		before[sid] = rm.Stamp(sid)
	}
	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	for sid, stamp := range before {
		require.NotEqual(t, stamp, rm.Stamp(sid), "what a rebuild corrected must be seen")
	}
}
