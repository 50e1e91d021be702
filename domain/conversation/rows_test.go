package conversation_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// row is one decision: what happened, what is asked, what comes of it.
type row struct {
	name  string
	given []events.Event
	when  conversation.Command
	then  []events.Event // nil: nothing to do, unless refused
	no    no             // the refusal, if one is expected
	again no             // what a repeat is refused with; the zero value: nothing to do
}

// no is what of a refusal tests look at. The zero value is no refusal.
type no struct {
	code   string
	field  string
	twilio int
	kind   domain.Kind
}

// run decides every row and then the same command once more on the state that
// came of it: a repeat does nothing, unless the row says how it is refused.
func run(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			state := fold(r.given)
			before := snapshot(t, state)
			got, err := conversation.Decide(state, r.when)
			require.Equal(t, before, snapshot(t, state), "Decide changed the state")
			if r.no != (no{}) {
				requireRefusal(t, r.no, err)
				require.Empty(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, r.then, got)
			repeated, err := conversation.Decide(foldOn(state, got), r.when)
			require.Empty(t, repeated)
			requireRefusal(t, r.again, err)
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
	require.Equal(t, want, no{r.Code, r.Field, r.Twilio, r.Kind})
	require.NotEmpty(t, r.Message)
	require.Regexp(t, `^[a-z][a-z0-9_]*$`, r.Code)
}

func fold(es []events.Event) conversation.State { return foldOn(conversation.State{}, es) }

func foldOn(s conversation.State, es []events.Event) conversation.State {
	for _, e := range es {
		s = conversation.Evolve(s, e)
	}
	return s
}

func snapshot(t require.TestingT, s conversation.State) string {
	b, err := json.Marshal(s)
	require.NoError(t, err)
	return string(b)
}

// The refusals by family.
func invalid(code, field string, twilio int) no {
	return no{code, field, twilio, domain.InvalidArgument}
}

func missing(code, field string, twilio int) no { return no{code, field, twilio, domain.NotFound} }

func exists(code, field string, twilio int) no { return no{code, field, twilio, domain.AlreadyExists} }

func unready(code, field string, twilio int) no {
	return no{code, field, twilio, domain.FailedPrecondition}
}

func forbidden(code, field string, twilio int) no {
	return no{code, field, twilio, domain.PermissionDenied}
}

func toomany(code, field string, twilio int) no { return no{code, field, twilio, domain.QuotaExceeded} }

// The world of the tests: times, SIDs, numbers.
var (
	t0 = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

	ch = domain.SID("CH", "one")
	ac = domain.SID("AC", "one")
	is = domain.SID("IS", "one")
	mg = domain.SID("MG", "one")
	rl = domain.SID("RL", "member")
)

const (
	alice  = "+12125550100"
	bob    = "+12125550101"
	carol  = "+12125550102"
	proxy  = "+12125550199"
	proxy2 = "+12125550198"
	waErin = "whatsapp:+447700900001"
	waUs   = "whatsapp:+447700900099"
)

func at(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

func mb(n int) string { return domain.SID("MB", fmt.Sprint(n)) }
func im(n int) string { return domain.SID("IM", fmt.Sprint(n)) }
func wh(n int) string { return domain.SID("WH", fmt.Sprint(n)) }
func me(n int) string { return domain.SID("ME", fmt.Sprint(n)) }

func ptr[T any](v T) *T { return &v }

func by(minutes int) conversation.Issue { return conversation.Issue{At: at(minutes)} }

// user issues as a user with service and conversation permissions.
func user(minutes int, identity string, service, conv []string) conversation.Issue {
	return conversation.Issue{At: at(minutes), Caller: domain.Caller{
		Actor:    events.Actor{Kind: events.ActorUser, ID: identity},
		Identity: identity, ServicePermissions: service, ConversationPermissions: conv,
	}}
}

// created is a plain active conversation, changed by whoever asks.
func created(change ...func(*events.ConversationCreated)) []events.Event {
	e := events.ConversationCreated{
		Conversation: ch, Account: ac, Service: is, MessagingService: mg, Attributes: "{}",
		State: events.StateActive, CreatedBy: "system", DateCreated: t0, DateUpdated: t0, At: t0,
	}
	for _, c := range change {
		c(&e)
	}
	return []events.Event{e}
}

func inState(state string) func(*events.ConversationCreated) {
	return func(e *events.ConversationCreated) { e.State = state }
}

func withTimers(inactive, closed string) func(*events.ConversationCreated) {
	return func(e *events.ConversationCreated) { e.Timers = events.Timers{Inactive: inactive, Closed: closed} }
}

func history(parts ...[]events.Event) []events.Event {
	var es []events.Event
	for _, p := range parts {
		es = append(es, p...)
	}
	return es
}

func joined(n int, identity string, b events.Binding) []events.Event {
	return []events.Event{events.ParticipantAdded{
		Participant: mb(n), Identity: identity, Binding: b, Attributes: "{}", DateCreated: t0, DateUpdated: t0, At: t0,
	}}
}

func chat(n int, identity string) []events.Event { return joined(n, identity, events.Binding{}) }

func sms(n int, address, proxy string) []events.Event {
	return joined(n, "", events.Binding{Type: events.AddressType(address), Address: address, ProxyAddress: proxy})
}

func native(n int, address string) []events.Event {
	return joined(n, "", events.Binding{Type: "sms", Address: address})
}

func projected(n int, identity, number string) []events.Event {
	return joined(n, identity, events.Binding{Type: "sms", ProjectedAddress: number})
}

func posted(n int, index int64, author, participant string, recipients ...string) []events.Event {
	return []events.Event{events.MessageAdded{
		Message: im(n), Index: index, Author: author, Participant: participant, Body: "hello", Attributes: "{}",
		Recipients: recipients, DateCreated: t0, DateUpdated: t0, At: t0,
	}}
}

func moved(from, to string) []events.Event {
	return []events.Event{events.ConversationStateChanged{From: from, To: to, Reason: events.ReasonAPI, DateUpdated: t0, At: t0}}
}

func closed() []events.Event { return moved(events.StateActive, events.StateClosed) }

func gone() []events.Event { return []events.Event{events.ConversationRemoved{At: t0}} }

// requireDone requires that a command changes something.
func requireDone(t *testing.T, s conversation.State, c conversation.Command) {
	t.Helper()
	es, err := conversation.Decide(s, c)
	require.NoError(t, err)
	require.NotEmpty(t, es)
}
