package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

const withPeople = "conversation.create-with-participants"

// people is a conversation with participants.
func people(conversation fields, participants ...fields) fields {
	return fields{"conversation": conversation, "participants": participants}
}

func identity(name string) fields { return fields{"identity": name} }

func pair(address string) fields { return fields{"address": address, "proxy_address": proxy} }

// all counts the events of each type in the log.
func (d *desk) all() map[string]int {
	d.t.Helper()
	counts := map[string]int{}
	for recorded, err := range d.log.ReadAll(d.t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(d.t, err)
		counts[recorded.Type]++
	}
	return counts
}

func TestAConversationBeginsWithItsPeopleAtOnce(t *testing.T) {
	d := openDesk(t).withMessaging()
	d.must("user.create", "", identity("alice"))
	create := command(t, withPeople, "", people(fields{"unique_name": "order"}, identity("alice"), identity("bob"), pair(from), identity("carol")))
	create.ID = events.NameID("together")
	made, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	require.True(t, domain.IsSID("CH", made.Sid))
	require.Equal(t, made.Aggregate, made.Sid)
	stream := events.Stream(events.CategoryConversation, made.Sid)
	const added = "conversation.participant-added.v2"
	want := []string{"conversation.created.v1", added, added, added, added}
	require.Equal(t, want, made.Events)
	require.Equal(t, want, d.types(stream))
	require.Equal(t, int64(4), made.Revision)

	users := map[string]string{}
	for _, name := range []string{"alice", "bob", "carol"} {
		place, err := d.Place(t.Context(), account, "")
		require.NoError(t, err)
		users[name], err = d.UserSid(t.Context(), place, name)
		require.NoError(t, err)
	}
	sids := map[string]bool{}
	for _, e := range made.Decided[1:] {
		added := e.(events.ParticipantAdded)
		require.Equal(t, users[added.Identity], added.User)
		require.Equal(t, []time.Time{d.clock(), d.clock(), d.clock()}, []time.Time{added.At, added.DateCreated, added.DateUpdated})
		require.Equal(t, added.Identity == "", added.Role == "", "people in chat have a role")
		sids[added.Participant] = true
	}
	require.Len(t, sids, 4)
	require.Equal(t, 3, d.all()["user.created.v1"], "alice had one")

	head := d.head()
	for _, e := range []*engine.Engine{d.Engine, newDesk(t, d.log).Engine} {
		again, err := e.Execute(t.Context(), create)
		require.NoError(t, err)
		require.True(t, again.Repeated)
		again.Repeated = false
		require.Equal(t, made, again)
	}
	require.Equal(t, head, d.head())
	create.Body = mustJSON(people(fields{"unique_name": "order"}, identity("alice")))
	d.refused("idempotency_conflict", create)
	d.refused("conversation_exists", command(t, withPeople, made.Sid, people(fields{}, identity("alice"))))
}

func TestAConversationThatIsRefusedWithItsPeopleLeavesNoTrace(t *testing.T) {
	d := openDesk(t).withMessaging()
	taken := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-participant", taken, pair(from))
	eleven := make([]fields, 11)
	for i := range eleven {
		eleven[i] = identity(fmt.Sprint(i))
	}
	ann, bea := identity("ann"), identity("bea")
	for name, row := range map[string]struct {
		body   fields
		code   string
		twilio int
		field  string
	}{
		"the third is nobody":              {people(fields{}, ann, bea, fields{}), "identity_missing", 50204, "participants[2].identity"},
		"the third is the first":           {people(fields{}, ann, bea, ann), "participant_exists", 50433, "participants[2].identity"},
		"the third has no such role":       {people(fields{}, ann, bea, fields{"identity": "cem", "role": domain.SID("RL", "x")}), "role_not_found", 50101, "participants[2].role"},
		"the third has somebody's pair":    {people(fields{}, ann, bea, pair(from)), "address_pair_taken", 50425, "address"},
		"the third has the first's pair":   {people(fields{}, pair("+15550101"), bea, pair("+15550101")), "address_pair_taken", 50425, "participants[2].address"},
		"there are eleven":                 {people(fields{}, eleven...), "too_many_participants", 50426, "participants"},
		"the conversation is not right":    {people(fields{"state": "closed"}, ann), "state_closed_at_creation", 50384, "state"},
		"a SID in it is not right":         {people(fields{"sid": "CH1"}, ann), "sid_invalid", 0, "sid"},
		"a participant's SID is not right": {people(fields{}, fields{"identity": "ann", "sid": "MB1"}), "sid_invalid", 50431, "participants[0].sid"},
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			failure := d.refused(row.code, command(t, withPeople, "", row.body))
			require.Equal(t, row.twilio, failure.Twilio)
			require.Equal(t, row.field, failure.Field)
		})
	}
	d.t = t
	require.Contains(t, d.refused("address_pair_taken", command(t, withPeople, "", people(fields{}, pair(from)))).Message, taken)
	require.Zero(t, d.all()["user.created.v1"])
	asUser := command(t, withPeople, "", people(fields{}, ann))
	asUser.Actor = events.Actor{Kind: events.ActorUser, ID: "ann"}
	require.Equal(t, 50107, d.refused("server_side_only", asUser).Twilio)
	d.refused("sid_mismatch", command(t, withPeople, domain.SID("CH", "one"), people(fields{"sid": domain.SID("CH", "two")}, ann)))
	d.must(withPeople, domain.SID("CH", "one"), people(fields{"sid": domain.SID("CH", "one")}, ann))
}

