package twilio_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/twilio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "AC00000000000000000000000000000001"
	key     = "SK00000000000000000000000000000001"
	service = "MG00000000000000000000000000000001"
	token   = "12345678901234567890123456789012"
	created = `{"sid":"SM1","status":"queued"}`
)

var _ interface {
	carrier.Carrier
	carrier.Receiver
} = (*twilio.Carrier)(nil)

func TestAMessageIsSentWithEverythingItHas(t *testing.T) {
	api := play(t, http.StatusCreated, created)
	c := open(t, api, nil)
	sent, err := c.Send(t.Context(), carrier.Outgoing{
		Key: "k", From: "+4930", To: []string{"+4917"}, Body: "hello & good bye",
		Media: []string{"https://m/1", "https://m/2"}, StatusURL: "https://parley/status?a=b",
	})
	require.NoError(t, err)
	require.Equal(t, carrier.Sent{ID: "SM1", Status: "queued"}, sent)
	require.Equal(t, []string{"POST /2010-04-01/Accounts/" + account + "/Messages.json"}, api.lines)
	require.Equal(t, []string{account, token}, api.basic)
	require.Equal(t, url.Values{
		"From": {"+4930"}, "To": {"+4917"}, "Body": {"hello & good bye"}, "MediaUrl": {"https://m/1", "https://m/2"},
		"StatusCallback": {"https://parley/status?a=b"},
	}, api.form)
	require.False(t, c.Idempotent())
}

func TestWhatAMessageLacksIsNotSent(t *testing.T) {
	api := play(t, http.StatusCreated, created)
	c := open(t, api, nil)
	_, err := c.Send(t.Context(), carrier.Outgoing{From: "whatsapp:+4930", To: []string{"whatsapp:+4917"}, Media: []string{"https://m/1"}})
	require.NoError(t, err)
	require.Equal(t, url.Values{"From": {"whatsapp:+4930"}, "To": {"whatsapp:+4917"}, "MediaUrl": {"https://m/1"}}, api.form)
}

func TestAKeyAndAMessagingServiceAreUsedWhereTheyAreGiven(t *testing.T) {
	api := play(t, http.StatusCreated, created)
	c := open(t, api, func(c *twilio.Config) {
		c.APIKeySid, c.APIKeySecretFile, c.MessagingServiceSid = key, file(t, "keysecret"), service
		c.BaseURL += "/twilio/"
	})
	_, err := c.Send(t.Context(), message)
	require.NoError(t, err)
	require.Equal(t, []string{key, "keysecret"}, api.basic)
	require.Equal(t, service, api.form.Get("MessagingServiceSid"))
	require.Equal(t, "+4930", api.form.Get("From"))
	require.Equal(t, []string{"POST /twilio/2010-04-01/Accounts/" + account + "/Messages.json"}, api.lines)
}

func TestTheStatusOfTheAnswerIsKept(t *testing.T) {
	for word, want := range map[string]string{
		"accepted": "queued", "scheduled": "queued", "sending": "queued", "sent": "sent", "delivered": "delivered", "failed": "failed",
		"quantum": "queued", "": "queued",
	} {
		sent, err := open(t, play(t, http.StatusCreated, `{"sid":"SM1","status":"`+word+`"}`), nil).Send(t.Context(), message)
		require.NoError(t, err)
		require.Equal(t, want, sent.Status, word)
	}
}

func TestTheMessagesAPIHasNoGroups(t *testing.T) {
	c := open(t, play(t, http.StatusCreated, created), nil)
	for _, to := range [][]string{nil, {"+1", "+2"}} {
		_, err := c.Send(t.Context(), carrier.Outgoing{From: "+4930", To: to, Body: "hello"})
		var refused *carrier.Refused
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Reason, "no native groups")
	}
}

func TestTheConfigurationIsStrict(t *testing.T) {
	for why, change := range map[string]func(*twilio.Config){
		"account_sid":                func(c *twilio.Config) { c.AccountSid = "AC1" },
		"auth_token_file is missing": func(c *twilio.Config) { c.AuthTokenFile = "" },
		"auth_token_file: read":      func(c *twilio.Config) { c.AuthTokenFile = "/absent" },
		"is empty":                   func(c *twilio.Config) { c.AuthTokenFile = file(t, "\n") },
		"letters and digits":         func(c *twilio.Config) { c.AuthTokenFile = file(t, "a b") },
		"api_key_sid is":             func(c *twilio.Config) { c.APIKeySid, c.APIKeySecretFile = "SK", "x" },
		"need each other":            func(c *twilio.Config) { c.APIKeySid = key },
		"api_key_secret_file: read":  func(c *twilio.Config) { c.APIKeySid, c.APIKeySecretFile = key, "/absent" },
		"messaging_service_sid":      func(c *twilio.Config) { c.MessagingServiceSid = account },
		"region and edge":            func(c *twilio.Config) { c.Edge = "evil.example/" },
		"timeout_seconds":            func(c *twilio.Config) { c.TimeoutSeconds = -1 },
		"base_url":                   func(c *twilio.Config) { c.BaseURL = "ftp://x" },
	} {
		c := config(t)
		change(&c)
		_, err := twilio.New(c, nil)
		require.ErrorContains(t, err, why)
	}
	_, err := twilio.New(config(t), nil)
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(`{"account_sid":"` + account + `","auth_token":"` + token + `"}`))
	decoder.DisallowUnknownFields()
	var c twilio.Config
	require.ErrorContains(t, decoder.Decode(&c), "auth_token", "secrets do not stand in a configuration")
}

var message = carrier.Outgoing{Key: "k", From: "+4930", To: []string{"+4917"}, Body: "hello"}

// api plays the Messages API; it keeps what it was last asked.
type api struct {
	*httptest.Server
	lines []string
	form  url.Values
	basic []string
}

func play(t *testing.T, status int, body string) *api {
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.lines = append(a.lines, r.Method+" "+r.URL.Path)
		user, password, _ := r.BasicAuth()
		a.basic = []string{user, password}
		if err := r.ParseForm(); err != nil {
			t.Errorf("form: %v", err)
		}
		a.form = r.PostForm
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(a.Close)
	return a
}

func config(t *testing.T) twilio.Config {
	return twilio.Config{AccountSid: account, AuthTokenFile: file(t, token+"\n")}
}

// open makes a carrier that sends to the server, over connections of its own.
func open(t *testing.T, to *api, change func(*twilio.Config)) *twilio.Carrier {
	t.Helper()
	c := config(t)
	c.BaseURL = to.URL
	if change != nil {
		change(&c)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	made, err := twilio.New(c, transport)
	require.NoError(t, err)
	return made
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
