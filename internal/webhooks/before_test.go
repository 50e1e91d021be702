package webhooks_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	twilio "github.com/twilio/twilio-go/client"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/user"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor/guard"
	"github.com/parley-engine/parley/internal/webhooks"
)

var asked = []string{
	"onConversationAdd", "onConversationUpdate", "onConversationRemove", "onMessageAdd", "onMessageUpdate", "onMessageRemove",
	"onParticipantAdd", "onParticipantUpdate", "onParticipantRemove", "onUserUpdate",
}

func (w *world) asks(target string, filters ...string) {
	w.t.Helper()
	w.must(w.account, account.ConfigureWebhooks{PreWebhookURL: &target, Filters: filters})
}

// oracle answers pre-events with what it is told to.
type oracle struct {
	*world
	got    *[]received
	status int
	body   string
	heard  func(result string) // nil: nobody listens
}

func newOracle(t *testing.T) *oracle {
	o := &oracle{status: 200}
	o.world = newWorld(t, inside, func(c *webhooks.Config) {
		c.Asked = func(result string) {
			if o.heard != nil {
				o.heard(result)
			}
		}
	})
	server, got := receiver(t, func(w http.ResponseWriter, _ received) {
		w.WriteHeader(o.status)
		_, _ = io.WriteString(w, o.body)
	})
	o.got = got
	o.asks(server.URL+"/pre", asked...)
	return o
}

// last is the parameters of the last call.
func (o *oracle) last() url.Values {
	o.t.Helper()
	require.NotEmpty(o.t, *o.got)
	values, err := url.ParseQuery(string((*o.got)[len(*o.got)-1].body))
	require.NoError(o.t, err)
	return values
}

// The table of reference 8.5.
func TestWhatAnAnswerMakesOfAMessage(t *testing.T) {
	o := newOracle(t)
	ch := o.conversation(conversation.Create{})
	add := conversation.AddMessage{Author: "alice", Body: "Hello", Attributes: `{"a":1}`}
	results := map[string]int{}
	o.heard = func(result string) { results[result]++ }
	for name, row := range map[string]struct {
		status  int
		body    string
		want    conversation.AddMessage
		refused bool
		logged  string
	}{
		"empty":               {200, "", add, false, ""},
		"no content":          {204, "", add, false, ""},
		"an empty object":     {200, " {} \n", add, false, ""},
		"a body":              {200, `{"body":"Bye"}`, conversation.AddMessage{Author: "alice", Body: "Bye", Attributes: `{"a":1}`}, false, ""},
		"an empty body":       {200, `{"body":""}`, conversation.AddMessage{Author: "alice", Attributes: `{"a":1}`}, false, ""},
		"all of it":           {200, `{"body":"B","author":"bob","attributes":"{\"b\":2}"}`, conversation.AddMessage{Author: "bob", Body: "B", Attributes: `{"b":2}`}, false, ""},
		"attributes as JSON":  {200, `{"attributes":{"b": [1, 2]}}`, conversation.AddMessage{Author: "alice", Body: "Hello", Attributes: `{"b":[1,2]}`}, false, ""},
		"nulls and strangers": {200, `{"body":null,"attributes":null,"friendly_name":"x","state":"closed"}`, add, false, ""},
		"a refusal":           {403, "", add, true, ""},
		"a failure":           {500, `{"body":"Bye"}`, add, true, ""},
		"another refusal":     {400, "", add, true, ""},
		"gone":                {410, "", add, true, ""},
		"a redirect":          {302, "", add, false, "redirects are not followed"},
		"no JSON":             {200, "OK", add, false, "not a JSON object"},
		"another shape":       {200, `{"body":5}`, add, false, "not a JSON object"},
		"a list":              {200, `[]`, add, false, "not a JSON object"},
		"too much":            {200, `{"body":"` + strings.Repeat("x", 64<<10) + `"}`, add, false, "longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			o.status, o.body = row.status, row.body
			o.logged.Reset()
			before := o.command(api, ch, add)
			after, err := o.hooks.Before(t.Context(), before)
			if row.refused {
				require.Equal(t, &engine.Failure{Kind: string(domain.PermissionDenied), Code: webhooks.Refused, Twilio: 50056, Message: "The webhook of the account or service refused this"}, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.want, after.Fields)
			before.Fields = after.Fields
			require.Equal(t, before, after)
			require.Contains(t, o.logged.String(), row.logged)
			require.Equal(t, row.logged == "", o.logged.Len() == 0)
		})
	}
	require.Equal(t, map[string]int{webhooks.Agreed: 8, webhooks.Denied: 4, webhooks.Unheard: 5}, results)
}

