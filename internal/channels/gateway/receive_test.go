package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// receiving is a gateway that sends with the given rules, unsigned.
func receiving(rules string) string {
	return `{"send": {"url": "https://g/"}, "answer": {"id_from_key": true}, "signature": {"unsigned": true}, ` + rules + `}`
}

func inbound(body string) carrier.Request {
	return carrier.Request{Kind: carrier.KindInbound, Method: http.MethodPost, URL: "https://parley/in", Body: []byte(body)}
}

func status(body string) carrier.Request {
	r := inbound(body)
	r.Kind = carrier.KindStatus
	return r
}

func TestAnInboundMessageOfJSON(t *testing.T) {
	g := open(t, receiving(`"prefix": "+", "inbound": {"source": "json", "id": "message.id", "from": "message.from", "to": "message.to",
		"body": "message.text", "media": "message.files.*.url", "media_type": "message.files.*.type", "time": "message.at", "time_layout": "unix",
		"type": "sms", "reply": {"status": 200, "content_type": "text/plain", "body": "OK"}}`))
	reports, answer, err := g.Receive(inbound(`{"message": {"id": 17, "from": "4917123", "to": ["4930123", "72345"], "text": "hi", "at": 1795687200,
		"files": [{"url": "https://m/1", "type": "image/png"}, {"url": "https://m/2", "type": "image/gif"}]}}`))
	require.NoError(t, err)
	require.Equal(t, carrier.Answer{Status: 200, ContentType: "text/plain", Body: []byte("OK")}, answer)
	require.Equal(t, []carrier.Report{{Inbound: &carrier.Inbound{
		ID: "17", Type: "sms", From: "+4917123", To: []string{"+4930123", "72345"}, Body: "hi", At: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC),
		Media: []carrier.Media{{URL: "https://m/1", ContentType: "image/png"}, {URL: "https://m/2", ContentType: "image/gif"}},
	}}}, reports)
}

func TestAnInboundMessageOfAForm(t *testing.T) {
	g := open(t, receiving(`"prefix": "whatsapp:+", "inbound": {"source": "form", "id": "MessageSid", "from": "From", "to": "To", "body": "Body",
		"media": "MediaUrl#", "media_type": "MediaContentType#", "time": "At", "time_layout": "2006-01-02 15:04:05"}`))
	for _, first := range []int{0, 1} {
		reports, _, err := g.Receive(inbound(fmt.Sprintf("MessageSid=7&From=%%2B4917123&To=4930123&Body=a%%26b&At=2026-11-26+10:00:00"+
			"&MediaUrl%d=https://m/1&MediaUrl%d=https://m/2&MediaUrl9=https://m/9&MediaContentType%d=image/png", first, first+1, first)))
		require.NoError(t, err)
		require.Equal(t, []carrier.Report{{Inbound: &carrier.Inbound{
			ID: "7", From: "whatsapp:+4917123", To: []string{"whatsapp:+4930123"}, Body: "a&b", At: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC),
			Media: []carrier.Media{{URL: "https://m/1", ContentType: "image/png"}, {URL: "https://m/2"}},
		}}}, reports)
	}
}

func TestAnInboundMessageOfAQueryWithoutAnID(t *testing.T) {
	g := open(t, receiving(`"inbound": {"source": "query", "id_from_content": true, "from": "from", "to": "to", "body": "text"}`))
	take := func(address string) *carrier.Inbound {
		reports, answer, err := g.Receive(carrier.Request{Kind: carrier.KindInbound, Method: http.MethodGet, URL: address})
		require.NoError(t, err)
		require.Zero(t, answer.Status)
		return reports[0].Inbound
	}
	first := take("https://parley/in?from=%2B4917&to=4930&text=hi&=x")
	require.Equal(t, "hi", first.Body)
	require.Len(t, first.ID, 34)
	require.Equal(t, first, take("https://parley/in?from=%2B4917&to=4930&text=hi&=x"))
	require.NotEqual(t, first.ID, take("https://parley/in?from=%2B4917&to=4930&text=ho&=x").ID)
}

const reports = `"status": {"source": "json", "each": ".", "id": "ref", "to": "to", "status": "state", "code": "error.code", "time": "at",
	"words": {"DLVRD": "delivered", "SEEN": "read", "BUF": "ignore", "FAIL": "undelivered"}, "error_codes": {"27": 30003}}`

