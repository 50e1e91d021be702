package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/role"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// imported sends a command as an import does.
func imported(d *desk, commandType, aggregate, serviceSid string, f fields) (engine.Outcome, error) {
	c := command(d.t, commandType, aggregate, f)
	c.Account, c.Service, c.Actor.Kind = account, serviceSid, events.ActorImport
	return d.Execute(d.t.Context(), c)
}

func TestAnImportedServiceBringsItsOwnRoles(t *testing.T) {
	d := openDesk(t)
	is, rl := domain.SID("IS", "chat"), domain.SID("RL", "chat")
	_, err := imported(d, "service.create", is, "", fields{"friendly_name": "Chat"})
	require.NoError(t, err)
	require.Equal(t, []string{"service.created.v1"}, d.types("service-"+is))
	_, err = imported(d, "role.create", rl, is, fields{"friendly_name": "guest", "type": "conversation", "permissions": []string{}})
	require.NoError(t, err)
	configured, err := imported(d, "service.configure", is, is, fields{"default_conversation_role": rl})
	require.NoError(t, err)
	require.Equal(t, []string{"service.configured.v1"}, configured.Events)

	bare := command(t, "role.create", domain.SID("RL", "other"), fields{"friendly_name": "guest", "type": "conversation", "permissions": []string{}})
	d.refused("permission_missing", bare)
}

func TestImportedConversationsHaveNoTimersByDefault(t *testing.T) {
	d := openDesk(t)
	d.must("account.configure", account, fields{"default_inactive_timer": "PT1M", "default_closed_timer": "PT10M"})
	ch := domain.SID("CH", "chat")
	_, err := imported(d, "conversation.create", ch, "", fields{"date_created": "2017-01-02T03:04:05Z"})
	require.NoError(t, err)
	d.advance(1000 * time.Hour)
	_, running, err := d.Advance(t.Context(), ch, d.clock())
	require.NoError(t, err)
	require.False(t, running)
	require.Equal(t, []string{"conversation.created.v1"}, d.types("conversation-"+ch))
}

func TestTheFingerprintIsWhatTheLogHas(t *testing.T) {
	d := openDesk(t)
	c := engine.Command{
		Type: service.Create{}.CommandType(), Aggregate: domain.SID("IS", "chat"), Account: account,
		Actor: events.Actor{Kind: events.ActorImport}, Fields: service.Create{FriendlyName: "Chat <1>"},
	}
	hash, err := engine.Fingerprint(c)
	require.NoError(t, err)
	asJSON := command(t, c.Type, c.Aggregate, fields{"friendly_name": "Chat <1>"})
	asJSON.Account, asJSON.Actor = c.Account, c.Actor
	_, err = d.Execute(t.Context(), asJSON)
	require.NoError(t, err)
	for recorded, err := range d.log.ReadStream(t.Context(), "service-"+c.Aggregate, 0, false) {
		require.NoError(t, err)
		require.Equal(t, hash, recorded.Metadata.CommandHash)
	}
	c.Fields = service.Create{FriendlyName: "Chat <2>"}
	other, err := engine.Fingerprint(c)
	require.NoError(t, err)
	require.NotEqual(t, hash, other)
	c.Fields = role.Create{Sid: "nonsense"}
	_, err = engine.Fingerprint(c)
	require.Error(t, err)
}
