package httpapi_test

import (
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
		Rebuild: func(_ context.Context, name string, step func(any)) error {
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

func TestRebuildStreamsItsStepsAndEndsWithTheResult(t *testing.T) {
	h := httpapi.New(config())
	w := get(t, h, "POST", "/admin/projections/main/rebuild", "secret")
	require.Equal(t, "{\"events\":3}\n{\"done\":true}\n", w.Body.String())
	w = get(t, h, "POST", "/admin/projections/other/rebuild", "secret")
	require.Equal(t, "{\"error\":\"no such projection\"}\n", w.Body.String())
}
