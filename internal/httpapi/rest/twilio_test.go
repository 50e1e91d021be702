package rest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client"
	conversations "github.com/twilio/twilio-go/rest/conversations/v1"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// judge is Twilio's own helper library, unmodified, talking to a world. Its
// operations are called by their names in the library.
type judge struct {
	*world
	t    testing.TB
	api  *conversations.ApiService
	wire *wire
	in   string // IS… of the service form; empty: the account form
}

// params are the parameters of a call by their names on the wire.
type params map[string]any

// judge starts the library with the account's credentials in the account form.
func (w *world) judge(t testing.TB) *judge {
	t.Helper()
	return w.judgeAs(t, &client.Client{Credentials: client.NewCredentials(w.account, w.token)})
}

// bearer is an access token as the library sends one.
type bearer string

func (b bearer) GetAccessToken(context.Context) (string, error) { return string(b), nil }

// guest starts the library with an access token.
func (w *world) guest(t testing.TB, token string) *judge {
	t.Helper()
	c := &client.Client{Credentials: client.NewCredentials("", "")}
	c.SetOauth(bearer(token))
	return w.judgeAs(t, c)
}

func (w *world) judgeAs(t testing.TB, c *client.Client) *judge {
	t.Helper()
	server, err := url.Parse(w.server.URL)
	require.NoError(t, err)
	line := &wire{server: server, operations: http.NewServeMux(), contract: twiliosContract(t), seen: map[string]int{}}
	for _, o := range rest.Describe() {
		line.operations.HandleFunc(o.Method+" "+o.Path, http.NotFound)
	}
	c.HTTPClient = &http.Client{Transport: line, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &judge{world: w, t: t, api: conversations.NewApiService(client.NewRequestHandler(c)), wire: line}
}

// within is the judge in the service form.
func (j *judge) within(service string) *judge {
	other := *j
	other.in = service
	return &other
}

// root is the address below which the form's resources are.
func (j *judge) root() string {
	if j.in == "" {
		return j.server.URL + "/v1"
	}
	return j.server.URL + "/v1/Services/" + j.in
}

// home is the service that the form's resources are in.
func (j *judge) home() string {
	if j.in == "" {
		return j.service
	}
	return j.in
}

// method finds an operation of the library: the service form is called
// FetchServiceRole where the account form is called FetchRole.
func (j *judge) method(operation string) (reflect.Value, bool) {
	api := reflect.ValueOf(j.api)
	if j.in != "" {
		for _, verb := range []string{"List", "Page", "Create", "Fetch", "Update", "Delete"} {
			if what, ok := strings.CutPrefix(operation, verb); ok {
				if m := api.MethodByName(verb + "Service" + what); m.IsValid() {
					return m, true
				}
			}
		}
	}
	m := api.MethodByName(operation)
	require.True(j.t, m.IsValid(), "the library has no %s", operation)
	return m, j.in != ""
}

// try calls an operation. Strings are the segments of the path that are named.
func (j *judge) try(operation string, path []string, p params, more ...string) (any, error) {
	j.t.Helper()
	m, inService := j.method(operation)
	if inService {
		path = append([]string{j.in}, path...)
	}
	var args []reflect.Value
	for _, segment := range path {
		args = append(args, reflect.ValueOf(segment))
	}
	if n := len(args); n < m.Type().NumIn() {
		require.Equal(j.t, n+1+len(more), m.Type().NumIn(), "arguments of %s", operation)
		args = append(args, fill(j.t, m.Type().In(n), p))
	} else {
		require.Empty(j.t, p, "parameters of %s", operation)
	}
	for _, text := range more {
		args = append(args, reflect.ValueOf(text))
	}
	out := m.Call(args)
	err, _ := out[len(out)-1].Interface().(error)
	return out[0].Interface(), err
}

// fill makes the library's parameters.
func fill(t testing.TB, kind reflect.Type, p params) reflect.Value {
	t.Helper()
	made := reflect.New(kind.Elem())
	for name, value := range p {
		field := made.Elem().FieldByName(strings.NewReplacer(".", "", "-", "").Replace(name))
		require.True(t, field.IsValid(), "%s has no %s", kind, name)
		pointer := reflect.New(field.Type().Elem())
		pointer.Elem().Set(reflect.ValueOf(value))
		field.Set(pointer)
	}
	return made
}

// do calls an operation that has to go well. It returns the answer as it was
// sent, after the library has understood all of it that it knows.
func (j *judge) do(operation string, path []string, p params) map[string]any {
	j.t.Helper()
	result, err := j.try(operation, path, p)
	require.NoError(j.t, err, operation)
	got := j.wire.last().body
	if !strings.HasPrefix(operation, "Delete") {
		for name, value := range understood[map[string]any](j.t, result) {
			require.Equal(j.t, got[name], value, "%s of %s, as the library read it", name, operation)
		}
	}
	return got
}

// all calls an operation that lists.
func (j *judge) all(operation string, path []string, p params) []map[string]any {
	j.t.Helper()
	result, err := j.try(operation, path, p)
	require.NoError(j.t, err, operation)
	return understood[[]map[string]any](j.t, result)
}

// page asks for one page of a list.
func (j *judge) page(operation string, path []string, p params, token string) (map[string]any, error) {
	j.t.Helper()
	_, err := j.try("Page"+strings.TrimPrefix(operation, "List"), path, p, token, "")
	return j.wire.last().body, err
}

// understood is what the library made of an answer.
func understood[T any](t testing.TB, result any) (v T) {
	t.Helper()
	data, err := json.Marshal(result)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &v))
	return v
}

