package bus_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/seal"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// office is a bus with a real engine behind it.
type office struct {
	t       *testing.T
	nc      *nats.Conn
	account string
	log     *memstore.Store
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, nc: connect(t, startBroker(t, t.TempDir())), account: domain.SID("AC", "office"), log: memstore.New()}
	vault, err := seal.New([]byte(strings.Repeat("k", seal.KeySize)))
	require.NoError(t, err)
	e := engine.New(o.log, &engine.Options{DefaultAccount: o.account, Vault: vault})
	startBus(t, o.nc, e.Execute, nil)
	require.True(t, o.asks("", "account.create", o.account, `{}`).OK)
	return o
}

// asks sends a command over the call door, as a user or, without a name, as the account.
func (o *office) asks(who, command, aggregate, data string) (reply bus.Reply) {
	o.t.Helper()
	actor := `{"kind":"api"}`
	if who != "" {
		actor = fmt.Sprintf(`{"kind":"user","id":%q}`, who)
	}
	if aggregate == "" {
		aggregate = "new"
	}
	answer, err := o.nc.Request("parley.call."+aggregate, fmt.Appendf(nil, `{"command":%q,"id":%q,"actor":%s,"data":%s}`, command, uuid.NewString(), actor, data), soon)
	require.NoError(o.t, err)
	require.NoError(o.t, json.Unmarshal(answer.Data, &reply))
	return reply
}

func (o *office) made(command, aggregate, data string) string {
	o.t.Helper()
	reply := o.asks("", command, aggregate, data)
	require.True(o.t, reply.OK, "%+v", reply.Error)
	return reply.Outcome.Sid
}

func (o *office) events() (n int) {
	for _, err := range o.log.ReadAll(o.t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(o.t, err)
		n++
	}
	return n
}

// bodies has a line for every command on a conversation: to leave it as it is, and to
// change it. $MESSAGE stands for a message, $ME for who asks.
var bodies = map[string][]string{
	"conversation.update":                   {`{"friendly_name":"talk"}`, `{"friendly_name":"changed"}`, `{"state":"closed"}`},
	"conversation.remove":                   {},
	"conversation.add-participant":          {`{"identity":"participant"}`, `{"identity":"yan"}`, `{"address":"+15005550001","proxy_address":"+15005550002"}`},
	"conversation.update-participant":       {`{"participant":"participant"}`, `{"participant":"participant","attributes":"[]"}`, `{"participant":"nobody"}`},
	"conversation.remove-participant":       {`{"participant":"participant"}`, `{"participant":"nobody"}`},
	"conversation.add-message":              {`{"body":"x"}`},
	"conversation.edit-message":             {`{"message":"$MESSAGE"}`, `{"message":"$MESSAGE","body":"x"}`},
	"conversation.remove-message":           {`{"message":"$MESSAGE"}`},
	"conversation.record-delivery":          {`{"message":"$MESSAGE","participant":"participant","status":"read"}`},
	"conversation.move-read-horizon":        {`{"participant":"participant"}`, `{"participant":"$ME","index":0}`},
	"conversation.set-notification-level":   {`{"participant":"participant","level":"default"}`, `{"participant":"$ME","level":"muted"}`},
	"conversation.update-user-conversation": {`{"participant":"$ME"}`, `{"participant":"participant","notification_level":"muted"}`},
	"conversation.advance-state":            {},
	"conversation.link-successor":           {},
	"conversation.fire-timer":               {`{"reason":"x"}`},
	"conversation.postpone-timer":           {`{"reason":"x","by":"PT1H"}`},
	"conversation.cancel-timers":            {`{"reason":"x"}`},
	"conversation.add-webhook":              {`{"webhook":{"target":"webhook","url":"https://example.org"}}`},
	"conversation.update-webhook":           {},
	"conversation.remove-webhook":           {},
}

// Nobody learns by a command what a read refuses him: every command there is, by
// everybody, for nothing, the same and a change.
func TestNoCommandTellsAStrangerAnything(t *testing.T) {
	o := newOffice(t)
	for _, who := range []string{"user", "former", "participant", "creator", "removed"} {
		o.made("user.create", "", fmt.Sprintf(`{"identity":%q}`, who))
	}
	ch := o.asks("creator", "conversation.create", "", `{"friendly_name":"talk"}`).Outcome.Sid
	for _, who := range []string{"former", "removed", "participant"} {
		o.made("conversation.add-participant", ch, fmt.Sprintf(`{"identity":%q}`, who))
	}
	message := o.asks("former", "conversation.add-message", ch, `{"body":"x"}`).Outcome.Sid
	for _, who := range []string{"former", "removed"} {
		o.made("conversation.remove-participant", ch, fmt.Sprintf(`{"participant":%q}`, who))
	}
	before := o.events()
	for _, c := range engine.CommandTypes() {
		for _, who := range []string{"nobody", "removed", "user", "former", "creator"} {
			if c.Prefix != "CH" || c.Creates {
				o.requireNotForUsers(c, who)
				continue
			}
			require.Contains(t, bodies, c.Name, "a command needs a line in the table")
			for _, body := range append(bodies[c.Name], `{}`) {
				body = strings.NewReplacer("$MESSAGE", message, "$ME", who).Replace(body)
				got, absent := o.asks(who, c.Name, ch, body), o.asks(who, c.Name, domain.SID("CH", "absent"), body)
				require.NotNil(t, got.Error, "%s by %s: %s", c.Name, who, body)
				require.Equal(t, "not_a_participant", got.Error.Code, "%s by %s: %s", c.Name, who, body)
				require.Equal(t, got.Error, absent.Error, "%s by %s: %s", c.Name, who, body)
			}
		}
	}
	require.Equal(t, before, o.events())
	require.True(t, o.asks("participant", "conversation.update", ch, `{}`).OK, "who sees it is told that there is nothing to do")
}

// requireNotForUsers holds for what is not about one conversation: nobody is told whether
// it is there.
func (o *office) requireNotForUsers(c engine.CommandType, who string) {
	o.t.Helper()
	if strings.HasPrefix(c.Name, "user.") || c.Name == "media.create" || c.Name == "conversation.create" && who != "nobody" {
		return // a user's own business, or what users may read of each other
	}
	got := o.asks(who, c.Name, domain.SID(c.Prefix, "absent"), `{}`)
	require.NotNil(o.t, got.Error, "%s by %s", c.Name, who)
	require.Equal(o.t, string(domain.PermissionDenied), got.Error.Kind, "%s by %s: %+v", c.Name, who, got.Error)
}