func TestAnAnswerThatBreaksARuleIsTheCallersError(t *testing.T) {
	o := newOracle(t)
	ch := o.conversation(conversation.Create{})
	o.body = `{"attributes":"no JSON"}`
	c, err := o.hooks.Before(t.Context(), o.command(api, ch, conversation.AddMessage{Body: "x"}))
	require.NoError(t, err)
	_, err = o.engine.Execute(t.Context(), c)
	require.Equal(t, string(domain.InvalidArgument), engine.AsFailure(err).Kind)
}

func TestWhatEachCommandIsAskedWith(t *testing.T) {
	o := newOracle(t)
	ask := func(actor events.Actor, aggregate string, f fields) url.Values {
		t.Helper()
		before := len(*o.got)
		_, err := o.hooks.Before(t.Context(), o.command(actor, aggregate, f))
		require.NoError(t, err)
		require.Len(t, *o.got, before+1)
		r := (*o.got)[before]
		validator := twilio.NewRequestValidator(testToken)
		require.True(t, validator.ValidateBody("http://"+r.Host+"/pre", r.body, r.Header.Get("X-Twilio-Signature")))
		return o.last()
	}
	requires := func(got url.Values, want map[string]string) {
		t.Helper()
		require.Equal(t, o.account, got.Get("AccountSid"))
		require.Equal(t, o.service, got.Get("ChatServiceSid"))
		for name, value := range want {
			require.Equal(t, value, got.Get(name), name)
		}
	}
	requires(ask(api, "", conversation.Create{FriendlyName: "F", UniqueName: "U"}), map[string]string{
		"EventType": "onConversationAdd", "FriendlyName": "F", "UniqueName": "U", "Attributes": "{}", "State": "active", "Source": "API", "ConversationSid": "",
	})
	mg := o.must(o.account, account.AddMessagingService{}).Sid
	ch := o.conversation(conversation.Create{FriendlyName: "F", MessagingService: mg})
	requires(ask(api, ch, conversation.Update{FriendlyName: at("G"), State: at("CLOSED")}), map[string]string{
		"EventType": "onConversationUpdate", "ConversationSid": ch, "FriendlyName": "G", "State": "closed", "MessagingServiceSid": mg,
	})
	mb := o.must(ch, conversation.AddParticipant{Identity: "alice", Attributes: `{"p":1}`}).Sid
	sms := o.must(ch, conversation.AddParticipant{Address: "+4915112345678", ProxyAddress: "+4930123456"}).Sid
	requires(ask(alice, ch, conversation.AddMessage{Body: "hi"}), map[string]string{
		"EventType": "onMessageAdd", "ConversationSid": ch, "Author": "alice", "ClientIdentity": "alice", "ParticipantSid": mb, "Source": "SDK", "Body": "hi", "MessageSid": "",
	})
	requires(ask(events.Actor{Kind: events.ActorChannel}, ch, conversation.AddMessage{Author: "+4915112345678", Body: "hi"}), map[string]string{
		"Author": "+4915112345678", "ParticipantSid": sms, "Source": "SMS",
	})
	requires(ask(api, ch, conversation.AddMessage{Body: "hi"}), map[string]string{"Author": "system", "ParticipantSid": ""})
	im := o.must(ch, conversation.AddMessage{Author: "alice", Body: "old"}).Sid
	requires(ask(api, ch, conversation.EditMessage{Message: im, Body: at("new")}), map[string]string{
		"EventType": "onMessageUpdate", "MessageSid": im, "Index": "0", "Body": "new", "Author": "alice", "ParticipantSid": mb,
	})
	requires(ask(api, ch, conversation.RemoveMessage{Message: im}), map[string]string{"EventType": "onMessageRemove", "MessageSid": im, "Body": "old"})
	requires(ask(api, ch, conversation.AddParticipant{Address: "whatsapp:+49", ProxyAddress: "whatsapp:+50"}), map[string]string{
		"EventType": "onParticipantAdd", "ConversationSid": ch, "MessagingBinding.Type": "WHATSAPP", "MessagingBinding.Address": "whatsapp:+49", "ParticipantSid": "",
	})
	requires(ask(api, ch, conversation.UpdateParticipant{Participant: "alice", Attributes: at(`{"p":2}`)}), map[string]string{
		"EventType": "onParticipantUpdate", "ParticipantSid": mb, "Identity": "alice", "Attributes": `{"p":2}`, "MessagingBinding.Type": "CHAT",
	})
	requires(ask(api, ch, conversation.RemoveParticipant{Participant: sms}), map[string]string{
		"EventType": "onParticipantRemove", "ParticipantSid": sms, "MessagingBinding.ProxyAddress": "+4930123456",
	})
	requires(ask(api, ch, conversation.Remove{}), map[string]string{"EventType": "onConversationRemove", "FriendlyName": "F", "State": "active"})
	us := o.must("", user.Create{Identity: "carol"}).Sid
	requires(ask(api, us, user.Update{FriendlyName: at("Carol")}), map[string]string{
		"EventType": "onUserUpdate", "UserSid": us, "Identity": "carol", "FriendlyName": "Carol", "Attributes": "{}",
	})
}

