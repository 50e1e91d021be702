package engine_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store/memstore"
)

func TestAnAddressHasOneConfiguration(t *testing.T) {
	d := openDesk(t)
	number := fields{"type": "sms", "address": proxy}
	ig := d.must("address.create", "", number).Sid
	require.True(t, domain.IsSID("IG", ig))
	require.Equal(t, 20409, d.refused("address_configured", command(t, "address.create", "", number)).Twilio)
	require.Equal(t, 20409, d.refused("address_configured", command(t, "address.create", "", fields{"type": "rcs", "address": proxy})).Twilio, "of whatever type")
	require.Equal(t, 20409, d.refused("address_configuration_exists", command(t, "address.create", ig, number)).Twilio)
	d.must("address.create", "", fields{"type": "sms", "address": from})
	d.must("address.create", "", fields{"type": "whatsapp", "address": "whatsapp:" + proxy})

	stranger := domain.SID("AC", "stranger")
	d.must("account.create", stranger, fields{})
	theirs := command(t, "address.create", "", number)
	theirs.Account = stranger
	_, err := d.Execute(t.Context(), theirs)
	require.NoError(t, err, "unique in its account")

	d.must("address.remove", ig, fields{})
	again := d.must("address.create", "", number).Sid
	require.NotEqual(t, ig, again)
	require.Equal(t, 20409, d.refused("address_configured", command(t, "address.create", "", number)).Twilio)
	require.Equal(t, 20404, d.refused("address_configuration_not_found", command(t, "address.update", ig, fields{})).Twilio)
	d.refused("address_configuration_exists", command(t, "address.create", ig, number))
}

func TestARepeatedAddressIsTheSameConfiguration(t *testing.T) {
	d := openDesk(t)
	create := command(t, "address.create", "", fields{"type": "email", "address": "us@example.org"})
	create.ID = events.NameID("address")
	once, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	again, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	require.Equal(t, once.Sid, again.Sid)

	d.must("address.remove", once.Sid, fields{})
	again, err = d.Execute(t.Context(), create)
	require.NoError(t, err, "a repeat that comes late makes nothing")
	require.True(t, again.Repeated)
	d.must("address.create", "", fields{"type": "email", "address": "us@example.org"})
}

func TestOfTwentyConfigurationsOfAnAddressExactlyOneIsMade(t *testing.T) {
	d := openDesk(t)
	node := newDesk(t, d.log)
	for round := range 3 { // the second and third take over from a configuration that was removed
		var made atomic.Value
		var won, lost atomic.Int32
		var all sync.WaitGroup
		for i := range 20 {
			e := []*desk{d, node}[i%2].Engine
			c := command(t, "address.create", domain.SID("IG", fmt.Sprint(round, i)), fields{"type": "sms", "address": proxy})
			all.Go(func() {
				outcome, err := retrying(t.Context(), e, c)
				switch {
				case err == nil:
					won.Add(1)
					made.Store(outcome.Sid)
				case engine.AsFailure(err).Code == "address_configured":
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, []int32{1, 19}, []int32{won.Load(), lost.Load()})
		d.must("address.remove", made.Load().(string), fields{})
	}
}

// The former holder is between its claim and its own event when another one
// takes the address away from it.
func TestAnAddressThatWasTakenInBetweenIsRefused(t *testing.T) {
	log := memstore.New()
	node := newDesk(t, log)
	node.must("account.create", account, fields{})
	between := &rival{Log: log, prefix: "address-"}
	between.before = func() { node.must("address.create", "", fields{"type": "sms", "address": proxy}) }
	d := newDesk(t, between)
	_, err := d.Execute(t.Context(), command(t, "address.create", "", fields{"type": "sms", "address": proxy}))
	require.Equal(t, "address_configured", engine.AsFailure(err).Code)
}

func TestAutocreationIsInAServiceOfTheAccount(t *testing.T) {
	d := openDesk(t)
	stranger := domain.SID("AC", "stranger")
	d.must("account.create", stranger, fields{})
	theirs, err := d.Place(t.Context(), stranger, "")
	require.NoError(t, err)
	mine := d.must("service.create", "", fields{"friendly_name": "mine"}).Sid
	in := func(service string) fields { return fields{"service": service, "enabled": true} }
	for _, service := range []string{theirs.Service, domain.SID("IS", "absent"), "x"} {
		c := command(t, "address.create", "", fields{"type": "sms", "address": proxy, "auto_creation": in(service)})
		require.Equal(t, 50050, d.refused("service_not_found", c).Twilio)
	}
	ig := d.must("address.create", "", fields{"type": "sms", "address": proxy, "auto_creation": in(mine)}).Sid
	require.Equal(t, 50050, d.refused("service_not_found", command(t, "address.update", ig, fields{"auto_creation": in(theirs.Service)})).Twilio)
	require.Empty(t, d.must("address.update", ig, fields{"auto_creation": in(mine)}).Events)
	require.Equal(t, []string{"address.updated.v1"}, d.must("address.update", ig, fields{"auto_creation": in("")}).Events)
	require.Equal(t, []string{"address.updated.v1"}, d.must("address.update", ig, fields{"auto_creation": in(mine), "friendly_name": "Shop"}).Events)

	for _, c := range []engine.Command{command(t, "address.update", ig, fields{"friendly_name": "x"}), command(t, "address.remove", ig, fields{})} {
		c.Account = stranger
		require.Equal(t, 20404, d.refused("not_found", c).Twilio)
	}
}
