package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// spoiled is a way to give a parameter wrongly.
type spoiled struct {
	how    string
	values []string // nil: not at all
}

const tooLong = 100 << 10

// spoil lists the ways that are wrong for a parameter of this shape.
func spoil(p rest.Parameter) []spoiled {
	ways := []spoiled{{"not UTF-8", []string{"\xff"}}, {"NUL", []string{"a\x00b"}}, {"very long", []string{strings.Repeat("x", tooLong)}}}
	if p.Required {
		ways = append(ways, spoiled{"absent", nil}, spoiled{"empty", []string{""}})
	}
	if !p.Repeats {
		ways = append(ways, spoiled{"twice", []string{"a", "a"}})
	}
	if p.Max > 0 {
		ways = append(ways, spoiled{"over the limit", []string{strings.Repeat("é", p.Max+1)}})
	}
	if p.Pattern != "" {
		ways = append(ways, spoiled{"wrong prefix", []string{"XX" + strings.Repeat("0", 32)}}, spoiled{"no SID", []string{"nonsense"}})
	}
	if len(p.Values) > 0 {
		ways = append(ways, spoiled{"unknown value", []string{"nonsense"}}, spoiled{"no value", []string{""}}, spoiled{"a value and more", []string{p.Values[0] + " "}})
	}
	switch {
	case p.Type == "boolean":
		ways = append(ways, spoiled{"no boolean", []string{"yes"}}, spoiled{"number", []string{"1"}}, spoiled{"nothing", []string{""}})
	case p.Type == "integer":
		ways = append(ways, spoiled{"fraction", []string{"1.5"}}, spoiled{"no number", []string{"one"}}, spoiled{"too large", []string{"9223372036854775808"}})
	case p.Format == "date-time":
		ways = append(ways, spoiled{"no date", []string{"yesterday"}}, spoiled{"no such day", []string{"2026-02-30T00:00:00Z"}},
			spoiled{"no time at all", []string{"0001-01-01T00:00:00Z"}}, spoiled{"no time at all elsewhere", []string{"0001-01-01T05:00:00.5+05:00"}},
			spoiled{"before all years", []string{"0000-12-31T23:59:59Z"}}, spoiled{"after all years", []string{"9999-12-31T23:59:59-01:00"}})
	}
	return ways
}

const (
	emptyIsUsual   = "an empty text is what it is without"
	matchesNothing = "a filter that nothing matches is a filter"
	notOfTarget    = "what the webhook's target has no use for is not looked at, and not kept"
)

// permitted are the ways that are no mistake after all, by operation, parameter
// and way.
var permitted = map[string]string{
	"UpdateConfigurationWebhook Method no value":                       emptyIsUsual,
	"UpdateConfigurationWebhook Target no value":                       emptyIsUsual,
	"CreateConversation State no value":                                emptyIsUsual,
	"CreateConversationWithParticipants State no value":                emptyIsUsual,
	"CreateConversationParticipant MessagingBinding.Level no value":    emptyIsUsual,
	"CreateConversationScopedWebhook Configuration.Method no value":    emptyIsUsual,
	"UpdateConversationScopedWebhook Configuration.Method no value":    emptyIsUsual,
	"UpdateWebhookConfiguration Method no value":                       emptyIsUsual,
	"ListBinding Identity very long":                                   matchesNothing,
	"ListParticipantConversation Identity very long":                   matchesNothing,
	"UpdateConversationScopedWebhook Configuration.Triggers very long": notOfTarget,
}

// plainName is that of an operation's account form.
func plainName(o rest.Operation) string { return strings.Replace(o.Name, "Service", "", 1) }

// companions are what a parameter is looked at together with.
func companions(name string, given url.Values) {
	set := func(pairs ...string) {
		for key, values := range form(pairs...) {
			given[key] = values
		}
	}
	switch {
	case strings.HasPrefix(name, "AutoCreation.Webhook"):
		set("AutoCreation.Type", "webhook", "AutoCreation.WebhookUrl", "https://example.com", "AutoCreation.WebhookFilters", "onMessageAdded")
	case strings.HasPrefix(name, "AutoCreation.Studio"):
		set("AutoCreation.Type", "studio", "AutoCreation.StudioFlowSid", "FW"+strings.Repeat("0", 32))
	case name == "Configuration.Triggers":
		set("Target", "trigger")
	case strings.HasPrefix(name, "MessagingBinding."):
		given.Del("Identity")
		set("MessagingBinding.Address", "+15553000001", "MessagingBinding.ProxyAddress", "+15553000002")
	case name == "MediaSid", name == "ContentVariables":
		given.Del("Body")
	}
}

