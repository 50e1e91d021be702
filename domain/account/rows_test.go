package account_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
)

// row is one decision: what happened, what is asked, what comes of it. With no
// events and no refusal there is nothing to do.
type row struct {
	name  string
	given []events.Event
	when  account.Command
	then  []events.Event
	no    no // the refusal, if one is expected
	again no // what a repeat is refused with; the zero value: nothing to do
}

// no is what of a refusal tests look at. The zero value is no refusal.
type no struct {
	kind   domain.Kind
	code   string
	field  string
	twilio int
}

// run decides every row, and then the same command on the state that came of it:
// a repeat does nothing, unless the row says how it is refused.
func run(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got, err := account.Decide(fold(r.given), r.when)
			requireRefusal(t, r.no, err)
			require.Equal(t, r.then, got)
			if r.no != (no{}) {
				return
			}
			repeated, err := account.Decide(fold(append(r.given, got...)), r.when)
			requireRefusal(t, r.again, err)
			require.Empty(t, repeated)
		})
	}
}

func requireRefusal(t *testing.T, want no, err error) {
	t.Helper()
	if want == (no{}) {
		require.NoError(t, err)
		return
	}
	var r *domain.Refusal
	require.ErrorAs(t, err, &r)
	require.Equal(t, want, no{r.Kind, r.Code, r.Field, r.Twilio})
	require.NotEmpty(t, r.Message)
	require.Regexp(t, `^[a-z][a-z0-9_]*$`, r.Code)
}

func fold(es []events.Event) (s account.State) {
	for _, e := range es {
		s = account.Evolve(s, e)
	}
	return s
}

// What is stored must be readable for ever: Evolve knows every event of its
// streams, and stops on one that is none of its business.
func TestEvolveKnowsEveryEventOfItsStreams(t *testing.T) {
	for _, name := range events.Vocabulary().Types() {
		event, err := events.Vocabulary().Decode(name, []byte("{}"))
		require.NoError(t, err)
		evolve := func() { account.Evolve(account.State{}, event) }
		if strings.HasPrefix(name, "account.") || name == (events.ReservationLost{}).EventType() {
			require.NotPanics(t, evolve, name)
		} else {
			require.Panics(t, evolve, name)
		}
	}
}
