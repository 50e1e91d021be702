package projections_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/memstore"
)

// filled is a read model of a lively history.
func filled(t *testing.T, steps int) (*projections.ReadModels, *world) {
	t.Helper()
	log, w := memstore.New(), newWorld(5)
	w.population = 60
	rm := open(t, t.TempDir(), log, nil)
	require.NoError(t, projections.FollowWithoutFilling(t.Context(), rm, w.grow(t, log, steps)))
	return rm, w
}

// requirePages walks a list forwards and back in small pages and compares it
// with the whole.
func requirePages[R any](t *testing.T, list func(projections.Page) (projections.List[R], error)) []R {
	t.Helper()
	whole, err := list(projections.Page{Limit: 1 << 20})
	require.NoError(t, err)
	require.False(t, whole.More)
	for _, back := range []bool{false, true} {
		var all []R
		page := projections.Page{Limit: 3, Back: back}
		for more := true; more; {
			got, err := list(page)
			require.NoError(t, err)
			require.LessOrEqual(t, len(got.Items), page.Limit)
			if back {
				all, page.After = append(got.Items[:len(got.Items):len(got.Items)], all...), got.First
			} else {
				all, page.After = append(all, got.Items...), got.Last
			}
			page.After, err = projections.ParseKey(page.After.String())
			require.NoError(t, err)
			more = got.More
		}
		require.Equal(t, whole.Items, all)
	}
	return whole.Items
}

func TestEveryListIsTheSameInPagesForwardsAndBack(t *testing.T) {
	rm, w := filled(t, 2500)
	ctx := t.Context()
	busy := w.open[0]
	for _, talk := range w.open {
		if len(talk.messages) > len(busy.messages) {
			busy = talk
		}
	}
	t.Run("conversations", func(t *testing.T) {
		for _, filter := range []projections.ConversationFilter{{}, {Ascending: true}, {State: events.StateActive}, {State: events.StateClosed},
			{From: epoch.Add(time.Minute), To: epoch.Add(20 * time.Minute)}} {
			filter.Service = service
			items := requirePages(t, func(p projections.Page) (projections.List[projections.Conversation], error) {
				return rm.Conversations(ctx, filter, p)
			})
			require.NotEmpty(t, items)
			for i, c := range items {
				require.True(t, filter.State == "" || c.State == filter.State)
				require.True(t, filter.From.IsZero() || !c.DateCreated.Before(filter.From) && !c.DateCreated.After(filter.To))
				require.True(t, i == 0 || !items[i-1].DateCreated.Equal(c.DateCreated) && items[i-1].DateCreated.Before(c.DateCreated) == filter.Ascending)
			}
		}
	})
	t.Run("messages", func(t *testing.T) {
		for _, descending := range []bool{false, true} {
			items := requirePages(t, func(p projections.Page) (projections.List[projections.Message], error) {
				return rm.Messages(ctx, service, busy.sid, descending, p)
			})
			require.Len(t, items, len(busy.messages))
			require.Equal(t, descending, items[0].Index > items[1].Index)
		}
	})
	t.Run("participants", func(t *testing.T) {
		items := requirePages(t, func(p projections.Page) (projections.List[projections.Participant], error) {
			return rm.Participants(ctx, service, busy.sid, p)
		})
		require.Len(t, items, len(busy.people))
	})
	t.Run("receipts", func(t *testing.T) {
		for _, m := range busy.messages {
			requirePages(t, func(p projections.Page) (projections.List[projections.Receipt], error) {
				return rm.Receipts(ctx, service, busy.sid, m.sid, p)
			})
		}
	})
	t.Run("participant conversations", func(t *testing.T) {
		byIdentity, byAddress := 0, 0
		for i := range 30 {
			byIdentity += len(requirePages(t, func(p projections.Page) (projections.List[projections.ParticipantConversation], error) {
				return rm.ParticipantConversationsByIdentity(ctx, service, fmt.Sprintf("agent-%d-0", i), p)
			}))
			byAddress += len(requirePages(t, func(p projections.Page) (projections.List[projections.ParticipantConversation], error) {
				return rm.ParticipantConversationsByAddress(ctx, service, fmt.Sprintf("+1555%07d", i), p)
			}))
		}
		require.NotZero(t, byIdentity)
		require.NotZero(t, byAddress)
	})
	t.Run("user conversations", func(t *testing.T) {
		users, err := rm.Users(ctx, service, projections.Page{})
		require.NoError(t, err)
		require.NotEmpty(t, users.Items)
		for _, u := range users.Items {
			for _, lastActiveFirst := range []bool{false, true} {
				requirePages(t, func(p projections.Page) (projections.List[projections.UserConversation], error) {
					return rm.UserConversations(ctx, service, u.Sid, lastActiveFirst, p)
				})
			}
		}
	})
}

func TestOpenConversationsLeavesOutClosedOnesAndEndsAtTheLimit(t *testing.T) {
	rm, _ := filled(t, 2500)
	for i := range 30 {
		identity := fmt.Sprintf("agent-%d-0", i)
		all, err := rm.ParticipantConversationsByIdentity(t.Context(), service, identity, projections.Page{Limit: 1000})
		require.NoError(t, err)
		want := 0
		for _, place := range all.Items {
			if place.Conversation.State != events.StateClosed {
				want++
			}
		}
		got, err := rm.OpenConversations(t.Context(), service, identity, 1000)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = rm.OpenConversations(t.Context(), service, identity, 1)
		require.NoError(t, err)
		require.Equal(t, min(want, 1), got)
	}
}

func TestDueRowsAreTheOpenConversationsWithATimer(t *testing.T) {
	rm, _ := filled(t, 1500)
	due := map[string]time.Time{}
	position, err := rm.DueRows(t.Context(), func(d projections.Due) bool {
		due[d.ConversationSid] = d.Next()
		return true
	})
	require.NoError(t, err)
	require.Equal(t, rm.Status().Position, position)
	all, err := rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{Limit: 1 << 20})
	require.NoError(t, err)
	require.NotEmpty(t, due)
	for _, c := range all.Items {
		want := c.DateInactive()
		if want.IsZero() {
			want = c.DateClosed()
		}
		got, listed := due[c.Sid]
		require.Equal(t, c.State != events.StateClosed && (c.InactiveAfter > 0 || c.ClosedAfter > 0), listed)
		require.Equal(t, want, got)
	}
	n := 0
	_, err = rm.DueRows(t.Context(), func(projections.Due) bool { n++; return false })
	require.NoError(t, err)
	require.Equal(t, 1, n, "the stream ends when its consumer has enough")
}

func TestAQueryEndsWithItsContext(t *testing.T) {
	rm, _ := filled(t, 50)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := rm.Conversations(ctx, projections.ConversationFilter{Service: service}, projections.Page{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = rm.Conversations(t.Context(), projections.ConversationFilter{Service: service}, projections.Page{})
	require.NoError(t, err, "the connection is fine afterwards")
}

func TestAPlaceInAListIsReadOrRefused(t *testing.T) {
	for _, text := range []string{"x", "1_2", "1_!_", "!_1_", "99999999999999999999_1_"} {
		_, err := projections.ParseKey(text)
		require.Error(t, err, text)
	}
	key, err := projections.ParseKey("")
	require.NoError(t, err)
	require.True(t, key.IsZero())
}