// sound are parameters with which an operation goes well, each time anew.
func sound(o rest.Operation, n int) url.Values {
	switch name := plainName(o); {
	case strings.HasSuffix(o.Path, "/ParticipantConversations"):
		return form("Identity", "ann")
	case name == "CreateConversationParticipant", name == "CreateUser":
		return form("Identity", fmt.Sprint("visitor ", n))
	case name == "CreateConversationMessage", name == "UpdateConversationMessage":
		return form("Body", fmt.Sprint("hello ", n))
	case name == "CreateConversationScopedWebhook":
		return form("Target", "webhook", "Configuration.Url", "https://example.com", "Configuration.Filters", "onMessageAdded")
	case name == "CreateRole":
		return form("FriendlyName", "r", "Type", "conversation", "Permission", "sendMessage")
	case name == "UpdateRole":
		return form("Permission", "leaveConversation")
	case name == "CreateCredential":
		return form("Type", "fcm", "Secret", "s3cret")
	case name == "CreateConfigurationAddress":
		return form("Type", "sms", "Address", fmt.Sprintf("+1555777%04d", n))
	case o.Name == "CreateService":
		return form("FriendlyName", "another")
	}
	return url.Values{}
}

// send gives the parameters where the operation takes them.
func (w *world) give(o rest.Operation, path string, given url.Values, headers ...string) reply {
	w.t.Helper()
	if o.Bytes {
		return w.request(o.Method, path+"?"+given.Encode(), "hello", append([]string{"Content-Type", "text/plain"}, headers...)...)
	}
	return w.call(o.Method, path, given, headers...)
}

func (w *world) head() events.Position {
	head, err := w.log.Head(w.t.Context())
	require.NoError(w.t, err)
	return head
}

func TestNoParameterCanBeGivenWrongly(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	before, used, n := w.head(), map[string]bool{}, 0
	for _, o := range rest.Describe() {
		for _, p := range o.Params {
			for _, way := range spoil(p) {
				if what := plainName(o) + " " + p.Name + " " + way.how; permitted[what] != "" {
					used[what] = true
					continue
				}
				n++
				given := sound(o, n)
				companions(p.Name, given)
				delete(given, p.Name)
				if way.values != nil {
					given[p.Name] = way.values
				}
				got := w.give(o, f.path(o.Path), given)
				if got.status < 400 || got.status > 499 {
					t.Errorf("%s %s %s: %d %.200s", o.Name, p.Name, way.how, got.status, got.text)
				}
			}
		}
		if now := w.head(); now != before {
			t.Errorf("%s wrote", o.Name)
			before = now
		}
	}
	for what := range permitted {
		require.True(t, used[what], "%s is permitted for nothing", what)
	}
}

// The counterpart: what the test above spoils is sound.
func TestWhatIsSpoiledIsSoundAtFirst(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	all := rest.Describe()
	slices.SortStableFunc(all, func(a, b rest.Operation) int { return removals(a) - removals(b) })
	for n, o := range all {
		if removals(o) > 0 || strings.HasSuffix(o.Name, "ChannelMetadata") {
			continue
		}
		got := w.give(o, f.path(o.Path), sound(o, n))
		require.Equal(t, o.Status, got.status, "%s: %s", o.Name, got.text)
	}
}

func removals(o rest.Operation) int {
	if o.Method == http.MethodDelete {
		return 1
	}
	return 0
}

