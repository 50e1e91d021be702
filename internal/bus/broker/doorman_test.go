package broker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/internal/bus/broker"
)

const (
	accountA = "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
	accountB = "AC0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
	soon     = 5 * time.Second
)

func token(t *testing.T, account string, roles ...access.Role) (access.Token, string) {
	t.Helper()
	made, secret, err := access.New(access.Token{Roles: roles, Account: account}, "test", time.Now())
	require.NoError(t, err)
	return made, secret
}

// client connects with a secret; what the broker refuses comes out of the channel.
func client(t *testing.T, server *broker.Server, secret string) (*nats.Conn, chan error) {
	t.Helper()
	refused := make(chan error, 64)
	nc, err := nats.Connect(server.URL(), nats.Token(secret), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			select {
			case refused <- err:
			default: // enough
			}
		}))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc, refused
}

func owner(t *testing.T, server *broker.Server) *nats.Conn {
	t.Helper()
	nc, err := server.Connect("owner", nil)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func TestACallOfARestrictedTokenSaysWhoseItIs(t *testing.T) {
	a, secret := token(t, accountA, access.Commands)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a}})
	engine := owner(t, server)
	_, err := engine.Subscribe("parley.call.>", func(m *nats.Msg) { _ = m.Respond([]byte(m.Subject)) })
	require.NoError(t, err)
	require.NoError(t, engine.Flush())
	nc, _ := client(t, server, secret)
	reply, err := nc.Request("parley.call.CH1", nil, soon)
	require.NoError(t, err)
	require.Equal(t, "parley.call.account."+accountA+".api."+a.ID+".CH1", string(reply.Data))
	who, err := access.FromSubject(string(reply.Data)[len("parley.call."):])
	require.NoError(t, err)
	require.Equal(t, &access.Authority{Account: accountA, Actors: []string{"api"}, Token: a.ID}, who)
}

// A durable command's reply comes to an inbox long after the request.
func TestARestrictedTokenHearsRepliesToDurableCommands(t *testing.T) {
	a, secret := token(t, accountA, access.Commands)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a}})
	engine := owner(t, server)
	for _, prefix := range []string{"_INBOX", access.InboxPrefix(a.ID)} {
		nc, _ := client(t, server, secret)
		inbox, err := nc.SubscribeSync(prefix + ".x.1")
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		require.NoError(t, engine.Publish("parley.reply."+a.ID+"."+prefix+".x.1", []byte("done")))
		m, err := inbox.NextMsg(soon)
		require.NoError(t, err)
		require.Equal(t, "done", string(m.Data))
	}
}

func TestARestrictedTokenReadsItsAccountsEventsLiveAndDurably(t *testing.T) {
	a, secret := token(t, accountA, access.Events)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a}})
	engine, err := jetstream.New(owner(t, server))
	require.NoError(t, err)
	_, err = engine.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PARLEY_EVENTS", Subjects: []string{"parley.events.>"}})
	require.NoError(t, err)
	_, err = engine.CreateConsumer(t.Context(), "PARLEY_EVENTS", jetstream.ConsumerConfig{
		Durable: a.Consumer(), FilterSubject: a.EventFilter(), AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	nc, _ := client(t, server, secret)
	live, err := nc.SubscribeSync("parley.events.>")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	for _, subject := range []string{accountB + ".x", accountA + ".x", accountB + ".y", accountA + ".y"} {
		_, err := engine.Publish(t.Context(), "parley.events."+subject, nil)
		require.NoError(t, err)
	}
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	consumer, err := js.Consumer(t.Context(), "PARLEY_EVENTS", a.Consumer())
	require.NoError(t, err)
	prefixed, err := jetstream.NewWithAPIPrefix(nc, access.APIPrefix)
	require.NoError(t, err)
	_, err = prefixed.Consumer(t.Context(), "PARLEY_EVENTS", a.Consumer())
	require.NoError(t, err)
	for _, want := range []string{"x", "y"} {
		m, err := live.NextMsg(soon)
		require.NoError(t, err)
		require.Equal(t, "parley.events."+accountA+"."+want, m.Subject)
		durable, err := consumer.Next(jetstream.FetchMaxWait(soon))
		require.NoError(t, err)
		require.Equal(t, m.Subject, durable.Subject())
		require.NoError(t, durable.DoubleAck(t.Context()))
	}
	_, err = live.NextMsg(50 * time.Millisecond)
	require.ErrorIs(t, err, nats.ErrTimeout)
	info, err := consumer.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.NumPending+uint64(info.NumAckPending))
}

