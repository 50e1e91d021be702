package channels_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/address"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
)

// common is what nodes share beside the log.
type common struct {
	mu     sync.Mutex
	at     events.Position
	values map[string]string
}

func newCommon() *common { return &common{values: map[string]string{}} }

func (m *common) Load(context.Context) (events.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, nil
}

func (m *common) Save(_ context.Context, at events.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
	return nil
}

func (m *common) Claim(_ context.Context, key, owner string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[key] == "" {
		m.values[key] = owner
	}
	return m.values[key] == owner, nil
}

func (m *common) Keep(_ context.Context, key, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value
	return nil
}

func (m *common) Find(_ context.Context, key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

// node runs channels of another process on the same log.
func (w *world) node(name string, e *engine.Engine, m *common, d time.Duration, during func(c *channels.Channels)) {
	out, err := reactor.OpenQueue(filepath.Join(w.dir, name+"out.db"), reactor.Normal, nil)
	require.NoError(w.t, err)
	in, err := reactor.OpenQueue(filepath.Join(w.dir, name+"in.db"), reactor.Full, nil)
	require.NoError(w.t, err)
	c := channels.New(channels.Config{Engine: e, Log: w.log, Streams: w.log, Out: out, In: in, Account: ac, Routing: w.routing, Mark: m, Shared: m, Owner: name,
		Adapters: []channels.Adapter{{Name: "test", Carrier: w.carrier}}})
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
	require.NoError(w.t, errors.Join(<-done, <-done))
	require.NoError(w.t, out.Close())
	require.NoError(w.t, in.Close())
}

func TestANodeThatKnewTheConversationBeforeSendsItsNewMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		sid := w.conversation(conversation.AddParticipant{Address: ada, ProxyAddress: ours})
		other := engine.New(w.log, &engine.Options{DefaultAccount: ac, GroupMMS: true})
		_, _, err := other.DeliveryOf(t.Context(), sid, "x", "y") // the sending node has the conversation in its cache
		require.NoError(t, err)
		w.node("b", other, newCommon(), time.Minute, func(*channels.Channels) {
			w.do("", sid, conversation.AddMessage{Author: "x", Body: "hello"}) // on another node
		})
		require.Equal(t, []string{ada + ": hello"}, w.carrier.to())
	})
}

func TestANodeThatKnewTheConversationBeforeSendsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		w.carrier.idempotent = false
		sid := w.conversation(conversation.AddParticipant{Address: ada, ProxyAddress: ours})
		other := engine.New(w.log, &engine.Options{DefaultAccount: ac, GroupMMS: true})
		m := newCommon()
		var before events.Position
		w.node("a", w.engine, m, time.Minute, func(*channels.Channels) {
			before = m.at
			msg := w.do("", sid, conversation.AddMessage{Author: "x", Body: "hello"})
			_, there, err := other.DeliveryOf(t.Context(), sid, msg, "y") // cached before the status
			_ = there
			require.NoError(t, err)
		})
		require.Contains(t, w.told(sid), "delivered")
		m.at = before // the mark lags: saved once a second
		w.node("b", other, m, time.Minute, nil)
		require.Equal(t, []string{ada + ": hello"}, w.carrier.to())
	})
}

func TestWhatPerhapsWasSentIsNotSentByTheNextNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		w.carrier.idempotent = false
		w.carrier.fail = []error{&carrier.Later{After: time.Hour, Reason: "busy"}, carrier.ErrUnknown}
		sid := w.conversation(conversation.AddParticipant{Address: ada, ProxyAddress: ours})
		sid2 := w.conversation(conversation.AddParticipant{Address: bob, ProxyAddress: ours})
		m := newCommon()
		w.node("a", w.engine, m, time.Minute, func(*channels.Channels) {
			w.do("", sid, conversation.AddMessage{Author: "x", Body: "first"}) // waits, and holds the mark
			time.Sleep(5 * time.Second)
			w.do("", sid2, conversation.AddMessage{Author: "x", Body: "unknown"}) // parked as unknown on a
		})
		w.node("b", engine.New(w.log, &engine.Options{DefaultAccount: ac, GroupMMS: true}), m, time.Minute, nil)
		n := 0
		for _, s := range w.carrier.to() {
			if s == bob+": unknown" {
				n++
			}
		}
		require.Equal(t, 1, n, "%v", w.carrier.to())
	})
}

func TestAMessageThatComesAgainAfterClosingBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		w.autocreate(ours, address.AutoCreationPatch{})
		take := func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{ID: "same", From: ada, To: []string{ours}, Body: "hi"}}))
		}
		w.run(time.Minute, take)
		first := w.conversations()
		require.Len(t, first, 1)
		closed := "closed"
		w.do("", first[0], conversation.Update{State: &closed})
		w.node("b", w.engine, newCommon(), time.Minute, take) // as after a crash before settle, or at another node
		for _, c := range w.conversations() {
			t.Log(c, w.told(c))
		}
		require.Len(t, w.conversations(), 1)
	})
}

