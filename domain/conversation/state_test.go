package conversation_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// Every event of a conversation, and what any stream may hold, can be folded.
func TestEvolveKnowsEveryEventOfAConversation(t *testing.T) {
	seen := 0
	for _, name := range events.Vocabulary().Types() {
		e, ok := events.Vocabulary().Zero(name)
		require.True(t, ok)
		if !strings.HasPrefix(name, "conversation.") && !strings.HasPrefix(name, "reservation.lost.") {
			require.Panics(t, func() { conversation.Evolve(conversation.State{}, e) }, "%s is not of a conversation", name)
			continue
		}
		seen++
		require.NotPanics(t, func() { conversation.Evolve(fold(world("active")), e) }, name)
	}
	require.Greater(t, seen, 25)
}

func TestReservationLostChangesNothing(t *testing.T) {
	s := fold(world("active"))
	before := snapshot(t, s)
	require.Equal(t, before, snapshot(t, conversation.Evolve(s, events.ReservationLost{Reservation: "r"})))
}

func TestDecideRefusesToGuess(t *testing.T) {
	require.Panics(t, func() { _, _ = conversation.Decide(conversation.State{}, nil) })
}

func TestTheZeroStateIsTheBeginning(t *testing.T) {
	var s conversation.State
	require.False(t, s.Exists())
	require.False(t, s.Removed())
	_, ok := s.Participant("ann")
	require.False(t, ok)
	require.Equal(t, 1, s.Size())
}

func TestStateAccessors(t *testing.T) {
	s := fold(world("active"))
	require.True(t, s.Exists())
	require.False(t, s.Removed())
	for _, ref := range []string{"ann", mb(1)} {
		p, ok := s.Participant(ref)
		require.True(t, ok)
		require.Equal(t, mb(1), p.Sid)
	}
	for _, ref := range []string{"", "zoe", mb(7), alice} {
		_, ok := s.Participant(ref)
		require.False(t, ok, ref)
	}
	require.Equal(t, 1+2+1+1+1, s.Size(), "itself, participants, a message, its receipt, a webhook")

	s = foldOn(s, history(erased(1), left(1), gone()))
	require.True(t, s.Exists())
	require.True(t, s.Removed())
	require.Equal(t, 1+1+1+1+1, s.Size(), "one participant is former now, the message's receipt is gone")
}

func TestStateSurvivesATripThroughJSON(t *testing.T) {
	for _, es := range [][]events.Event{
		nil, created(), world("closed"), history(world("active"), quiet(3), horizon(2, 0), gone()),
		history(created(withTimers("PT1M", "P1D")), projected(1, "ann", proxy), left(1)),
	} {
		s := fold(es)
		var back conversation.State
		require.NoError(t, json.Unmarshal([]byte(snapshot(t, s)), &back))
		require.Equal(t, s, back)
	}
}

// A hundred thousand messages in a group of three outside chat.
func TestAHundredThousandMessagesAreCheap(t *testing.T) {
	const messages = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := fold(history(created(), chat(1, "ann"), sms(2, alice, proxy), sms(3, bob, proxy), sms(4, carol, proxy)))
	body := strings.Repeat("words ", 20)
	for i := range messages {
		s = conversation.Evolve(s, events.MessageAdded{
			Message: domain.SID("IM", fmt.Sprint(i)), Index: int64(i), Author: strings.Clone("ann"), Participant: mb(1), Body: body,
			Attributes: "{}", Recipients: []string{mb(2), mb(3), mb(4)}, DateCreated: t0, DateUpdated: t0, At: t0,
		})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perMessage := float64(after.HeapAlloc-before.HeapAlloc) / messages
	inJSON := float64(len(snapshot(t, s))) / messages
	t.Logf("%.0f bytes per message in memory, %.0f in a snapshot", perMessage, inJSON)
	require.Less(t, perMessage, 500.0)
	require.Less(t, inJSON, 250.0)
	require.Equal(t, 1+4+messages+3*messages, s.Size())
}

func TestBindingsAreCounted(t *testing.T) {
	s := fold(history(created(), chat(1, "ann"), sms(2, alice, proxy)))
	require.Equal(t, 1, s.Bound)
	s = foldOn(s, bound(1, "ann", events.Binding{Type: "sms", ProjectedAddress: proxy}))
	require.Equal(t, 2, s.Bound)
	s = foldOn(s, bound(1, "ann", events.Binding{}))
	require.Equal(t, 1, s.Bound)
	s = foldOn(s, history(left(1), left(2)))
	require.Zero(t, s.Bound)
}
