package projections_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// BenchmarkAsOf looks at a conversation of 10 000 events as it was at its end, and
// compares that with reading and decoding them alone.
func BenchmarkAsOf(b *testing.B) {
	const n, sid = 10_000, "CH00000000000000000000000000000001"
	log, stream, now := memstore.New(), events.Stream(events.CategoryConversation, sid), time.Now()
	for i := range n {
		var e events.Event = events.MessageAdded{Message: fmt.Sprintf("IM%032d", i), Index: int64(i), Author: "ada", Body: "hello there", At: now, DateCreated: now}
		if i == 0 {
			e = events.ConversationCreated{Conversation: sid, State: events.StateActive, At: now, DateCreated: now}
		}
		kind, data, err := events.Vocabulary().Encode(e)
		require.NoError(b, err)
		_, err = log.Append(b.Context(), stream, store.Revision(i-1), []events.Proposed{{ID: events.NameID(fmt.Sprint(i)), Type: kind, Data: data}})
		require.NoError(b, err)
	}
	var past, alone time.Duration
	for range b.N {
		begun := time.Now()
		for e, err := range log.ReadStream(b.Context(), stream, 0, store.Forwards) {
			require.NoError(b, err)
			_, err := events.Vocabulary().Decode(e.Type, e.Data)
			require.NoError(b, err)
		}
		alone += time.Since(begun)
		begun = time.Now()
		p, err := projections.AsOf(b.Context(), log.ReadStream(b.Context(), stream, 0, store.Forwards))
		require.NoError(b, err)
		c, err := p.Conversation(b.Context(), "", sid)
		require.NoError(b, err)
		require.EqualValues(b, n-1, c.LastMessageIndex)
		past += time.Since(begun)
		require.NoError(b, p.Close())
	}
	fmt.Printf("ratio %.2f: a conversation of 10 000 events as it was, rate to decoding them alone (%s, target 50ms)\n",
		float64(alone)/float64(past), (past / time.Duration(b.N)).Round(time.Millisecond))
}
