package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/httpapi"
)

func get(t *testing.T, h http.Handler, method, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func config(checks ...httpapi.Check) httpapi.Config {
	return httpapi.Config{
		Ready:   func() []httpapi.Check { return checks },
		Metrics: http.NotFoundHandler(),
		Operate: func(_ context.Context, name, _ string, _ []byte, step func(any)) error {
			if name != "main" {
				return errors.New("no such projection")
			}
			step(map[string]int{"events": 3})
			return nil
		},
		Token: "secret",
	}
}

func TestReadyIsRefusedWhileAnyCheckHasAProblem(t *testing.T) {
	require.Equal(t, 200, get(t, httpapi.New(config(httpapi.Check{Name: "log"})), "GET", "/readyz", "").Code)
	w := get(t, httpapi.New(config(httpapi.Check{Name: "log"}, httpapi.Check{Name: "bus", Problem: "draining"})), "GET", "/readyz", "")
	require.Equal(t, 503, w.Code)
	require.Contains(t, w.Body.String(), "draining")
}

func TestHealthNeedsNothing(t *testing.T) {
	require.Equal(t, 200, get(t, httpapi.New(config(httpapi.Check{Name: "bus", Problem: "down"})), "GET", "/healthz", "").Code)
}

func TestAdminNeedsTheToken(t *testing.T) {
	h := httpapi.New(config())
	for _, token := range []string{"", "wrong", "secret "} {
		require.Equal(t, 401, get(t, h, "POST", "/admin/projections/main/rebuild", token).Code, token)
	}
	unset := config()
	unset.Token = ""
	require.Equal(t, 401, get(t, httpapi.New(unset), "POST", "/admin/projections/main/rebuild", "").Code)
}

func TestAnOperationStreamsItsStepsAndEndsWithTheResult(t *testing.T) {
	h := httpapi.New(config())
	w := get(t, h, "POST", "/admin/projections/main/rebuild", "secret")
	require.Equal(t, "{\"events\":3}\n{\"done\":true}\n", w.Body.String())
	w = get(t, h, "POST", "/admin/projections/other/rebuild", "secret")
	require.Equal(t, "{\"error\":\"no such projection\"}\n", w.Body.String())
}

func TestOtherMethodsAndPathsAreRefused(t *testing.T) {
	h := httpapi.New(config())
	for _, r := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"POST", "/healthz", 405, "GET, HEAD"},
		{"DELETE", "/readyz", 405, "GET, HEAD"},
		{"GET", "/admin/projections/main/rebuild", 405, "POST"},
		{"GET", "/", 404, ""},
		{"POST", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/", 404, ""},
		{"GET", "/V1/Conversations", 404, ""},
		{"GET", "/v2/Conversations", 404, ""},
		{"GET", "//v1/Conversations", 404, ""},
		{"GET", "/./healthz", 404, ""},
		{"GET", "/v1/../healthz", 404, ""},
		{"GET", "/%2e/healthz", 404, ""},
		{"GET", "/channels", 404, ""},
		{"BREW", "/healthz", 405, "GET, HEAD"},
		{"GET", "/healthz/more", 404, ""},
		{"POST", "/admin/projections/rebuild", 404, ""},
		{"POST", "/admin/projections/a/b/rebuild", 404, ""},
	} {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			w := get(t, h, r.method, r.path, "secret")
			require.Equal(t, r.status, w.Code)
			require.Equal(t, r.allow, w.Header().Get("Allow"))
			requireTwilios(t, w.Body.Bytes(), r.status)
			require.Regexp(t, "^RQ[0-9a-f]{32}$", w.Header().Get("Twilio-Request-Id"))
		})
	}
	require.Equal(t, 200, get(t, h, "HEAD", "/healthz", "").Code, "what a load balancer asks")
}

func TestAnswersSayThatTheyAreJSON(t *testing.T) {
	h := httpapi.New(config(httpapi.Check{Name: "log"}))
	require.Equal(t, "application/json", get(t, h, "GET", "/healthz", "").Header().Get("Content-Type"))
	w := get(t, h, "GET", "/readyz", "")
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"ready":true,"checks":[{"name":"log"}]}`, w.Body.String())
	w = get(t, h, "POST", "/admin/projections/main/rebuild", "")
	require.Equal(t, `Bearer realm="parley"`, w.Header().Get("WWW-Authenticate"))
	require.JSONEq(t, `{"error":"the data folder's admin token is needed"}`, w.Body.String())
	require.Equal(t, "application/x-ndjson", get(t, h, "POST", "/admin/projections/main/rebuild", "secret").Header().Get("Content-Type"))
}

func TestATokenInAnotherSchemeIsRefused(t *testing.T) {
	h := httpapi.New(config())
	for _, header := range []string{"secret", "Basic secret", "bearer secret", "Bearer  secret", "Bearer Bearer secret"} {
		r := httptest.NewRequest(http.MethodPost, "/admin/projections/main/rebuild", nil)
		r.Header.Set("Authorization", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, 401, w.Code, header)
	}
}

// What goes on without a client that left is the operation's business.
func TestAnOperationLearnsThatTheClientLeft(t *testing.T) {
	begun := make(chan struct{})
	ended := make(chan error, 1)
	c := config()
	c.Operate = func(ctx context.Context, _, _ string, _ []byte, step func(any)) error {
		step(map[string]int{"events": 0})
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	server := httptest.NewServer(httpapi.New(c))
	t.Cleanup(server.Close)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/admin/projections/main/rebuild", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer secret")
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	<-begun
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	require.NoError(t, err, "a step is sent when it is made")
	require.Equal(t, "{\"events\":0}\n", line)
	leave()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// With an address of their own for operators, others learn whether it is ready and no more.
func TestOperationsCanBeApart(t *testing.T) {
	c := config(httpapi.Check{Name: "bus", Problem: "draining"})
	c.Apart = true
	c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("figures")) })
	everybody, operators := httpapi.New(c), httpapi.Operations(c)
	for _, path := range []string{"/metrics", "/admin/projections/main/rebuild"} {
		for _, method := range []string{"GET", "POST"} {
			require.Equal(t, 404, get(t, everybody, method, path, "secret").Code, path)
		}
	}
	ready := get(t, everybody, "GET", "/readyz", "")
	require.Equal(t, 503, ready.Code)
	require.JSONEq(t, `{"ready":false}`, ready.Body.String())
	require.Equal(t, 200, get(t, everybody, "GET", "/healthz", "").Code)

	require.Equal(t, "figures", get(t, operators, "GET", "/metrics", "").Body.String())
	require.Contains(t, get(t, operators, "GET", "/readyz", "").Body.String(), "draining")
	require.Equal(t, 200, get(t, operators, "GET", "/healthz", "").Code)
	require.Equal(t, 401, get(t, operators, "POST", "/admin/projections/main/rebuild", "").Code)
	require.Equal(t, 200, get(t, operators, "POST", "/admin/projections/main/rebuild", "secret").Code)
	require.Equal(t, 404, get(t, operators, "GET", "/v1/Conversations", "").Code)
}
