package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// awaited returns what comes next.
func awaited[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

const (
	inboundPath = "/channels/gate/inbound"
	statusPath  = "/channels/gate/status"
)

// sealed is a header with the signature over a body.
func sealed(body string) http.Header {
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(body))
	return http.Header{"X-Signature": {hex.EncodeToString(mac.Sum(nil))}}
}

func TestAJSONGatewayCarriesBothWays(t *testing.T) {
	t.Parallel()
	o := newOutpost()
	s := httptest.NewServer(o)
	defer s.Close()
	l := through(t, "http", `{"secrets": {"key": "%s"}, "prefix": "+",
		"send": {"url": "`+s.URL+`/messages", "idempotent": true,
			"headers": {"Content-Type": "application/json", "Authorization": "Bearer {{.Secret.key}}", "Idempotency-Key": "{{.Key}}"},
			"body": "{\"to\":{{json (first .To)}},\"from\":{{json .From}},\"text\":{{json .Body}}}"},
		"answer": {"id": "id", "status": "sent", "later_seconds": 0.05},
		"inbound": {"source": "json", "id": "id", "from": "from", "to": "to", "body": "text"},
		"status": {"source": "json", "id": "id", "status": "state", "words": {"ok": "delivered"}},
		"signature": {"hmac": {"secret": "key", "header": "X-Signature"}}}`)
	o.answer <- ""
	o.answer <- `{"id":"g1"}`
	first := l.say(`Say "hello"`)
	sent := awaited(t, o.came)
	require.JSONEq(t, `{"to":"491700000001","from":"4930555000","text":"Say \"hello\""}`, sent.body)
	require.Equal(t, "Bearer secret", sent.header.Get("Authorization"))
	require.Equal(t, sent.header.Get("Idempotency-Key"), awaited(t, o.came).header.Get("Idempotency-Key"), "after a 503")
	l.untilReceipt(first, "sent", "g1")
	callback := func(path, body string) { l.told(http.MethodPost, path, body, sealed(body)) }
	callback(statusPath, `{"id":"g1","state":"ok"}`)
	l.untilReceipt(first, "delivered", "g1")

	const one, two = `{"id":"1","from":"491700000001","to":"4930555000","text":"Hi"}`, `{"id":"2","from":"491700000001","to":"4930555000","text":"Ho"}`
	callback(inboundPath, one)
	callback(inboundPath, one)
	l.untilHeard("Hi")
	callback(statusPath, `{"id":"nobody","state":"ok"}`)
	l.untilUnknown()
	for _, bad := range []string{`{"id":`, `{"id":"3","text":"x"}`, `{"from":"1","to":"2","text":"x"}`, `[]`} {
		l.refused(http.StatusBadRequest, http.MethodPost, inboundPath, bad, sealed(bad))
	}
	l.refused(http.StatusBadRequest, http.MethodPost, statusPath, `{"id":"g1","state":"lost"}`, sealed(`{"id":"g1","state":"lost"}`))
	l.refused(http.StatusForbidden, http.MethodPost, inboundPath, two, sealed(one))

	second := l.say("in the middle")
	key := awaited(t, o.came).header.Get("Idempotency-Key") // not answered yet
	callback(inboundPath, two)
	l.kill()
	callback(inboundPath, two)
	o.answer <- `{"id":"g2"}`
	require.Equal(t, key, awaited(t, o.came).header.Get("Idempotency-Key"), "the gateway knows it again")
	l.untilReceipt(second, "sent", "g2")
	l.untilHeard("Hi", "Ho")
	require.Empty(t, o.came)
}

func TestAGETGatewayCarriesBothWays(t *testing.T) {
	t.Parallel()
	o := newOutpost()
	s := httptest.NewServer(o)
	defer s.Close()
	l := through(t, "http", `{"secrets": {"key": "%s"},
		"send": {"method": "GET", "url": "`+s.URL+`/send?to={{query (first .To)}}&from={{query .From}}&text={{query .Body}}&token={{query .Secret.key}}"},
		"answer": {"id_pattern": "^OK (\\w+)", "status": "sent", "later_seconds": 600},
		"inbound": {"source": "query", "id": "id", "from": "from", "to": "to", "body": "text"},
		"status": {"source": "query", "id": "id", "status": "state", "words": {"1": "delivered", "0": "ignore"}},
		"signature": {"token": {"secret": "key", "query": "token"}}}`)
	call := func(path string, fields ...string) string {
		return path + "?" + form(append(fields, "token", "secret")...).Encode()
	}
	callback := func(path string, fields ...string) {
		l.told(http.MethodGet, call(path, fields...), "", http.Header{})
	}
	o.answer <- "OK q1\n"
	first := l.say("a&b = c")
	require.Equal(t, form("to", theirs, "from", ours, "text", "a&b = c", "token", "secret"), awaited(t, o.came).fields)
	l.untilReceipt(first, "sent", "q1")
	callback(statusPath, "id", "q1", "state", "0")
	callback(statusPath, "id", "q1", "state", "1")
	l.untilReceipt(first, "delivered", "q1")
	one := []string{"id", "1", "from", theirs, "to", ours, "text", "Hi & ho"}
	callback(inboundPath, one...)
	callback(inboundPath, one...)
	l.untilHeard("Hi & ho")
	callback(statusPath, "id", "nobody", "state", "1")
	l.untilUnknown()
	l.refused(http.StatusBadRequest, http.MethodGet, call(inboundPath, "id", "2"), "", http.Header{})
	l.refused(http.StatusBadRequest, http.MethodGet, call(statusPath, "id", "q1", "state", "2"), "", http.Header{})
	l.refused(http.StatusForbidden, http.MethodGet, inboundPath+"?"+form(one...).Encode()+"&token=other", "", http.Header{})

	o.answer <- ""
	second := l.say("later")
	awaited(t, o.came)
	l.until(`"state":"pending".*"note":"later`, "delivery", "list", "-o", "jsonl")
	l.kill()
	o.answer <- "OK q2"
	l.run("delivery", "retry", picked(t, `"id":(\d+),"state":"pending"`, l.run("delivery", "list", "-o", "jsonl")))
	require.Equal(t, "later", awaited(t, o.came).fields.Get("text"))
	l.untilReceipt(second, "sent", "q2")
	callback(inboundPath, one...)
	l.untilHeard("Hi & ho")
}

