package rest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client/jwt"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// as sends a request with an access token.
func (w *world) as(token, method, path string, form url.Values) reply {
	w.t.Helper()
	target, body := w.server.URL+path, ""
	if method == http.MethodPost {
		body = form.Encode()
	} else if len(form) > 0 {
		target += "?" + form.Encode()
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+token)
	return w.send(r)
}

// The table says which operations a token may use; every other one is closed to it.
func TestTokensOpenWhatTheTableSaysAndNothingElse(t *testing.T) {
	r := newRoom(t)
	r.signs()
	ann := r.accessToken("", "ann")
	for _, o := range rest.Describe() {
		before := r.events()
		got := r.as(ann, o.Method, r.path(o, nil), required(o))
		if o.Users {
			require.NotEqual(t, 20403.0, got.body["code"], "%s: %s", o.Name, got.text)
			continue
		}
		require.Equal(t, 403, got.status, o.Name)
		require.EqualValues(t, 20403, got.body["code"], o.Name)
		require.Equal(t, before, r.events(), o.Name)
	}
}

func TestAUserDoesWhatHisRolesPermit(t *testing.T) {
	w := newWorld(t)
	w.signs()
	ann, bob, eve := w.accessToken("", "ann"), w.accessToken("", "bob"), w.accessToken("", "eve")
	for _, identity := range []string{"ann", "bob", "eve"} {
		w.must("POST", "/v1/Users", form("Identity", identity))
	}
	created := w.as(ann, "POST", "/v1/Conversations", form("FriendlyName", "Ann's"))
	require.Equal(t, 201, created.status, created.text)
	in := "/v1/Conversations/" + created.str("sid")
	require.Equal(t, 403, w.as(ann, "GET", in, nil).status, "who made it does not take part in it yet")
	joined := w.as(ann, "POST", in+"/Participants", form("Identity", "ann"))
	require.Equal(t, 201, joined.status, joined.text)
	roles := map[string]string{}
	for _, role := range w.must("GET", "/v1/Roles", nil).body["roles"].([]any) {
		roles[role.(map[string]any)["friendly_name"].(string)] = role.(map[string]any)["sid"].(string)
	}
	require.Equal(t, roles["channel admin"], joined.str("role_sid"), "who made it is its admin")
	require.Equal(t, 201, w.as(ann, "POST", in+"/Participants", form("Identity", "bob")).status)
	mine := w.as(bob, "POST", in+"/Messages", form("Body", "hi")).str("sid")
	hers := w.as(ann, "POST", in+"/Messages", form("Body", "hello"))
	require.Equal(t, "ann", hers.str("author"))
	require.Equal(t, "user", w.must("GET", in+"/History", form("Order", "desc", "PageSize", "1")).body["events"].([]any)[0].(map[string]any)["actor"].(map[string]any)["kind"])

	for _, row := range []struct {
		who, token, method, path string
		form                     url.Values
		status, code             int
	}{
		{"eve", eve, "GET", in, nil, 403, 50430},
		{"eve", eve, "GET", in + "/Messages", nil, 403, 50430},
		{"eve", eve, "POST", in + "/Messages", form("Body", "x"), 403, 50430},
		{"eve", eve, "GET", "/v1/Users/ann/Conversations", nil, 403, 20403},
		{"eve", eve, "GET", "/v1/ParticipantConversations", form("Identity", "ann"), 403, 20403},
		{"bob", bob, "GET", in + "/Participants", nil, 200, 0},
		{"bob", bob, "POST", in + "/Messages/" + mine, form("Body", "hi!"), 200, 0},
		{"bob", bob, "POST", in + "/Messages/" + hers.str("sid"), form("Body", "x"), 403, 50107},
		{"bob", bob, "DELETE", in + "/Messages/" + hers.str("sid"), nil, 403, 50107},
		{"bob", bob, "POST", in + "/Messages", form("Body", "x", "Author", "ann"), 403, 50107},
		{"bob", bob, "POST", in + "/Messages", form("Body", "x", "DateCreated", "2020-01-01T00:00:00Z"), 403, 50107},
		{"bob", bob, "POST", in, form("FriendlyName", "Bob's"), 403, 50107},
		{"bob", bob, "POST", in + "/Participants", form("Identity", "zoe"), 403, 50107},
		{"bob", bob, "DELETE", in + "/Participants/ann", nil, 403, 50107},
		{"bob", bob, "POST", in + "/Participants/bob", form("Attributes", "{}", "RoleSid", roles["channel admin"]), 403, 50205},
		{"bob", bob, "POST", "/v1/Users/ann", form("FriendlyName", "x"), 403, 50107},
		{"bob", bob, "POST", "/v1/Users/bob", form("FriendlyName", "Bob"), 200, 0},
		{"bob", bob, "POST", "/v1/Users/bob", form("RoleSid", roles["service admin"]), 403, 50107},
		{"bob", bob, "POST", "/v1/Users/bob/Conversations/" + created.str("sid"), form("NotificationLevel", "muted"), 200, 0},
		{"bob", bob, "POST", "/v1/Conversations", form("State", "inactive"), 403, 50107},
		{"bob", bob, "DELETE", in, nil, 403, 50107},
		{"ann", ann, "POST", in, form("FriendlyName", "Ours"), 200, 0},
		{"ann", ann, "POST", in, form("Timers.Inactive", "PT1H"), 403, 50107},
		{"ann", ann, "DELETE", in + "/Messages/" + mine, nil, 204, 0},
		{"bob", bob, "DELETE", in + "/Participants/bob", nil, 204, 0},
		{"bob", bob, "GET", in, nil, 403, 50430},
		{"ann", ann, "DELETE", in, nil, 204, 0},
	} {
		before := w.events()
		got := w.as(row.token, row.method, row.path, row.form)
		require.Equal(t, row.status, got.status, "%s %s %s: %s", row.who, row.method, row.path, got.text)
		if row.code != 0 {
			require.EqualValues(t, row.code, got.body["code"], "%s %s %s: %s", row.who, row.method, row.path, got.text)
			require.Equal(t, before, w.events())
		}
	}
}

