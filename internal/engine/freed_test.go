package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// in executes a command in a service.
func (d *desk) in(service, commandType, aggregate string, f fields) engine.Outcome {
	d.t.Helper()
	c := command(d.t, commandType, aggregate, f)
	c.Service = service
	outcome, err := d.Execute(d.t.Context(), c)
	require.NoError(d.t, err)
	return outcome
}

// What a service's conversations held for the whole account: another node, which has not
// heard of the removal yet, takes it over as well.
func TestWhatARemovedServiceHeldIsFreeAtOnce(t *testing.T) {
	group := people(fields{})
	group["participants"] = []fields{{"address": "+12125550100"}, {"address": "+12125550101"}, {"identity": "ann", "projected_address": "+12125550199"}}
	numbers := []string{"+12125550100", "+12125550101", "+12125550199"}
	for _, other := range []bool{false, true} {
		d := openDesk(t, func(o *engine.Options) { o.GroupMMS, o.Node = true, "one" }).withMessaging()
		second := d
		if other {
			second = newDesk(t, d.log, func(o *engine.Options) { o.GroupMMS, o.Node = true, "two" })
		}
		old := d.must("service.create", "", fields{"friendly_name": "old"}).Sid
		held := d.in(old, withPeople, "", people(fields{"unique_name": "order"}, pair(from))).Sid
		grouped := d.in(old, withPeople, "", group).Sid
		route, err := second.PairRoute(t.Context(), account, from, proxy)
		require.NoError(t, err)
		require.Equal(t, held, route.Conversation)
		second.refused("address_pair_taken", command(t, withPeople, "", people(fields{}, pair(from))))
		second.refused("group_taken", command(t, withPeople, "", group))

		d.must("service.remove", old, fields{})
		route, err = second.PairRoute(t.Context(), account, from, proxy)
		require.NoError(t, err)
		require.Zero(t, route, "nobody writes into what is gone")
		route, err = second.GroupRoute(t.Context(), account, numbers[0], numbers)
		require.NoError(t, err)
		require.Zero(t, route)
		next := second.must(withPeople, "", people(fields{"unique_name": "order"}, pair(from))).Sid
		nextGroup := second.must(withPeople, "", group).Sid

		// Clearing away what is left takes nothing from those who came after.
		for _, ch := range []string{held, grouped} {
			away := command(t, "conversation.remove", ch, fields{})
			away.Actor = events.Actor{Kind: events.ActorSystem}
			_, err = d.Execute(t.Context(), away)
			require.NoError(t, err)
		}
		route, err = d.PairRoute(t.Context(), account, from, proxy)
		require.NoError(t, err)
		require.Equal(t, []any{next, true}, []any{route.Conversation, route.Open})
		route, err = d.GroupRoute(t.Context(), account, numbers[0], numbers)
		require.NoError(t, err)
		require.Equal(t, []any{nextGroup, true}, []any{route.Conversation, route.Open})
		d.refused("address_pair_taken", command(t, withPeople, "", people(fields{}, pair(from))))
	}
}
