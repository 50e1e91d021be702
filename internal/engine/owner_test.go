package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/engine"
)

func TestAnAggregateBelongsToTheAccountItWasMadeIn(t *testing.T) {
	d := openDesk(t, withVault)
	other := domain.SID("AC", "other")
	d.must("account.create", other, fields{})
	prefixes := map[string]bool{}
	for _, c := range engine.CommandTypes() {
		prefixes[c.Prefix] = true
	}
	for prefix := range prefixes {
		owner, err := d.Owner(t.Context(), domain.SID(prefix, "nobody"))
		require.NoError(t, err, prefix)
		require.Empty(t, owner)
	}
	made := map[string]string{
		"CH": d.must("conversation.create", "", fields{}).Sid, "IS": d.must("service.create", "", fields{"friendly_name": "x"}).Sid,
		"US": d.must("user.create", "", fields{"identity": "ann"}).Sid, "RL": d.must("role.create", "", fields{"friendly_name": "x", "type": "service", "permissions": []string{"joinConversation"}}).Sid,
		"AC": account, "SK": d.must("apikey.create", "", fields{"secret": secretOf("key")}).Sid, "CR": d.must("credential.create", "", fields{"type": "fcm", "friendly_name": "x"}).Sid,
	}
	for prefix, sid := range made {
		owner, err := d.Owner(t.Context(), sid)
		require.NoError(t, err, prefix)
		require.Equal(t, account, owner, prefix)
	}
	owner, err := d.Owner(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, other, owner)
	for _, nothing := range []string{"", "x", "new", "0b9bd0a8-7a1e-4a3c-8a55-7d1c0f5a4f10"} {
		owner, err := d.Owner(t.Context(), nothing)
		require.NoError(t, err)
		require.Empty(t, owner)
	}
}
