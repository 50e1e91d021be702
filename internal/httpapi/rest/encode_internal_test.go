package rest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/projections"
)

func TestMessagesAreWrittenAsEncodingJSONWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringN(0, 20, -1), rapid.SampledFrom([]string{"", "<b>&\"\\\u2028\x00\x1f\x7f", "plain"}))
		share := rapid.SampledFrom([]projections.Share{"all", "some", "none"})
		optional := func(name string) *string {
			if rapid.Bool().Draw(t, name) {
				return nil
			}
			s := text.Draw(t, name)
			return &s
		}
		m := messageBody{
			Sid: text.Draw(t, "sid"), AccountSid: text.Draw(t, "account"), ChatServiceSid: text.Draw(t, "service"), ConversationSid: text.Draw(t, "in"),
			Index: rapid.Int64().Draw(t, "index"), Author: text.Draw(t, "author"), Body: optional("body"), Attributes: text.Draw(t, "attributes"),
			ParticipantSid: optional("participant"), DateCreated: text.Draw(t, "created"), DateUpdated: text.Draw(t, "updated"),
			ContentSid: optional("content"), URL: text.Draw(t, "url"), Links: messageLinks{text.Draw(t, "a"), text.Draw(t, "b")},
		}
		for range rapid.IntRange(0, 3).Draw(t, "media") {
			m.Media = append(m.Media, mediaItem{text.Draw(t, "me"), rapid.Int64().Draw(t, "size"), text.Draw(t, "type"), optional("filename")})
		}
		if rapid.Bool().Draw(t, "delivered") {
			m.Delivery = &deliveryBody{rapid.Int64().Draw(t, "total"), share.Draw(t, "1"), share.Draw(t, "2"), share.Draw(t, "3"), share.Draw(t, "4"), share.Draw(t, "5")}
		}
		want, err := marshal(m)
		require.NoError(t, err)
		require.Equal(t, string(want), string(m.appendJSON(nil)))
	})
}
