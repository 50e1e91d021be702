package webhooks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/domain/service"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/webhooks"
	"github.com/parley-engine/parley/store"
)

func TestWhoDoesItDecidesWhetherItIsTold(t *testing.T) {
	w := newWorld(t)
	w.listen("onMessageAdded", "onConversationStateUpdated", "onConversationUpdated")
	ch := w.conversation(conversation.Create{Timers: &events.Timers{Inactive: "PT1M"}})
	mb := w.must(ch, conversation.AddParticipant{Identity: "alice"}).Sid
	w.told()
	for _, row := range []struct {
		actor  events.Actor
		hooked bool
		want   []string
	}{
		{api, false, nil},
		{api, true, []string{"onMessageAdded"}},
		{events.Actor{Kind: events.ActorSystem}, false, nil},
		{alice, false, []string{"onMessageAdded"}},
		{events.Actor{Kind: events.ActorParticipant, ID: mb}, false, []string{"onMessageAdded"}},
		{events.Actor{Kind: events.ActorChannel}, false, []string{"onMessageAdded"}},
		{events.Actor{Kind: events.ActorImport}, true, nil},
	} {
		c := w.command(row.actor, ch, conversation.AddMessage{Author: "alice", Body: "hi"})
		c.Webhooks = row.hooked
		w.execute(c)
		require.Equal(t, row.want, whats(w.told()), "%v %v", row.actor, row.hooked)
	}
	due := w.now.Add(1e15)
	w.now = due
	_, _, err := w.engine.Advance(t.Context(), ch, due)
	require.NoError(t, err)
	told := w.told()
	require.Equal(t, []string{"onConversationStateUpdated"}, whats(told), "a timer's change of state is no update besides")
	require.Equal(t, []string{"active", "inactive", "TIMER", "API"}, []string{told[0].Parameters["StateFrom"], told[0].Parameters["StateTo"], told[0].Parameters["Reason"], told[0].Parameters["Source"]})
}

func TestThePresentStateSetAgainIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.listen(everything...)
	ch := w.conversation(conversation.Create{})
	w.told()
	w.must(ch, conversation.Update{State: at("active")})
	require.Empty(t, w.told())
	w.must(ch, conversation.Update{State: at("closed"), FriendlyName: at("end")})
	require.Equal(t, []string{"onConversationStateUpdated", "onConversationUpdated"}, whats(w.told()), "one update, of name and state")
}

func TestTheServicesOwnConfigurationStandsInForTheAccounts(t *testing.T) {
	w := newWorld(t)
	ch := w.conversation(conversation.Create{})
	w.told()
	said := func() (urls []string) {
		w.must(ch, conversation.AddMessage{Body: "hi"})
		for _, j := range w.told() {
			urls = append(urls, j.Method+" "+j.Target)
		}
		return urls
	}
	require.Empty(t, said(), "nobody is configured")
	w.listen("onMessageAdded")
	require.Equal(t, []string{"POST " + hookURL}, said())
	w.listen("")
	require.Empty(t, said(), "no filters, no events")
	w.listen("onMessageAdded")
	own, method := "http://service.example/", "GET"
	w.must(w.service, service.ConfigureWebhooks{PostWebhookURL: &own, Method: &method, Filters: []string{"onMessageAdded"}})
	require.Equal(t, []string{"GET " + own}, said())
	w.must(w.service, service.ConfigureWebhooks{Filters: []string{"onMessageUpdated"}})
	require.Empty(t, said(), "the account's is not asked any more")
	none := ""
	w.must(w.service, service.ConfigureWebhooks{PostWebhookURL: &none, Filters: []string{""}})
	require.Equal(t, []string{"POST " + hookURL}, said(), "a service that has nothing configured")
}

func (w *world) attach(ch string, hook events.Webhook) string {
	return w.must(ch, conversation.AddWebhook{Webhook: hook}).Sid
}

