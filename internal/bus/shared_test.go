package bus_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
)

func TestProcessesShareClaimsAndValues(t *testing.T) {
	server := startBroker(t, t.TempDir())
	one, err := bus.OpenShared(t.Context(), connect(t, server))
	require.NoError(t, err)
	two, err := bus.OpenShared(t.Context(), connect(t, server))
	require.NoError(t, err)
	for _, row := range []struct {
		by    *bus.Shared
		owner string
		mine  bool
	}{{one, "a", true}, {one, "a", true}, {two, "b", false}, {two, "a", true}} {
		mine, err := row.by.Claim(t.Context(), "send IM1:MB1 …", row.owner)
		require.NoError(t, err)
		require.Equal(t, row.mine, mine, row.owner)
	}
	found, err := two.Find(t.Context(), "sms/1")
	require.NoError(t, err)
	require.Empty(t, found)
	require.NoError(t, one.Keep(t.Context(), "sms/1", "CH1"))
	found, err = two.Find(t.Context(), "sms/1")
	require.NoError(t, err)
	require.Equal(t, "CH1", found)
}