// What a refused one had claimed already is nobody's, whoever asks next.
func TestClaimsOfARefusedConversationAreFree(t *testing.T) {
	d := openDesk(t).withMessaging()
	taken := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-participant", taken, pair(from))
	both := people(fields{"unique_name": "order"}, pair("+15550101"), identity("ann"), pair(from))
	_, err := d.Execute(t.Context(), command(t, withPeople, "", both))
	require.Equal(t, 50425, engine.AsFailure(err).Twilio)
	require.Zero(t, d.all()["user.created.v1"])

	ch := d.must(withPeople, "", people(fields{"unique_name": "order"}, pair("+15550101"))).Sid
	failure := d.refused("unique_name_taken", command(t, "conversation.create", "", fields{"unique_name": "order"}))
	require.Equal(t, 50353, failure.Twilio)
	require.Equal(t, 50416, d.refused("address_pair_taken", command(t, "conversation.add-participant", taken, pair("+15550101"))).Twilio)
	require.Equal(t, 50353, d.refused("unique_name_taken", command(t, withPeople, "", people(fields{"unique_name": "order"}))).Twilio)
	d.must("conversation.update", ch, fields{"state": "closed"})
	d.must("conversation.add-participant", taken, pair("+15550101"))
}

func TestAGroupThatBeginsAtOnceIsHeldAsAWhole(t *testing.T) {
	d := openDesk(t, func(o *engine.Options) { o.GroupMMS = true }).withMessaging()
	group := func(numbers ...string) fields {
		body := people(fields{})
		var members []fields
		for _, n := range numbers {
			members = append(members, fields{"address": n})
		}
		body["participants"] = append(members, fields{"identity": "ann", "projected_address": "+12125550199"})
		return body
	}
	a, b, c := "+12125550100", "+12125550101", "+12125550102"
	first := d.must(withPeople, "", group(a, b, c)).Sid
	failure := d.refused("group_taken", command(t, withPeople, "", group(c, a, b)))
	require.Equal(t, 50438, failure.Twilio)
	require.Contains(t, failure.Message, first)
	d.must(withPeople, "", group(a, b))
	require.Equal(t, 1, d.all()["user.created.v1"])
}

func TestTheLimitsOfTheServerAreThoseOfPeopleAtTheBeginning(t *testing.T) {
	d := openDesk(t, func(o *engine.Options) {
		o.Limits.Participants = 2
		o.OpenConversations = func(_ context.Context, _, identity string) (int, error) {
			return map[string]int{"busy": 1000}[identity], nil
		}
	})
	d.must(withPeople, "", people(fields{}, identity("ann"), identity("bea")))
	require.Equal(t, 50417, d.refused("too_many_participants", command(t, withPeople, "", people(fields{}, identity("ann"), identity("bea"), identity("cem")))).Twilio)
	failure := d.refused("too_many_conversations", command(t, withPeople, "", people(fields{}, identity("ann"), identity("busy"))))
	require.Equal(t, 50214, failure.Twilio)
	require.Equal(t, "participants[1].identity", failure.Field)
}

func TestOfTwentyConversationsWithOnePairAndNewPeopleExactlyOneBegins(t *testing.T) {
	d := openDesk(t).withMessaging()
	node := newDesk(t, d.log)
	var won, lost atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		e := []*desk{d, node}[i%2].Engine
		c := command(t, withPeople, domain.SID("CH", fmt.Sprint(i)), people(fields{"unique_name": fmt.Sprint(i)}, identity("ann"), pair(from), identity(fmt.Sprint("number ", i))))
		all.Go(func() {
			_, err := retrying(t.Context(), e, c)
			if err == nil {
				won.Add(1)
			} else if engine.AsFailure(err).Twilio == 50425 {
				lost.Add(1)
			} else {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, []int32{1, 19}, []int32{won.Load(), lost.Load()})
	require.Equal(t, 1, d.all()["conversation.created.v1"])
	require.Equal(t, 3, d.all()["conversation.participant-added.v2"])
}

// A user who is missing at first and made by somebody else meanwhile is the one
// the participant has.
func TestPeopleHaveTheUsersThatWereMadeMeanwhile(t *testing.T) {
	log := memstore.New()
	node := newDesk(t, log)
	node.must("account.create", account, fields{})
	between := &rival{Log: log, prefix: "reservation-identity"}
	var made string
	between.before = func() { made = node.must("user.create", "", identity("ann")).Sid }
	d := newDesk(t, between)
	outcome := d.must(withPeople, "", people(fields{}, identity("ann"), identity("bea")))
	require.Equal(t, made, outcome.Decided[1].(events.ParticipantAdded).User)
	require.Equal(t, 2, d.all()["user.created.v1"])
}
