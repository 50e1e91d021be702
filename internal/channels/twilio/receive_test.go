package twilio_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/twilio"
)

const address = "https://parley.example/v1/channels/t/inbound?x=1"

func TestAnInboundMessageIsRead(t *testing.T) {
	form := url.Values{
		"MessageSid": {"SM1"}, "From": {"+4917"}, "To": {"+4930"}, "Body": {"hello\nworld"}, "NumMedia": {"2"},
		"MediaUrl0": {"https://m/0"}, "MediaContentType0": {"image/png"}, "MediaUrl1": {"https://m/1"},
	}
	want := &carrier.Inbound{
		ID: "SM1", From: "+4917", To: []string{"+4930"}, Body: "hello\nworld",
		Media: []carrier.Media{{URL: "https://m/0", ContentType: "image/png"}, {URL: "https://m/1"}},
	}
	for _, r := range []carrier.Request{post(carrier.KindInbound, form), get(carrier.KindInbound, form)} {
		reports, answer, err := receiver(t).Receive(r)
		require.NoError(t, err)
		require.Equal(t, []carrier.Report{{Inbound: want}}, reports)
		require.Equal(t, carrier.Answer{Status: 200, ContentType: "text/xml", Body: []byte("<Response></Response>")}, answer)
	}
}

func TestAStatusIsRead(t *testing.T) {
	for word, want := range map[string]string{
		"accepted": "queued", "scheduled": "queued", "queued": "queued", "sending": "queued", "sent": "sent", "delivered": "delivered",
		"read": "read", "undelivered": "undelivered", "failed": "failed", "canceled": "failed",
	} {
		for _, field := range []string{"MessageStatus", "SmsStatus"} {
			form := url.Values{"MessageSid": {"SM1"}, "To": {"+4917"}, field: {word}, "ErrorCode": {"30003"}}
			reports, answer, err := receiver(t).Receive(post(carrier.KindStatus, form))
			require.NoError(t, err)
			require.Equal(t, []carrier.Report{{Status: &carrier.Status{ID: "SM1", To: "+4917", Status: want, ErrorCode: 30003}}}, reports)
			require.Zero(t, answer)
		}
	}
}

func TestWhatTwilioDidNotSignIsForbidden(t *testing.T) {
	form := url.Values{"MessageSid": {"SM1"}, "From": {"+4917"}, "To": {"+4930"}}
	for name, spoil := range map[string]func(*carrier.Request){
		"no signature":      func(r *carrier.Request) { r.Header = nil },
		"wrong signature":   func(r *carrier.Request) { r.Header.Set("X-Twilio-Signature", "c2lnbmF0dXJl") },
		"another address":   func(r *carrier.Request) { r.URL += "&y=2" },
		"no address":        func(r *carrier.Request) { r.URL = "https://%" },
		"another body":      func(r *carrier.Request) { r.Body = append(r.Body, "&Body=evil"...) },
		"a body of a query": func(r *carrier.Request) { r.Method = http.MethodGet },
		"no form":           func(r *carrier.Request) { r.Body = []byte("%") },
	} {
		r := post(carrier.KindInbound, form)
		spoil(&r)
		_, _, err := receiver(t).Receive(r)
		require.ErrorIs(t, err, carrier.ErrForbidden, name)
	}
	forged := get(carrier.KindInbound, form)
	forged.URL += "&Body=evil"
	_, _, err := receiver(t).Receive(forged)
	require.ErrorIs(t, err, carrier.ErrForbidden)
}

func TestAPortThatGoesWithoutSayingDoesNotMatter(t *testing.T) {
	form := url.Values{"MessageSid": {"SM1"}, "From": {"+4917"}, "To": {"+4930"}}
	r := post(carrier.KindInbound, form)
	r.Header.Set("X-Twilio-Signature", sign("https://parley.example:443/v1/channels/t/inbound?x=1", form))
	_, _, err := receiver(t).Receive(r)
	require.NoError(t, err)
}

func TestWhatCannotBeReadIsMalformed(t *testing.T) {
	inbound := url.Values{"MessageSid": {"SM1"}, "From": {"+4917"}, "To": {"+4930"}}
	status := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"sent"}}
	for _, row := range []struct {
		kind        string
		form        url.Values
		name, value string
		why         string
	}{
		{carrier.KindInbound, inbound, "MessageSid", "", "MessageSid is missing"},
		{carrier.KindInbound, inbound, "From", "", "From is missing"},
		{carrier.KindInbound, inbound, "To", "", "To is missing"},
		{carrier.KindInbound, inbound, "NumMedia", "-1", `NumMedia is "-1"`},
		{carrier.KindInbound, inbound, "NumMedia", "1000000", `NumMedia is "1000000"`},
		{carrier.KindInbound, inbound, "NumMedia", "1", "MediaUrl0 is missing"},
		{carrier.KindStatus, status, "MessageSid", "", "MessageSid is missing"},
		{carrier.KindStatus, status, "MessageStatus", "quantum", `MessageStatus is "quantum"`},
		{carrier.KindStatus, status, "ErrorCode", "x", `ErrorCode is "x"`},
	} {
		form := maps.Clone(row.form)
		form.Set(row.name, row.value)
		reports, _, err := receiver(t).Receive(post(row.kind, form))
		var malformed *carrier.Malformed
		require.ErrorAs(t, err, &malformed, row.why)
		require.Equal(t, row.why, malformed.Reason)
		require.Empty(t, reports)
	}
}

func receiver(t *testing.T) *twilio.Carrier {
	t.Helper()
	c, err := twilio.New(config(t), nil)
	require.NoError(t, err)
	return c
}

func post(kind string, form url.Values) carrier.Request {
	return carrier.Request{
		Kind: kind, Method: http.MethodPost, URL: address, Body: []byte(form.Encode()),
		Header: http.Header{"X-Twilio-Signature": {sign(address, form)}},
	}
}

func get(kind string, form url.Values) carrier.Request {
	whole := address + "&" + form.Encode()
	return carrier.Request{Kind: kind, Method: http.MethodGet, URL: whole, Header: http.Header{"X-Twilio-Signature": {sign(whole, nil)}}}
}

// sign is the signature as reference 8.7 describes it.
func sign(address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(name + form.Get(name)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
