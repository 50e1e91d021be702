package rest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/httpapi/ratelimit"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// Whoever writes where he has no business uses up nobody's allowance but his own.
func TestStrangersUseUpTheirOwnAllowance(t *testing.T) {
	w := newWorld(t, func(c *rest.Config) { c.Actions = ratelimit.New(0.001, 3, 100) })
	w.signs()
	w.must(http.MethodPost, "/v1/Users", form("Identity", "eve"))
	ch := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
	other := w.newAccount("other", "")
	eve, messages := w.accessToken("", "eve"), "/v1/Conversations/"+ch+"/Messages"
	var last [2]reply
	for range 5 {
		last = [2]reply{w.as(eve, http.MethodPost, messages, form("Body", "x")), w.call(http.MethodPost, messages, form("Body", "x"), other.as()...)}
	}
	require.Equal(t, []int{429, 429}, []int{last[0].status, last[1].status}, "they have had theirs")
	for range 3 {
		w.must(http.MethodPost, messages, form("Body", "x"))
	}
	require.Equal(t, 429, w.call(http.MethodPost, messages, form("Body", "x")).status)
	for range 5 {
		last[0] = w.as(w.accessToken("", "mallet"), http.MethodPost, "/v1/Conversations", nil)
	}
	require.Equal(t, 429, last[0].status)
	w.must(http.MethodPost, "/v1/Conversations", nil)
}

// A key is its caller's own, and that of what its path means now.
func TestAnIdempotencyKeyIsItsCallersOwn(t *testing.T) {
	w := newWorld(t)
	w.signs()
	key := []string{"Idempotency-Key", "1"}
	var made []string
	for range 2 {
		ch := w.must(http.MethodPost, "/v1/Conversations", form("UniqueName", "talk")).str("sid")
		w.must(http.MethodPost, "/v1/Conversations/talk/Participants", form("Identity", "ann"))
		made = append(made, w.must(http.MethodPost, "/v1/Conversations/talk/Messages", form("Body", "hi"), key...).str("sid"))
		token := append([]string{"Authorization", "Bearer " + w.accessToken("", "ann")}, key...)
		made = append(made, w.must(http.MethodPost, "/v1/Conversations/talk/Messages", form("Body", "squatted"), token...).str("sid"))
		w.must(http.MethodDelete, "/v1/Conversations/"+ch, nil)
	}
	seen := map[string]bool{}
	for _, sid := range made {
		seen[sid] = true
	}
	require.Len(t, seen, len(made), made)
}

// An upload is its user's until it is in a message.
func TestNobodyAttachesWhatAUserUploaded(t *testing.T) {
	w := newWorld(t)
	w.signs()
	ch := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
	for _, identity := range []string{"ann", "eve"} {
		w.must(http.MethodPost, "/v1/Conversations/"+ch+"/Participants", form("Identity", identity))
	}
	as := func(identity string) []string {
		return []string{"Authorization", "Bearer " + w.accessToken("", identity)}
	}
	file := w.upload("", "image/png", "secret", as("ann")...)
	require.Equal(t, 201, file.status, file.text)
	attach := form("MediaSid", file.str("sid"))
	stolen := w.call(http.MethodPost, "/v1/Conversations/"+ch+"/Messages", attach, as("eve")...)
	require.Equal(t, []int{404, 50507}, []int{stolen.status, stolen.code()}, stolen.text)
	require.Equal(t, 201, w.call(http.MethodPost, "/v1/Conversations/"+ch+"/Messages", attach, as("ann")...).status)
	require.Equal(t, 403, w.upload("", "image/png", "x", as("nobody")...).status, "no user")
	require.Equal(t, 403, w.upload("?Author=ann", "image/png", "x", as("eve")...).status, "in another name")
}

// Who sends no body that he announced, and has no credentials, does not hold the
// connection for ever: the answer comes when patience ends.
func TestWhoHasNoCredentialsDoesNotHoldAConnection(t *testing.T) {
	w := newWorld(t, func(c *rest.Config) { c.StrangerPatience = 50 * time.Millisecond })
	for _, method := range []string{"POST", "GET", "DELETE", "PUT"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "%s /v1/Conversations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", method)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, method)
		require.GreaterOrEqual(t, response.StatusCode, 401, method)
		require.NoError(t, response.Body.Close())
		require.NoError(t, conn.Close())
	}
}
