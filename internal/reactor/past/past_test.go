package past_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor/past"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

var at = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// told is a conversation's history in a log.
func told(t *testing.T, log store.Log, sid string, es ...events.Event) []events.Recorded {
	t.Helper()
	stream := events.Stream(events.CategoryConversation, sid)
	var batch []events.Proposed
	for i, e := range es {
		name, data, err := events.Vocabulary().Encode(e)
		require.NoError(t, err)
		batch = append(batch, events.Proposed{ID: events.EventID(events.NameID(sid), i), Type: name, Data: data})
	}
	_, err := log.Append(t.Context(), stream, store.NoStream, batch)
	require.NoError(t, err)
	var recorded []events.Recorded
	for r, err := range log.ReadStream(t.Context(), stream, 0, store.Forwards) {
		require.NoError(t, err)
		recorded = append(recorded, r)
	}
	return recorded
}

func history(sid string) []events.Event {
	return []events.Event{
		events.ConversationCreated{Conversation: sid, State: events.StateActive, Attributes: `{"a":1}`, At: at},
		events.MessageAdded{Message: "IM1", Body: "first", At: at},
		events.MessageBodyEdited{Message: "IM1", Body: "second", At: at},
		events.MessageRemoved{Message: "IM1", At: at},
	}
}

func TestEachEventIsSeenAsItWasThen(t *testing.T) {
	log := memstore.New()
	recorded := told(t, log, "CH1", history("CH1")...)
	c := past.New(log, 0)
	body := func(want string, present bool) func(*past.Conversation) error {
		return func(c *past.Conversation) error {
			text, ok := c.Texts["IM1"]
			require.Equal(t, want, text.Body)
			require.Equal(t, present, ok)
			return nil
		}
	}
	require.NoError(t, c.After(t.Context(), &recorded[1], body("first", true)))
	require.NoError(t, c.After(t.Context(), &recorded[2], body("second", true)))
	require.NoError(t, c.Before(t.Context(), &recorded[3], body("second", true)))
	require.NoError(t, c.After(t.Context(), &recorded[3], body("", false)))
	require.NoError(t, c.Before(t.Context(), &recorded[2], body("first", true)), "also backwards")
	require.NoError(t, c.Now(t.Context(), "CH1", func(c *past.Conversation) error {
		require.Equal(t, `{"a":1}`, c.Attributes)
		require.Equal(t, store.Revision(3), c.Revision)
		return nil
	}))
	require.NoError(t, c.Now(t.Context(), "CH2", func(c *past.Conversation) error {
		require.False(t, c.Exists())
		return nil
	}))
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	log := memstore.New()
	c := past.New(log, 10_000)
	for i := range 50 {
		sid := "CH" + strings.Repeat("x", i)
		es := append(history(sid)[:2], events.MessageAdded{Message: "IM2", Body: strings.Repeat("b", 1000), At: at})
		told(t, log, sid, es...)
		require.NoError(t, c.Now(t.Context(), sid, func(c *past.Conversation) error { require.Len(t, c.Texts, 2); return nil }))
		require.LessOrEqual(t, c.Size(), 10_000)
	}
	require.Greater(t, c.Size(), 5000)
}

func TestAHistoryThatCannotBeReadIsSaidToBe(t *testing.T) {
	log := memstore.New()
	recorded := told(t, log, "CH9", append(history("CH9"), events.UserRemoved{At: at})...)
	c := past.New(log, 0)
	look := func(*past.Conversation) error { return nil }
	require.NoError(t, c.Before(t.Context(), &recorded[4], look))
	require.ErrorIs(t, c.After(t.Context(), &recorded[4], look), past.ErrUnreadable)
}
