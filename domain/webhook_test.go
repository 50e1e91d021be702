package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

func ptr[T any](v T) *T { return &v }

func TestCheckURL(t *testing.T) {
	const prefix = "https://example.org/"
	for _, r := range []struct {
		name, url string
		code      string
		twilio    int
	}{
		{"not given", "", "", 0},
		{"http", "http://example.org/hook?a=b", "", 0},
		{"https with a port", "https://example.org:8443", "", 0},
		{"a scheme in capitals", "HTTPS://example.org", "", 0},
		{"an address of IPv6", "http://[::1]:8080/", "", 0},
		{"at the limit", prefix + strings.Repeat("x", domain.MaxURL-len(prefix)), "", 0},
		{"over the limit", prefix + strings.Repeat("x", domain.MaxURL-len(prefix)+1), "url_too_long", 50372},
		{"over the limit in bytes, not in letters", prefix + strings.Repeat("é", 1020), "url_too_long", 50372},
		{"another scheme", "ftp://example.org", "url_invalid", 50054},
		{"a script", "javascript:alert(1)", "url_invalid", 50054},
		{"no scheme", "example.org/hook", "url_invalid", 50054},
		{"a path", "/hook", "url_invalid", 50054},
		{"no host", "https:///hook", "url_invalid", 50054},
		{"a port and no host", "https://:80/", "url_invalid", 50054},
		{"not a URL", "http://[", "url_invalid", 50054},
		{"a line end", "http://example.org/\n", "url_invalid", 50054},
		{"a blank", " ", "url_invalid", 50054},
		{"port 0", "http://example.org:0/", "url_invalid", 50054},
		{"a port over the last", "http://example.org:65536/", "url_invalid", 50054},
		{"a user that is not encoded", "http://usür:pass@example.org/", "url_invalid", 50054},
		{"letters of any script", "https://bücher.example/退会?who=Müller", "", 0},
		{"an encoded password", "https://us%C3%BCr:p%40ss@example.org/", "", 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			requireRefused(t, domain.CheckURL(r.url, "url"), r.code, "url", r.twilio)
		})
	}
}

func TestCheckWebhookEvents(t *testing.T) {
	require.NoError(t, domain.CheckWebhookEvents(nil, "filters"))
	require.NoError(t, domain.CheckWebhookEvents([]string{"onMessageAdd", "onMessageAdded", "onUserUpdated", "onDeliveryUpdated"}, "filters"))
	for name, names := range map[string][]string{
		"unknown":           {"onMessageAdded", "onMessageExploded"},
		"in another case":   {"OnMessageAdded"},
		"empty":             {""},
		"there is no onAll": {"*"},
	} {
		t.Run(name, func(t *testing.T) {
			err := domain.CheckWebhookEvents(names, "filters")
			requireRefused(t, err, "filter_invalid", "filters", 50365)
			require.Contains(t, err.Error(), "onConversationAdd, ", "it says which ones there are")
		})
	}
}

