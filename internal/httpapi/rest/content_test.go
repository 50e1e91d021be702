package rest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files are sent in parts, and what is no part of them is refused like everything.
func TestPartsOfFiles(t *testing.T) {
	w := newWorld(t)
	file := w.upload("", "image/png", "0123456789")
	content := "/v1/Services/" + w.service + "/Media/" + file.str("sid") + "/Content"
	part := w.call(http.MethodGet, content, nil, "Range", "bytes=2-4")
	require.Equal(t, []any{206, "234"}, []any{part.status, part.text})
	none := w.call(http.MethodGet, content, nil, "Range", "bytes=20-30")
	require.Equal(t, 416, none.status)
	isProblem(t, none)
	require.Empty(t, none.header.Get("Content-Disposition"))
	require.Equal(t, 412, w.call(http.MethodGet, content, nil, "If-Match", `"other"`).status)
	require.Equal(t, 304, w.call(http.MethodGet, content, nil, "If-None-Match", part.header.Get("ETag")).status)
}

// A file goes with its message and with its service at once, signed addresses too.
func TestAFileGoesWithWhatItIsIn(t *testing.T) {
	w := newWorld(t)
	ch := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
	file := w.upload("", "image/png", "bytes")
	sent := w.must(http.MethodPost, "/v1/Conversations/"+ch+"/Messages", form("MediaSid", file.str("sid"))).str("sid")
	about := "/v1/Services/" + w.service + "/Media/" + file.str("sid")
	signed := w.must(http.MethodGet, about, nil).link("content_direct_temporary")
	require.Equal(t, "bytes", w.get(signed).text)
	w.must(http.MethodDelete, "/v1/Conversations/"+ch+"/Messages/"+sent, nil)
	for _, got := range []reply{w.call(http.MethodGet, about, nil), w.call(http.MethodGet, about+"/Content", nil), w.get(signed)} {
		require.Equal(t, 404, got.status, got.text)
	}
	service := w.must(http.MethodPost, "/v1/Services", form("FriendlyName", "other")).str("sid")
	loose := w.call(http.MethodPost, "/v1/Services/"+service+"/Media", nil, "Content-Type", "image/png")
	signed = loose.link("content_direct_temporary")
	require.Equal(t, 200, w.get(signed).status)
	key := []string{"Idempotency-Key", "away"}
	for range 2 {
		require.Equal(t, 204, w.call(http.MethodDelete, "/v1/Services/"+service, nil, key...).status, "the same request is answered alike")
	}
	require.Equal(t, 404, w.get(signed).status)
}

// Whose upload breaks off is told so, if he still listens, and nothing is kept.
func TestAnUploadThatBreaksOffIsTheClientsFault(t *testing.T) {
	w := newWorld(t)
	before := w.events()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /v1/Media HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nhalf",
		basic(w.account, w.token))
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 400, response.StatusCode)
	require.Equal(t, before, w.events())
}
