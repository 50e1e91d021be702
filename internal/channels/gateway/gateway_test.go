package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ interface {
	carrier.Carrier
	carrier.Receiver
} = (*gateway.Carrier)(nil)

var message = carrier.Outgoing{
	Key: "key-1", Type: "sms", From: "+4930", To: []string{"+4917"}, Body: "say \"hi\" & <wave> ü\n", Media: []string{"https://m/1", "https://m/2"},
	StatusURL: "https://parley/status?x=1",
}

// parse reads a configuration as strictly as it is read in operation; secrets are
// files of the test.
func parse(t *testing.T, text string) gateway.Config {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var c gateway.Config
	require.NoError(t, decoder.Decode(&c))
	for name, content := range c.Secrets {
		c.Secrets[name] = filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(c.Secrets[name], []byte(content+"\n"), 0o600))
	}
	return c
}

func open(t *testing.T, text string) *gateway.Carrier {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	made, err := gateway.New(parse(t, text), transport)
	require.NoError(t, err)
	return made
}

// server plays a gateway.
type server struct {
	*httptest.Server
	asked atomic.Int32
	last  atomic.Pointer[asked]
}

// asked is a request that came.
type asked struct {
	line, body string
	header     http.Header
}

func serve(t *testing.T, status int, body string, headers ...string) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		content := make([]byte, 10_000)
		n, _ := r.Body.Read(content)
		s.last.Store(&asked{r.Method + " " + r.RequestURI, string(content[:n]), r.Header})
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s
}

const jsonGateway = `{
	"secrets": {"token": "hush"}, "prefix": "+",
	"send": {
		"url": "ADDRESS/v1/messages", "idempotent": true,
		"headers": {"Content-Type": "application/json", "Authorization": "Bearer {{.Secret.token}}", "Idempotency-Key": "{{.Key}}"},
		"body": "{\"from\":{{json .From}},\"to\":{{json (first .To)}},\"text\":{{json .Body}},\"media\":{{json .Media}},\"status\":{{json .StatusURL}}}"
	},
	"answer": {"id": "messages[0].id"}
}`

func TestAJSONGateway(t *testing.T) {
	s := serve(t, 202, `{"messages":[{"id":12345678901234567890,"state":"ok"}]}`)
	g := open(t, strings.ReplaceAll(jsonGateway, "ADDRESS", s.URL))
	sent, err := g.Send(t.Context(), message)
	require.NoError(t, err)
	require.Equal(t, carrier.Sent{ID: "12345678901234567890", Status: "queued"}, sent)
	require.True(t, g.Idempotent())
	got := s.last.Load()
	require.Equal(t, "POST /v1/messages", got.line)
	require.Equal(t, "Bearer hush", got.header.Get("Authorization"))
	require.Equal(t, "key-1", got.header.Get("Idempotency-Key"))
	require.JSONEq(t, `{"from":"4930","to":"4917","text":"say \"hi\" & <wave> ü\n","media":["https://m/1","https://m/2"],"status":"https://parley/status?x=1"}`, got.body)
}

func TestAGatewayOfQueries(t *testing.T) {
	s := serve(t, 200, "ID: abc-7\n")
	g := open(t, `{
		"secrets": {"password": "p&w"},
		"send": {"method": "GET", "url": "`+s.URL+`/send?pw={{query .Secret.password}}&to={{query (join .To \",\")}}&text={{query .Body}}",
			"headers": {"Authorization": "Basic {{base64 (printf \"me:%s\" .Secret.password)}}"}, "groups": true},
		"answer": {"id_pattern": "ID: (\\S+)", "status": "sent"}
	}`)
	m := message
	m.To = []string{"+1", "+2"}
	sent, err := g.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, carrier.Sent{ID: "abc-7", Status: "sent"}, sent)
	require.Equal(t, "GET /send?pw=p%26w&to=%2B1%2C%2B2&text=say+%22hi%22+%26+%3Cwave%3E+%C3%BC%0A", s.last.Load().line)
	require.Equal(t, "Basic bWU6cCZ3", s.last.Load().header.Get("Authorization"))
	require.False(t, g.Idempotent())
}

func TestAGatewayOfForms(t *testing.T) {
	s := serve(t, 200, "")
	g := open(t, `{
		"send": {"url": "`+s.URL+`/{{path .Type}}", "headers": {"content-type": "application/x-www-form-urlencoded"},
			"body": "ref={{form .Key}}&text={{form .Body}}{{range .Media}}&media={{form .}}{{end}}"},
		"answer": {"id_from_key": true}
	}`)
	sent, err := g.Send(t.Context(), message)
	require.NoError(t, err)
	require.Equal(t, "key-1", sent.ID)
	require.Equal(t, "POST /sms", s.last.Load().line)
	require.Equal(t, "ref=key-1&text=say+%22hi%22+%26+%3Cwave%3E+%C3%BC%0A&media=https%3A%2F%2Fm%2F1&media=https%3A%2F%2Fm%2F2", s.last.Load().body)
}

