package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Numbers of the tests of carriers.
const (
	ours   = "+4930555000"
	theirs = "+491700000001"
)

// line is a server with one adapter, called gate, and a conversation through it.
type line struct {
	*testing.T
	dir, account, token string
	flags               []string
	server              *process
	conversation        string
}

// through starts a server whose messages go through an adapter of the type, and a
// conversation of an agent and a phone. Secrets are "secret", in the file %s of the settings.
func through(t *testing.T, kind, settings string, flags ...string) *line {
	t.Helper()
	dir, outside := t.TempDir(), t.TempDir()
	secret, file := filepath.Join(outside, "secret"), filepath.Join(outside, "channels.json")
	require.NoError(t, os.WriteFile(secret, []byte("secret\n"), 0o600))
	text := fmt.Sprintf(`{"adapters": {"gate": {"type": %q, "settings": %s}}, "default": "gate"}`, kind, fmt.Sprintf(settings, secret))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	l := &line{T: t, dir: dir, flags: append([]string{"--channels", file, "--log-level", "error"}, flags...)}
	l.start()
	l.account, l.token = l.read("account"), l.read("secrets/auth-token")
	l.conversation = l.converse()
	return l
}

func (l *line) start() { l.Helper(); l.server = serving(l.T, l.dir, l.flags...) }

// kill ends the server as a power cut does, and starts another one.
func (l *line) kill() {
	l.Helper()
	_, err := l.server.end(os.Kill)
	require.NoError(l, err)
	l.start()
}

func (l *line) read(name string) string {
	data, err := os.ReadFile(filepath.Join(l.dir, name))
	require.NoError(l, err)
	return strings.TrimSpace(string(data))
}

// converse makes the Messaging Service and the conversation.
func (l *line) converse() string {
	mg := picked(l.T, `(MG\w{32})`, l.run("command", "send", "account.add-messaging-service", "--set", "friendly_name=Numbers", "--set", `senders:=["`+ours+`"]`))
	ch := picked(l.T, `"sid":"(CH\w+)"`, l.post("/v1/Conversations", "MessagingServiceSid", mg))
	l.post("/v1/Conversations/"+ch+"/Participants", "Identity", "agent")
	l.post("/v1/Conversations/"+ch+"/Participants", "MessagingBinding.Address", theirs, "MessagingBinding.ProxyAddress", ours)
	return ch
}

func picked(t *testing.T, pattern, text string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, m, "%s in %s", pattern, text)
	return m[1]
}

// run runs a command on the server's folder.
func (l *line) run(args ...string) string {
	l.Helper()
	out, errOut, code := parley(l.T, append(args, "--data", l.dir)...)
	require.Zero(l, code, errOut)
	return out
}

// request makes a request of the server.
func (l *line) request(method, path, body string, header http.Header) (status int, answer string) {
	l.Helper()
	e, err := l.server.folder.running()
	require.NoError(l, err)
	r, err := http.NewRequestWithContext(l.Context(), method, e.HTTP+path, strings.NewReader(body))
	require.NoError(l, err)
	r.Header = header
	if strings.HasPrefix(path, "/v1/") {
		r.SetBasicAuth(l.account, l.token)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(l, err)
	data, err := io.ReadAll(response.Body)
	require.NoError(l, err)
	require.NoError(l, response.Body.Close())
	return response.StatusCode, string(data)
}

func form(fields ...string) url.Values {
	f := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		f.Set(fields[i], fields[i+1])
	}
	return f
}

func formHeader() http.Header {
	return http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
}

func (l *line) post(path string, fields ...string) string {
	l.Helper()
	status, body := l.request(http.MethodPost, path, form(fields...).Encode(), formHeader())
	require.Equal(l, http.StatusCreated, status, body)
	return body
}

// say adds a message of the agent and returns its SID.
func (l *line) say(text string) string {
	l.Helper()
	return picked(l.T, `"sid":"(IM\w+)"`, l.post("/v1/Conversations/"+l.conversation+"/Messages", "Author", "agent", "Body", text))
}

// until waits until a command prints a match.
func (l *line) until(pattern string, args ...string) {
	l.Helper()
	match := regexp.MustCompile(pattern)
	var out string
	err := eventually(pattern, func() (bool, error) {
		out = l.run(args...)
		return match.MatchString(out), nil
	})
	require.NoError(l, err, out)
}

// untilReceipt waits until the only receipt of a message says so.
func (l *line) untilReceipt(message, status, id string) {
	l.Helper()
	var last string
	err := eventually("the receipt is "+status, func() (bool, error) {
		_, last = l.request(http.MethodGet, "/v1/Conversations/"+l.conversation+"/Messages/"+message+"/Receipts", "", http.Header{})
		one := strings.Count(last, `"status":"`) == 1
		return one && strings.Contains(last, `"status":"`+status+`"`) && strings.Contains(last, `"channel_message_sid":"`+id+`"`), nil
	})
	require.NoError(l, err, last)
}

// untilHeard waits until everything that was handed over is done and the conversation
// has exactly these messages from outside.
func (l *line) untilHeard(texts ...string) {
	l.Helper()
	var got []string
	err := eventually("messages come in", func() (bool, error) {
		got = l.heard(l.conversation)
		return len(got) >= len(texts) && !strings.Contains(l.run("inbound", "list", "-o", "jsonl"), `"state":"pending","what":"inbound"`), nil
	})
	require.NoError(l, err, "%v", got)
	require.Equal(l, texts, got)
}

// heard are the texts from the phone.
func (l *line) heard(conversation string) (texts []string) {
	decoder := json.NewDecoder(strings.NewReader(l.run("message", "list", conversation, "-o", "jsonl")))
	for decoder.More() {
		var m struct{ Author, Body string }
		require.NoError(l, decoder.Decode(&m))
		if m.Author != "agent" {
			texts = append(texts, m.Body)
		}
	}
	return texts
}

// refused requires the status of a callback, and that nothing is kept of it.
func (l *line) refused(status int, method, path, body string, header http.Header) {
	l.Helper()
	kept := strings.Count(l.run("inbound", "list", "-o", "jsonl", "--limit", "0"), "\n")
	got, answer := l.request(method, path, body, header)
	require.Equal(l, status, got, answer)
	require.Equal(l, kept, strings.Count(l.run("inbound", "list", "-o", "jsonl", "--limit", "0"), "\n"))
}

// told requires that a callback is taken.
func (l *line) told(method, path, body string, header http.Header) {
	l.Helper()
	status, answer := l.request(method, path, body, header)
	require.Contains(l, []int{http.StatusOK, http.StatusNoContent}, status, answer)
}

// untilUnknown waits until a status of a message that nobody sent waits visibly.
func (l *line) untilUnknown() {
	l.Helper()
	l.until(`"state":"(pending|parked)","what":"status".*"note":"no message with this id was sent"`, "inbound", "list", "-o", "jsonl")
}

// sending is what a fake gateway was sent.
type sending struct {
	path   string
	header http.Header
	fields url.Values
	body   string
}

// outpost is a fake gateway: it shows what comes, and answers when it is told to.
type outpost struct {
	came   chan sending
	answer chan string // of the next request; "" is 503
}

func newOutpost() *outpost {
	return &outpost{came: make(chan sending, 100), answer: make(chan string, 100)}
}

// ServeHTTP implements http.Handler.
func (o *outpost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	fields, _ := url.ParseQuery(r.URL.RawQuery + "&" + string(body))
	o.came <- sending{r.URL.Path, r.Header, fields, string(body)}
	select {
	case text := <-o.answer:
		if text == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, text)
	case <-r.Context().Done():
	}
}
