package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// room is a world with one of everything, so that paths lead somewhere.
type room struct {
	*world
	sids map[string]string // by the name of a path's segment, or by what is before it
}

func newRoom(t testing.TB) *room {
	w := newWorld(t)
	mg := w.do("account.add-messaging-service", w.account, `{"friendly_name":"numbers"}`).Sid
	w.must(http.MethodPost, "/v1/Configuration", form("DefaultMessagingServiceSid", mg))
	ch := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
	in := "/v1/Conversations/" + ch
	w.must(http.MethodPost, in+"/Participants", form("Identity", "ann"))
	mb := w.must(http.MethodPost, in+"/Participants", form("MessagingBinding.Address", "+12125550100", "MessagingBinding.ProxyAddress", "+12125550199")).str("sid")
	im := w.must(http.MethodPost, in+"/Messages", form("Body", "hello")).str("sid")
	dy := w.do("conversation.record-delivery", ch, fmt.Sprintf(`{"message":%q,"participant":%q,"status":"sent"}`, im, mb)).Sid
	return &room{w, map[string]string{
		"Conversations": ch, "ConversationSid": ch, "Participants": mb, "Messages": im, "MessageSid": im, "Receipts": dy,
		"Webhooks":  w.must(http.MethodPost, in+"/Webhooks", form("Target", "webhook", "Configuration.Url", "https://x.example", "Configuration.Filters", "onMessageAdded")).str("sid"),
		"Users":     w.must(http.MethodGet, "/v1/Users/ann", nil).str("sid"),
		"UserSid":   "ann",
		"Roles":     w.must(http.MethodPost, "/v1/Roles", form("FriendlyName", "r", "Type", "conversation", "Permission", "sendMessage")).str("sid"),
		"Services":  w.must(http.MethodPost, "/v1/Services", form("FriendlyName", "other")).str("sid"),
		"Addresses": w.must(http.MethodPost, "/v1/Configuration/Addresses", form("Type", "sms", "Address", "+15005550006")).str("sid"), "ChatServiceSid": w.service,
		"Credentials": w.must(http.MethodPost, "/v1/Credentials", form("Type", "fcm")).str("sid"),
		"Bindings":    w.do("binding.create", "", `{"identity":"ann","type":"apn","endpoint":"phone"}`).Sid,
		"Media":       w.do("media.create", "", `{"content_type":"a/b","size":1,"sha256":"`+strings.Repeat("ab", 32)+`"}`).Sid,
	}}
}

// path is an operation's path with what is in the room; other replaces the SIDs.
func (r *room) path(o rest.Operation, other map[string]string) string {
	segments := strings.Split(o.Path, "/")
	for i, s := range segments {
		name, inBraces := strings.CutPrefix(strings.TrimSuffix(s, "}"), "{")
		if !inBraces {
			continue
		}
		if name == "Sid" || name == "ConversationSid" && segments[i-1] == "Conversations" {
			name = segments[i-1]
		}
		if replaced, ok := other[name]; ok {
			segments[i] = url.PathEscape(replaced)
			continue
		}
		require.NotEmpty(r.t, r.sids[name], o.Path)
		segments[i] = r.sids[name]
	}
	return strings.Join(segments, "/")
}

// required are parameters that are there so that another one is to blame.
func required(o rest.Operation) url.Values {
	v := url.Values{}
	values := map[string]string{"Type": "sms", "Address": "+15005550007", "FriendlyName": "x", "Permission": "sendMessage", "Identity": "zoe", "Target": "webhook"}
	for _, p := range o.Params {
		if p.Required {
			v.Set(p.Name, values[p.Name])
		}
	}
	switch {
	case strings.HasSuffix(o.Path, "/Roles"):
		v.Set("Type", "conversation")
	case strings.HasSuffix(o.Path, "/Credentials"):
		v.Set("Type", "fcm")
	case strings.HasSuffix(o.Path, "/Messages") && o.Form:
		v.Set("Body", "x")
	case strings.HasSuffix(o.Path, "/Webhooks") && v.Has("Target"):
		v.Set("Configuration.Url", "https://x.example")
		v.Set("Configuration.Filters", "onMessageAdded")
	}
	return v
}

