package esdbwire_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// hooked is a log whose appends a test comes between.
type hooked struct {
	store.Appender
	between func(ctx context.Context, stream string, write func() (store.Appended, error)) (store.Appended, error)
}

func (h hooked) Append(ctx context.Context, stream string, at store.Revision, batch []events.Proposed) (store.Appended, error) {
	return h.between(ctx, stream, func() (store.Appended, error) { return h.Appender.Append(ctx, stream, at, batch) })
}

// The log does not answer a group; the server ends all the same, and in time.
func TestTheServerEndsWhileTheLogDoesNotAnswer(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 5)
	blocked := make(chan struct{}, 10)
	c, stop := onceWith(t, log, hooked{log, func(ctx context.Context, stream string, write func() (store.Appended, error)) (store.Appended, error) {
		if strings.HasSuffix(stream, "-checkpoint") {
			blocked <- struct{}{}
			<-ctx.Done()
			return store.Appended{}, ctx.Err()
		}
		return write()
	}})
	createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) { s.CheckpointLowerBound, s.CheckpointUpperBound = 1, 1 })
	s := consume(t, c, ch, 10)
	ack(t, s, take(t, s, 1)...)
	<-blocked
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(15 * time.Second): // five are for the last checkpoint
		t.Fatal("the server does not end")
	}
}

// failingLists writes the list of groups while it fails to say so.
func failingLists(log store.Appender, failing *atomic.Bool) store.Appender {
	return hooked{log, func(_ context.Context, stream string, write func() (store.Appended, error)) (store.Appended, error) {
		appended, err := write()
		if failing.Load() && strings.HasSuffix(stream, "$persistentSubscriptionConfig") {
			return store.Appended{}, store.ErrUnavailable
		}
		return appended, err
	}}
}

// A delete, or a change, that failed and did happen leaves nothing running of what was.
func TestAGroupIsNotWhatItWasAfterAnUnknownOutcome(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 5)
	var failing atomic.Bool
	c, stop := onceWith(t, log, failingLists(log, &failing))
	t.Cleanup(stop)
	createGroup(t, c, ch, nil)
	s := consume(t, c, ch, 20)
	ack(t, s, take(t, s, 10)...)
	require.Eventually(t, func() bool { return info(t, c, ch).Stats.TotalInFlightMessages == 0 }, 10*time.Second, time.Millisecond)

	failing.Store(true)
	require.Error(t, c.DeletePersistentSubscription(t.Context(), ch, group, esdb.DeletePersistentSubscriptionOptions{}))
	failing.Store(false)
	requireDropped(t, s)
	requireCode(t, esdb.ErrorCodeResourceNotFound, c.DeletePersistentSubscription(t.Context(), ch, group, esdb.DeletePersistentSubscriptionOptions{}))
	createGroup(t, c, ch, nil)
	s = consume(t, c, ch, 3)
	require.Equal(t, []uint64{0, 1, 2}, numbers(take(t, s, 3)), "it is another group, from the start")

	failing.Store(true)
	one := func(s *esdb.PersistentSubscriptionSettings) { s.MaxSubscriberCount = 1 }
	require.Error(t, c.UpdatePersistentSubscription(t.Context(), ch, group, streamOptions(one)))
	failing.Store(false)
	requireDropped(t, s)
	consume(t, c, ch, 3)
	_, err := c.SubscribeToPersistentSubscription(t.Context(), ch, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	require.ErrorContains(t, err, "has all the consumers", "what is kept is what runs")
}

// Two groups that would be kept in one place are not both made.
func TestNamesThatRunTogetherAreRefused(t *testing.T) {
	c := writable(t, memstore.New())
	for _, names := range [][4]string{{"a", "b::c", "a::b", "c"}, {"x:", "y", "x", ":y"}} {
		require.NoError(t, c.CreatePersistentSubscription(t.Context(), names[0], names[1], streamOptions(nil)))
		err := c.CreatePersistentSubscription(t.Context(), names[2], names[3], streamOptions(nil))
		require.ErrorContains(t, err, fmt.Sprintf("would be kept where group %q of %q is", names[1], names[0]))
	}
	require.ErrorContains(t, c.CreatePersistentSubscription(t.Context(), "$all", "g", streamOptions(nil)), "the whole log is asked for as such")
}

// An event that was put aside and leads nowhere comes back too: the consumer says what
// becomes of it.
func TestWhatLeadsNowhereComesBack(t *testing.T) {
	log := memstore.New()
	c, stop := once(t, log)
	_, err := put2(t, c, "order-1", esdb.Any{}, event("placed", "1"))
	require.NoError(t, err)
	stop()
	// To this server all streams are Parley's, so it does not find what others wrote.
	c = client(t, "esdb://"+serve(t, esdbwire.Config{Log: log, Appender: log, WriteOwn: true})+"?tls=false")
	require.NoError(t, c.CreatePersistentSubscriptionToAll(t.Context(), group, esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}}))
	s, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), group, esdb.SubscribeToPersistentSubscriptionOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Nack("", esdb.NackActionPark, take(t, s, 1)[0].Event))
	parked := func() int64 {
		i, err := c.GetPersistentSubscriptionInfoToAll(t.Context(), group, esdb.GetPersistentSubscriptionOptions{})
		require.NoError(t, err)
		return i.Stats.ParkedMessagesCount
	}
	require.Eventually(t, func() bool { return parked() == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, c.ReplayParkedMessagesToAll(t.Context(), group, esdb.ReplayParkedMessagesOptions{}))
	back := take(t, s, 1)[0]
	require.Nil(t, back.Event.Event)
	require.Equal(t, "0@order-1", string(back.Event.Link.Data))
	require.EqualValues(t, 1, parked(), "until it is done")
	ack(t, s, back)
	require.Eventually(t, func() bool { return parked() == 0 }, 10*time.Second, time.Millisecond)
}

