package attempt_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/attempt"
)

func TestARequestThatFoundNobodyHasNotLeft(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	require.False(t, left(t, http.DefaultTransport, address))

	refusing := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("a guard refuses the address")
	}}
	require.False(t, left(t, refusing, "http://example.org"))
	require.False(t, left(t, http.DefaultTransport, "https"+plainServer(t)[len("http"):]), "no TLS, no request")
}

func TestARequestThatWasWrittenMayHaveLeft(t *testing.T) {
	require.True(t, left(t, http.DefaultTransport, plainServer(t)))
	opaque := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("who knows") })
	require.True(t, left(t, opaque, "http://example.org"), "nothing is known of a transport that does not tell")
}

// plainServer breaks every connection on which a request came.
func plainServer(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(server.Close)
	return server.URL
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func left(t *testing.T, transport http.RoundTripper, address string) bool {
	t.Helper()
	ctx, a := attempt.Watch(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, http.NoBody)
	require.NoError(t, err)
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if answer != nil {
		require.NoError(t, answer.Body.Close())
	}
	require.Error(t, err)
	return a.Left(err)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 7 * time.Second, "soon": 7 * time.Second, "-1": 7 * time.Second, "0": 0, " 30 ": 30 * time.Second,
		"4000000000": 24 * time.Hour, "Thu, 26 Nov 2026 10:01:00 GMT": time.Minute, "Thu, 26 Nov 2026 09:00:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {text}}
		require.Equal(t, want, attempt.RetryAfter(h, now, 7*time.Second), text)
	}
}
