package events_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

func TestParticipantAddedV1GainsABindingWithItsChannel(t *testing.T) {
	for name, test := range map[string]struct {
		v1   string
		want events.Binding
	}{
		"chat":      {`{"participant":"MB1","identity":"ada"}`, events.Binding{}},
		"sms":       {`{"address":"+1","proxy_address":"+2"}`, events.Binding{Type: "sms", Address: "+1", ProxyAddress: "+2"}},
		"whatsapp":  {`{"address":"whatsapp:+1"}`, events.Binding{Type: "whatsapp", Address: "whatsapp:+1"}},
		"projected": {`{"identity":"ada","projected_address":"+3"}`, events.Binding{Type: "sms", ProjectedAddress: "+3"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := events.Vocabulary().Decode("conversation.participant-added.v1", []byte(test.v1))
			require.NoError(t, err)
			require.Equal(t, test.want, e.(events.ParticipantAdded).Binding)
		})
	}
}

func TestAFormerPayloadThatCannotBeReadIsAnError(t *testing.T) {
	_, err := events.Vocabulary().Decode("conversation.participant-added.v1", []byte(`{"at":7}`))
	require.ErrorContains(t, err, "conversation.participant-added.v1")
}

func TestAddressTypes(t *testing.T) {
	for address, want := range map[string]string{
		"": "sms", "+15005550006": "sms", "whatsapp:+15005550006": "whatsapp", "messenger:123": "messenger",
		":123": "sms", "ada@example.com": "email",
	} {
		require.Equal(t, want, events.AddressType(address), address)
	}
}

// A former version is read as a type of today, which is read as itself.
func TestCurrentTypes(t *testing.T) {
	require.Equal(t, "conversation.participant-added.v2", events.CurrentType("conversation.participant-added.v1"))
	for _, name := range events.FormerTypes() {
		require.Contains(t, events.Vocabulary().Types(), events.CurrentType(name))
	}
	for _, name := range append(events.Vocabulary().Types(), "sung.v1") {
		require.Equal(t, name, events.CurrentType(name))
	}
}