func TestAUserListsHisOwnConversations(t *testing.T) {
	w := newWorld(t)
	w.signs()
	w.must("POST", "/v1/Conversations", nil)
	mine := w.must("POST", "/v1/Conversations", nil).str("sid")
	w.must("POST", "/v1/Conversations/"+mine+"/Participants", form("Identity", "ann"))
	for path, key := range map[string]string{"/v1/Conversations": "sid", "/v1/Users/ann/Conversations": "conversation_sid", "/v1/ParticipantConversations?Identity=ann": "conversation_sid"} {
		got := w.as(w.accessToken("", "ann"), "GET", path, nil).body["conversations"].([]any)
		require.Len(t, got, 1, path)
		require.Equal(t, mine, got[0].(map[string]any)[key], path)
	}
	require.Empty(t, w.as(w.accessToken("", "eve"), "GET", "/v1/Conversations", nil).body["conversations"])
}

func TestATokenCountsForOneServiceWhileItAndItsKeyLast(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(c *rest.Config) { c.Now = func() time.Time { return now } })
	w.signs()
	other := w.must("POST", "/v1/Services", form("FriendlyName", "other")).str("sid")
	token := w.accessToken(other, "ann")
	require.Equal(t, 200, w.as(token, "GET", "/v1/Conversations", nil).status)
	require.Equal(t, 200, w.as(token, "GET", "/v1/Services/"+other+"/Conversations", nil).status)
	require.Equal(t, 404, w.as(token, "GET", "/v1/Services/"+w.service+"/Conversations", nil).status)
	made := w.as(token, "POST", "/v1/Conversations", nil)
	require.Equal(t, 403, made.status, "ann is no user of the service, so she has no role")

	forged := jwt.CreateAccessToken(jwt.AccessTokenParams{AccountSid: w.account, SigningKeySid: apiKey, Secret: strings.Repeat("f", 32), Identity: "ann", Ttl: 3600, Grants: []jwt.BaseGrant{&jwt.ChatGrant{}}})
	text, err := forged.ToJwt()
	require.NoError(t, err)
	foreign := jwt.CreateAccessToken(jwt.AccessTokenParams{AccountSid: domain.SID("AC", "other"), SigningKeySid: apiKey, Secret: apiKeySecret, Identity: "ann", Ttl: 3600, Grants: []jwt.BaseGrant{&jwt.ChatGrant{}}})
	stranger, err := foreign.ToJwt()
	require.NoError(t, err)
	for _, bad := range []string{"", "x", text, stranger, token[:len(token)-2], strings.Repeat("x", 9000)} {
		require.Equal(t, 401, w.as(bad, "GET", "/v1/Conversations", nil).status)
	}
	now = now.Add(2 * time.Hour)
	require.Equal(t, 401, w.as(token, "GET", "/v1/Conversations", nil).status, "it has expired")
	now = now.Add(-2 * time.Hour)
	require.Equal(t, 200, w.as(token, "GET", "/v1/Conversations", nil).status)
	w.do("apikey.revoke", apiKey, `{}`)
	require.Equal(t, 401, w.as(token, "GET", "/v1/Conversations", nil).status, "its key was revoked")
}

