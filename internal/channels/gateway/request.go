package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/template"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/reactor/guard"
)

// mostRequest bounds what a template may give, in bytes.
const mostRequest = 1 << 20

// request makes HTTP requests of messages.
type request struct {
	method  string
	url     *template.Template
	headers map[string]*template.Template
	body    *template.Template // nil: none
	secrets map[string]string
	once    bool // nobody may repeat it
}

// view is what templates see.
type view struct {
	carrier.Outgoing
	Secret map[string]string
}

var functions = template.FuncMap{
	"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	},
	"query":  url.QueryEscape,
	"form":   url.QueryEscape,
	"path":   url.PathEscape,
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"join":   func(list []string, between string) string { return strings.Join(list, between) },
	"first": func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return list[0]
	},
}

func newRequest(s Send, secrets map[string]string) (*request, error) {
	r := &request{method: s.Method, headers: make(map[string]*template.Template), secrets: secrets, once: !s.Idempotent}
	if r.method == "" {
		r.method = http.MethodPost
	}
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch}, r.method) {
		return nil, errors.New("send: method is none of GET, POST, PUT and PATCH")
	}
	var err error
	if r.url, err = parseTemplate("url", s.URL); err != nil {
		return nil, err
	}
	for name, text := range s.Headers {
		if r.headers[name], err = parseTemplate("header "+name, text); err != nil {
			return nil, err
		}
	}
	if s.Body != "" {
		if r.body, err = parseTemplate("body", s.Body); err != nil {
			return nil, err
		}
	}
	if s.Body != "" && !hasContentType(s) {
		return nil, errors.New("send: body without a Content-Type among headers")
	}
	if s.Idempotent && !mentionsKey(s) {
		return nil, errors.New("send: idempotent, but no template has .Key")
	}
	return r, r.try()
}

func parseTemplate(name, text string) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	return t, nil
}

func hasContentType(s Send) bool {
	for name := range s.Headers {
		if http.CanonicalHeaderKey(name) == "Content-Type" {
			return true
		}
	}
	return false
}

func mentionsKey(s Send) bool {
	all := s.URL + s.Body
	for _, text := range s.Headers {
		all += text
	}
	return strings.Contains(all, ".Key")
}

// try makes two requests of messages that templates must be able to stand.
func (r *request) try() error {
	var hosts [2]string
	for i, text := range []string{"a", "q\"uo\\te & a=b\n#ü"} {
		made, err := r.make(context.Background(), carrier.Outgoing{
			Key: "k", Type: "sms", From: "+1" + text[:1], To: []string{"+2"}, Body: text, Media: []string{"https://m/?" + text},
			StatusURL: "https://s/?a=b&c=d",
		})
		if err != nil {
			return fmt.Errorf("send: a template cannot be used: %w", err)
		}
		hosts[i] = made.URL.Host
		if err := sound(made); err != nil {
			return err
		}
	}
	if hosts[0] != hosts[1] {
		return errors.New("send: the host of url depends on the message")
	}
	return nil
}

// sound says what is wrong with a request of a message that is not simple.
func sound(made *http.Request) error {
	if made.Body == nil || !strings.Contains(made.Header.Get("Content-Type"), "json") {
		return nil
	}
	body, err := io.ReadAll(made.Body)
	if err != nil {
		return fmt.Errorf("send: body: %w", err)
	}
	if !json.Valid(body) {
		return errors.New("send: body is no JSON when a text has quotation marks: use {{json .Body}}")
	}
	return nil
}

// make fills in the templates. Its errors mean that nothing left.
func (r *request) make(ctx context.Context, m carrier.Outgoing) (*http.Request, error) {
	address, err := r.fill(r.url, m)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.body != nil {
		text, err := r.fill(r.body, m)
		if err != nil {
			return nil, err
		}
		body = strings.NewReader(text)
	}
	target, err := guard.Address(address)
	if err != nil {
		return nil, errors.New("url is no http or https address") // the error itself would repeat secrets
	}
	made, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	for name, t := range r.headers {
		value, err := r.fill(t, m)
		if err != nil {
			return nil, err
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, fmt.Errorf("the header %s would have several lines", name)
		}
		made.Header.Set(name, value)
	}
	made.Close = r.once && repeatable(made)
	return made, nil
}

// repeatable reports whether the standard transport would repeat the request by
// itself after a kept connection broke; on a connection of its own it does not.
func repeatable(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != ""
}

func (r *request) fill(t *template.Template, m carrier.Outgoing) (string, error) {
	text := limited{left: mostRequest}
	if err := t.Execute(&text, view{m, r.secrets}); err != nil {
		return "", err
	}
	return text.String(), nil
}

// limited is text that may not become too long.
type limited struct {
	strings.Builder
	left int
}

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, errors.New("it is too long")
	}
	return l.Builder.Write(b)
}
