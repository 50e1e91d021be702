package webhooks_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	twilio "github.com/twilio/twilio-go/client"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/guard"
	"github.com/parley-engine/parley/internal/webhooks"
)

// inside lets hooks call this machine, and wait for it as long as a test wants to.
func inside(c *webhooks.Config) {
	c.Transport = (&guard.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}).Transport()
	c.Timeout = 300 * time.Millisecond
}

// received is a call as it came.
type received struct {
	*http.Request
	body []byte
}

// receiver keeps what it is called with.
func receiver(t testing.TB, answer func(w http.ResponseWriter, r received)) (*httptest.Server, *[]received) {
	var list []received
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := received{r, body}
		list = append(list, got)
		if answer != nil {
			answer(w, got)
		}
	}))
	t.Cleanup(s.Close)
	return s, &list
}

// called is a job that calls the URL of a message with awkward texts.
func (w *world) called(target, method string) job {
	w.t.Helper()
	w.must(w.account, account.ConfigureWebhooks{PostWebhookURL: &target, Method: &method, Filters: []string{"onMessageAdded"}})
	ch := w.conversation(conversation.Create{})
	w.must(ch, conversation.AddMessage{Author: "al & ice", Body: "grüße\n+100% = \x7f?", Attributes: `{"a":"&b=c"}`})
	jobs := w.told()
	require.Len(w.t, jobs, 1)
	return jobs[0]
}

func TestTwiliosOwnValidatorAcceptsTheSignature(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		for _, path := range []string{"", "/", "/deep/path?a=b&c=d%20e", "/?", "/x#fragment", "/hook?who=Müller", "/退会/a b?x={\"|\"}&p=100%"} {
			w := newWorld(t, inside)
			server, got := receiver(t, nil)
			j := w.called(server.URL+path, method)
			note, err := w.do(j)
			require.NoError(t, err)
			require.Equal(t, "answered 200", note.Text)
			r := (*got)[0]
			require.Equal(t, method, r.Method)
			require.NotRegexp(t, `[^!-~]`, r.RequestURI, "receivers refuse anything else on a request line")
			validator := twilio.NewRequestValidator(testToken)
			full, signature := server.URL+r.RequestURI, r.Header.Get("X-Twilio-Signature")
			values := r.URL.Query()
			if method == "POST" {
				require.True(t, validator.ValidateBody(full, r.body, signature), path)
				require.False(t, validator.ValidateBody(full, append(r.body, "&x=y"...), signature))
				values, err = url.ParseQuery(string(r.body))
				require.NoError(t, err)
				require.Equal(t, "application/x-www-form-urlencoded; charset=utf-8", r.Header.Get("Content-Type"))
			} else {
				require.True(t, validator.Validate(full, nil, signature), path)
				require.Empty(t, r.body)
			}
			for name, value := range j.Parameters {
				require.Equal(t, value, values.Get(name))
			}
		}
	}
}

// Receivers see no user and password in the URL of a request, but a header: what they
// compute the signature of has neither.
func TestUserAndPasswordAreSentAndNotSigned(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		w := newWorld(t, inside)
		server, got := receiver(t, nil)
		_, err := w.do(w.called(strings.Replace(server.URL, "http://", "http://us%C3%BCr:p%40ss@", 1)+"/x?ä=ö", method))
		require.NoError(t, err)
		r := (*got)[0]
		user, password, sent := r.BasicAuth()
		require.Equal(t, []any{"usür", "p@ss", true}, []any{user, password, sent})
		validator := twilio.NewRequestValidator(testToken)
		full, signature := "http://"+r.Host+r.RequestURI, r.Header.Get("X-Twilio-Signature")
		require.True(t, method == "POST" && validator.ValidateBody(full, r.body, signature) ||
			method == "GET" && validator.Validate(full, nil, signature), method)
	}
}