func TestARestrictedTokenMayDoNothingElse(t *testing.T) {
	a, sends := token(t, accountA, access.Commands)
	b, reads := token(t, accountA, access.Events)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a, b}})
	both := []string{
		"x", "parley.events." + accountA + ".x", "parley.dead.x", "parley.reply." + a.ID + ".x", "parley.send.x", "parley.call.a.b",
		"parley.call.account." + accountB + ".api." + a.ID + ".CH1", "_INBOX.x", "_R_.x", "_parley.x",
		"$JS.API.INFO", "$JS.API.STREAM.PURGE.PARLEY_EVENTS", "$JS.API.STREAM.DELETE.PARLEY_COMMANDS", "$JS.API.STREAM.NAMES",
		"$JS.API.CONSUMER.CREATE.PARLEY_EVENTS", "$JS.API.CONSUMER.CREATE.PARLEY_EVENTS." + b.ID, "$JS.API.CONSUMER.DELETE.PARLEY_EVENTS." + b.ID,
		"$JS.API.CONSUMER.MSG.NEXT.PARLEY_EVENTS." + a.ID, "$JS.API.CONSUMER.MSG.NEXT.PARLEY_COMMANDS.parley", "$JS.API.DIRECT.GET.PARLEY_EVENTS",
		"$JS.API.STREAM.MSG.GET.PARLEY_EVENTS", "$JS.ACK.PARLEY_COMMANDS.x", "$SYS.REQ.USER.INFO", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ",
	}
	for _, secret := range []string{sends, reads} {
		nc, refused := client(t, server, secret)
		for _, subject := range both {
			require.NoError(t, nc.Publish(subject, nil))
			requireRefused(t, refused, subject)
		}
		for _, subject := range []string{">", "*", "parley.>", "parley.call.>", "parley.commands.>", "parley.dead.>", "parley.send.>", "parley.reply.>", "_INBOX_" + other(a, b, secret, sends) + ".>", "_R_.>", "$JS.>", "$SYS.>"} {
			_, err := nc.SubscribeSync(subject)
			require.NoError(t, err)
			require.NoError(t, nc.Flush())
			requireRefused(t, refused, subject)
		}
	}
	nc, refused := client(t, server, reads)
	for _, subject := range []string{"parley.call.CH1", "parley.commands.CH1"} {
		require.NoError(t, nc.Publish(subject, nil))
		requireRefused(t, refused, subject)
	}
}

func other(a, b access.Token, secret, ofA string) string {
	if secret == ofA {
		return b.ID
	}
	return a.ID
}

func requireRefused(t *testing.T, refused <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-refused:
		require.ErrorIs(t, err, nats.ErrPermissionViolation, subject)
	case <-time.After(soon):
		require.Fail(t, "it was allowed", subject)
	}
}

func TestARevokedTokensConnectionsAreClosedAtOnce(t *testing.T) {
	a, secret := token(t, accountA, access.Commands)
	all, everything := token(t, "", access.Everything)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a, all}})
	restricted, _ := client(t, server, secret)
	root, _ := client(t, server, everything)
	a.Revoked = time.Now()
	closed, err := server.Admit([]access.Token{a, all})
	require.NoError(t, err)
	require.Equal(t, 1, closed)
	require.Eventually(t, restricted.IsClosed, soon, time.Millisecond)
	require.NoError(t, root.Flush())
	_, err = nats.Connect(server.URL(), nats.Token(secret))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	closed, err = server.Admit(nil)
	require.NoError(t, err)
	require.Equal(t, 1, closed)
	require.Eventually(t, root.IsClosed, soon, time.Millisecond)
	require.NoError(t, owner(t, server).Flush())
}

func TestATokenHasALimitOfConnections(t *testing.T) {
	a, secret := token(t, accountA, access.Commands)
	server := start(t, t.TempDir(), &broker.Options{Token: "secret", Tokens: []access.Token{a}})
	var last *nats.Conn
	for range 128 {
		last, _ = client(t, server, secret)
	}
	_, err := nats.Connect(server.URL(), nats.Token(secret))
	require.ErrorIs(t, err, nats.ErrAuthorization)
	last.Close()
	require.Eventually(t, func() bool {
		nc, err := nats.Connect(server.URL(), nats.Token(secret))
		if err == nil {
			nc.Close()
		}
		return err == nil
	}, soon, 10*time.Millisecond)
}