func TestAConversationsWebhooksAreTheOnesItHadThen(t *testing.T) {
	w := newWorld(t)
	ch := w.conversation(conversation.Create{})
	first := w.attach(ch, events.Webhook{Target: "webhook", URL: "http://a.example/", Filters: []string{"onMessageAdded", "onConversationRemoved"}})
	w.must(ch, conversation.AddMessage{Body: "one"})
	w.attach(ch, events.Webhook{Target: "webhook", URL: "http://b.example/", Filters: []string{"onMessageAdded"}})
	w.attach(ch, events.Webhook{Target: "studio", FlowSid: domain.SID("FW", "flow")})
	w.must(ch, conversation.AddMessage{Body: "two"})
	w.must(ch, conversation.UpdateWebhook{WebhookSid: first, URL: at("http://c.example/")})
	w.must(ch, conversation.AddMessage{Body: "three"})
	w.must(ch, conversation.Remove{})
	said := map[string][]string{}
	for _, j := range w.told() {
		require.Equal(t, ch, j.Order)
		said[j.URL] = append(said[j.URL], j.Parameters["Body"]+" "+j.What)
	}
	require.Equal(t, map[string][]string{
		"http://a.example/": {"one onMessageAdded", "two onMessageAdded"},
		"http://b.example/": {"two onMessageAdded", "three onMessageAdded"},
		"http://c.example/": {"three onMessageAdded", " onConversationRemoved"},
	}, said)
}

func TestTheSameEventIsTheSameJobs(t *testing.T) {
	w := newWorld(t)
	w.listen("onMessageAdded")
	ch := w.conversation(conversation.Create{})
	w.attach(ch, events.Webhook{Target: "webhook", URL: hookURL, Filters: []string{"onMessageAdded"}})
	w.must(ch, conversation.AddMessage{Body: "one"})
	w.seen = events.Position{}
	first := w.told()
	require.Len(t, first, 2, "account and conversation, though the URL is one")
	w.seen = events.Position{}
	require.Equal(t, first, w.told())
	require.NotEqual(t, first[0].Key, first[1].Key)
}

func TestTriggersAreWordsOfAMessage(t *testing.T) {
	w := newWorld(t)
	ch := w.conversation(conversation.Create{})
	w.attach(ch, events.Webhook{Target: "trigger", URL: "http://t.example/", Triggers: []string{"Help", "über uns", "c++"}})
	for body, want := range map[string]bool{
		"help": true, "I need HELP!": true, "help_me": false, "helpless": false, "whelp": false, "whelp, help": true, "help2": false,
		"Alles ÜBER UNS.": true, "über unser": false, "use c++": true, "": false, "(help)": true,
	} {
		w.must(ch, conversation.AddMessage{Body: body + " "})
		require.Equal(t, want, len(w.told()) == 1, body)
	}
	im := w.must(ch, conversation.AddMessage{Body: "nothing"}).Sid
	w.must(ch, conversation.EditMessage{Message: im, Body: at("help")})
	require.Empty(t, w.told(), "an edit adds no message")
}

func TestANewWebhookHearsOfTheMessagesItAsksFor(t *testing.T) {
	w := newWorld(t)
	ch := w.conversation(conversation.Create{})
	var sids []string
	for _, body := range []string{"zero", "one", "two", "three help"} {
		sids = append(sids, w.must(ch, conversation.AddMessage{Body: body}).Sid)
	}
	w.must(ch, conversation.RemoveMessage{Message: sids[2]})
	w.told()
	c := w.command(api, ch, conversation.AddWebhook{Webhook: events.Webhook{Target: "webhook", URL: "http://r.example/", Filters: []string{"onMessageAdded"}, ReplayAfter: at(int64(1))}})
	c.Webhooks = false
	w.execute(c)
	jobs := w.told()
	require.Equal(t, []string{"onMessageAdded", "onMessageAdded"}, whats(jobs))
	require.Equal(t, []string{"one", "three help"}, []string{jobs[0].Parameters["Body"], jobs[1].Parameters["Body"]})
	require.NotEqual(t, jobs[0].Key, jobs[1].Key)
	w.attach(ch, events.Webhook{Target: "trigger", URL: "http://t.example/", Triggers: []string{"help"}, ReplayAfter: at(int64(0))})
	require.Equal(t, []string{"onMessageAdded"}, whats(w.told()))
	w.attach(ch, events.Webhook{Target: "webhook", URL: "http://n.example/", Filters: []string{"onMessageUpdated"}, ReplayAfter: at(int64(0))})
	require.Empty(t, w.told())
}

// reads counts the streams that are read.
type reads struct {
	store.StreamReader
	n int
}

func (r *reads) ReadStream(ctx ctx, stream string, from store.Revision, d store.Direction) seq {
	r.n++
	return r.StreamReader.ReadStream(ctx, stream, from, d)
}