// A parameter that is refused is named as it was written, with what is wrong with it.
func TestWhatIsWrongWithAParameterIsSaid(t *testing.T) {
	w := newWorld(t)
	talk := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
	before := w.head()
	for _, row := range []struct {
		path  string
		given []string
		code  int
		field string
		says  string
	}{
		{"/v1/Conversations", []string{"FriendlyName", "a\x00b"}, 20422, "FriendlyName", "FriendlyName has a NUL character"},
		{"/v1/Conversations", []string{"FriendlyName", "a\xff"}, 20422, "FriendlyName", "FriendlyName is not UTF-8"},
		{"/v1/Conversations", []string{"DateCreated", "0001-01-01T00:00:00Z"}, 50308, "DateCreated", "DateCreated is not between"},
		{"/v1/Conversations/" + talk, []string{"DateUpdated", "0001-01-01T00:00:00Z"}, 50309, "DateUpdated", "DateUpdated is not between"},
		{"/v1/Conversations/" + talk + "/Messages", []string{"DateCreated", "0001-01-01T00:00:00Z", "Body", "x"}, 50308, "DateCreated", "between"},
		{"/v1/Conversations/" + talk + "/Messages", []string{"DateCreated", "soon", "Body", "x"}, 50308, "DateCreated", "must be an ISO 8601 date and time"},
		{"/v1/Conversations", []string{"Attributes", strings.Repeat("[", 600) + strings.Repeat("]", 600)}, 50304, "Attributes", "nested more than 512 deep"},
		{"/v1/Conversations", []string{"Bindings.Email.Address", "a@b.example\r\nBcc: x@y.example"}, 50407, "Bindings.Email.Address", "is not an e-mail address"},
		{"/v1/Conversations/" + talk, []string{"Bindings.Email.Address", "../../x"}, 50407, "Bindings.Email.Address", "is not an e-mail address"},
		{"/v1/Conversations/" + talk, []string{"Bindings.Email.Name", "a\nb"}, 50407, "Bindings.Email.Name", "Bindings.Email.Name has a line break"},
		{"/v1/Configuration/Addresses", []string{"Type", "email", "Address", "a b@c.example"}, 50407, "Address", "is not an address"},
		{"/v1/ConversationWithParticipants", []string{"Participant", `{"identity":"a","date_created":"0001-01-01T00:00:00Z"}`}, 50308, "Participant", "date_created is not between"},
		{"/v1/ConversationWithParticipants", []string{"Participant", `{"identity":"a\ud800"}`}, 50424, "Participant", "identity has one half of a surrogate pair"},
	} {
		got := w.call(http.MethodPost, row.path, form(row.given...))
		require.Equal(t, []int{400, row.code}, []int{got.status, got.code()}, "%.80v: %s", row.given, got.text)
		require.Equal(t, row.field, got.body["details"].(map[string]any)["field"], "%.80v", row.given)
		require.Contains(t, got.str("message"), row.says)
	}
	for _, of := range []string{"StartDate", "EndDate"} {
		for _, at := range []string{"0001-01-01", "0001-01-01T00:00:00Z", "0000-01-01"} {
			got := w.call(http.MethodGet, "/v1/Conversations", form(of, at))
			require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, at)
			require.Contains(t, got.str("message"), of+" is not between")
		}
	}
	for _, asOf := range []string{"0", "0001-01-01T00:00:00Z"} {
		got := w.call(http.MethodGet, "/v1/Conversations/"+talk+"/History", form("AsOf", asOf))
		require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, asOf)
	}
	require.Equal(t, before, w.head())
}

func TestTheHeaderForWebhooksIsYesOrNo(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	before, asked := w.head(), 0
	for n, o := range rest.Describe() {
		if !o.Hooks {
			continue
		}
		asked++
		for _, wrong := range []string{"garbage", "yes", "1", "", " ", "true, false", "truee"} {
			got := w.give(o, f.path(o.Path), sound(o, n), "X-Twilio-Webhook-Enabled", wrong)
			require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, "%s %q: %s", o.Name, wrong, got.text)
			require.Equal(t, "X-Twilio-Webhook-Enabled", got.body["details"].(map[string]any)["field"])
		}
	}
	require.Equal(t, before, w.head())
	require.Equal(t, 26, asked)
	for _, fine := range []string{"true", "false", "True", "FALSE"} {
		w.must(http.MethodPost, "/v1/Conversations", nil, "X-Twilio-Webhook-Enabled", fine)
	}
}

func TestWhyParametersCannotBeReadIsSaid(t *testing.T) {
	w := newWorld(t)
	const talks = "/v1/Conversations"
	many := strings.Repeat("a=b&", 12_000)
	for text, says := range map[string]string{many: "more than 10000 parameters", "a=%zz": "invalid URL escape", "a=b;c=d": "semicolon"} {
		got := w.request(http.MethodPost, talks, text, "Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, []int{400, 20001}, []int{got.status, got.code()}, got.text)
		require.Contains(t, got.str("message"), says)
		if text == many {
			continue // no address is that long
		}
		got = w.request(http.MethodGet, talks+"?"+text, "")
		require.Equal(t, []int{400, 20001}, []int{got.status, got.code()}, got.text)
		require.Contains(t, got.str("message"), says)
	}
	fine := "FriendlyName=x" + strings.Repeat("&a=b", 9_999)
	require.Equal(t, 201, w.request(http.MethodPost, talks, fine, "Content-Type", "application/x-www-form-urlencoded").status)
}