func TestAMessageThatComesAgainAtAnotherNodeIsAddedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		w.autocreate(ours, address.AutoCreationPatch{})
		sid := w.conversation(conversation.AddParticipant{Address: ada, ProxyAddress: ours})
		take := func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{ID: "same", From: ada, To: []string{ours}, Body: "hi"}}))
		}
		w.run(time.Minute, take)
		closed := "closed"
		w.do("", sid, conversation.Update{State: &closed})
		w.node("b", w.engine, newCommon(), time.Minute, take) // as after a crash before settle, or at another node
		n := 0
		for _, c := range w.conversations() {
			t.Log(c, w.told(c))
			for _, e := range w.told(c) {
				if e == "message "+ada+": hi" {
					n++
				}
			}
		}
		require.Equal(t, 1, n)
	})
}

func TestAMessageIsAddedThoughItsConversationClosedBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		w.autocreate(ours, address.AutoCreationPatch{})
		fail := 1
		w.keep = func(context.Context, carrier.Media) (events.Media, string, error) {
			if fail > 0 { // the file's server is down; somebody closes the conversation meanwhile
				fail--
				closed := "closed"
				w.do("", w.conversations()[0], conversation.Update{State: &closed})
				return events.Media{}, "", context.DeadlineExceeded
			}
			return events.Media{}, "", &carrier.Refused{Reason: "gone"}
		}
		var q *reactor.Queue
		w.run(5*time.Minute, func(c *channels.Channels) {
			q = c.In
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Inbound: &carrier.Inbound{ID: "same", From: ada, To: []string{ours}, Body: "hi", Media: []carrier.Media{{URL: "http://x/"}}}}))
			time.Sleep(2 * time.Minute)
			list, err := q.Entries(reactor.Selection{})
			require.NoError(t, err)
			for _, e := range list {
				t.Logf("%+v", e)
			}
		})
		n := 0
		for _, c := range w.conversations() {
			t.Log(c, w.told(c))
			for _, e := range w.told(c) {
				if e == "message "+ada+": hi" {
					n++
				}
			}
		}
		require.Equal(t, 1, n)
	})
}

func TestAStatusMayComeToAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		sid := w.conversation(conversation.AddParticipant{Address: ada, ProxyAddress: ours})
		m := newCommon()
		w.node("a", w.engine, m, time.Minute, func(*channels.Channels) {
			w.do("", sid, conversation.AddMessage{Author: "x", Body: "hello"})
			time.Sleep(time.Second)
		})
		var id string
		for _, e := range w.events(sid) {
			if d, ok := e.(events.DeliveryUpdated); ok {
				id = d.ChannelMessage
			}
		}
		require.NotEmpty(t, id)
		w.node("b", w.engine, m, time.Minute, func(c *channels.Channels) {
			require.NoError(t, c.Take(t.Context(), "test", carrier.Report{Status: &carrier.Status{ID: id, Status: "read"}}))
		})
		require.Contains(t, w.told(sid), "read")
	})
}

func TestANodeThatStopsLeavesNothingToSendAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, channelsDefault)
		w.carrier.idempotent = false
		sid := w.conversation(conversation.AddParticipant{Address: ada, ProxyAddress: ours})
		m := newCommon()
		out, err := reactor.OpenQueue(filepath.Join(w.dir, "aout.db"), reactor.Normal, nil)
		require.NoError(t, err)
		in, err := reactor.OpenQueue(filepath.Join(w.dir, "ain.db"), reactor.Full, nil)
		require.NoError(t, err)
		c := channels.New(channels.Config{Engine: w.engine, Log: w.log, Streams: w.log, Out: out, In: in, Account: ac, Routing: w.routing, Mark: m, Shared: m, Owner: "a",
			Adapters: []channels.Adapter{{Name: "test", Carrier: &slow{w.carrier}}}})
		ctxOut, stopOut := context.WithCancel(t.Context())
		ctxIn, stopIn := context.WithCancel(t.Context())
		doneOut, doneIn := make(chan error, 1), make(chan error, 1)
		go func() { doneOut <- c.RunOut(ctxOut) }()
		go func() { doneIn <- c.RunIn(ctxIn) }()
		time.Sleep(5 * time.Second)
		w.do("", sid, conversation.AddMessage{Author: "x", Body: "hello"})
		time.Sleep(500 * time.Millisecond) // under way
		stopOut()                          // in the order of a server
		require.NoError(t, <-doneOut)
		require.NoError(t, c.Idle(t.Context()))
		stopIn()
		require.NoError(t, <-doneIn)
		require.Len(t, w.carrier.to(), 1)
		w.node("b", engine.New(w.log, &engine.Options{DefaultAccount: ac, GroupMMS: true}), m, time.Minute, nil)
		require.Equal(t, []string{ada + ": hello"}, w.carrier.to())
		require.NoError(t, errors.Join(out.Close(), in.Close()))
	})
}

// slow takes two seconds.
type slow struct{ *recorder }

func (s *slow) Send(_ context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	s.mu.Lock()
	s.sent = append(s.sent, m)
	s.mu.Unlock()
	time.Sleep(2 * time.Second)
	return carrier.Sent{ID: "id1", Status: "sent"}, nil
}