func TestAnAPIKeyActsForItsAccount(t *testing.T) {
	w := newWorld(t)
	w.signs()
	key := *w
	key.account, key.token = apiKey, apiKeySecret
	require.Equal(t, w.account, key.must("GET", "/v1/Configuration", nil).str("account_sid"))
	ch := key.must("POST", "/v1/Conversations", nil).str("sid")
	event := w.must("GET", "/v1/Conversations/"+ch+"/History", nil).body["events"].([]any)[0].(map[string]any)
	require.Equal(t, map[string]any{"kind": "api", "id": apiKey}, event["actor"])
}

func TestAParentActsForAChildAndNobodyElse(t *testing.T) {
	w := newWorld(t)
	account := func(name, parent string) *world {
		other := *w
		body := `{}`
		if parent != "" {
			body = `{"parent":"` + parent + `"}`
		}
		other.account, other.token = w.do("account.create", "", body).Sid, strings.Repeat(name, 32)
		w.do("account.set-auth-token", other.account, `{"secret":"`+other.token+`"}`)
		return &other
	}
	child, sibling, stranger := account("c", w.account), account("s", w.account), account("x", "")
	service := child.must("GET", "/v1/Configuration", nil).str("default_chat_service_sid")
	in := "/v1/Services/" + service + "/Conversations"

	made := w.must("POST", in, form("UniqueName", "hers"))
	require.Equal(t, child.account, made.str("account_sid"), "by naming the child's service")
	require.Equal(t, made.str("sid"), w.must("GET", "/v1/Conversations/hers", nil, "Parley-Account", child.account).str("sid"), "by the header")
	require.Equal(t, made.str("sid"), child.must("GET", "/v1/Conversations/hers", nil).str("sid"))
	require.Equal(t, 404, w.call("GET", "/v1/Conversations/hers", nil).status, "its own lists are its own")
	for _, other := range []*world{sibling, stranger} {
		require.Equal(t, 404, other.call("GET", in, nil).status)
		require.Equal(t, 404, other.call("GET", in+"/hers", nil).status)
		require.Equal(t, 404, other.call("GET", "/v1/Conversations", nil, "Parley-Account", child.account).status)
	}
	require.Equal(t, 404, child.call("GET", "/v1/Conversations", nil, "Parley-Account", w.account).status)
	require.Equal(t, 404, child.call("GET", "/v1/Services/"+w.service+"/Conversations", nil).status)
}

// A user of one service learns nothing of the account's others, not even that they are there.
func TestAUserOfAServiceCannotTellAnotherOneFromNone(t *testing.T) {
	w := newWorld(t)
	w.signs()
	f := w.furnish(w.own(), 1)
	second := w.must(http.MethodPost, "/v1/Services", form("FriendlyName", "second")).str("sid")
	w.must(http.MethodPost, "/v1/Services/"+second+"/Users", form("Identity", "eve"))
	eve := w.accessToken(second, "eve")
	before, compared := w.head(), 0
	for _, o := range rest.Describe() {
		path := f.path(o.Path)
		if !strings.Contains(path, w.service) {
			continue
		}
		unknown := strings.Replace(path, w.service, domain.SID("IS", "never made"), 1)
		got, expected := w.as(eve, o.Method, path, sound(o, 1)), w.as(eve, o.Method, unknown, sound(o, 1))
		require.Contains(t, []int{403, 404}, got.status, "%s: %s", o.Name, got.text)
		require.Equal(t, expected.status, got.status, o.Name)
		require.Equal(t, strings.ReplaceAll(expected.text, unknown, path), got.text, o.Name)
		compared++
	}
	require.Greater(t, compared, 50)
	require.Equal(t, before, w.head())
}
