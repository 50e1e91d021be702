package projections_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// poison appends an event to a stream of the world that cannot be applied.
func poison(t *testing.T, log *memstore.Store, w *world, stream, eventType, data string) events.Position {
	t.Helper()
	last := w.revisions[stream]
	if _, begun := w.revisions[stream]; !begun {
		last = store.NoStream
	}
	appended, err := log.Append(t.Context(), stream, last, []events.Proposed{{ID: events.NameID(stream + eventType), Type: eventType, Data: []byte(data)}})
	require.NoError(t, err)
	w.revisions[stream] = appended.Revision
	return appended.Position
}

// poisons are events that cannot be applied to the conversation ch.
var poisons = map[string][2]string{
	"an unknown type":              {"conversation.never-heard-of.v1", `{}`},
	"a payload that is not JSON's": {"conversation.message-added.v1", `{"message":7}`},
	"a message that is not there":  {"conversation.message-body-edited.v1", `{"message":"IM00000000000000000000000000000077","body":"x"}`},
	"a participant that is not":    {"conversation.participant-removed.v1", `{"participant":"MB00000000000000000000000000000077"}`},
}

// troubled is a read model with ch's history, a poison event, two events behind it, and
// much else around.
func troubled(t *testing.T, row [2]string, fill func(rm *projections.ReadModels, head events.Position)) (*projections.ReadModels, *memstore.Store, *world) {
	t.Helper()
	log, w := memstore.New(), newWorld(1)
	for _, e := range parting() {
		w.append(t, log, record{streamOf(e), []events.Event{e}})
	}
	w.grow(t, log, 100)
	poison(t, log, w, "conversation-"+ch, row[0], row[1])
	w.append(t, log, record{"conversation-" + ch, []events.Event{message("IM00000000000000000000000000000055", 5, 20)}})
	w.grow(t, log, 100)
	head := w.append(t, log, record{"conversation-" + ch, []events.Event{events.ConversationFriendlyNameChanged{FriendlyName: "Behind", DateUpdated: minute(30)}}})
	rm := open(t, t.TempDir(), log, &projections.Options{OnPoison: projections.Quarantine})
	fill(rm, head)
	return rm, log, w
}

func TestAPoisonEventParksItsStreamAndNothingElse(t *testing.T) {
	fills := map[string]func(rm *projections.ReadModels, head events.Position){
		"following": func(rm *projections.ReadModels, head events.Position) {
			require.NoError(t, projections.FollowWithoutFilling(context.Background(), rm, head))
		},
		"filling": func(rm *projections.ReadModels, head events.Position) {
			follow(t, rm, head)
		},
	}
	for name, row := range poisons {
		sums := map[string][]projections.Digest{}
		for how, fill := range fills {
			t.Run(name+", "+how, func(t *testing.T) {
				rm, log, w := troubled(t, row, fill)
				c, err := rm.Conversation(t.Context(), service, ch)
				require.NoError(t, err)
				require.Equal(t, "Late", c.FriendlyName)
				require.Equal(t, uint64(10), c.LastRevision, "what stood before the event, and nothing of it")
				list, err := rm.Quarantined(t.Context())
				require.NoError(t, err)
				require.Len(t, list, 1)
				require.Equal(t, "conversation-"+ch, list[0].Stream)
				require.Equal(t, uint64(11), list[0].Revision)
				require.Equal(t, int64(3), list[0].Parked)
				require.NotEmpty(t, list[0].Error)
				sums[how] = digests(t, rm)
				rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
				require.NoError(t, err, "the next generation parks the same")
				require.True(t, rebuilt.Verified)
				d, err := rm.Drift(t.Context(), log, ch)
				require.NoError(t, err)
				require.Empty(t, d.Rows)

				// It stays as it is over a retry, a restart and a refold, and is released by a skip.
				released, err := rm.Retry(t.Context(), "conversation-"+ch)
				require.NoError(t, err)
				require.Zero(t, released.Applied)
				require.Equal(t, uint64(11), released.Left.Revision)
				require.Equal(t, int64(3), released.Left.Parked)
				refolded, err := rm.Refold(t.Context(), projections.Scope{Conversation: ch}, 0)
				require.NoError(t, err)
				require.Zero(t, refolded.Healed)
				require.Equal(t, sums[how], digests(t, rm))
				_, err = rm.Skip(t.Context(), "conversation-"+ch, "")
				require.ErrorIs(t, err, projections.ErrOptions)
				released, err = rm.Skip(t.Context(), "conversation-"+ch, "a test")
				require.NoError(t, err)
				require.Equal(t, projections.Released{Stream: "conversation-" + ch, Applied: 2, Skipped: 1}, released)
				c, err = rm.Conversation(t.Context(), service, ch)
				require.NoError(t, err)
				require.Equal(t, "Behind", c.FriendlyName)
				require.Equal(t, int64(5), c.LastMessageIndex)
				_, err = rm.Retry(t.Context(), "conversation-"+ch)
				require.ErrorIs(t, err, projections.ErrNotQuarantined)
				d, err = rm.Drift(t.Context(), log, ch)
				require.NoError(t, err)
				require.Empty(t, d.Rows)

				// A rebuild skips it, too, and what comes is applied as ever.
				head := w.append(t, log, record{"conversation-" + ch, []events.Event{events.ConversationFriendlyNameChanged{FriendlyName: "Well", DateUpdated: minute(31)}}})
				require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
				rebuilt, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
				require.NoError(t, err)
				require.True(t, rebuilt.Verified)
				skipped, err := rm.Skipped(t.Context())
				require.NoError(t, err)
				require.Len(t, skipped, 1)
				require.Equal(t, "a test", skipped[0].Reason)
				c, err = rm.Conversation(t.Context(), service, ch)
				require.NoError(t, err)
				require.Equal(t, "Well", c.FriendlyName)
			})
		}
		require.Equal(t, sums["following"], sums["filling"], name)
	}
}

