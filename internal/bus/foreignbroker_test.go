package bus_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// foreignBroker is a nats-server of somebody else, with what `parley bus token config`
// prints in its configuration.
func foreignBroker(t *testing.T, tokens ...access.Token) *server.Server {
	t.Helper()
	var exports, worlds []string
	for i := range tokens {
		var text bytes.Buffer
		require.NoError(t, tokens[i].WriteConfig(&text, "PARLEY"))
		ours, theirs, ok := strings.Cut(text.String(), "# Add to accounts:\n")
		require.True(t, ok)
		ours = ours[strings.Index(ours, "exports: [\n")+len("exports: [\n"):]
		exports = append(exports, ours[:strings.LastIndex(ours, "]")])
		worlds = append(worlds, theirs)
		t.Setenv(strings.ToUpper(tokens[i].ID), "password-"+tokens[i].ID)
	}
	config := fmt.Sprintf("listen: 127.0.0.1:-1\njetstream: { store_dir: %q }\naccounts: {\nPARLEY: {\n jetstream: enabled\n users: [ { user: parley, password: secret } ]\nexports: [\n%s]\n}\n%s}\n",
		t.TempDir(), strings.Join(exports, ""), strings.Join(worlds, "\n"))
	path := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	options, err := server.ProcessConfigFile(path)
	require.NoError(t, err, config)
	options.NoSigs, options.NoLog = true, true
	ns, err := server.NewServer(options)
	require.NoError(t, err)
	go ns.Start() // returns; the cleanup waits for what it began
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	require.True(t, ns.ReadyForConnections(soon))
	return ns
}

func enter(t *testing.T, ns *server.Server, user, password string) (*nats.Conn, chan error) {
	t.Helper()
	refused := make(chan error, 64)
	nc, err := nats.Connect(ns.ClientURL(), nats.UserInfo(user, password), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc, refused
}

// The configuration for a broker that is not ours does what the embedded one does.
func TestTheConfigurationForAnotherBrokerHoldsARoleToItsAccount(t *testing.T) {
	a, _ := commandsOf(t, accountA)
	e, _ := newToken(t, access.Token{Roles: []access.Role{access.Events}, Account: accountA})
	ns := foreignBroker(t, a, e)
	owner, _ := enter(t, ns, "parley", "secret")
	h := &house{t: t}
	startBus(t, owner, h.execute, nil)

	nc, refused := enter(t, ns, a.ID, "password-"+a.ID)
	m, err := nc.Request("parley.call.CH1", []byte(`{"command":"conversation.remove"}`), soon)
	require.True(t, replyOf(t, m, err).OK)
	sent := nats.NewMsg("parley.commands.CH1")
	sent.Data = []byte(`{"command":"conversation.remove"}`)
	require.True(t, send(t, nc, sent, nc.NewInbox()).OK)
	c, n := h.last()
	require.Equal(t, accountA, c.Account)
	m, err = nc.Request("parley.call.CH1", []byte(`{"command":"conversation.remove","account":"`+accountB+`"}`), soon)
	require.Equal(t, "account", replyOf(t, m, err).Error.Field)
	_, now := h.last()
	require.Equal(t, n, now)
	for _, subject := range []string{"$JS.API.STREAM.PURGE.PARLEY_COMMANDS", "parley.events.x", "parley.call.a.b"} {
		require.NoError(t, nc.Publish(subject, nil))
		requireViolation(t, refused, subject)
	}

	log := memstore.New()
	appendEvents(t, log, "conversation-CH1", store.NoStream, 2) // of another account
	_, err = log.Append(t.Context(), "conversation-CH2", store.NoStream, []events.Proposed{{
		ID: events.NameID("a"), Type: "conversation.message-added.v1", Data: []byte(`{}`), Metadata: events.Metadata{Account: accountA},
	}})
	require.NoError(t, err)
	p, _ := startEvents(t, owner, log, nil)
	requirePublished(t, p, log)
	f, err := bus.NewFollowers(owner)
	require.NoError(t, err)
	made, err := f.Settle(t.Context(), []access.Token{a, e})
	require.NoError(t, err)
	require.Equal(t, 1, made)
	reader, refused := enter(t, ns, e.ID, "password-"+e.ID)
	js, err := jetstream.NewWithAPIPrefix(reader, access.APIPrefix)
	require.NoError(t, err)
	consumer, err := js.Consumer(t.Context(), access.EventStream, e.Consumer())
	require.NoError(t, err)
	next, err := consumer.Next(jetstream.FetchMaxWait(soon))
	require.NoError(t, err)
	require.Equal(t, "parley.events."+accountA+".conversation.message-added.v1.CH2", next.Subject())
	require.NoError(t, next.DoubleAck(t.Context()))
	require.NoError(t, reader.Publish("parley.call.CH1", nil))
	requireViolation(t, refused, "parley.call.CH1")
}

func requireViolation(t *testing.T, refused <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-refused:
		require.ErrorIs(t, err, nats.ErrPermissionViolation, subject)
	case <-time.After(soon):
		require.Fail(t, "it was allowed", subject)
	}
}
