package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

func appendEvents(t *testing.T, log store.Log, stream string, after store.Revision, n int) {
	t.Helper()
	batch := make([]events.Proposed, n)
	for i := range batch {
		typ, data, err := events.Vocabulary().Encode(events.MessageAdded{Message: "IM1", Index: int64(i)})
		require.NoError(t, err)
		batch[i] = events.Proposed{
			ID: events.NameID(fmt.Sprint(stream, after, i)), Type: typ, Data: data,
			Metadata: events.Metadata{Account: "AC1", Service: "IS1", CommandID: events.NameID("c"), Correlation: "order 7 – é", Causation: "k"},
		}
	}
	_, err := log.Append(t.Context(), stream, after, batch)
	require.NoError(t, err)
}

// startEvents runs a publisher until the test ends or stop is called.
func startEvents(t *testing.T, nc *nats.Conn, log store.LogReader, o *bus.EventOptions) (p *bus.EventPublisher, stop func()) {
	t.Helper()
	p, err := bus.NewEventPublisher(nc, log, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-ended)
	}
	t.Cleanup(stop)
	return p, stop
}

func requirePublished(t *testing.T, p *bus.EventPublisher, log store.LogReader) {
	t.Helper()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Position() == head }, soon, time.Millisecond)
}

// published reads the whole event stream.
func published(t *testing.T, nc *nats.Conn) (all []jetstream.Msg) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	consumer, err := js.CreateConsumer(within(t, soon), bus.StreamEvents, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	require.NoError(t, err)
	batch, err := consumer.FetchNoWait(int(consumer.CachedInfo().NumPending))
	require.NoError(t, err)
	for m := range batch.Messages() {
		all = append(all, m)
	}
	return all
}

func TestForeignConsumerSeesCloudEvents(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	log := memstore.New()
	live, err := nc.SubscribeSync("parley.events.AC1.conversation.message-added.v1.CH1")
	require.NoError(t, err)
	appendEvents(t, log, "conversation-CH1", store.NoStream, 2)
	p, _ := startEvents(t, nc, log, nil)
	requirePublished(t, p, log)
	_, err = live.NextMsg(soon)
	require.NoError(t, err)
	m, err := live.NextMsg(soon)
	require.NoError(t, err)
	want := map[string]string{
		"ce-specversion": "1.0", "ce-id": events.NameID(fmt.Sprint("conversation-CH1", store.NoStream, 1)).String(),
		"ce-source": "/conversation/CH1", "ce-type": "conversation.message-added.v1", "ce-subject": "CH1",
		"ce-sequence": "00000000000000000001", "ce-partitionkey": "CH1", "ce-correlationid": "order%207%20%E2%80%93%20%C3%A9",
		"ce-causationid": "k", "ce-account": "AC1", "ce-service": "IS1", "ce-commandid": events.NameID("c").String(),
		"ce-dataschema": "urn:parley:event:conversation.message-added.v1", "content-type": "application/json",
	}
	for name, value := range want {
		require.Equal(t, value, m.Header.Get(name), name)
	}
	for _, name := range []string{"ce-time", "ce-recordedtime"} {
		_, err := time.Parse(time.RFC3339Nano, m.Header.Get(name))
		require.NoError(t, err, name)
	}
	require.Equal(t, m.Header.Get("ce-id"), m.Header.Get(nats.MsgIdHdr))
	decoded, err := events.Vocabulary().Decode(m.Header.Get("ce-type"), m.Data)
	require.NoError(t, err)
	require.EqualValues(t, 1, decoded.(events.MessageAdded).Index)
}

func TestFormerShapesArePublishedInTodays(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	log := memstore.New()
	_, err := log.Append(t.Context(), "conversation-CH1", store.NoStream, []events.Proposed{{
		ID: events.NameID("old"), Type: "conversation.participant-added.v1", Data: []byte(`{"participant":"MB1","address":"+1"}`),
	}})
	require.NoError(t, err)
	p, _ := startEvents(t, nc, log, nil)
	requirePublished(t, p, log)
	all := published(t, nc)
	require.Len(t, all, 1)
	require.Equal(t, "parley.events.none.conversation.participant-added.v2.CH1", all[0].Subject())
	require.Contains(t, string(all[0].Data()), `"type":"sms"`)
}

func TestPublisherGoesOnFromItsCheckpoint(t *testing.T) {
	dir := t.TempDir()
	server := startBroker(t, dir)
	nc := connect(t, server)
	log := memstore.New()
	appended := 0
	for round := range 4 {
		appendEvents(t, log, fmt.Sprintf("conversation-CH%d", round), store.NoStream, 700)
		appended += 700
		p, stop := startEvents(t, nc, log, nil)
		requirePublished(t, p, log)
		stop()
	}
	requireAllOnce(t, published(t, nc), appended)
}

func TestLostTailOfTheStreamIsPublishedAgain(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	log := memstore.New()
	appendEvents(t, log, "conversation-CH1", store.NoStream, 50)
	p, stop := startEvents(t, nc, log, nil)
	requirePublished(t, p, log)
	stop()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteStream(within(t, soon), bus.StreamEvents))
	p, _ = startEvents(t, nc, log, nil)
	requirePublished(t, p, log)
	requireAllOnce(t, published(t, nc), 50)
}

func TestPublisherWaitsForABrokerThatIsAway(t *testing.T) {
	dir := t.TempDir()
	server := startBroker(t, dir)
	address := server.URL()[len("nats://"):]
	nc := connect(t, server)
	log := memstore.New()
	p, _ := startEvents(t, nc, log, &bus.EventOptions{Pause: 10 * time.Millisecond})
	appendEvents(t, log, "conversation-CH1", store.NoStream, 20)
	requirePublished(t, p, log)
	server.Stop()
	appendEvents(t, log, "conversation-CH1", 19, 20)
	startBrokerAt(t, dir, address)
	requirePublished(t, p, log)
	ids := map[string]bool{}
	for _, m := range published(t, nc) {
		ids[m.Headers().Get("ce-id")] = true // at least once
	}
	require.Len(t, ids, 40)
}

func requireAllOnce(t *testing.T, all []jetstream.Msg, want int) {
	t.Helper()
	ids := map[string]bool{}
	next := map[string]int{}
	for _, m := range all {
		ids[m.Headers().Get("ce-id")] = true
		subject := m.Headers().Get("ce-subject")
		require.Equal(t, fmt.Sprintf("%020d", next[subject]), m.Headers().Get("ce-sequence"), "gap in %s", subject)
		next[subject]++
	}
	require.Len(t, all, want)
	require.Len(t, ids, want)
}
