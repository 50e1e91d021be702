package projections_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

// damages are what can be wrong with the rows of the conversation with this SID, and
// how many rows a refold of it finds wrong.
var damages = map[string]struct {
	sql   string
	rows  int64
	table string
}{
	"a wrong state":           {"UPDATE conversation SET state = 'closed' WHERE id = 1", 1, "conversation"},
	"a lost message":          {"DELETE FROM message WHERE conversation = 1", 1, "message"},
	"a wrong horizon":         {"UPDATE participant SET last_read_message_index = 7 WHERE conversation = 1", 1, "participant"},
	"a lost receipt":          {"DELETE FROM receipt WHERE message = 3", 1, "receipt"},
	"a message that was not":  {"INSERT INTO message SELECT 8, conversation, '" + im2 + "', 1, author, participant_sid, body, media, attributes, subject, content_sid, content_variables, recipients, date_created, date_updated FROM message WHERE conversation = 1", 1, "message"},
	"no conversation":         {"DELETE FROM conversation WHERE id = 1", 1, "conversation"},
	"nothing of it":           {"DELETE FROM receipt WHERE message = 3; DELETE FROM message WHERE conversation = 1; DELETE FROM participant WHERE conversation = 1; DELETE FROM conversation WHERE id = 1", 4, "conversation"},
	"a row with another's id": {"UPDATE participant SET id = 7777 WHERE conversation = 1", 2, ""},
	"nothing":                 {"", 0, ""},
}

func TestDriftIsFoundAndRefolded(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			log, w := memstore.New(), newWorld(1)
			rm := open(t, t.TempDir(), log, nil)
			var last events.Position
			for _, e := range parting() {
				last = w.append(t, log, record{streamOf(e), []events.Event{e}})
			}
			require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 50)))
			right := digests(t, rm)
			projections.Exec(t, rm, damage.sql)

			d, err := rm.Drift(t.Context(), log, ch)
			require.NoError(t, err)
			require.GreaterOrEqual(t, d.Position.Compare(last), 0)
			if damage.table != "" {
				require.NotEmpty(t, d.Rows)
			} else {
				require.Empty(t, d.Rows, "ids are not compared")
			}
			for range 2 {
				healed, err := rm.Refold(t.Context(), projections.Scope{Conversation: ch}, 0)
				require.NoError(t, err)
				require.Equal(t, damage.rows, healed.Healed)
				require.Equal(t, int64(11), healed.Events)
				require.Equal(t, int64(4), healed.Rows)
				require.Equal(t, right, digests(t, rm))
				damage.rows = 0
			}
			d, err = rm.Drift(t.Context(), log, ch)
			require.NoError(t, err)
			require.Empty(t, d.Rows)
			// What was kept in memory is not written over what was healed.
			require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 50)))
			_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
			require.NoError(t, err)
		})
	}
}

func TestAServiceIsRefolded(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(3), t.TempDir()
	w.rare = 3
	rm := open(t, dir, log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 800)))
	right := digests(t, rm)
	projections.Exec(t, rm, `UPDATE user SET friendly_name = 'x'; UPDATE role SET permissions = NULL; DELETE FROM receipt WHERE id % 2 = 0;
		UPDATE conversation SET attributes = 'x' WHERE id % 3 = 0; DELETE FROM message WHERE id % 5 = 0; UPDATE participant SET role_sid = 'x'; DELETE FROM media; DELETE FROM push_binding`)
	require.NotEqual(t, right, digests(t, rm))
	other, err := rm.Refold(t.Context(), projections.Scope{Service: "IS00000000000000000000000000000009"}, 0)
	require.NoError(t, err)
	require.Zero(t, other.Healed)
	require.NotEqual(t, right, digests(t, rm))
	healed, err := rm.Refold(t.Context(), projections.Scope{Service: service}, 0)
	require.NoError(t, err)
	require.NotZero(t, healed.Healed)
	require.Equal(t, right, digests(t, rm))
	require.NotContains(t, names(t, dir), "main-v3-g1.refold.db")
}

func TestARefoldGoesOnUnderTraffic(t *testing.T) {
	log, w := memstore.New(), newWorld(1)
	rm := open(t, t.TempDir(), log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 500)))
	run(t, rm)
	list, err := rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{})
	require.NoError(t, err)
	for _, c := range list.Items {
		require.NoError(t, rm.Wait(t.Context(), w.grow(t, log, 20)))
		healed, err := rm.Refold(t.Context(), projections.Scope{Conversation: c.Sid}, 0)
		require.NoError(t, err)
		require.Zero(t, healed.Healed)
	}
	require.NoError(t, rm.Wait(t.Context(), w.grow(t, log, 20)))
	_, err = rm.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
	require.NoError(t, err)
}

func TestARefoldIsRefusedDuringARebuildAndEndsWithItsContext(t *testing.T) {
	log, w, dir := memstore.New(), newWorld(1), t.TempDir()
	rm := open(t, dir, log, nil)
	follow(t, rm, w.grow(t, log, 100))
	_, err := rm.Rebuild(t.Context(), projections.RebuildOptions{}, func(projections.Progress) {
		_, err := rm.Refold(t.Context(), projections.Scope{Conversation: ch}, 0)
		require.ErrorIs(t, err, projections.ErrRebuilding)
	})
	require.NoError(t, err)
	before := names(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = rm.Refold(ctx, projections.Scope{Service: service}, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, names(t, dir))
}

func TestTheWatchFindsADriftWithinOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, w := memstore.New(), newWorld(1)
		rm := open(t, t.TempDir(), log, nil)
		require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, 300)))
		list, err := rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{Limit: 100})
		require.NoError(t, err)
		wrong := list.Items[len(list.Items)/2].Sid
		projections.Exec(t, rm, "UPDATE conversation SET state = 'closed', attributes = 'x' WHERE sid = '"+wrong+"'")
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(list.Items))*time.Minute+time.Second)
		defer cancel()
		checked, drifted := map[string]int{}, map[string]int{}
		rm.Watch(ctx, log, time.Minute, func(d *projections.Drift, err error) {
			require.NoError(t, err)
			checked[d.Conversation]++
			if len(d.Rows) > 0 {
				drifted[d.Conversation]++
			}
		})
		require.Len(t, checked, len(list.Items), "each in its turn")
		require.Equal(t, map[string]int{wrong: 1}, drifted)
	})
}

func TestTheWatchOfNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rm := open(t, t.TempDir(), memstore.New(), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		rm.Watch(ctx, memstore.New(), time.Minute, func(*projections.Drift, error) { t.Error("there is nothing") })
	})
}