// at returns what is at a path within an answer, nil when nothing is.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func str(v any, path ...string) string { s, _ := at(v, path...).(string); return s }

// wire carries the library's requests to the world instead of to Twilio, and
// looks at what comes back.
type wire struct {
	server     *url.URL
	operations *http.ServeMux
	contract   contract

	mu       sync.Mutex // guards what follows
	seen     map[string]int
	answers  []reply
	requests []*url.URL
}

func (l *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.Host = l.server.Scheme, l.server.Host, ""
	response, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	_, operation := l.operations.Handler(out)
	got := reply{status: response.StatusCode, header: response.Header, text: string(data)}
	if len(data) > 0 {
		err = json.Unmarshal(data, &got.body)
	}
	if err = cmp.Or(err, l.look(operation, got), checkOwn(out, got)); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", operation, err, data) // lists are read in goroutines of the library's
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers, l.requests = append(l.answers, got), append(l.requests, out.URL)
	if got.status < 300 {
		l.seen[operation] = got.status
	}
	return response, nil
}

// look checks what every answer has.
func (l *wire) look(operation string, got reply) error {
	id, kind := got.header.Get("Twilio-Request-Id"), got.header.Get("Content-Type")
	switch {
	case len(id) != 34 || !strings.HasPrefix(id, "RQ"):
		return fmt.Errorf("the request's id is %q", id)
	case got.status == http.StatusNoContent && got.text != "":
		return errors.New("204 with a body")
	case got.status == http.StatusNoContent:
		return nil
	case kind != "application/json;charset=utf-8":
		return fmt.Errorf("the content is of type %q", kind)
	case got.status >= 400:
		return checkError(got)
	}
	return l.contract.check(operation, got)
}

// checkError asks for the shape of Twilio's errors.
func checkError(got reply) error {
	code, _ := got.body["code"].(float64)
	switch {
	case got.body["status"] != float64(got.status):
		return fmt.Errorf("status %v in the body of a %d", got.body["status"], got.status)
	case code < 20000 || code > 99999:
		return fmt.Errorf("code %v", got.body["code"])
	case got.str("more_info") != fmt.Sprintf("https://www.twilio.com/docs/errors/%d", int(code)):
		return fmt.Errorf("more_info %v", got.body["more_info"])
	case len(got.str("message")) < 8:
		return fmt.Errorf("message %q", got.str("message"))
	}
	return nil
}

func (l *wire) last() reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[len(l.answers)-1]
}

// all returns every answer so far.
func (l *wire) all() []reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[:len(l.answers):len(l.answers)]
}

// lastRequest is the address that was asked last.
func (l *wire) lastRequest() *url.URL {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests[len(l.requests)-1]
}

// successes are the operations that went well, with the status of the last time.
func (l *wire) successes() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.seen)
}