// twilioSigned is X-Twilio-Signature as Twilio describes it: the address and behind it
// each parameter's name and value, by name.
func twilioSigned(address string, fields url.Values) http.Header {
	text := address
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		text += name + fields.Get(name)
	}
	mac := hmac.New(sha1.New, []byte("secret"))
	mac.Write([]byte(text))
	h := formHeader()
	h.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

func TestTwilioCarriesBothWays(t *testing.T) {
	t.Parallel()
	const public, sm = "https://parley.example", "SM0000000000000000000000000000000"
	account := "AC" + strings.Repeat("0", 32)
	o := newOutpost()
	s := httptest.NewServer(o)
	defer s.Close()
	l := through(t, "twilio", `{"account_sid": "`+account+`", "auth_token_file": "%s", "base_url": "`+s.URL+`"}`, "--public-url", public)
	callback := func(path string, fields ...string) {
		f := form(fields...)
		l.told(http.MethodPost, path, f.Encode(), twilioSigned(public+path, f))
	}
	o.answer <- `{"sid":"` + sm + `1","status":"accepted"}`
	first := l.say("Hello")
	sent := awaited(t, o.came)
	require.Equal(t, "/2010-04-01/Accounts/"+account+"/Messages.json", sent.path)
	require.Equal(t, form("To", theirs, "From", ours, "Body", "Hello", "StatusCallback", public+statusPath), sent.fields)
	l.untilReceipt(first, "queued", sm+"1")
	callback(statusPath, "MessageSid", sm+"1", "MessageStatus", "sent", "To", theirs)
	l.untilReceipt(first, "sent", sm+"1")
	callback(statusPath, "MessageSid", sm+"1", "MessageStatus", "delivered", "To", theirs)
	l.untilReceipt(first, "delivered", sm+"1")

	one := []string{"MessageSid", sm + "8", "From", theirs, "To", ours, "Body", "Hi", "NumMedia", "0"}
	two := []string{"MessageSid", sm + "9", "From", theirs, "To", ours, "Body", "Ho", "NumMedia", "0"}
	callback(inboundPath, one...)
	callback(inboundPath, one...)
	l.untilHeard("Hi")
	l.refused(http.StatusForbidden, http.MethodPost, inboundPath, form(two...).Encode(), twilioSigned(public+inboundPath, form(one...)))
	l.refused(http.StatusForbidden, http.MethodPost, inboundPath, form(two...).Encode(), formHeader())
	for _, bad := range []url.Values{form("MessageSid", "x"), form("MessageSid", "x", "From", theirs, "To", ours, "NumMedia", "many")} {
		l.refused(http.StatusBadRequest, http.MethodPost, inboundPath, bad.Encode(), twilioSigned(public+inboundPath, bad))
	}
	lost := form("MessageSid", sm+"1", "MessageStatus", "lost")
	l.refused(http.StatusBadRequest, http.MethodPost, statusPath, lost.Encode(), twilioSigned(public+statusPath, lost))
	callback(statusPath, "MessageSid", sm+"7", "MessageStatus", "sent")
	l.untilUnknown()

	second := l.say("in the middle")
	awaited(t, o.came) // and the power fails before the answer
	callback(inboundPath, two...)
	l.kill()
	callback(inboundPath, two...)
	l.until(`"state":"parked".*"note":"unknown whether it was sent`, "delivery", "list", "-o", "jsonl")
	require.Empty(t, o.came, "nobody sends it again unasked")
	o.answer <- `{"sid":"` + sm + `2","status":"queued"}`
	l.run("delivery", "retry", "--parked")
	require.Equal(t, "in the middle", awaited(t, o.came).fields.Get("Body"))
	l.untilReceipt(second, "queued", sm+"2")
	l.untilHeard("Hi", "Ho")
}
