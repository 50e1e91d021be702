package account_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
)

var secret = strings.Repeat("s3", 16)

func TestCreateSubAccount(t *testing.T) {
	parent := domain.SID("AC", "parent")
	under := func(parent string, exists, sub bool) account.Create {
		return account.Create{At: at, Account: ac, DefaultService: is, FriendlyName: "Shop", Parent: parent, ParentExists: exists, ParentIsSub: sub}
	}
	missing := no{domain.NotFound, "parent_not_found", "parent", 20404}
	run(t, []row{
		{name: "a sub-account knows its parent", when: under(parent, true, false), then: []events.Event{
			events.AccountCreated{Account: ac, FriendlyName: "Shop", Parent: parent, At: at},
			events.AccountConfigured{DefaultService: is, At: at},
		}, again: no{domain.AlreadyExists, "account_exists", "", 20409}},
		{name: "a parent that is not there", when: under(parent, false, false), no: missing},
		{name: "its own parent", when: under(ac, true, false), no: missing},
		{name: "a sub-account as parent", when: under(parent, true, true), no: no{domain.FailedPrecondition, "parent_is_subaccount", "parent", 20409}},
		{name: "an account that is there gets no parent later", given: created, when: under(parent, true, false), no: no{domain.AlreadyExists, "account_exists", "", 20409}},
	})
	require.Equal(t, parent, fold([]events.Event{events.AccountCreated{Account: ac, Parent: parent}}).Parent)
}

func TestSetAuthToken(t *testing.T) {
	set := func(secret, hash, sealed string) account.SetAuthToken {
		return account.SetAuthToken{At: at, Secret: secret, Hash: hash, Sealed: sealed}
	}
	token := func(hash, sealed string) []events.Event {
		return []events.Event{events.AccountAuthTokenSet{Hash: hash, Sealed: sealed, At: at}}
	}
	has := append(created[:2:2], token("hash", "sealed")...)
	invalid := no{domain.InvalidArgument, "secret_invalid", "secret", 0}
	run(t, []row{
		{name: "the first", given: created, when: set(secret, "hash", "sealed"), then: token("hash", "sealed")},
		{name: "the same again, sealed in another way", given: has, when: set(secret, "hash", "other")},
		{name: "another one", given: has, when: set(secret, "hash2", "sealed2"), then: token("hash2", "sealed2")},
		{name: "none any more", given: has, when: set("", "", ""), then: token("", "")},
		{name: "none where there is none", given: created, when: set("", "", "")},
		{name: "too short", given: created, when: set(secret[1:], "hash", "sealed"), no: invalid},
		{name: "too long", given: created, when: set(strings.Repeat("x", 65), "hash", "sealed"), no: invalid},
		{name: "the same, but not right any more", given: has, when: set("short", "hash", "sealed"), no: invalid},
	})
	s := fold(append(has[:3:3], token("hash2", "sealed2")...))
	require.Equal(t, []string{"hash2", "sealed2"}, []string{s.TokenHash, s.TokenSealed})
	s = fold(append(has[:3:3], token("", "")...))
	require.Empty(t, s.TokenHash+s.TokenSealed)
}

func TestConfigureWebhooks(t *testing.T) {
	configure := func(c account.ConfigureWebhooks) account.ConfigureWebhooks {
		c.At = at
		return c
	}
	configured := func(w events.WebhookConfiguration) []events.Event {
		return []events.Event{events.AccountWebhooksConfigured{Webhooks: w, At: at}}
	}
	hook := events.WebhookConfiguration{Method: "GET", PreWebhookURL: "https://example.org/", Filters: []string{"onMessageAdd"}, Target: "webhook"}
	given := append(created[:2:2], configured(hook)...)
	moved, cleared := hook, hook
	moved.PreWebhookURL, moved.PostWebhookURL = "", "https://example.org/post"
	cleared.Filters = []string{}
	invalid := func(code, field string, twilio int) no { return no{domain.InvalidArgument, code, field, twilio} }
	run(t, []row{
		{name: "nothing given, nothing done", given: given, when: configure(account.ConfigureWebhooks{})},
		{name: "all of it", given: created, when: configure(account.ConfigureWebhooks{
			Method: ptr("get"), PreWebhookURL: ptr("https://example.org/"), Filters: []string{"onMessageAdd"}, Target: ptr("WEBHOOK"),
		}), then: configured(hook)},
		{name: "the same again", given: given, when: configure(account.ConfigureWebhooks{Method: ptr("GET"), Filters: []string{"onMessageAdd"}})},
		{name: "some of it", given: given, when: configure(account.ConfigureWebhooks{PreWebhookURL: ptr(""), PostWebhookURL: ptr("https://example.org/post")}), then: configured(moved)},
		{name: "no filters", given: given, when: configure(account.ConfigureWebhooks{Filters: []string{""}}), then: configured(cleared)},
		{name: "no filters where there are none", given: created, when: configure(account.ConfigureWebhooks{Filters: []string{}})},
		{name: "a method of no use", given: given, when: configure(account.ConfigureWebhooks{Method: ptr("PATCH")}), no: invalid("method_invalid", "method", 50055)},
		{name: "a target of nowhere", given: given, when: configure(account.ConfigureWebhooks{Target: ptr("x")}), no: invalid("target_invalid", "target", 50364)},
		{name: "a URL that is none", given: given, when: configure(account.ConfigureWebhooks{PreWebhookURL: ptr("x")}), no: invalid("url_invalid", "pre_webhook_url", 50054)},
		{name: "a long URL", given: given, when: configure(account.ConfigureWebhooks{PostWebhookURL: ptr("http://x/" + strings.Repeat("x", domain.MaxURL))}), no: invalid("url_too_long", "post_webhook_url", 50372)},
		{name: "a filter of nothing", given: given, when: configure(account.ConfigureWebhooks{Filters: []string{"onX"}}), no: invalid("filter_invalid", "filters", 50365)},
	})
	require.Equal(t, hook, fold(given).Webhooks)
}

func TestAccessCommandsHaveNames(t *testing.T) {
	require.Equal(t, "account.set-auth-token", account.SetAuthToken{}.CommandType())
	require.Equal(t, "account.configure-webhooks", account.ConfigureWebhooks{}.CommandType())
}