func TestNothingIsReadWhenNobodyListens(t *testing.T) {
	r := &reads{}
	w := newWorld(t, func(c *webhooks.Config) { r.StreamReader = c.Log; c.Log = r })
	w.listen("onMessageRemoved")
	ch := w.conversation(conversation.Create{})
	w.must(ch, conversation.AddMessage{Body: "hi"})
	require.Empty(t, w.told())
	require.Zero(t, r.n)
}

func TestAnEventThatCannotBeReadIsSkipped(t *testing.T) {
	w := newWorld(t)
	w.listen(everything...)
	ch := w.conversation(conversation.Create{})
	for i, eventType := range []string{"conversation.from-the-future.v9", "user.removed.v1"} {
		_, err := w.log.Append(t.Context(), events.Stream(events.CategoryConversation, ch), store.Revision(i), []events.Proposed{
			{ID: events.NameID(eventType), Type: eventType, Data: []byte(`{}`), Metadata: events.Metadata{Account: w.account, Webhooks: true}},
		})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"onConversationAdded"}, whats(w.told()))
	require.Contains(t, w.logged.String(), "no webhooks for an event that cannot be read")
	w.conversation(conversation.Create{})
	require.Equal(t, []string{"onConversationAdded"}, whats(w.told()))
}

// counted is an engine that counts who asks for webhooks of conversations.
type counted struct {
	webhooks.Engine
	asked int
}

func (c *counted) ConversationHooked(ctx ctx, sid string) (bool, error) {
	c.asked++
	return c.Engine.ConversationHooked(ctx, sid)
}

func TestWhetherAConversationIsHookedIsAskedOnce(t *testing.T) {
	e := &counted{}
	w := newWorld(t, func(c *webhooks.Config) { e.Engine = c.Engine; c.Engine = e })
	ch := w.conversation(conversation.Create{})
	w.must(ch, conversation.AddMessage{Body: "one"})
	require.Empty(t, w.told())
	require.Zero(t, e.asked, "a new conversation has none")
	wh := w.attach(ch, events.Webhook{Target: "webhook", URL: "http://x.example/", Filters: []string{"onMessageAdded"}})
	w.must(ch, conversation.AddMessage{Body: "two"})
	require.Len(t, w.told(), 1)
	w.must(ch, conversation.RemoveWebhook{WebhookSid: wh})
	for range 3 {
		w.must(ch, conversation.AddMessage{Body: "three"})
	}
	require.Empty(t, w.told())
	require.Equal(t, 1, e.asked)
}

func TestAConversationThatBeginsWithPeopleIsToldOneByOne(t *testing.T) {
	w := newWorld(t)
	w.listen(everything...)
	mg := w.must(w.account, account.AddMessagingService{}).Sid
	begin := conversation.CreateWithParticipants{
		Conversation: conversation.Create{MessagingService: mg},
		Participants: []conversation.AddParticipant{{Identity: "alice"}, {Address: "whatsapp:+4915112345678", ProxyAddress: "whatsapp:+4930123456"}},
	}
	w.must("", begin)
	jobs := w.told()
	require.Equal(t, []string{"onUserAdded", "onConversationAdded", "onParticipantAdded", "onParticipantAdded"}, whats(jobs))
	require.NotContains(t, jobs[1].Parameters, "MessagingBinding.Address", "the API's has none")

	begin.Participants = []conversation.AddParticipant{{Address: "whatsapp:+4915112345679", ProxyAddress: "whatsapp:+4930123456"}}
	w.as(events.Actor{Kind: events.ActorChannel, ID: "whatsapp:+4915112345679"}, "", begin)
	jobs = w.told()
	require.Equal(t, []string{"onConversationAdded", "onParticipantAdded"}, whats(jobs))
	p := jobs[0].Parameters
	require.Equal(t, []string{"WHATSAPP", "whatsapp:+4915112345679", "whatsapp:+4930123456"},
		[]string{p["Source"], p["MessagingBinding.Address"], p["MessagingBinding.ProxyAddress"]})
}

func TestAMessageThatWakesAConversationIsToldWithTheWaking(t *testing.T) {
	w := newWorld(t)
	w.listen(everything...)
	ch := w.conversation(conversation.Create{})
	w.must(ch, conversation.Update{State: at("inactive")})
	w.told()
	w.must(ch, conversation.AddMessage{Body: "good morning"})
	jobs := w.told()
	require.ElementsMatch(t, []string{"onMessageAdded", "onConversationStateUpdated"}, whats(jobs))
	for _, j := range jobs {
		if j.What == "onConversationStateUpdated" {
			require.Equal(t, "EVENT", j.Parameters["Reason"])
		}
	}
}