// The verification of Standard Webhooks, from its specification.
func TestStandardWebhooksVerifyTheSignature(t *testing.T) {
	w := newWorld(t, inside)
	server, got := receiver(t, nil)
	j := w.called(server.URL, "POST")
	for range 2 {
		_, err := w.do(j)
		require.NoError(t, err)
	}
	first, second := (*got)[0], (*got)[1]
	require.Equal(t, fmt.Sprint(begun.Unix()), first.Header.Get("webhook-timestamp"))
	require.Equal(t, webhooks.StandardSignature(testToken, first.Header.Get("webhook-id"), begun, first.body), first.Header.Get("webhook-signature"))
	require.True(t, strings.HasPrefix(first.Header.Get("User-Agent"), "TwilioProxy/1.1"))
	require.Len(t, first.Header.Get("I-Twilio-Idempotency-Token"), 36)
	for _, name := range []string{"I-Twilio-Idempotency-Token", "Webhook-Id"} {
		require.Equal(t, first.Header.Get(name), second.Header.Get(name), "attempts of one call have one name")
	}
	// The specification's own example.
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		webhooks.StandardSignature(string(key), "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
}

func TestTheTokenIsTheOneOfTheMoment(t *testing.T) {
	w := newWorld(t, inside)
	server, got := receiver(t, nil)
	j := w.called(server.URL, "POST")
	other := strings.Repeat("f", 32)
	w.must(w.account, account.SetAuthToken{Secret: other})
	_, err := w.do(j)
	require.NoError(t, err)
	validator := twilio.NewRequestValidator(other)
	require.True(t, validator.ValidateBody(server.URL+"/", (*got)[0].body, (*got)[0].Header.Get("X-Twilio-Signature")))
	w.must(w.account, account.SetAuthToken{})
	requireStop(t, w, j, "no auth token")
}

func requireStop(t *testing.T, w *world, j job, reason string) {
	t.Helper()
	_, err := w.do(j)
	var stop *reactor.Stop
	require.ErrorAs(t, err, &stop)
	require.ErrorContains(t, err, reason)
}

func TestWhatAnAnswerMeans(t *testing.T) {
	w := newWorld(t, inside)
	status, retryAfter := 0, ""
	server, _ := receiver(t, func(rw http.ResponseWriter, _ received) {
		rw.Header().Set("Location", "http://elsewhere.example/")
		if retryAfter != "" {
			rw.Header().Set("Retry-After", retryAfter)
		}
		rw.WriteHeader(status)
	})
	j := w.called(server.URL, "POST")
	for _, row := range []struct {
		status     int
		retryAfter string
		done, stop bool
		later      time.Duration
	}{
		{200, "", true, false, 0}, {204, "", true, false, 0}, {299, "", true, false, 0},
		{301, "", false, true, 0}, {302, "", false, true, 0}, {307, "", false, true, 0},
		{400, "", false, true, 0}, {401, "", false, true, 0}, {404, "", false, true, 0}, {410, "", false, true, 0},
		{408, "", false, false, 0}, {429, "", false, false, 0}, {429, "7", false, false, 7 * time.Second},
		{503, begun.Add(time.Minute).Format(http.TimeFormat), false, false, time.Minute}, {503, "-1", false, false, 0}, {503, "soon", false, false, 0},
		{503, "99999", false, false, time.Hour}, {500, "", false, false, 0}, {502, "", false, false, 0}, {504, "", false, false, 0},
	} {
		status, retryAfter = row.status, row.retryAfter
		_, err := w.do(j)
		var stop *reactor.Stop
		var later *reactor.Later
		require.Equal(t, row.done, err == nil, row)
		require.Equal(t, row.stop, errors.As(err, &stop), row)
		require.Equal(t, row.later > 0, errors.As(err, &later), row)
		if later != nil {
			require.Equal(t, row.later, later.After)
		}
		if err != nil {
			require.ErrorContains(t, err, fmt.Sprintf("answered %d", row.status))
		}
	}
}

func TestTargetsThatBehaveBadly(t *testing.T) {
	w := newWorld(t, inside)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, row := range map[string]struct {
		answer func(net.Conn)
		want   string // empty: it counts as done
	}{
		"never answers":         {func(net.Conn) { <-hang }, "no answer in time"},
		"closes at once":        {func(net.Conn) {}, "EOF"},
		"speaks something else": {func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example ESMTP\r\n") }, "malformed HTTP"},
		"has an endless head":   {func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X: y\r\n") }, "exceeded"},
		"drips its head":        {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX"); <-hang }, "no answer in time"},
		"has an endless body":   {func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n\r\n", "spam") }, ""},
		"drips its body":        {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nx"); <-hang }, ""},
		"lies about its length": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx") }, ""},
		"claims to be enormous": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx") }, ""},
		"breaks off with chunks": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := w.called("http://"+raw(t, row.answer), "GET")
			begun := time.Now()
			_, err := w.do(j)
			require.Less(t, time.Since(begun), 5*time.Second)
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.want)
			require.NotContains(t, err.Error(), "Body=", "no parameters in what is kept and logged")
			var stop *reactor.Stop
			require.NotErrorAs(t, err, &stop)
		})
	}
}

func endless(c net.Conn, begin, more string) {
	_, err := io.WriteString(c, begin)
	for err == nil {
		_, err = io.WriteString(c, strings.Repeat(more, 1000))
	}
}

// raw is the address of a server that does as it likes.
func raw(t *testing.T, answer func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener; connections end with the test
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // however it ends
				_, _ = c.Read(make([]byte, 4096))
				answer(c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestWhatCannotBeCalledIsParkedAtOnce(t *testing.T) {
	w := newWorld(t, func(c *webhooks.Config) { c.Transport = new(guard.Guard).Transport() })
	server, got := receiver(t, nil)
	requireStop(t, w, w.called(server.URL, "POST"), "is not a public address")
	requireStop(t, w, w.called("http://169.254.169.254/latest/meta-data/", "GET"), "169.254.169.254:80 is not a public address")
	j := w.called(server.URL, "POST")
	j.Data = []byte(`{"url":"ftp://x.example/","account":"` + w.account + `"}`)
	requireStop(t, w, j, "not an absolute http or https")
	j.Data = []byte(`{`)
	requireStop(t, w, j, "cannot be read")
	require.Empty(t, *got)
}

func TestACertificateThatNobodyTrustsIsNotSpokenTo(t *testing.T) {
	w := newWorld(t, inside)
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	t.Cleanup(server.Close)
	_, err := w.do(w.called(server.URL, "POST"))
	require.ErrorContains(t, err, "certificate")
}

func TestNobodyListens(t *testing.T) {
	w := newWorld(t, inside)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = w.do(w.called("http://user:secret@"+l.Addr().String(), "POST"))
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "secret")
}
