package pubsub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

const soon = 10 * time.Second

// workQueue is a stream whose messages are gone once acknowledged.
func workQueue(topic string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: "WORK", Subjects: []string{topic}, Retention: jetstream.WorkQueuePolicy}
}

// publish sends payloads 0, 1, … to each key in turn, without headers, as a
// foreign producer would.
func publish(t *testing.T, nc *nats.Conn, keys, each int) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for i := range each {
		for key := range keys {
			_, err := js.PublishAsync(fmt.Sprintf("work.%d", key), []byte(fmt.Sprint(i)))
			require.NoError(t, err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(soon):
		require.Fail(t, "not all messages were stored")
	}
}

// record notes what came, by key.
type record struct {
	mu   sync.Mutex
	seen map[string][]string
	n    int
}

func (r *record) add(m *message.Message) {
	d := pubsub.FromContext(m.Context())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string][]string{}
	}
	r.seen[d.Key] = append(r.seen[d.Key], string(d.Data))
	r.n++
}

func (r *record) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// requireComplete checks that every key saw 0, 1, … each exactly once.
func (r *record) requireComplete(t *testing.T, keys, each int) {
	t.Helper()
	require.Len(t, r.seen, keys)
	for key, got := range r.seen {
		require.Equal(t, numbers(each), got, "key %s", key)
	}
}

func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(i)
	}
	return list
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-messages:
		require.True(t, open, "the channel is closed")
		return m
	case <-time.After(soon):
		require.Fail(t, "no message came")
		return nil
	}
}

func TestKeysRunInParallelAndEachInOrder(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 8, 1)
	var together []*message.Message // all eight keys at once, none acknowledged
	for range 8 {
		together = append(together, receive(t, messages))
	}
	var got record
	for _, m := range together {
		require.NotEmpty(t, m.UUID, "a producer without headers gets a UUID")
		got.add(m)
		m.Ack()
	}
	got.requireComplete(t, 8, 1)
	require.NoError(t, sub.Close())
}

func TestOrderHoldsThroughNacks(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue, FirstPause: time.Millisecond, LongestPause: time.Millisecond})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 4, 50)
	var got record
	failed := map[string]bool{}
	for got.count() < 200 {
		m := receive(t, messages)
		if !failed[m.UUID] && len(failed)%3 == 0 {
			failed[m.UUID] = true
			m.Nack()
			continue
		}
		failed[m.UUID] = true
		got.add(m)
		m.Ack()
	}
	got.requireComplete(t, 4, 50)
	require.NoError(t, sub.Close())
}

func TestExhaustedMessageIsGivenUpAndTheNextOneComes(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	var givenUp []string
	sub := subscriber(t, nc, &pubsub.StreamOptions{
		Provision: workQueue, FirstPause: time.Millisecond, Attempts: 3,
		GiveUp: func(_ context.Context, m *message.Message) error {
			givenUp = append(givenUp, string(m.Payload))
			return nil
		},
	})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 1, 2)
	for range 3 {
		m := receive(t, messages)
		require.Equal(t, "0", string(m.Payload))
		m.Nack()
	}
	m := receive(t, messages)
	require.Equal(t, "1", string(m.Payload))
	require.Equal(t, []string{"0"}, givenUp)
	m.Ack()
	require.NoError(t, sub.Close())
}

func TestWhatADeadProcessHeldComesFirstAndAtOnce(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	dying, err := server.Connect("dying", nil)
	require.NoError(t, err)
	sub := subscriber(t, dying, &pubsub.StreamOptions{Provision: workQueue, MaxPending: 10, Patience: time.Millisecond})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 2, 20)
	var before record
	for range 4 {
		m := receive(t, messages)
		before.add(m)
		m.Ack()
	}
	receive(t, messages) // in a handler's hands when the process dies
	require.NoError(t, dying.Flush())
	dying.Close()
	require.NoError(t, sub.Close())

	began := time.Now()
	next := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue, MaxPending: 10})
	messages, err = next.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	var after record
	for len(after.seen["0"]) == 0 || len(after.seen["1"]) == 0 || last(after.seen["0"]) != "19" || last(after.seen["1"]) != "19" {
		m := receive(t, messages)
		after.add(m)
		m.Ack()
	}
	require.Less(t, time.Since(began), soon, "it did not wait for the broker to miss the dead process")
	for key, got := range after.seen { // what was acknowledged last may come again, but in order
		require.Equal(t, numbers(20)[20-len(got):], got, "key %s", key)
		require.GreaterOrEqual(t, len(got)+len(before.seen[key]), 20)
	}
	require.NoError(t, next.Close())
}

// A process that stands still has asked for messages, and what is set back would be
// delivered to it first.
func TestWhatAFrozenProcessHoldsComesFirst(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	former := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue, Sole: true, MaxPending: 100})
	_, err := former.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	require.NoError(t, former.Close())
	frozen, err := nc.SubscribeSync(nc.NewInbox()) // asks once, and then stands still
	require.NoError(t, err)
	ask := "$JS.API.CONSUMER.MSG.NEXT.WORK." + pubsub.DurableName("parley", "work.*")
	require.NoError(t, nc.PublishRequest(ask, frozen.Subject, []byte(`{"batch":100,"expires":60000000000,"group":"parley"}`)))
	publish(t, nc, 1, 5)
	for range 5 {
		_, err := frozen.NextMsg(soon)
		require.NoError(t, err)
	}

	next := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue, Sole: true, MaxPending: 100})
	taken, err := next.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 1, 3)
	var after record
	for range 8 {
		m := receive(t, taken)
		after.add(m)
		m.Ack()
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4", "0", "1", "2"}, after.seen["0"])
	require.NoError(t, next.Close())
}