func TestAConversationThatAMessageBeginsIsAskedWithIt(t *testing.T) {
	o := newOracle(t)
	o.body = `{"friendly_name":"Named"}`
	c, err := o.hooks.BeforeArrival(t.Context(), o.command(events.Actor{Kind: events.ActorChannel}, "", conversation.Create{}), webhooks.Arrival{
		Body: "first", Binding: events.Binding{Type: "whatsapp", Address: "whatsapp:+49", ProxyAddress: "whatsapp:+50"},
	})
	require.NoError(t, err)
	require.Equal(t, conversation.Create{FriendlyName: "Named"}, c.Fields)
	require.Equal(t, []string{"first", "whatsapp:+49", "whatsapp:+50", "WHATSAPP"},
		[]string{o.last().Get("MessageBody"), o.last().Get("MessagingBinding.Address"), o.last().Get("MessagingBinding.ProxyAddress"), o.last().Get("Source")})
}

func TestNobodyIsAskedAboutWhatIsNotThereOrAnothers(t *testing.T) {
	o := newOracle(t)
	ch := o.conversation(conversation.Create{})
	im := o.must(ch, conversation.AddMessage{Body: "secret"}).Sid
	stranger := func(aggregate string, f fields) {
		c := o.command(api, aggregate, f)
		c.Service = domain.SID("IS", "another")
		_, err := o.hooks.Before(t.Context(), c)
		require.NoError(t, err)
	}
	stranger(ch, conversation.EditMessage{Message: im})
	for aggregate, f := range map[string]fields{
		domain.SID("CH", "none"): conversation.Remove{}, domain.SID("US", "none"): user.Update{}, ch: conversation.RemoveMessage{Message: domain.SID("IM", "none")},
	} {
		c := o.command(api, aggregate, f)
		after, err := o.hooks.Before(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, c, after)
	}
	_, err := o.hooks.Before(t.Context(), o.command(api, ch, conversation.MoveReadHorizon{}))
	require.NoError(t, err)
	o.asks("http://127.0.0.1:1/", "onMessageAdded")
	_, err = o.hooks.Before(t.Context(), o.command(api, ch, conversation.AddMessage{Body: "not filtered"}))
	require.NoError(t, err)
	require.Empty(t, *o.got)
	require.Empty(t, o.logged.String())
}

func TestAWebhookThatIsNotHeardChangesNothing(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for name, row := range map[string]struct{ target, logged string }{
		"hangs":    {"http://" + raw(t, func(net.Conn) { <-hang }), "code=50076"},
		"drips":    {"http://" + raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n{"); <-hang }), "code=50076"},
		"is away":  {"http://" + l.Addr().String(), "code=50057"},
		"shuts up": {"http://" + raw(t, func(net.Conn) {}), "code=50057"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, inside)
			w.asks(row.target, asked...)
			c := w.command(api, "", conversation.Create{FriendlyName: "private"})
			after, err := w.hooks.Before(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, c, after)
			require.Contains(t, w.logged.String(), row.logged)
			require.NotContains(t, w.logged.String(), "private")
		})
	}
	w := newWorld(t, func(c *webhooks.Config) { c.Transport = new(guard.Guard).Transport() })
	w.asks("http://169.254.169.254/", asked...)
	_, err = w.hooks.Before(t.Context(), w.command(api, "", conversation.Create{}))
	require.NoError(t, err)
	require.Contains(t, w.logged.String(), "is not a public address")
}

