package bus_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/engine"
)

const (
	accountA = "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
	accountB = "AC0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
	child    = "AC0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c" // of A
)

// house is a bus with a broker that knows tokens, and an engine that writes down what
// comes.
type house struct {
	t      *testing.T
	server *broker.Server
	owner  *nats.Conn

	mu   sync.Mutex
	came []engine.Command
}

func openHouse(t *testing.T, tokens ...access.Token) *house {
	t.Helper()
	server, err := broker.Start(t.TempDir(), &broker.Options{Token: "secret", SyncInterval: time.Minute, Tokens: tokens})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	h := &house{t: t, server: server, owner: connect(t, server)}
	startBus(t, h.owner, h.execute, &bus.Options{Owner: func(_ context.Context, aggregate string) (string, error) {
		return map[string]string{"CHofA": accountA, "CHofB": accountB, "CHofChild": child}[aggregate], nil
	}, ActFor: func(_ context.Context, acting, account string) error {
		if acting == accountA && account == child {
			return nil
		}
		return &engine.Failure{Kind: "not_found", Code: "not_found", Twilio: 20404, Message: "The requested account was not found"}
	}})
	return h
}

func (h *house) execute(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	h.mu.Lock()
	h.came = append(h.came, c)
	h.mu.Unlock()
	return accept(ctx, c)
}

// last is the newest command that came, and how many there were.
func (h *house) last() (c engine.Command, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.came) == 0 {
		return c, 0
	}
	return h.came[len(h.came)-1], len(h.came)
}

func (h *house) client(secret string, options ...nats.Option) *nats.Conn {
	h.t.Helper()
	silent := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	nc, err := nats.Connect(h.server.URL(), append(options, silent, nats.Token(secret))...)
	require.NoError(h.t, err)
	h.t.Cleanup(nc.Close)
	return nc
}

func newToken(t *testing.T, wanted access.Token) (access.Token, string) {
	t.Helper()
	made, secret, err := access.New(wanted, "test", time.Now())
	require.NoError(t, err)
	return made, secret
}

func commandsOf(t *testing.T, account string, actors ...string) (access.Token, string) {
	t.Helper()
	return newToken(t, access.Token{Roles: []access.Role{access.Commands}, Account: account, Actors: actors})
}

func replyOf(t *testing.T, m *nats.Msg, err error) (r bus.Reply) {
	t.Helper()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(m.Data, &r), string(m.Data))
	return r
}

// send uses the durable door with a reply subject of its own.
func send(t *testing.T, nc *nats.Conn, m *nats.Msg, inbox string) (r bus.Reply) {
	t.Helper()
	replies, err := nc.SubscribeSync(inbox)
	require.NoError(t, err)
	m.Header.Set(bus.HeaderReplyTo, inbox)
	stored, err := nc.RequestMsg(m, soon)
	require.NoError(t, err)
	require.Contains(t, string(stored.Data), `"stream":"PARLEY_COMMANDS"`)
	reply, err := replies.NextMsg(soon)
	return replyOf(t, reply, err)
}

func TestTheAccountOfARestrictedTokenComesFromTheConnection(t *testing.T) {
	a, secret := commandsOf(t, accountA)
	h := openHouse(t, a)
	nc := h.client(secret)
	for _, door := range []func(body string) bus.Reply{
		func(body string) bus.Reply {
			m, err := nc.Request("parley.call.CH1", []byte(body), soon)
			return replyOf(t, m, err)
		},
		func(body string) bus.Reply {
			m := nats.NewMsg("parley.commands.CH1")
			m.Data = []byte(body)
			return send(t, nc, m, nc.NewInbox())
		},
	} {
		require.True(t, door(`{"command":"conversation.remove"}`).OK)
		c, n := h.last()
		require.Equal(t, accountA, c.Account)
		require.Equal(t, "CH1", c.Aggregate)
		require.True(t, door(`{"command":"conversation.remove","account":"`+accountA+`"}`).OK)
		require.True(t, door(`{"command":"conversation.remove","account":"`+child+`"}`).OK, "as over REST, a parent acts for its own")
		c, m := h.last()
		require.Equal(t, child, c.Account)
		for _, refused := range []struct{ body, kind, code, field string }{
			{`{"command":"conversation.remove","account":"` + accountB + `"}`, "not_found", "not_found", "account"},
			{`{"command":"conversation.remove","actor":{"kind":"system"}}`, "permission_denied", bus.CodeActor, "actor.kind"},
			{`{"command":"conversation.remove","actor":{"kind":"timer"}}`, "permission_denied", bus.CodeActor, "actor.kind"},
			{`{"command":"conversation.remove","actor":{"kind":"user","id":"alice"}}`, "permission_denied", bus.CodeActor, "actor.kind"},
			{`{"command":"account.create"}`, "permission_denied", bus.CodeCommand, "command"},
			{`{"command":"account.set-auth-token","data":{"secret":"x"}}`, "permission_denied", bus.CodeCommand, "command"},
			{`{"command":"apikey.create","data":{"secret":"x"}}`, "permission_denied", bus.CodeCommand, "command"},
		} {
			r := door(refused.body)
			require.False(t, r.OK, refused.body)
			require.Equal(t, [3]string{refused.kind, refused.code, refused.field}, [3]string{r.Error.Kind, r.Error.Code, r.Error.Field}, refused.body)
			_, now := h.last()
			require.Equal(t, m, now, "it came to the engine: %s", refused.body)
		}
		require.Greater(t, m, n)
	}
}

