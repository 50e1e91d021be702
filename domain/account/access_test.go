package account_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/events"
)

func TestASubAccountHasAParentThatIsNone(t *testing.T) {
	parent := domain.SID("AC", "parent")
	create := func(exists, isSub bool, of string) account.Create {
		return account.Create{At: at, Account: ac, DefaultService: is, Parent: of, ParentExists: exists, ParentIsSub: isSub}
	}
	missing := no{domain.NotFound, "parent_not_found", "parent", 20404}
	run(t, []row{
		{name: "of an account", when: create(true, false, parent), then: []events.Event{
			events.AccountCreated{Account: ac, Parent: parent, At: at}, events.AccountConfigured{DefaultService: is, At: at},
		}, again: no{domain.AlreadyExists, "account_exists", "", 20409}},
		{name: "of nobody", when: create(false, false, parent), no: missing},
		{name: "of itself", when: create(true, false, ac), no: missing},
		{name: "of a sub-account", when: create(true, true, parent), no: no{domain.FailedPrecondition, "parent_is_subaccount", "parent", 20409}},
	})
}

func TestSetAuthToken(t *testing.T) {
	good := strings.Repeat("a1", 16)
	set := []events.Event{events.AccountAuthTokenSet{Hash: "h", Sealed: "s", At: at}}
	run(t, []row{
		{name: "a token is set", given: created, when: account.SetAuthToken{At: at, Hash: "h", Sealed: "s", Secret: good}, then: set},
		{name: "another takes its place", given: append(created[:2:2], set...), when: account.SetAuthToken{At: at, Hash: "h2", Sealed: "s2", Secret: good},
			then: []events.Event{events.AccountAuthTokenSet{Hash: "h2", Sealed: "s2", At: at}}},
		{name: "it is taken away", given: append(created[:2:2], set...), when: account.SetAuthToken{At: at}, then: []events.Event{events.AccountAuthTokenSet{At: at}}},
		{name: "none cannot be taken away", given: created, when: account.SetAuthToken{At: at}},
		{name: "a guessable one", given: created, when: account.SetAuthToken{Hash: "h", Secret: "password"}, no: no{domain.InvalidArgument, "secret_invalid", "secret", 0}},
		{name: "of nobody", when: account.SetAuthToken{Secret: good}, no: no{domain.NotFound, "account_not_found", "", 20404}},
	})
}

func TestConfigureWebhooks(t *testing.T) {
	all := events.WebhookConfiguration{Method: "GET", Filters: []string{"onMessageAdd", "onMessageAdded"}, PreWebhookURL: "https://x.example/pre", PostWebhookURL: "https://x.example/post", Target: "flex"}
	given := append(created[:2:2], events.AccountWebhooksConfigured{Webhooks: all, At: at})
	without := all
	without.Filters, without.PreWebhookURL = []string{}, ""
	refused := func(name string, c account.ConfigureWebhooks, code, field string, twilio int) row {
		return row{name: name, given: created, when: c, no: no{domain.InvalidArgument, code, field, twilio}}
	}
	run(t, []row{
		{name: "everything at once", given: created, when: account.ConfigureWebhooks{At: at, Method: ptr("get"), Filters: all.Filters,
			PreWebhookURL: &all.PreWebhookURL, PostWebhookURL: &all.PostWebhookURL, Target: ptr("Flex")}, then: given[2:]},
		{name: "an empty entry clears the filters, an empty URL itself", given: given, when: account.ConfigureWebhooks{At: at, Filters: []string{""}, PreWebhookURL: ptr("")},
			then: []events.Event{events.AccountWebhooksConfigured{Webhooks: without, At: at}}},
		{name: "nothing new is nothing to do", given: given, when: account.ConfigureWebhooks{At: at, Method: ptr("GET")}},
		refused("a method that is none", account.ConfigureWebhooks{Method: ptr("PUT")}, "method_invalid", "method", 50055),
		refused("a target that is none", account.ConfigureWebhooks{Target: ptr("moon")}, "target_invalid", "target", 50364),
		refused("an event that is none", account.ConfigureWebhooks{Filters: []string{"onMessageSend"}}, "filter_invalid", "filters", 50365),
		refused("a URL that is not absolute", account.ConfigureWebhooks{PostWebhookURL: ptr("example.com/x")}, "url_invalid", "post_webhook_url", 50054),
		refused("a URL that is too long", account.ConfigureWebhooks{PreWebhookURL: ptr("https://x.example/" + strings.Repeat("x", 2048))}, "url_too_long", "pre_webhook_url", 50372),
	})
}