// large is a log of large events in one stream.
func large(t *testing.T, n, size int) *sqlitestore.Store {
	log, err := sqlitestore.Open(t.TempDir()+"/log.db", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	addLarge(t, log, 0, n, size)
	return log
}

func addLarge(t *testing.T, log store.Log, at, n, size int) {
	data := append(append([]byte(`"`), bytes.Repeat([]byte("y"), size)...), '"')
	for i := at; i < at+n; i++ {
		_, err := log.Append(t.Context(), ch, store.Revision(i-1), []events.Proposed{{ID: events.NameID(fmt.Sprint("large", i)), Type: "test.large.v1", Data: data}})
		require.NoError(t, err)
	}
}

// heap is what is in use, in MiB.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc >> 20)
}

// A group holds 64 MiB, whatever the log has and whatever its consumers do.
func TestAGroupHoldsNoMoreThanItMay(t *testing.T) {
	log := large(t, 140, 900_000)
	for name, join := range map[string]func(c *esdb.Client, address string){
		"consumer of one slot": func(c *esdb.Client, _ string) {
			require.NoError(t, c.CreatePersistentSubscriptionToAll(t.Context(), "whole", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}}))
			s, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), "whole", esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 1})
			require.NoError(t, err)
			take(t, s, 1)
		},
		"consumer that does not read": func(c *esdb.Client, address string) {
			createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount, s.MessageTimeout = 0, 50 })
			join, err := rawly(t, address, 10_000)
			require.NoError(t, err)
			_, err = join.Recv() // that it takes part, and nothing more
			require.NoError(t, err)
		},
	} {
		address, stop := serveUntil(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})
		c := client(t, "esdb://"+address+"?tls=false")
		before := heap()
		join(c, address)
		most := 0
		tick := time.NewTicker(100 * time.Millisecond)
		for range 15 {
			<-tick.C
			most = max(most, heap()-before)
		}
		tick.Stop()
		require.Less(t, most, 100, name)
		_ = c.Close()
		stop()
	}
}

// A consumer that does not read holds up none that do.
func TestAStuckConsumerHoldsUpNobody(t *testing.T) {
	for _, strategy := range []esdb.ConsumerStrategy{esdb.ConsumerStrategyRoundRobin, esdb.ConsumerStrategyDispatchToSingle} {
		t.Run(string(strategy), func(t *testing.T) {
			log := large(t, 12, 300_000)
			address := serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})
			c := client(t, "esdb://"+address+"?tls=false")
			createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) {
				s.MaxRetryCount, s.MessageTimeout, s.ConsumerStrategyName, s.CheckpointAfter = 1000, 100, strategy, 3_600_000
			})
			stuck, err := rawly(t, address, 3)
			require.NoError(t, err)
			_, err = stuck.Recv()
			require.NoError(t, err)
			require.Eventually(t, func() bool { return info(t, c, ch).Stats.TotalItems >= 3 }, 10*time.Second, 10*time.Millisecond)
			well := consume(t, c, ch, 10)
			got := map[uint64]bool{}
			for len(got) < 12 {
				e := take(t, well, 1)
				ack(t, well, e...)
				got[numbers(e)[0]] = true
			}
			for i := range 6 { // and none of what comes later
				addLarge(t, log, 12+i, 1, 300_000)
				for !got[uint64(12+i)] {
					e := take(t, well, 1)
					ack(t, well, e...)
					got[numbers(e)[0]] = true
				}
			}
		})
	}
}

// A consumer that was stuck gets what there is once it reads again, though nothing else
// happens in the group.
func TestAConsumerThatReadsAgainIsGivenMore(t *testing.T) {
	log := large(t, 12, 300_000)
	address := serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})
	c := client(t, "esdb://"+address+"?tls=false")
	createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) {
		s.MaxRetryCount, s.MessageTimeout, s.CheckpointAfter = 0, 100, 3_600_000
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	call, err := joinRaw(ctx, dialRaw(t, address), 3)
	require.NoError(t, err)
	var sent uint64
	require.Eventually(t, func() bool {
		stats := info(t, c, ch).Stats
		sent = uint64(stats.ParkedMessagesCount)
		return sent > 0 && stats.TotalInFlightMessages == 0
	}, 10*time.Second, 10*time.Millisecond, "what is being sent is parked, and no more is given")
	_, err = call.Recv() // that it takes part
	require.NoError(t, err)
	for last := uint64(0); last < 11; {
		m, err := call.Recv()
		require.NoError(t, err)
		e := m.GetEvent().GetEvent()
		if last = max(last, e.GetStreamRevision()); last < sent {
			continue // it was parked: nothing but that it was sent brings more
		}
		require.NoError(t, call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: []*shared.UUID{e.GetId()}}}}))
	}
}