// Once the cause is mended what is parked is applied in order, up to the next that cannot be.
func TestWhatIsParkedIsTriedAgain(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	shown := &wrongLog{LogReader: log, mistake: func(e *events.Recorded) {
		if e.Position == events.At(4) || e.Position == events.At(10) {
			e.Data = []byte(`nonsense`)
		}
	}}
	rm := open(t, t.TempDir(), shown, &projections.Options{OnPoison: projections.Quarantine})
	var last events.Position
	for _, e := range parting() {
		last = w.append(t, log, record{streamOf(e), []events.Event{e}})
	}
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, last))
	stream := "conversation-" + ch
	list, err := rm.Quarantined(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(8), list[0].Parked)

	shown.mistake = func(e *events.Recorded) {
		if e.Position == events.At(10) {
			e.Data = []byte(`nonsense`)
		}
	}
	released, err := rm.Retry(t.Context(), stream)
	require.NoError(t, err)
	require.Equal(t, int64(6), released.Applied)
	require.Equal(t, events.At(10), released.Left.Position)
	require.Equal(t, int64(2), released.Left.Parked)

	shown.mistake = nil
	_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	var mismatch *projections.MismatchError
	require.ErrorAs(t, err, &mismatch, "the rebuilt one has what the live one has parked")
	require.Len(t, mismatch.Quarantined, 1)
	released, err = rm.Retry(t.Context(), stream)
	require.NoError(t, err)
	require.Equal(t, projections.Released{Stream: stream, Applied: 2}, released)
	rebuilt, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
	require.True(t, rebuilt.Verified)
}

func TestWhatIsParkedIsParkedAfterARestart(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	options := &projections.Options{OnPoison: projections.Quarantine}
	rm := open(t, dir, log, options)
	w.append(t, log, record{"conversation-" + ch, []events.Event{created()}})
	bad := poison(t, log, w, "conversation-"+ch, "conversation.never-heard-of.v1", `{}`)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, bad))
	require.NoError(t, rm.Close())
	rm = open(t, dir, log, options)
	head := w.append(t, log, record{"conversation-" + ch, []events.Event{joined(alba, "alba", "", 1)}})
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, head))
	list, err := rm.Quarantined(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), list[0].Parked)
	require.Zero(t, rowsOf(t, rm, "participant"))
}