func TestWhoHangsUpDoesNotGetPastTheWebhook(t *testing.T) {
	asked := make(chan struct{})
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	w := newWorld(t, inside, func(c *webhooks.Config) { c.Timeout = webhooks.DefaultTimeout })
	w.asks("http://"+raw(t, func(net.Conn) { close(asked); <-hang }), "onConversationAdd")
	ctx, hangUp := context.WithCancel(t.Context())
	go func() { <-asked; hangUp() }()
	_, err := w.hooks.Before(ctx, w.command(api, "", conversation.Create{}))
	require.Equal(t, engine.KindUnavailable, engine.AsFailure(err).Kind)
	require.Empty(t, w.logged.String())
}

func TestACommandWithoutAnAccountIsNotWavedThrough(t *testing.T) {
	w := newWorld(t)
	c := w.command(api, "", conversation.Create{})
	c.Account = ""
	_, err := w.hooks.Before(t.Context(), c)
	require.Equal(t, engine.KindInternal, engine.AsFailure(err).Kind)
}

// The application is neither asked about, nor shown, what a user may not ask for.
func TestNobodyIsAskedAboutWhatAUserMayNot(t *testing.T) {
	o := newOracle(t)
	ch := o.conversation(conversation.Create{})
	for _, identity := range []string{"alice", "bob"} {
		o.must(ch, conversation.AddParticipant{Identity: identity})
	}
	im := o.must(ch, conversation.AddMessage{Author: "bob", Body: "secret"}).Sid
	own := o.must(ch, conversation.AddMessage{Author: "alice", Body: "mine"}).Sid
	us := o.must("", user.Create{Identity: "carol", Attributes: `{"phone":"secret"}`}).Sid
	ask := func(actor events.Actor, aggregate string, f fields) (*engine.Failure, int) {
		t.Helper()
		before, head := len(*o.got), o.head()
		c := o.command(actor, aggregate, f)
		_, err := o.hooks.Before(t.Context(), c)
		require.Equal(t, head, o.head(), "asking writes nothing")
		return engine.AsFailure(err), len(*o.got) - before
	}
	nobody := events.Actor{Kind: events.ActorUser, ID: "nobody"}
	for name, row := range map[string]struct {
		actor     events.Actor
		aggregate string
		fields    fields
	}{
		"another user":               {alice, us, user.Update{}},
		"another user's name":        {alice, us, user.Update{FriendlyName: at("x")}},
		"a conversation, by nobody":  {nobody, "", conversation.Create{}},
		"another one's message":      {alice, ch, conversation.EditMessage{Message: im, Body: at("x")}},
		"to remove another's":        {alice, ch, conversation.RemoveMessage{Message: im}},
		"to take another out":        {alice, ch, conversation.RemoveParticipant{Participant: "bob"}},
		"to end it":                  {alice, ch, conversation.Remove{}},
		"a message, as a stranger":   {nobody, ch, conversation.AddMessage{Body: "x"}},
		"its people, as a stranger":  {nobody, ch, conversation.AddParticipant{Identity: "x"}},
		"to rename it as a stranger": {nobody, ch, conversation.Update{FriendlyName: at("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			failure, calls := ask(row.actor, row.aggregate, row.fields)
			require.Zero(t, calls)
			require.NotNil(t, failure)
			require.Equal(t, string(domain.PermissionDenied), failure.Kind)
			_, err := o.engine.Execute(t.Context(), o.command(row.actor, row.aggregate, row.fields))
			require.Equal(t, engine.AsFailure(err), failure, "as the command itself is refused")
		})
	}
	failure, calls := ask(alice, ch, conversation.EditMessage{Message: own, Body: at("x")})
	require.Nil(t, failure)
	require.Equal(t, 1, calls)
	failure, calls = ask(alice, ch, conversation.AddMessage{Body: "for the webhook to mend", Attributes: "no JSON"})
	require.Nil(t, failure, "what is wrong otherwise is for the engine to say, once the webhook has changed it")
	require.Equal(t, 1, calls)
}
