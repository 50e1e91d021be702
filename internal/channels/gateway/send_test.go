package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// simple is a gateway with rules for its answers.
func simple(address, rules string) string {
	return `{"secrets": {"token": "hush"}, "send": {"url": "` + address + `/?t={{.Secret.token}}", "timeout_seconds": 5}, "answer": {` + rules + `}}`
}

func TestAnAnswerIsJudged(t *testing.T) {
	const codes = `"id": "id", "code": "code", "accepted_codes": ["0"], "later_codes": ["1"], "error_codes": {"5": 30005}`
	for _, row := range []struct {
		status      int
		body, rules string
		want        string
	}{
		{200, `{"id":"x"}`, `"id": "id"`, "sent"},
		{299, `{"id":"x"}`, `"id": "id"`, "sent"},
		{200, `{}`, `"id": "id"`, "unknown"},
		{200, `<html>`, `"id": "id"`, "unknown"},
		{200, `{"id":"x"} {"id":"y"}`, `"id": "id"`, "unknown"},
		{200, `nothing`, `"id_pattern": "id=(.+)"`, "unknown"},
		{200, `{"pad":"` + strings.Repeat("x", 70_000) + `","id":"x"}`, `"id": "id"`, "unknown"},
		{429, ``, `"id": "id"`, "later"}, {503, ``, `"id": "id"`, "later"}, {500, ``, `"id": "id"`, "later"},
		{502, ``, `"id": "id"`, "unknown"}, {504, ``, `"id": "id"`, "unknown"}, {302, ``, `"id": "id"`, "unknown"},
		{400, ``, `"id": "id"`, "refused 0"}, {404, ``, `"id": "id"`, "refused 0"},
		{404, `{"id":"x"}`, `"id": "id", "accepted": ["404"]`, "sent"},
		{200, ``, `"id": "id", "refused": ["2xx"]`, "refused 0"},
		{500, ``, `"id": "id", "unknown": ["5xx"]`, "unknown"},
		{502, ``, `"id": "id", "later": ["5xx"]`, "later"},
		{503, ``, `"id": "id", "later": ["5xx"], "refused": ["503"]`, "refused 0"},
		{200, `{"id":"x","code":0}`, codes, "sent"}, {200, `{"id":"x","code":"1"}`, codes, "later"}, {400, `{"code":1}`, codes, "later"},
		{200, `{"id":"x","code":5}`, codes, "refused 30005"}, {400, `{"code":5}`, codes, "refused 30005"}, {400, `{"code":6}`, codes, "refused 0"},
		{200, `{"id":"x"}`, codes, "unknown"}, {502, `{"code":1}`, codes, "unknown"},
		{200, `OK 17`, `"id_pattern": "OK (\\d+)", "code_pattern": "^(\\w+)", "accepted_codes": ["OK"]`, "sent"},
	} {
		s := serve(t, row.status, row.body, "Retry-After", "9", "Location", "/elsewhere")
		sent, err := open(t, simple(s.URL, row.rules)).Send(t.Context(), message)
		require.Equal(t, row.want, outcome(sent, err), "%d %.50s %s", row.status, row.body, row.rules)
		require.EqualValues(t, 1, s.asked.Load(), "it is asked once, and redirects are not followed")
	}
}

// outcome names what Send returned.
func outcome(sent carrier.Sent, err error) string {
	switch e := err.(type) { //nolint:errorlint // these two are returned as they are
	case nil:
		if sent.ID == "" {
			return "sent without an id"
		}
		return "sent"
	case *carrier.Refused:
		return "refused " + strings.TrimSuffix(strings.TrimPrefix(strings.SplitN(e.Error(), ")", 2)[0], "refused ("), ")")
	case *carrier.Later:
		if e.After != 9*time.Second {
			return "later, but not when it was asked to"
		}
		return "later"
	}
	if strings.Contains(err.Error(), carrier.ErrUnknown.Error()) {
		return "unknown"
	}
	return "not sent"
}

func TestThePauseIsConfigured(t *testing.T) {
	s := serve(t, 503, "")
	_, err := open(t, simple(s.URL, `"id": "id", "later_seconds": 77`)).Send(t.Context(), message)
	var later *carrier.Later
	require.ErrorAs(t, err, &later)
	require.Equal(t, 77*time.Second, later.After)
}

func TestWhoeverIsNotOneRecipientIsRefused(t *testing.T) {
	g := open(t, simple("http://127.0.0.1:1", `"id": "id"`))
	for _, to := range [][]string{nil, {"+1", "+2"}} {
		m := message
		m.To = to
		_, err := g.Send(t.Context(), m)
		var refused *carrier.Refused
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Reason, "no native groups")
	}
}

func TestAMessageThatNeverLeftIsTriedAgain(t *testing.T) {
	s := serve(t, 200, "")
	s.Close()
	g := open(t, simple(s.URL, `"id": "id"`))
	sent, err := g.Send(t.Context(), message)
	require.Equal(t, "not sent", outcome(sent, err))
	require.NotContains(t, err.Error(), "hush", "addresses have secrets")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sent, err = g.Send(ctx, message)
	require.Equal(t, "not sent", outcome(sent, err))
}

func TestNoAnswerIsUnknown(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	rules := strings.Replace(simple(silent.URL, `"id": "id"`), `"timeout_seconds": 5`, `"timeout_seconds": 0.3`, 1)
	_, err := open(t, rules).Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), "hush")

	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"id":`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer half.Close()
	_, err = open(t, simple(half.URL, `"id": "id"`)).Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.ErrorContains(t, err, "unexpected EOF")
}

// The transport of the standard library repeats a GET by itself when a connection
// that it kept breaks.
func TestAGETIsNotRepeatedByItself(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(`{"id":"x"}`))
	}))
	defer s.Close()
	g := open(t, strings.Replace(simple(s.URL, `"id": "id"`), `"send": {`, `"send": {"method": "GET",`, 1))
	_, err := g.Send(t.Context(), message)
	require.NoError(t, err)
	_, err = g.Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.EqualValues(t, 2, asked.Load())
}

func TestAMessageThatBreaksTheRequestIsRefused(t *testing.T) {
	g := open(t, `{"send": {"url": "http://127.0.0.1:1/", "headers": {"X-From": "{{.From}}"}}, "answer": {"id": "id"}}`)
	m := message
	m.From = "evil\r\nX-Admin: 1"
	_, err := g.Send(t.Context(), m)
	var refused *carrier.Refused
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Reason, "several lines")

	g = open(t, `{"send": {"url": "http://127.0.0.1:1/", "headers": {"Content-Type": "text/plain"}, "body": "{{.Body}}"}, "answer": {"id": "id"}}`)
	m.Body = strings.Repeat("x", 2<<20)
	_, err = g.Send(t.Context(), m)
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Reason, "too long")
}