func TestATokenActsAsTheKindsItWasGivenOnly(t *testing.T) {
	a, secret := commandsOf(t, accountA, "user", "participant")
	h := openHouse(t, a)
	nc := h.client(secret)
	call := func(body string) bus.Reply {
		m, err := nc.Request("parley.call.CH1", []byte(body), soon)
		return replyOf(t, m, err)
	}
	require.True(t, call(`{"command":"conversation.remove","actor":{"kind":"user","id":"alice"}}`).OK)
	require.True(t, call(`{"command":"conversation.remove","actor":{"kind":"participant","id":"MB1"}}`).OK)
	require.Equal(t, bus.CodeActor, call(`{"command":"conversation.remove"}`).Error.Code, "without an actor it is api")
}

// The authority that Parley writes down is its own to write.
func TestNobodyForgesAnAuthority(t *testing.T) {
	a, secret := commandsOf(t, accountA)
	h := openHouse(t, a)
	nc := h.client(secret)
	forged := accountB + ".system." + a.ID
	for _, name := range []string{"Parley-Authority", "parley-authority", "PARLEY-AUTHORITY"} {
		m := nats.NewMsg("parley.call.CH1")
		m.Data = []byte(`{"command":"conversation.remove"}`)
		m.Header[name] = []string{forged}
		reply, err := nc.RequestMsg(m, soon)
		require.Equal(t, bus.CodeUnknown, replyOf(t, reply, err).Error.Code)
		m = nats.NewMsg("parley.commands.CH1")
		m.Data = []byte(`{"command":"conversation.remove","actor":{"kind":"system"}}`)
		m.Header[name] = []string{forged}
		require.False(t, send(t, nc, m, nc.NewInbox()).OK)
	}
	_, n := h.last()
	require.Zero(t, n)
}

// A deputy is confused who does for one what only he may: publishing a reply, a stream's
// acknowledgement, or a message, to a subject that the sender may not publish to.
func TestNobodyMakesParleyPublishForHim(t *testing.T) {
	a, secretA := commandsOf(t, accountA)
	other, secretOther := commandsOf(t, accountA)
	b, secretB := newToken(t, access.Token{Roles: []access.Role{access.Events}, Account: accountB})
	h := openHouse(t, a, other, b)
	heard, err := h.owner.SubscribeSync(">")
	require.NoError(t, err)
	inOther, err := h.client(secretOther).SubscribeSync("_INBOX.victim")
	require.NoError(t, err)
	inB, err := h.client(secretB).SubscribeSync("parley.events.>")
	require.NoError(t, err)
	nc := h.client(secretA)
	js, err := jetstream.New(h.owner)
	require.NoError(t, err)
	targets := []string{
		"_INBOX.victim", "_INBOX_" + other.ID + ".victim", "parley.events." + accountB + ".x.y.z.v", "parley.events." + accountA + ".x.y.z.v",
		"parley.commands.CH9", "parley.call.CH9", "parley.dead.CH9", "parley.reply." + other.ID + "._INBOX.victim",
		"$JS.ACK.PARLEY_COMMANDS.parley-parley_commands_all.1.1.1.1.0", "$JS.API.STREAM.PURGE.PARLEY_COMMANDS", "$JS.API.STREAM.DELETE.PARLEY_DEAD",
	}
	for _, target := range targets {
		body := []byte(`{"command":"conversation.remove"}`)
		require.NoError(t, nc.PublishRequest("parley.call.CH1", target, body))
		require.NoError(t, nc.PublishRequest("parley.commands.CH1", target, body))
		m := nats.NewMsg("parley.commands.CH1")
		m.Data = body
		m.Header.Set(bus.HeaderReplyTo, target)
		m.Header.Set("Nats-Trace-Dest", target)
		require.NoError(t, nc.PublishMsg(m))
		m = nats.NewMsg("parley.call.CH1")
		m.Data = body
		m.Header.Set("Nats-Trace-Dest", target)
		require.NoError(t, nc.PublishMsg(m))
	}
	m := nats.NewMsg("parley.commands.CH1") // behind all of them
	m.Data = []byte(`{"command":"conversation.remove"}`)
	require.True(t, send(t, nc, m, nc.NewInbox()).OK)
	_, n := h.last()
	require.Greater(t, n, len(targets), "some of them the broker refuses by itself")
	for _, victim := range []*nats.Subscription{inOther, inB} {
		_, err = victim.NextMsg(100 * time.Millisecond)
		require.ErrorIs(t, err, nats.ErrTimeout)
	}
	for { // what others may hear in Parley's own world
		m, err := heard.NextMsg(100 * time.Millisecond)
		if err != nil {
			break
		}
		if m.Subject == "parley.commands.CH9" { // as if he had sent the reply there himself
			require.Equal(t, accountA+".api."+a.ID, m.Header.Get("Parley-Authority"))
			continue
		}
		for _, target := range targets {
			require.False(t, m.Subject == target && strings.Contains(string(m.Data), `"ok":`), target) // Parley itself purges, too
		}
	}
	for _, stream := range []string{bus.StreamCommands, bus.StreamDead} {
		_, err := js.Stream(t.Context(), stream)
		require.NoError(t, err)
	}
}

