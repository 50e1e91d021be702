package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/chatimport"
)

// chatPages is a Chat service with one channel. It does not answer for the page of
// messages that it is told to hold back.
type chatPages struct {
	*httptest.Server
	messages int
	hold     atomic.Int64  // a page; -1: none
	held     chan struct{} // gets one when somebody waits for it
}

const messagesInAPage = 50

func newChatPages(t *testing.T, messages int) *chatPages {
	c := &chatPages{messages: messages, held: make(chan struct{}, 1)}
	c.hold.Store(-1)
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *chatPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const is, ch, date = "IS00000000000000000000000000000001", "CH00000000000000000000000000000001", "2017-05-01T10:00:00Z"
	type record = map[string]any
	list, meta := []record{}, record{"next_page_url": nil}
	key := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch key {
	case "Services":
		list = append(list, record{"sid": is, "friendly_name": "Shop", "date_created": date})
	case "Channels":
		list = append(list, record{"sid": ch, "type": "private", "date_created": date, "date_updated": date, "messages_count": c.messages})
	case "Messages":
		page, _ := strconv.Atoi(r.URL.Query().Get("PageToken"))
		if int64(page) == c.hold.Load() {
			c.held <- struct{}{}
			<-r.Context().Done()
			return
		}
		for n := page * messagesInAPage; n < min((page+1)*messagesInAPage, c.messages); n++ {
			list = append(list, record{"sid": fmt.Sprintf("IM%032x", n), "index": n, "body": fmt.Sprint(n), "date_created": date, "date_updated": date})
		}
		if (page+1)*messagesInAPage < c.messages {
			meta["next_page_url"] = fmt.Sprintf("%s%s?PageToken=%d", c.URL, r.URL.Path, page+1)
		}
	}
	_ = json.NewEncoder(w).Encode(record{"meta": meta, strings.ToLower(key): list}) // the client may be dead
}

// An import that is killed goes on where it was, with and without a server, and
// brings everything once.
func TestAnImportThatWasKilledGoesOn(t *testing.T) {
	dir := t.TempDir()
	serving(t, dir).stop(t)
	c := newChatPages(t, 400)
	args := []string{"import", "chat", "--data", dir, "--from", c.URL, "--auth-user", "AC1", "-o", "json"}
	t.Setenv("TWILIO_AUTH_TOKEN", "secret")
	killAt := func(page int64) {
		t.Helper()
		c.hold.Store(page)
		importing := exec.Command("parley", args...)
		require.NoError(t, importing.Start())
		<-c.held
		require.NoError(t, importing.Process.Signal(os.Kill))
		require.Error(t, importing.Wait())
	}
	imported := func() chatimport.Count {
		t.Helper()
		c.hold.Store(-1)
		out, errOut, code := parley(t, args...)
		require.Equal(t, exitOK, code, errOut)
		require.NotContains(t, out+errOut, "secret")
		var reports []chatimport.Report
		require.NoError(t, json.Unmarshal([]byte(out), &reports))
		require.True(t, reports[0].OK)
		return reports[0].Counts["message"]
	}
	killAt(2)
	killAt(5)
	server := serving(t, dir)
	killAt(7)
	found := 400
	require.Equal(t, chatimport.Count{Source: 400, Written: 50, Before: 350, Found: &found}, imported())
	require.Equal(t, chatimport.Count{Source: 400, Before: 400, Found: &found}, imported())
	server.stop(t)
	out, errOut, code := parley(t, "store", "verify", "--data", dir)
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, `"problems": []`)
}

// A server that dies in the middle of an import ends it, and the next one goes on.
func TestAnImportWhoseServerDiedGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := serving(t, dir)
	c := newChatPages(t, 100)
	c.hold.Store(1)
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	args := []string{"import", "chat", "--data", dir, "--from", c.URL, "--auth-user", "AC1", "--auth-token-file", token, "-o", "json"}
	importing := exec.Command("parley", args...)
	var errOut strings.Builder
	importing.Stderr = &errOut
	require.NoError(t, importing.Start())
	<-c.held
	_, err := server.end(os.Kill)
	require.NoError(t, err)
	c.hold.Store(-1)
	c.CloseClientConnections() // it asks for the page again
	require.Error(t, importing.Wait(), "there is nobody to write")
	require.Equal(t, exitUnavailable, importing.ProcessState.ExitCode())
	require.Contains(t, errOut.String(), "no server runs on this data folder")

	out, said, code := parley(t, args...)
	require.Equal(t, exitOK, code, said)
	require.Contains(t, out, `"found": 100`)
}