func TestAWebhookPatchChangesWhatIsGiven(t *testing.T) {
	full := events.WebhookConfiguration{
		Method: "POST", Filters: []string{"onMessageAdded"}, Target: "webhook",
		PreWebhookURL: "https://example.org/pre", PostWebhookURL: "https://example.org/post",
	}
	with := func(change func(*events.WebhookConfiguration)) events.WebhookConfiguration {
		w := full
		change(&w)
		return w
	}
	for _, r := range []struct {
		name  string
		patch domain.WebhookPatch
		want  events.WebhookConfiguration
	}{
		{"nothing", domain.WebhookPatch{}, full},
		{"the method, in any case", domain.WebhookPatch{Method: ptr("get")}, with(func(w *events.WebhookConfiguration) { w.Method = "GET" })},
		{"the target, in any case", domain.WebhookPatch{Target: ptr("Flex")}, with(func(w *events.WebhookConfiguration) { w.Target = "flex" })},
		{"a URL", domain.WebhookPatch{PreWebhookURL: ptr("http://other.example/")}, with(func(w *events.WebhookConfiguration) { w.PreWebhookURL = "http://other.example/" })},
		{"a URL taken away", domain.WebhookPatch{PostWebhookURL: ptr("")}, with(func(w *events.WebhookConfiguration) { w.PostWebhookURL = "" })},
		{"all filters", domain.WebhookPatch{Filters: []string{"onUserAdded", "onUserUpdate"}}, with(func(w *events.WebhookConfiguration) { w.Filters = []string{"onUserAdded", "onUserUpdate"} })},
		{"an empty list clears the filters", domain.WebhookPatch{Filters: []string{}}, with(func(w *events.WebhookConfiguration) { w.Filters = []string{} })},
		{"so does one empty name", domain.WebhookPatch{Filters: []string{""}}, with(func(w *events.WebhookConfiguration) { w.Filters = []string{} })},
	} {
		t.Run(r.name, func(t *testing.T) {
			got, err := r.patch.Apply(full)
			require.NoError(t, err)
			require.Equal(t, r.want, got)
			again, err := r.patch.Apply(got)
			require.NoError(t, err)
			require.True(t, domain.SameWebhooks(got, again), "the same again changes nothing")
		})
	}
	require.Equal(t, []string{"onMessageAdded"}, full.Filters, "Apply does not write into what it is given")
}

func TestAWebhookPatchIsRefusedAsAWhole(t *testing.T) {
	for _, r := range []struct {
		name        string
		patch       domain.WebhookPatch
		code, field string
		twilio      int
	}{
		{"the first URL", domain.WebhookPatch{PreWebhookURL: ptr("x"), Method: ptr("POST")}, "url_invalid", "pre_webhook_url", 50054},
		{"the second URL", domain.WebhookPatch{PostWebhookURL: ptr("https://example.org/" + strings.Repeat("x", domain.MaxURL))}, "url_too_long", "post_webhook_url", 50372},
		{"a filter", domain.WebhookPatch{Filters: []string{"onNothing"}}, "filter_invalid", "filters", 50365},
		{"the method", domain.WebhookPatch{Method: ptr("PUT")}, "method_invalid", "method", 50055},
		{"the target", domain.WebhookPatch{Target: ptr("studio")}, "target_invalid", "target", 50364},
	} {
		t.Run(r.name, func(t *testing.T) {
			_, err := r.patch.Apply(events.WebhookConfiguration{})
			requireRefused(t, err, r.code, r.field, r.twilio)
		})
	}
}

func TestSameWebhooksLooksAtEveryField(t *testing.T) {
	full := events.WebhookConfiguration{Method: "POST", Filters: []string{"a"}, PreWebhookURL: "b", PostWebhookURL: "c", Target: "d"}
	require.True(t, domain.SameWebhooks(full, full))
	require.True(t, domain.SameWebhooks(events.WebhookConfiguration{}, events.WebhookConfiguration{Filters: []string{}}), "none is none")
	for name, change := range map[string]func(*events.WebhookConfiguration){
		"method":  func(w *events.WebhookConfiguration) { w.Method = "GET" },
		"filters": func(w *events.WebhookConfiguration) { w.Filters = []string{"a", "a"} },
		"pre":     func(w *events.WebhookConfiguration) { w.PreWebhookURL = "" },
		"post":    func(w *events.WebhookConfiguration) { w.PostWebhookURL = "" },
		"target":  func(w *events.WebhookConfiguration) { w.Target = "" },
	} {
		other := full
		change(&other)
		require.False(t, domain.SameWebhooks(full, other), name)
	}
}

func TestTheReasonAgainstAURLNamesNoPassword(t *testing.T) {
	err := domain.CheckURL("http://user:se cret@example.org/%zz", "url")
	require.ErrorContains(t, err, "The URL cannot be read")
	require.NotContains(t, err.Error(), "cret")
}