// Unreadable bytes of one account must not park an aggregate that may be another's; nor
// may it redrive what is parked.
func TestARestrictedTokenParksNothingAndRedrivesNothing(t *testing.T) {
	a, secret := commandsOf(t, accountA)
	h := openHouse(t, a)
	nc := h.client(secret)
	m := nats.NewMsg("parley.commands.CH1")
	m.Data = []byte(`not json`)
	require.Equal(t, bus.CodeUnreadable, send(t, nc, m, nc.NewInbox()).Error.Code)
	letters, err := bus.OpenDeadLetters(t.Context(), h.owner)
	require.NoError(t, err)
	n, _, err := letters.Depth(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)

	_, err = h.owner.Request("parley.commands.CH1", []byte(`not json`), soon) // the owner's does park it
	require.NoError(t, err)
	require.Eventually(t, func() bool { n, _, err := letters.Depth(t.Context()); return err == nil && n == 1 }, soon, time.Millisecond)
	list, err := letters.List(t.Context(), "", 0)
	require.NoError(t, err)
	m = nats.NewMsg("parley.commands.CH1")
	m.Header.Set("Parley-Redrive", "1")
	r := send(t, nc, m, nc.NewInbox())
	require.False(t, r.OK)
	after, err := letters.List(t.Context(), "", 0)
	require.NoError(t, err)
	require.Zero(t, after[0].Redriven)
	require.Equal(t, list[0].Sequence, after[0].Sequence)
}

// Another account's aggregate looks the same to a token whether it is parked or not; its own
// commands wait their turn.
func TestOnlyItsOwnParkedAggregatesHoldATokenUp(t *testing.T) {
	a, secret := commandsOf(t, accountA)
	h := openHouse(t, a)
	nc := h.client(secret)
	letters, err := bus.OpenDeadLetters(t.Context(), h.owner)
	require.NoError(t, err)
	for i, aggregate := range []string{"CHofA", "CHofB", "CHofChild"} {
		_, err = h.owner.Request("parley.commands."+aggregate, []byte(`not json`), soon)
		require.NoError(t, err)
		require.Eventually(t, func() bool { n, _, err := letters.Depth(t.Context()); return err == nil && n == uint64(i+1) }, soon, time.Millisecond)
	}
	for aggregate, parked := range map[string]bool{"CHofA": true, "CHofChild": true, "CHofB": false} {
		m := nats.NewMsg("parley.commands." + aggregate)
		m.Data = []byte(`{"command":"conversation.remove"}`)
		r := send(t, nc, m, nc.NewInbox())
		require.Equal(t, parked, !r.OK && r.Error.Code == bus.CodeParked, aggregate) // the engine would say that it is not found
	}
	n, _, err := letters.Depth(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, n)
}

// Ids of messages are recognised within an account: another one that uses the same must
// not make a command disappear.
func TestMessageIDsOfAccountsAreTheirOwn(t *testing.T) {
	a, secretA := commandsOf(t, accountA)
	b, secretB := commandsOf(t, accountB)
	h := openHouse(t, a, b)
	for i, secret := range []string{secretA, secretB, secretA} {
		nc := h.client(secret)
		m := nats.NewMsg("parley.commands.CH1")
		m.Data = []byte(`{"command":"conversation.remove"}`)
		m.Header.Set(nats.MsgIdHdr, "order-1")
		stored, err := nc.RequestMsg(m, soon)
		require.NoError(t, err)
		require.Equal(t, i == 2, json.Valid(stored.Data) && contains(t, stored.Data, "duplicate"), string(stored.Data))
	}
}

func contains(t *testing.T, data []byte, member string) bool {
	t.Helper()
	var members map[string]any
	require.NoError(t, json.Unmarshal(data, &members))
	_, there := members[member]
	return there
}

// A client that knows the token's own prefix of inboxes may use it, and one that does
// not need not.
func TestBothPrefixesOfInboxesWork(t *testing.T) {
	a, secret := commandsOf(t, accountA)
	h := openHouse(t, a)
	for _, options := range [][]nats.Option{nil, {nats.CustomInboxPrefix(access.InboxPrefix(a.ID))}} {
		nc := h.client(secret, options...)
		m, err := nc.Request("parley.call.CH1", []byte(`{"command":"conversation.remove"}`), soon)
		require.True(t, replyOf(t, m, err).OK)
		sent := nats.NewMsg("parley.commands.CH1")
		sent.Data = []byte(`{"command":"conversation.remove"}`)
		require.True(t, send(t, nc, sent, nc.NewInbox()).OK)
	}
}
