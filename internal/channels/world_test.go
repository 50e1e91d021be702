package channels_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/loopback"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

var (
	ac = "AC" + strings.Repeat("1", 32)
	mg = "MG" + strings.Repeat("2", 32)
)

const (
	ours, ours2 = "+4930555000", "+4930555001"
	ada, bob    = "+491700000001", "+491700000002"
	wa          = "whatsapp:+491700000003"
	waOurs      = "whatsapp:+4930555000"
)

// world is an engine with channels on it.
type world struct {
	t       *testing.T
	dir     string
	log     *memstore.Store
	engine  *engine.Engine
	carrier *recorder
	before  func(context.Context, engine.Command, *carrier.Inbound) (engine.Command, error)
	keep    func(context.Context, carrier.Media) (events.Media, string, error)
	routing channels.Routing
	n       int
}

// channelsDefault is a carrier without peculiarities.
var channelsDefault = loopback.Config{}

// recorder is the simulated carrier with a memory.
type recorder struct {
	*loopback.Carrier
	idempotent bool

	mu   sync.Mutex
	sent []carrier.Outgoing
	fail []error // what the next attempts come to
}

func (r *recorder) Idempotent() bool { return r.idempotent }

func (r *recorder) Send(ctx context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, m)
	if len(r.fail) > 0 {
		err := r.fail[0]
		r.fail = r.fail[1:]
		if err != nil {
			return carrier.Sent{}, err
		}
	}
	return r.Carrier.Send(ctx, m)
}

func (r *recorder) to() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.sent {
		list = append(list, strings.Join(m.To, "+")+": "+m.Body)
	}
	return list
}

func newWorld(t *testing.T, c loopback.Config) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), log: memstore.New(), routing: channels.Routing{Default: "test"}}
	w.engine = engine.New(w.log, &engine.Options{DefaultAccount: ac, GroupMMS: true})
	l, err := loopback.New(c, "")
	require.NoError(t, err)
	w.carrier = &recorder{Carrier: l, idempotent: true}
	w.do("", ac, account.Create{})
	w.do("", ac, account.AddMessagingService{Sid: mg, Senders: []string{ours, ours2, waOurs, "+12125550100"}})
	return w
}

// do has a command done and returns what it made.
func (w *world) do(service, aggregate string, fields interface{ CommandType() string }) string {
	w.t.Helper()
	outcome, err := w.engine.Execute(w.t.Context(), engine.Command{Type: fields.CommandType(), Aggregate: aggregate, Account: ac, Service: service, Fields: fields})
	require.NoError(w.t, err)
	return outcome.Sid
}

// run works for a while, as one process would.
func (w *world) run(d time.Duration, during func(c *channels.Channels)) {
	w.t.Helper()
	out, err := reactor.OpenQueue(filepath.Join(w.dir, "out.db"), reactor.Normal, nil)
	require.NoError(w.t, err)
	in, err := reactor.OpenQueue(filepath.Join(w.dir, "in.db"), reactor.Full, nil)
	require.NoError(w.t, err)
	c := channels.New(channels.Config{
		Engine: w.engine, Log: w.log, Streams: w.log, Out: out, In: in, Account: ac, Before: w.before, Keep: w.keep, Routing: w.routing,
		Adapters: []channels.Adapter{{Name: "test", Carrier: w.carrier}},
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 2)
	go func() { done <- c.RunOut(ctx) }()
	go func() { done <- c.RunIn(ctx) }()
	synctest.Wait()
	if during != nil {
		during(c)
	}
	time.Sleep(d)
	cancel()
	require.NoError(w.t, <-done)
	require.NoError(w.t, <-done)
	require.NoError(w.t, out.Close())
	require.NoError(w.t, in.Close())
}

// inbound is a message from outside.
func (w *world) inbound(c *channels.Channels, from string, body string, to ...string) {
	w.t.Helper()
	w.n++
	require.NoError(w.t, c.Take(w.t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{ID: fmt.Sprint("in", w.n), From: from, To: to, Body: body}}))
}

// autocreate has messages to an address begin conversations.
func (w *world) autocreate(to string, patch address.AutoCreationPatch) {
	w.t.Helper()
	on := true
	patch.Enabled = &on
	w.do("", "", address.Create{Type: events.AddressType(to), Address: to, AutoCreation: patch})
}

// conversation has people in it.
func (w *world) conversation(people ...conversation.AddParticipant) string {
	w.t.Helper()
	sid := w.do("", "", conversation.Create{MessagingService: mg})
	for _, p := range people {
		w.do("", sid, p)
	}
	return sid
}

// told lists the events of a stream in short.
func (w *world) told(sid string) (list []string) {
	w.t.Helper()
	for _, event := range w.events(sid) {
		list = append(list, short(event))
	}
	return list
}

// events are those of a stream.
func (w *world) events(sid string) (list []events.Event) {
	w.t.Helper()
	for recorded, err := range w.log.ReadStream(w.t.Context(), events.Stream(events.CategoryConversation, sid), 0, store.Forwards) {
		require.NoError(w.t, err)
		event, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		require.NoError(w.t, err)
		list = append(list, event)
	}
	return list
}

func short(event events.Event) string {
	switch e := event.(type) {
	case events.MessageAdded:
		return fmt.Sprintf("message %s: %s", e.Author, e.Body)
	case events.DeliveryUpdated:
		if e.ErrorCode != 0 {
			return fmt.Sprintf("%s %d", e.Status, e.ErrorCode)
		}
		return e.Status
	case events.ParticipantAdded:
		return "participant " + e.Identity + e.Binding.Address + e.Binding.ProjectedAddress
	case events.ConversationStateChanged:
		return e.To
	}
	return strings.TrimSuffix(strings.TrimPrefix(event.EventType(), "conversation."), ".v1")
}

// conversations lists all there are, in the order they began.
func (w *world) conversations() (list []string) {
	for recorded, err := range w.log.ReadAll(w.t.Context(), events.Position{}, store.Filter{Types: []string{events.ConversationCreated{}.EventType()}}) {
		require.NoError(w.t, err)
		_, sid, _ := events.SplitStream(recorded.Stream)
		list = append(list, sid)
	}
	return list
}