func TestPathsMethodsAndBodiesThatAreNone(t *testing.T) {
	w := newWorld(t)
	send := func(method, target, contentType, body string) reply {
		request, err := http.NewRequestWithContext(t.Context(), method, w.server.URL, strings.NewReader(body))
		require.NoError(t, err)
		request.URL.Opaque = target // as it is, uncleaned
		request.SetBasicAuth(w.account, w.token)
		if contentType != "" {
			request.Header.Set("Content-Type", contentType)
		}
		return w.send(request)
	}
	const formType = "application/x-www-form-urlencoded"
	before := w.events()
	for _, row := range []struct {
		method, path, contentType, body string
		status, code                    int
	}{
		{"GET", "/v1/", "", "", 404, 20404},
		{"GET", "/v1/Nothing", "", "", 404, 20404},
		{"GET", "/v1/Conversations/", "", "", 404, 20404},
		{"GET", "/v1//Conversations", "", "", 404, 20404},
		{"GET", "/v1/Users//Conversations", "", "", 404, 20404},
		{"GET", "/v1/Conversations/../Roles", "", "", 404, 20404},
		{"GET", "/v1/Conversations/./x", "", "", 404, 20404},
		{"GET", "/v1/Users/%2e%2e/Conversations", "", "", 404, 20404},
		{"DELETE", "/v1/Users/%2E./Conversations/x", "", "", 404, 20404},
		{"POST", "/v1/Conversations/.%2e/Roles", formType, "x=y", 404, 20404},
		{"GET", "/v1/Conversations/%2e", "", "", 404, 20404},
		{"GET", "/v1/Services/../Conversations", "", "", 404, 20404},
		{"GET", "/v1", "", "", 404, 20404},
		{"BREW", "/v1/Conversations/x", "", "", 405, 20004},
		{"GET", "/v1/Conversations/%00", "", "", 404, 20404},
		{"GET", "/v1/Conversations/%ff", "", "", 404, 20404},
		{"PUT", "/v1/Conversations", "", "", 405, 20004},
		{"DELETE", "/v1/Conversations", "", "", 405, 20004},
		{"PATCH", "/v1/Configuration", "", "", 405, 20004},
		{"POST", "/v1/Conversations/x/Messages/y/Receipts", "", "", 405, 20004},
		{"POST", "/v1/Conversations", "application/json", `{"UniqueName":"x"}`, 415, 20001},
		{"POST", "/v1/Conversations", "", "UniqueName=x", 415, 20001},
		{"POST", "/v1/Conversations", formType + "; charset=utf-16", "U\x00n\x00=\x00x\x00", 415, 20001},
		{"POST", "/v1/Conversations", formType + "; charset=IBM037", "UniqueName=x", 415, 20001},
		{"POST", "/v1/Conversations", formType + "; charset=ISO-8859-1", "FriendlyName=%FC", 400, 20422},
		{"POST", "/v1/Conversations", formType, "UniqueName=%zz", 400, 20001},
		{"POST", "/v1/Conversations", formType, "Attributes=" + strings.Repeat("x", 2<<20), 413, 20001},
		{"GET", "/v1/Conversations?PageSize=%zz", "", "", 400, 20001},
		{"GET", "/v1/Conversations?PageSize=0", "", "", 400, 20422},
		{"GET", "/v1/Conversations?Page=-1", "", "", 400, 20422},
		{"GET", "/v1/Conversations?PageToken=PAx", "", "", 400, 20422},
	} {
		got := send(row.method, row.path, row.contentType, row.body)
		require.Equal(t, row.status, got.status, "%s %s: %s", row.method, row.path, got.text)
		require.EqualValues(t, row.code, got.body["code"], row.path)
		require.Equal(t, row.status == 405, got.header.Get("Allow") != "", row.path)
	}
	require.Equal(t, before, w.events())
	require.Equal(t, "GET, HEAD, POST", send("PUT", "/v1/Conversations", "", "").header.Get("Allow"))
	require.Equal(t, 200, send("HEAD", "/v1/Conversations", "", "").status)
	preflight := w.call("OPTIONS", "/v1/Conversations", nil, "Origin", "https://x.example")
	require.Equal(t, 204, preflight.status)
	require.Contains(t, preflight.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	require.Equal(t, "*", w.call("GET", "/v1/Conversations", nil, "Origin", "https://x.example").header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, w.call("GET", "/v1/Conversations", nil).header.Get("Access-Control-Allow-Origin"), "nobody asked")
	require.Equal(t, 201, send("POST", "/v1/Conversations", formType+"; charset=UTF-8", "Unknown=1&FriendlyName=x").status, "what is not known is ignored")
}
