package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store/memstore"
)

func TestAServicesWebhooksStandInForTheAccounts(t *testing.T) {
	d := openDesk(t)
	place, err := d.Place(t.Context(), account, "")
	require.NoError(t, err)
	requires := func(want events.WebhookConfiguration, accountSid, service string) {
		t.Helper()
		got, err := d.Webhooks(t.Context(), accountSid, service)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	requires(events.WebhookConfiguration{}, "", "")
	d.must("account.configure-webhooks", account, fields{"post_webhook_url": "http://a.example/", "filters": []string{"onMessageAdded"}})
	of := events.WebhookConfiguration{PostWebhookURL: "http://a.example/", Filters: []string{"onMessageAdded"}}
	requires(of, "", "")
	requires(of, account, place.Service)
	d.must("service.configure-webhooks", place.Service, fields{"pre_webhook_url": "http://s.example/"})
	own := events.WebhookConfiguration{PreWebhookURL: "http://s.example/"}
	requires(own, account, place.Service)
	requires(own, "", "")
}

func TestAuthTokensComeFromTheVault(t *testing.T) {
	d := openDesk(t, withVault)
	_, err := d.AuthToken(t.Context(), account)
	require.ErrorIs(t, err, engine.ErrNoAuthToken)
	d.must("account.set-auth-token", account, fields{"secret": secretOf("token")})
	token, err := d.AuthToken(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, secretOf("token"), token)
	_, err = newDesk(t, d.log).AuthToken(t.Context(), account)
	require.ErrorIs(t, err, engine.ErrNoAuthToken, "nothing to read it with")
}

func TestAConversationIsHookedWhileItHasWebhooks(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	requires := func(want bool) {
		t.Helper()
		for _, e := range []*engine.Engine{d.Engine, newDesk(t, d.log.(*memstore.Store)).Engine} {
			hooked, err := e.ConversationHooked(t.Context(), ch)
			require.NoError(t, err)
			require.Equal(t, want, hooked)
		}
	}
	requires(false)
	wh := d.must("conversation.add-webhook", ch, fields{"webhook": fields{"target": "webhook", "url": "http://x.example/", "filters": []string{"onMessageAdded"}}}).Sid
	requires(true)
	d.must("conversation.remove-webhook", ch, fields{"webhook_sid": wh})
	requires(false)
}
