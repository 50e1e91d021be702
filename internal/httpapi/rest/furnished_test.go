package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// furnished is a service with one of everything that can be in it, and in its
// account.
type furnished struct {
	account, token, service string
	things                  map[string]string // SIDs by the collection they are in
}

// newAccount makes an account with credentials, below parent if that is given.
func (w *world) newAccount(name, parent string) furnished {
	w.t.Helper()
	f := furnished{account: domain.SID("AC", name), token: strings.Repeat("a", 24) + "00000000"}
	w.order(engine.Command{Type: "account.create", Aggregate: f.account, Body: body("friendly_name", name, "parent", parent)})
	w.order(engine.Command{Type: "account.set-auth-token", Aggregate: f.account, Account: f.account, Body: body("secret", f.token)})
	place, err := w.engine.Place(w.t.Context(), f.account, "")
	require.NoError(w.t, err)
	f.service = place.Service
	return f
}

// body is a JSON object without its empty fields.
func body(pairs ...string) json.RawMessage {
	fields := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fields[pairs[i]] = pairs[i+1]
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		panic(err) // texts always marshal
	}
	return data
}

// order has the engine do a command for any account.
func (w *world) order(c engine.Command) engine.Outcome {
	w.t.Helper()
	if c.ID.IsZero() {
		c.ID = events.ID(uuid.New())
	}
	outcome, err := w.engine.Execute(w.t.Context(), c)
	require.NoError(w.t, err)
	return outcome
}

// as is the credentials of an account, for the end of a call.
func (f furnished) as() []string { return []string{"Authorization", basic(f.account, f.token)} }

func basic(name, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, secret)
	return r.Header.Get("Authorization")
}

// own is the account and default service that every world has.
func (w *world) own() furnished {
	return furnished{account: w.account, token: w.token, service: w.service}
}

// furnish puts one of everything into a service. n keeps numbers of several
// services of one account apart.
func (w *world) furnish(f furnished, n int) furnished {
	w.t.Helper()
	in := "/v1/Services/" + f.service
	post := func(path string, pairs ...string) string {
		w.t.Helper()
		return w.must(http.MethodPost, path, form(pairs...), f.as()...).str("sid")
	}
	f.things = map[string]string{"Services": f.service}
	t := f.things
	t["Users"] = post(in+"/Users", "Identity", "ann")
	t["Roles"] = post(in+"/Roles", "FriendlyName", "guest", "Type", "conversation", "Permission", "sendMessage")
	t["Credentials"] = post("/v1/Credentials", "Type", "fcm", "Secret", "s3cret")
	t["Addresses"] = post("/v1/Configuration/Addresses", "Type", "sms", "Address", fmt.Sprintf("+1555000%04d", n))
	carrier := w.order(engine.Command{Type: "account.add-messaging-service", Aggregate: f.account, Account: f.account}).Sid
	t["Conversations"] = post(in+"/Conversations", "UniqueName", "lobby", "MessagingServiceSid", carrier)
	talk := in + "/Conversations/" + t["Conversations"]
	t["Participants"] = post(talk+"/Participants", "Identity", "ann")
	phone := post(talk+"/Participants", "MessagingBinding.Address", fmt.Sprintf("+1555100%04d", n), "MessagingBinding.ProxyAddress", fmt.Sprintf("+1555200%04d", n))
	t["Messages"] = post(talk+"/Messages", "Author", "ann", "Body", "hello")
	t["Webhooks"] = post(talk+"/Webhooks", "Target", "webhook", "Configuration.Url", "https://example.com/hook", "Configuration.Filters", "onMessageAdded")
	at := engine.Command{Account: f.account, Service: f.service, Aggregate: t["Conversations"]}
	at.Type, at.Body = "conversation.record-delivery", body("message", t["Messages"], "participant", phone, "status", "delivered")
	w.order(at)
	receipts := w.must(http.MethodGet, talk+"/Messages/"+t["Messages"]+"/Receipts", nil, f.as()...)
	t["Receipts"] = receipts.items("delivery_receipts")[0]["sid"].(string)
	at = engine.Command{Account: f.account, Service: f.service, Type: "binding.create", Body: body("identity", "ann", "type", "fcm", "endpoint", "device", "credential", t["Credentials"])}
	t["Bindings"] = w.order(at).Sid
	t["Media"] = w.sendFile(in, "text/plain", "hello", f.as()...).str("sid")
	require.NoError(w.t, w.caughtUp(w.t.Context()))
	return f
}

// sendFile uploads to the collection below a prefix; it must go well.
func (w *world) sendFile(in, contentType, content string, headers ...string) reply {
	w.t.Helper()
	got := w.request(http.MethodPost, in+"/Media", content, append([]string{"Content-Type", contentType}, headers...)...)
	require.Equal(w.t, 201, got.status, got.text)
	return got
}

// request sends any body with the account's credentials and these headers.
func (w *world) request(method, path, content string, headers ...string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(content))
	require.NoError(w.t, err)
	r.SetBasicAuth(w.account, w.token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.send(r)
}

func (r reply) items(key string) (items []map[string]any) {
	list, _ := r.body[key].([]any)
	for _, item := range list {
		items = append(items, item.(map[string]any))
	}
	return items
}

// path fills a template with the things of a service: each name stands for one
// of the collection before it. what may be another's things for some of them.
func (f furnished) path(template string) string {
	parts := strings.Split(template, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = f.things[parts[i-1]]
		}
	}
	return strings.Join(parts, "/")
}

// isProblem requires the body that Twilio's libraries read from a failure.
func isProblem(t testing.TB, got reply) {
	t.Helper()
	require.Equal(t, "application/json;charset=utf-8", got.header.Get("Content-Type"), got.text)
	require.EqualValues(t, got.status, got.body["status"], got.text)
	require.NotEmpty(t, got.body["message"])
	require.Equal(t, "https://www.twilio.com/docs/errors/"+strconv.Itoa(got.code()), got.body["more_info"])
}
