package reservation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/reservation"
	"github.com/parley-engine/parley/events"
)

var at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func claimed(holder, ref string) events.Event {
	return events.ReservationClaimed{Kind: reservation.UniqueName, Holder: holder, Ref: ref, At: at}
}

func fold(es []events.Event) (s reservation.State) {
	for _, e := range es {
		s = reservation.Evolve(s, e)
	}
	return s
}

// Every claim is taken: whether the holder has let go was found out before. One
// of the holder is an event too, so that what rivals found out is outdated.
func TestClaims(t *testing.T) {
	for _, r := range []struct {
		name        string
		given       []events.Event
		holder, ref string
		then        []events.Event
	}{
		{"a value nobody has", nil, "conversation-CH1", "CH1", []events.Event{claimed("conversation-CH1", "CH1")}},
		{"the holder again", []events.Event{claimed("conversation-CH1", "CH1")}, "conversation-CH1", "CH1",
			[]events.Event{claimed("conversation-CH1", "CH1")}},
		{"another part of the holder", []events.Event{claimed("conversation-CH1", "MB1")}, "conversation-CH1", "MB2", []events.Event{claimed("conversation-CH1", "MB2")}},
		{"somebody else", []events.Event{claimed("conversation-CH1", "CH1")}, "conversation-CH2", "CH2", []events.Event{claimed("conversation-CH2", "CH2")}},
		{"a former holder", []events.Event{claimed("conversation-CH1", "CH1"), claimed("conversation-CH2", "CH2")}, "conversation-CH1", "CH1",
			[]events.Event{claimed("conversation-CH1", "CH1")}},
	} {
		t.Run(r.name, func(t *testing.T) {
			claim := reservation.Claim{Kind: reservation.UniqueName, Holder: r.holder, Ref: r.ref, At: at}
			got, err := reservation.Decide(fold(r.given), claim)
			require.NoError(t, err)
			require.Equal(t, r.then, got)
			after := fold(append(r.given, got...))
			require.Equal(t, reservation.State{Kind: reservation.UniqueName, Holder: r.holder, Ref: r.ref, Claims: len(r.given) + len(got)}, after)
		})
	}
}

func TestIDTellsKindsScopesAndValuesApartAndHidesTheValue(t *testing.T) {
	id := reservation.ID(reservation.Identity, "IS1", "alice@example.org")
	require.Equal(t, id, reservation.ID(reservation.Identity, "IS1", "alice@example.org"))
	require.Regexp(t, `^identity:[0-9a-f]{32}$`, id)
	require.NotContains(t, id, "alice")
	for _, other := range []string{
		reservation.ID(reservation.UniqueName, "IS1", "alice@example.org"),
		reservation.ID(reservation.Identity, "IS2", "alice@example.org"),
		reservation.ID(reservation.Identity, "IS1", "Alice@example.org"),
		reservation.ID(reservation.Identity, "IS1alice", "@example.org"),
	} {
		require.NotEqual(t, id, other)
	}
}

// What is stored must be readable for ever.
func TestEvolveKnowsEveryEventOfItsStreams(t *testing.T) {
	for _, name := range events.Vocabulary().Types() {
		event, err := events.Vocabulary().Decode(name, []byte("{}"))
		require.NoError(t, err)
		evolve := func() { reservation.Evolve(reservation.State{}, event) }
		if strings.HasPrefix(name, "reservation.") {
			require.NotPanics(t, evolve, name)
		} else {
			require.Panics(t, evolve, name)
		}
	}
}