func last(list []string) string { return list[len(list)-1] }

func TestSlowAndWaitingMessagesAreNotDeliveredAgain(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue, AckWait: 300 * time.Millisecond})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 1, 3)
	var got record
	for range 3 {
		m := receive(t, messages)
		select {
		case again := <-messages:
			require.Fail(t, "delivered beside a running one", "%s", again.Payload)
		case <-time.After(700 * time.Millisecond): // longer than the broker's patience
		}
		require.EqualValues(t, 1, pubsub.FromContext(m.Context()).Delivery)
		got.add(m)
		m.Ack()
	}
	got.requireComplete(t, 1, 3)
	require.NoError(t, sub.Close())
}

func TestGracefulRestartsLoseNothingAndRepeatNothing(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	const keys, each = 20, 100
	sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: keeping})
	require.NoError(t, sub.SubscribeInitialize("work.*"))
	require.NoError(t, sub.Close())
	publish(t, nc, keys, each)
	var got record
	for round := 1; got.count() < keys*each; round++ {
		sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: keeping, MaxPending: 300})
		messages, err := sub.Subscribe(t.Context(), "work.*")
		require.NoError(t, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			var handlers sync.WaitGroup
			for m := range messages {
				handlers.Go(func() {
					<-time.After(time.Millisecond) // the handler's work
					got.add(m)
					m.Ack()
				})
			}
			handlers.Wait()
		}()
		require.Eventually(t, func() bool { return got.count() >= min(round*keys*each/5, keys*each) }, soon, time.Millisecond)
		require.NoError(t, sub.Close())
		<-ended
	}
	got.requireComplete(t, keys, each)
}

func TestSubscriberSurvivesARestartOfTheBroker(t *testing.T) {
	dir := t.TempDir()
	server := startBroker(t, dir, "127.0.0.1:0")
	address := server.URL()[len("nats://"):]
	nc := connect(t, server)
	sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: workQueue})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 4, 20)
	got := map[string]bool{}
	for range 30 {
		m := receive(t, messages)
		got[m.UUID] = true
		m.Ack()
	}
	server.Stop()
	server = startBroker(t, dir, address)
	t.Cleanup(server.Stop)
	pub, err := pubsub.NewPublisher(nc, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return pub.Publish("work.9", message.NewMessage("last", nil)) == nil
	}, soon, 10*time.Millisecond)
	for len(got) < 81 {
		m := receive(t, messages) // at least once: what was acknowledged into the void may repeat
		got[m.UUID] = true
		m.Ack()
	}
	require.NoError(t, pub.Close())
	require.NoError(t, sub.Close())
}

func TestPublisherRefusesWhatAHeaderCannotCarry(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	pub, err := pubsub.NewPublisher(connect(t, server), nil)
	require.NoError(t, err)
	for name, value := range map[string]string{"Nats-Rollup": "all", "a b": "x", "a": "x\r\nb: y"} {
		m := message.NewMessage("id", nil)
		m.Metadata.Set(name, value)
		require.ErrorContains(t, pub.Publish("work.1", m), "cannot travel")
	}
	require.NoError(t, pub.Close())
	require.ErrorIs(t, pub.Publish("work.1", message.NewMessage("id", nil)), pubsub.ErrClosed)
}

func TestStopRightAfterAStartKeepsWhatTheLastStopNoted(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	options := &pubsub.StreamOptions{Provision: keeping, Patience: 50 * time.Millisecond}
	sub := subscriber(t, nc, options)
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 2, 10)
	var got record
	for range 10 { // all of one key, none of the other, in whatever turns they come
		m := receive(t, messages)
		if pubsub.FromContext(m.Context()).Key == "0" {
			m = receive(t, messages)
		}
		got.add(m)
		m.Ack()
	}
	require.NoError(t, sub.Close())
	for range 3 {
		sub = subscriber(t, nc, options)
		_, err := sub.Subscribe(t.Context(), "work.*")
		require.NoError(t, err)
		require.NoError(t, sub.Close())
	}
	sub = subscriber(t, nc, options)
	messages, err = sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	for range 10 {
		m := receive(t, messages)
		got.add(m)
		m.Ack()
	}
	got.requireComplete(t, 2, 10)
	require.NoError(t, sub.Close())
}

// keeping is a stream that keeps what was acknowledged.
func keeping(topic string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: "KEEP", Subjects: []string{topic}}
}

func TestHandlingRunsNoFurtherAheadOfAStuckMessageThanTheSpan(t *testing.T) {
	server := startBroker(t, t.TempDir(), "")
	t.Cleanup(server.Stop)
	nc := connect(t, server)
	const span = 8
	sub := subscriber(t, nc, &pubsub.StreamOptions{Provision: keeping, Span: span})
	messages, err := sub.Subscribe(t.Context(), "work.*")
	require.NoError(t, err)
	publish(t, nc, 2*span, 1)
	none := func() {
		t.Helper()
		select {
		case m := <-messages:
			require.Fail(t, "ran too far ahead", pubsub.FromContext(m.Context()).Key)
		case <-time.After(100 * time.Millisecond): // nothing is to come
		}
	}
	var stuck *message.Message // the oldest of those that come
	for range span + 1 {
		m := receive(t, messages)
		if pubsub.FromContext(m.Context()).Sequence == 1 {
			stuck = m
			continue
		}
		m.Ack()
	}
	require.NotNil(t, stuck)
	none()
	stuck.Ack()
	for range span - 1 {
		receive(t, messages).Ack()
	}
	require.NoError(t, sub.Close())
}