func TestTheConfigurationIsChecked(t *testing.T) {
	send := `"send": {"url": "https://g/"}`
	answer := `"answer": {"id_from_key": true}`
	in := `"inbound": {"source": "json", "id": "id", "from": "f", "to": "t", "body": "b"}`
	st := `"status": {"source": "json", "id": "id", "status": "s", "words": {"DONE": "delivered"}}`
	hmac := `"secrets": {"k": "key"}, "signature": {"hmac": {"secret": "k", "header": "X"`
	for why, text := range map[string]string{
		"method is none":                  `"send": {"method": "DELETE", "url": "https://g/"},` + answer,
		"no http or https":                `"send": {"url": "ftp://g/"},` + answer,
		"url is no http or https address": `"send": {"url": "https://g/{{.Body}}"},` + answer,
		"host of url depends":             `"send": {"url": "https://{{len .Body}}.g/"},` + answer,
		"unclosed action":                 `"send": {"url": "https://g/{{"},` + answer,
		"no entry for key":                `"send": {"url": "https://g/{{.Secret.absent}}"},` + answer,
		"use {{json .Body}}":              `"send": {"url": "https://g/", "headers": {"Content-Type": "application/json"}, "body": "{\"text\":\"{{.Body}}\"}"},` + answer,
		"several lines":                   `"send": {"url": "https://g/", "headers": {"X-Text": "{{.Body}}"}},` + answer,
		"without a Content-Type":          `"send": {"url": "https://g/", "body": "x"},` + answer,
		"no template has .Key":            `"send": {"url": "https://g/", "idempotent": true},` + answer,
		"timeout_seconds":                 `"send": {"url": "https://g/", "timeout_seconds": 301},` + answer,
		"exactly one of id":               send + `,"answer": {"id": "a", "id_from_key": true}`,
		"with one group":                  send + `,"answer": {"id_pattern": "id: .*"}`,
		"empty step":                      send + `,"answer": {"id": "a..b"}`,
		"exclude each other":              send + `,"answer": {"id": "a", "code": "a", "code_pattern": "(a)"}`,
		"neither code nor":                send + `,"answer": {"id": "a", "accepted_codes": ["0"]}`,
		"neither queued nor sent":         send + `,"answer": {"id": "a", "status": "read"}`,
		"later_seconds":                   send + `,"answer": {"id": "a", "later_seconds": -1}`,
		"listed twice":                    send + `,"answer": {"id": "a", "accepted": ["200"], "refused": ["200"]}`,
		`"2x" is listed`:                  send + `,"answer": {"id": "a", "accepted": ["2x"]}`,
		"exactly one of hmac":             send + "," + answer + "," + in,
		"source is none":                  send + "," + answer + `,"inbound": {"source": "xml"}`,
		"id is missing":                   send + "," + answer + `,"inbound": {"source": "json"}`,
		"body is missing":                 send + "," + answer + `,"inbound": {"source": "json", "id": "i", "from": "f", "to": "t"}`,
		"media_type without":              send + "," + answer + `,"inbound": {"source": "json", "id": "i", "from": "f", "to": "t", "body": "b", "media_type": "m"}`,
		"each is for json":                send + "," + answer + `,"inbound": {"source": "form", "each": "."}`,
		"time_layout without":             send + "," + answer + `,"inbound": {"source": "form", "time_layout": "unix"}`,
		"between 200 and 299":             send + "," + answer + `,"inbound": {"source": "form", "reply": {"status": 302}}`,
		"each: a path":                    send + "," + answer + `,"inbound": {"source": "json", "each": "a."}`,
		"words are needed":                send + "," + answer + `,"status": {"source": "json", "id": "i", "status": "s"}`,
		"which is no status":              send + "," + answer + `,"status": {"source": "json", "id": "i", "status": "s", "words": {"x": "y"}}`,
		"error_codes without":             send + "," + answer + `,"status": {"source": "json", "id": "i", "status": "s", "words": {"x": "read"}, "error_codes": {"1": 2}}`,
		"one_url needs":                   send + "," + answer + "," + in + "," + st + `,"one_url": true,"signature": {"unsigned": true}`,
		`no secret "k"`:                   send + "," + answer + "," + in + `,"signature": {"hmac": {"secret": "k"}}`,
		`no secret "t"`:                   send + "," + answer + "," + in + `,"signature": {"token": {"secret": "t"}}`,
		"either header or query":          send + "," + answer + "," + in + `,"secrets": {"t": "x"}, "signature": {"token": {"secret": "t"}}`,
		"sha1 or sha256":                  send + "," + answer + "," + in + "," + hmac + `, "algorithm": "md5"}}`,
		"signature: header":               send + "," + answer + "," + in + `,"secrets": {"k": "x"}, "signature": {"hmac": {"secret": "k"}}`,
		"signed has no":                   send + "," + answer + "," + in + "," + hmac + `, "signed": "x"}}`,
		"need each other":                 send + "," + answer + "," + in + "," + hmac + `}, "timestamp": {"header": "T"}}`,
		"timestamp lacks":                 send + "," + answer + "," + in + "," + hmac + `, "signed": "{timestamp}{body}"}, "timestamp": {}}`,
		"nothing would sign":              send + "," + answer + "," + in + `,"signature": {"unsigned": true, "timestamp": {"header": "T"}}`,
		"a query is no part":              send + "," + answer + "," + strings.Replace(in, "json", "query", 1) + "," + hmac + `}}`,
		"secrets: k: read a secret":       `"secrets": {"k": ""},` + send + "," + answer,
	} {
		_, err := gateway.New(parse(t, "{"+text+"}"), nil)
		require.ErrorContains(t, err, why)
	}
	_, err := gateway.New(parse(t, "{"+send+","+answer+","+in+","+st+`,"signature": {"unsigned": true}}`), nil)
	require.NoError(t, err)
}
