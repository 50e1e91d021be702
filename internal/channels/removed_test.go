package channels_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/loopback"
	"github.com/parley-engine/parley/internal/reactor"
)

// The gateway asks to come again later; meanwhile the recipient is taken out.
func TestAMessageThatWaitsIsNotSentToWhoWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		later := &carrier.Later{After: time.Minute}
		w.carrier.fail = []error{later, later}
		sid := w.conversation(outside(ada, ours), outside(bob, ours))
		route, err := w.engine.PairRoute(t.Context(), ac, ada, ours)
		require.NoError(t, err)
		w.run(5*time.Minute, func(c *channels.Channels) {
			w.do("", sid, conversation.AddMessage{Body: "wait"})
			time.Sleep(10 * time.Second)
			w.do("", sid, conversation.RemoveParticipant{Participant: route.Participant})
			time.Sleep(3 * time.Minute)
			entries, err := c.Out.Entries(reactor.Selection{})
			require.NoError(t, err)
			require.Len(t, entries, 2)
			notes := []string{entries[0].Note, entries[1].Note}
			require.Contains(t, notes, "not sent: the recipient was removed")
			for _, e := range entries {
				require.Equal(t, reactor.Done, e.State, "it is dropped, and holds nobody up")
			}
		})
		require.Equal(t, 1, count(w.carrier.to()[2:], bob+": wait"))
		require.NotContains(t, w.carrier.to()[2:], ada+": wait")
		require.Contains(t, w.told(sid), "failed 30008", "what becomes of the receipt")
	})
}

func TestAMessageThatWaitsIsNotSentForARemovedService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, loopback.Config{})
		w.carrier.fail = []error{&carrier.Later{After: time.Minute}}
		old := w.do("", "", service.Create{FriendlyName: "old"})
		sid := w.do(old, "", conversation.Create{MessagingService: mg})
		w.do(old, sid, outside(ada, ours))
		w.run(5*time.Minute, func(*channels.Channels) {
			w.do(old, sid, conversation.AddMessage{Body: "wait"})
			time.Sleep(10 * time.Second)
			w.do("", old, service.Remove{})
		})
		require.Equal(t, []string{ada + ": wait"}, w.carrier.to(), "the attempt before")
	})
}
