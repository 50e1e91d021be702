package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// hookReceiver is a receiver of webhooks that can refuse for a while.
type hookReceiver struct {
	mu       sync.Mutex
	refusing bool
	refused  int
	bodies   map[string]int    // of messages: how often
	names    map[string]string // webhook-id of a body
}

func (r *hookReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refusing {
		r.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body := request.FormValue("Body")
	r.bodies[body]++
	if id := request.Header.Get("Webhook-Id"); r.names[body] == "" || r.names[body] == id {
		r.names[body] = id
	} else {
		r.names[body] = "two names for one call"
	}
}

func (r *hookReceiver) has(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies) == n
}

// What a node that is killed had not told, another one tells, under the same names.
func TestNodesTakeTurnsInTellingWebhooks(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three servers: not with -short")
	}
	r := &hookReceiver{bodies: map[string]int{}, names: map[string]string{}}
	receiver := httptest.NewServer(r)
	t.Cleanup(receiver.Close)
	c := newCluster(t)
	c.flags = append(c.flags, "--webhook-allow", "127.0.0.0/8")
	one, client := c.node("one"), c.client()
	account, err := c.first.knownAccount()
	require.NoError(t, err)
	do := func(commandType, aggregate, body string) {
		t.Helper()
		require.NoError(t, c.insist(t.Context(), client, engine.Command{
			ID: events.NameID(commandType + body), Type: commandType, Aggregate: aggregate, Actor: events.Actor{Kind: events.ActorSystem},
			Body: []byte(body), Webhooks: true,
		}))
	}
	const ch = "CH00000000000000000000000000000001"
	sent := 0
	say := func(n int) {
		t.Helper()
		for range n {
			do("conversation.add-message", ch, fmt.Sprintf(`{"body":"%d"}`, sent))
			sent++
		}
	}
	arrived := func() {
		t.Helper()
		require.NoError(t, eventually("all are told", func() (bool, error) { return r.has(sent), nil }))
	}
	do("account.configure-webhooks", account, fmt.Sprintf(`{"post_webhook_url":%q,"filters":["onMessageAdded"]}`, receiver.URL))
	do("conversation.create", ch, `{}`)
	say(5)
	arrived()
	two := c.node("two")
	t.Cleanup(func() { two.stop(t) })
	r.mu.Lock()
	r.refusing = true
	r.mu.Unlock()
	say(5)
	require.NoError(t, eventually("the first node is refused", func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.refused > 0, nil
	}))
	_, err = one.end(os.Kill)
	require.NoError(t, err)
	r.mu.Lock()
	r.refusing = false
	r.mu.Unlock()
	arrived()
	say(5)
	arrived()
	r.mu.Lock()
	defer r.mu.Unlock()
	for body, name := range r.names {
		require.Len(t, name, 36, "%s was told %d times", body, r.bodies[body])
	}
}
