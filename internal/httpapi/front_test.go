package httpapi_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/httpapi"
)

// requireTwilios holds a body to the shape of Twilio's errors.
func requireTwilios(t *testing.T, body []byte, status int) {
	t.Helper()
	var said struct {
		Code     int
		Message  string
		MoreInfo string `json:"more_info"`
		Status   int
	}
	require.NoError(t, json.Unmarshal(body, &said), "%s", body)
	require.Equal(t, status, said.Status)
	require.NotEmpty(t, said.Message)
	require.Equal(t, fmt.Sprintf("https://www.twilio.com/docs/errors/%d", said.Code), said.MoreInfo)
}

// A compressed body is nobody's: as it is, it would be read as something else.
func TestACompressedBodyIsRefusedAtEveryDoor(t *testing.T) {
	c := config()
	c.REST = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c.Channels = c.REST
	h := httpapi.New(c)
	for _, path := range []string{"/v1/Conversations", "/v1/Media", "/channels/gateway/inbound", "/admin/projections/main/rebuild"} {
		for coding, status := range map[string]int{
			"gzip": 415, "GZIP": 415, "br": 415, "deflate": 415, "zstd": 415, "identity, gzip": 415, "gzip, identity": 415, "nonsense": 415,
			"x-gzip": 415, "identity": 0, "Identity": 0, "": 0, ",": 0,
		} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("UniqueName=x"))
			r.Header.Set("Content-Encoding", coding)
			r.Header.Set("Authorization", "Bearer secret")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if status == 0 {
				require.Less(t, w.Code, 300, "%s %q", path, coding)
				continue
			}
			require.Equal(t, status, w.Code, "%s %q", path, coding)
			requireTwilios(t, w.Body.Bytes(), status)
			require.Equal(t, "identity", w.Header().Get("Accept-Encoding"))
		}
	}
}

// raw sends what no client would, and reads the answer.
func raw(t *testing.T, address, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = io.WriteString(c, request)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, errors.Join(err, response.Body.Close()))
	return response, string(body)
}

func TestWhatTheHTTPLibraryRefusesIsAnsweredInTwiliosShape(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: httpapi.New(config()), MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(httpapi.Listener(l)) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	for request, want := range map[string]struct {
		status int
		says   string
	}{
		"GET /v1/%zz HTTP/1.1\r\nHost: x\r\n\r\n":                                                             {400, "malformed"},
		"GET /v1/Conversations/% HTTP/1.1\r\nHost: x\r\n\r\n":                                                 {400, "malformed"},
		"GET nonsense HTTP/1.1\r\nHost: x\r\n\r\n":                                                            {400, "malformed"},
		"POST /v1/x HTTP/1.1\r\nHost: x\r\nExpect: much\r\nContent-Length: 1\r\n\r\na":                        {417, "Expectation Failed"},
		"G@T / HTTP/1.1\r\nHost: x\r\n\r\n":                                                                   {400, "malformed"},
		"GET / HTTP/1.1\r\n\r\n":                                                                              {400, "missing required Host header"},
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":                                                                 {400, "malformed Host header"},
		"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n":                                                       {400, "malformed"},
		"GET / HTTP/3.0\r\nHost: x\r\n\r\n":                                                                   {505, "unsupported protocol version"},
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n":                                       {501, "transfer encoding"},
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n":                         {431, "Too Large"},
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\nConnection: close\r\n\r\nab": {400, "malformed"},
	} {
		response, body := raw(t, l.Addr().String(), request) //nolint:bodyclose // raw has read and closed it
		require.Equal(t, want.status, response.StatusCode, "%.80q: %s", request, body)
		require.Contains(t, body, want.says, "%.80q", request)
		require.Equal(t, "application/json;charset=utf-8", response.Header.Get("Content-Type"))
		require.True(t, response.Close)
		requireTwilios(t, []byte(body), want.status)
	}
	response, body := raw(t, l.Addr().String(), "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") //nolint:bodyclose // likewise
	require.Equal(t, 200, response.StatusCode, "what a handler says is left alone")
	require.JSONEq(t, `{"ok":true}`, body)
}