func TestSeveralStatusesInOneRequest(t *testing.T) {
	got, _, err := open(t, receiving(`"prefix": "+", `+reports)).Receive(status(`[
		{"ref": "a", "to": "4917123", "state": "DLVRD", "at": "2026-11-26T11:00:00+01:00"}, {"ref": "b", "state": "BUF"},
		{"ref": "c", "state": "FAIL", "error": {"code": 27}}, {"ref": "d", "state": "FAIL", "error": {"code": 28}}]`))
	require.NoError(t, err)
	require.Equal(t, []carrier.Report{
		{Status: &carrier.Status{ID: "a", To: "+4917123", Status: "delivered", At: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)}},
		{Status: &carrier.Status{ID: "c", Status: "undelivered", ErrorCode: 30003}},
		{Status: &carrier.Status{ID: "d", Status: "undelivered"}},
	}, got)
	got, _, err = open(t, receiving(reports)).Receive(status(`[]`))
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestMessagesAndStatusesMayComeToOneAddress(t *testing.T) {
	g := open(t, receiving(`"prefix": "whatsapp:+", "one_url": true,
		"inbound": {"source": "json", "each": "entry.*.changes.*.value.messages", "id": "id", "from": "from",
			"to": "$.entry[0].changes[0].value.metadata.number", "body": "text.body", "type": "whatsapp"},
		"status": {"source": "json", "each": "entry.*.changes.*.value.statuses", "id": "id", "to": "recipient_id", "status": "status",
			"words": {"read": "read"}}`))
	for _, kind := range []string{carrier.KindInbound, carrier.KindStatus} {
		r := inbound(`{"entry": [{"changes": [{"value": {"metadata": {"number": "4930123"},
			"messages": [{"id": "m1", "from": "4917123", "text": {"body": "hi"}}], "statuses": [{"id": "s1", "recipient_id": "4917123", "status": "read"}]}}]}]}`)
		r.Kind = kind
		got, _, err := g.Receive(r)
		require.NoError(t, err)
		require.Equal(t, []carrier.Report{
			{Inbound: &carrier.Inbound{ID: "m1", Type: "whatsapp", From: "whatsapp:+4917123", To: []string{"whatsapp:+4930123"}, Body: "hi"}},
			{Status: &carrier.Status{ID: "s1", To: "whatsapp:+4917123", Status: "read"}},
		}, got)
	}
	got, _, err := g.Receive(inbound(`{"entry": []}`))
	require.NoError(t, err)
	require.Empty(t, got, "it need not have anything")
}

func TestWhatCannotBeReadIsMalformed(t *testing.T) {
	in := `"inbound": {"source": "json", "id": "id", "from": "from", "to": "to", "body": "text", "media": "media", "time": "at", "time_layout": "unix-ms"}, `
	form := `"inbound": {"source": "form", "id": "id", "from": "from", "to": "to", "body": "text"}, `
	for _, row := range []struct {
		rules string
		r     carrier.Request
		why   string
	}{
		{in, inbound(`{`), "no JSON"}, {in, inbound(`{} {}`), "no JSON"}, {form, inbound(`%`), "invalid URL escape"},
		{in, inbound(`{"from":"a","to":"b"}`), "no id"}, {in, inbound(`{"id":"a","to":"b"}`), "lacks from"}, {in, inbound(`{"id":"a","from":"b"}`), "lacks from"},
		{in, inbound(`{"id":{},"from":"a","to":"b"}`), "no id"}, {in, inbound(`[]`), "lacks from"},
		{in, inbound(`{"id":"a","from":"a","to":"b","at":"noon"}`), `the time is "noon"`}, {in, inbound(`{"id":"a","from":"a","to":"b","at":-1}`), "the time is"},
		{in, inbound(`{"id":"a","from":"a","to":"b","media":[` + strings.Repeat(`"u",`, 50) + `"u"]}`), "too much media"},
		{in, inbound(strings.Repeat(" ", 5<<20)), "too long"},
		{"", inbound(`{}`), "not configured"},
		{"", status(`[{"ref":"a","state":"LOST"}]`), `the status is "LOST"`}, {"", status(`[{"state":"SEEN"}]`), "no id"},
		{"", status(`[{"ref":"a","state":"SEEN","at":"noon"}]`), "the time is"},
		{"", status(`[` + strings.Repeat(`{},`, 1000) + `{}]`), "too many reports"},
	} {
		got, _, err := open(t, receiving(row.rules+reports)).Receive(row.r)
		var malformed *carrier.Malformed
		require.ErrorAs(t, err, &malformed, row.why)
		require.Contains(t, malformed.Reason, row.why)
		require.Empty(t, got)
	}
	g := open(t, receiving(strings.Replace(reports, `"each": "."`, `"each": "results"`, 1)))
	_, _, err := g.Receive(status(`{"error": "what?"}`))
	require.ErrorContains(t, err, "no reports where they should be")
}
