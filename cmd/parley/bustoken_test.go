package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/broker"
)

// madeToken is what the tool shows of a token.
type madeToken struct {
	ID, Token   string
	InboxPrefix string `json:"inbox_prefix"`
	Stream      string
	Consumer    string
	Closed      int `json:"connections_closed"`
}

func makeToken(t *testing.T, dir string, args ...string) (m madeToken) {
	t.Helper()
	out, errOut, code := parley(t, append([]string{"bus", "token", "create", "--data", dir}, args...)...)
	require.Zero(t, code, errOut)
	require.NoError(t, json.Unmarshal([]byte(out), &m))
	return m
}

// restricted connects with a token as a client that knows nothing of Parley; what the
// broker refuses comes out of the channel.
func restricted(t *testing.T, dir string, m madeToken, options ...nats.Option) (plain, chan error) {
	t.Helper()
	var where struct{ NATS string }
	addresses, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(addresses, &where))
	refused := make(chan error, 64)
	options = append(options, nats.Token(m.Token), nats.NoReconnect(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	conn, err := nats.Connect(where.NATS, options...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return plain{conn}, refused
}

func requireRefusal(t *testing.T, refused <-chan error, what string) {
	t.Helper()
	select {
	case err := <-refused:
		require.ErrorIs(t, err, nats.ErrPermissionViolation, what)
	case <-time.After(patience):
		require.Fail(t, "it was allowed", what)
	}
}

// otherAccount makes an account and returns its SID.
func otherAccount(t *testing.T, dir string) string {
	t.Helper()
	out, errOut, code := parley(t, "account", "create", "--data", dir, "--friendly-name", "Other")
	require.Zero(t, code, errOut)
	var made struct{ Sid string }
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	require.Eventually(t, func() bool {
		out, _, _ := parley(t, "account", "list", "--data", dir)
		return strings.Contains(out, made.Sid)
	}, patience, 10*time.Millisecond)
	return made.Sid
}

func TestBusTokensOfAccountsAreHeldToThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error")
	other := otherAccount(t, dir)
	own, err := os.ReadFile(filepath.Join(dir, "account"))
	require.NoError(t, err)
	mine, theirs := makeToken(t, dir, "--role", "commands"), makeToken(t, dir, "--role", "commands", "--account", other)
	a, refusedA := restricted(t, dir, mine)
	b, _ := restricted(t, dir, theirs, nats.CustomInboxPrefix(theirs.InboxPrefix))

	made := a.request(t, "parley.call.new", `{"command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, made.OK, made)
	ch := made.Outcome.Sid
	const message = `{"command":"conversation.add-message","data":{"body":"hello"}}`
	require.True(t, a.request(t, "parley.call."+ch, message).OK)
	require.True(t, a.send(t, ch, message).OK, "both doors")
	require.True(t, b.request(t, "parley.call.new", `{"command":"conversation.create","data":{"unique_name":"order"}}`).OK, "the other account has names of its own")

	const named = `{"command":"conversation.add-message","account":"`
	for _, door := range []func(aggregate, body string) answer{
		func(aggregate, body string) answer { return b.request(t, "parley.call."+aggregate, body) },
		func(aggregate, body string) answer { return b.send(t, aggregate, body) },
	} {
		require.Equal(t, "not_found", door(ch, message).Error.Kind)
		refused := door(ch, named+strings.TrimSpace(string(own))+`","data":{"body":"x"}}`)
		require.Equal(t, [2]string{"not_found", "account"}, [2]string{refused.Error.Kind, refused.Error.Field})
		require.Equal(t, "sid_malformed", door(ch, named+`AC1","data":{"body":"x"}}`).Error.Code)
		for _, kind := range []string{"system", "timer", "user", "import"} {
			refused = door(ch, `{"command":"conversation.update","actor":{"kind":"`+kind+`","id":"x"},"data":{"friendly_name":"x"}}`)
			require.Equal(t, [2]string{"actor_not_allowed", "actor.kind"}, [2]string{refused.Error.Code, refused.Error.Field}, kind)
		}
		require.Equal(t, "command_not_allowed", door("new", `{"command":"account.create"}`).Error.Code)
		require.Equal(t, "body_unreadable", door(ch, `{"command":`).Error.Code)
	}
	letters, _, _ := parley(t, "dlq", "list", "--data", dir)
	require.Empty(t, letters, "another account's conversation is not parked")

	for _, subject := range []string{
		"$JS.API.STREAM.PURGE.PARLEY_COMMANDS", "$JS.API.STREAM.DELETE.PARLEY_EVENTS", "$JS.API.CONSUMER.CREATE.PARLEY_EVENTS", "$JS.API.INFO",
		"$JS.API.CONSUMER.DELETE.PARLEY_COMMANDS.parley-parley_commands_all", "$SYS.REQ.ACCOUNT.PING.CONNZ", "_parley.bus-tokens",
		"parley.events.x", "parley.channels.sms.inbound", "_INBOX.x", "parley.send.account.x",
	} {
		require.NoError(t, a.Publish(subject, nil))
		requireRefusal(t, refusedA, subject)
	}
	for _, subject := range []string{"parley.call.>", "parley.commands.>", "parley.dead.>", "parley.events.>", ">", theirs.InboxPrefix + ".>"} {
		_, err := a.SubscribeSync(subject)
		require.NoError(t, err)
		requireRefusal(t, refusedA, subject)
	}
}

func TestABusTokenForEventsReadsThoseOfItsAccount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error")
	other := otherAccount(t, dir)
	reads := makeToken(t, dir, "--role", "events", "--account", other)
	c, refused := restricted(t, dir, reads)
	live, err := c.SubscribeSync("parley.events.>")
	require.NoError(t, err)
	require.NoError(t, c.Flush())
	owner := dial(t, dir)
	require.True(t, owner.request(t, "parley.call.new", `{"command":"conversation.create"}`).OK)
	made := owner.request(t, "parley.call.new", `{"command":"conversation.create","account":"`+other+`"}`)
	require.True(t, made.OK)
	m, err := live.NextMsg(patience)
	require.NoError(t, err)
	subject := "parley.events." + other + ".conversation.created.v1." + made.Outcome.Sid
	require.Equal(t, subject, m.Subject)

	js, err := jetstream.New(c.Conn)
	require.NoError(t, err)
	consumer, err := js.Consumer(t.Context(), reads.Stream, reads.Consumer)
	require.NoError(t, err)
	for last := ""; last != subject; { // from the account's first event on
		next, err := consumer.Next(jetstream.FetchMaxWait(patience))
		require.NoError(t, err)
		require.Equal(t, other, next.Headers().Get("ce-account"))
		require.True(t, strings.HasPrefix(next.Subject(), "parley.events."+other+"."))
		require.NoError(t, next.DoubleAck(t.Context()))
		last = next.Subject()
	}

	root, err := jetstream.New(owner.Conn)
	require.NoError(t, err)
	require.NoError(t, root.DeleteConsumer(t.Context(), reads.Stream, reads.Consumer))
	require.Eventually(t, func() bool { // made anew, from the first event on
		next, err := consumer.Next(jetstream.FetchMaxWait(100 * time.Millisecond))
		return err == nil && next.Headers().Get("ce-account") == other
	}, patience, time.Millisecond)

	for _, subject := range []string{m.Subject, "parley.call.new", "parley.commands.new", "$JS.API.STREAM.PURGE.PARLEY_EVENTS", "$JS.API.CONSUMER.CREATE.PARLEY_EVENTS.x", "$JS.API.CONSUMER.DELETE.PARLEY_EVENTS." + reads.Consumer} {
		require.NoError(t, c.Publish(subject, nil))
		requireRefusal(t, refused, subject)
	}
}

func TestARevokedBusTokenIsOutAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error")
	reads, all := makeToken(t, dir, "--role", "events"), makeToken(t, dir, "--role", "everything")
	for _, m := range []madeToken{reads, all} {
		c, _ := restricted(t, dir, m)
		address := c.ConnectedUrl()
		out, errOut, code := parley(t, "bus", "token", "revoke", m.ID, "--data", dir)
		require.Zero(t, code, errOut)
		var revoked madeToken
		require.NoError(t, json.Unmarshal([]byte(out), &revoked))
		require.Equal(t, 1, revoked.Closed)
		require.Eventually(t, c.IsClosed, patience, time.Millisecond)
		_, err := nats.Connect(address, nats.Token(m.Token))
		require.ErrorIs(t, err, nats.ErrAuthorization)
	}
	js, err := jetstream.New(dial(t, dir).Conn)
	require.NoError(t, err)
	_, err = js.Consumer(t.Context(), reads.Stream, reads.Consumer)
	require.ErrorIs(t, err, jetstream.ErrConsumerNotFound)
}

// Parley cannot keep anybody out of a broker that is not its own, and says so.
func TestBusTokensAreNotMadeForAnotherBroker(t *testing.T) {
	t.Parallel()
	others, err := broker.Start(t.TempDir(), &broker.Options{Token: "secret"})
	require.NoError(t, err)
	t.Cleanup(others.Stop)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error", "--broker", others.URL(), "--broker-token-file", token)
	_, errOut, code := parley(t, "bus", "token", "create", "--data", dir, "--role", "commands")
	require.Equal(t, exitFailure, code)
	require.Contains(t, errOut, "Parley cannot keep its clients to a role; parley bus token config prints what that broker needs")
	require.NoFileExists(t, filepath.Join(dir, "secrets", "bus-tokens.json"))
	out, errOut, code := parley(t, "bus", "token", "config", "--data", dir, "--role", "commands")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "users: [ {")
}
