package esdbwire_test

import (
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

const (
	ch    = "conversation-CH0"
	group = "Group 1"
)

func createGroup(t testing.TB, c *esdb.Client, stream string, change func(*esdb.PersistentSubscriptionSettings)) {
	t.Helper()
	require.NoError(t, c.CreatePersistentSubscription(t.Context(), stream, group, streamOptions(change)))
}

func streamOptions(change func(*esdb.PersistentSubscriptionSettings)) esdb.PersistentStreamSubscriptionOptions {
	settings := esdb.SubscriptionSettingsDefault()
	if change != nil {
		change(&settings)
	}
	return esdb.PersistentStreamSubscriptionOptions{StartFrom: esdb.Start{}, Settings: &settings}
}

func consume(t testing.TB, c *esdb.Client, stream string, slots uint32) *esdb.PersistentSubscription {
	t.Helper()
	s, err := c.SubscribeToPersistentSubscription(t.Context(), stream, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: slots})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// recv receives, but not for ever.
func recv(t testing.TB, s *esdb.PersistentSubscription) *esdb.PersistentSubscriptionEvent {
	t.Helper()
	got := make(chan *esdb.PersistentSubscriptionEvent, 1)
	go func() { got <- s.Recv() }() // ends with the subscription
	select {
	case e := <-got:
		return e
	case <-time.After(20 * time.Second):
		require.Fail(t, "nothing comes")
		return nil
	}
}

// take receives n events.
func take(t testing.TB, s *esdb.PersistentSubscription, n int) (list []*esdb.EventAppeared) {
	t.Helper()
	for range n {
		got := recv(t, s)
		require.NotNil(t, got.EventAppeared, "%+v", got.SubscriptionDropped)
		list = append(list, got.EventAppeared)
	}
	return list
}

func ack(t testing.TB, s *esdb.PersistentSubscription, list ...*esdb.EventAppeared) {
	t.Helper()
	for _, e := range list {
		require.NoError(t, s.Ack(e.Event))
	}
}

func numbers(list []*esdb.EventAppeared) (all []uint64) {
	for _, e := range list {
		all = append(all, e.Event.Event.EventNumber)
	}
	return all
}

func requireDropped(t testing.TB, s *esdb.PersistentSubscription) {
	t.Helper()
	for range 1000 {
		if recv(t, s).SubscriptionDropped != nil {
			return
		}
	}
	t.Fatal("the consumer was not dropped")
}

func info(t testing.TB, c *esdb.Client, stream string) *esdb.PersistentSubscriptionInfo {
	t.Helper()
	i, err := c.GetPersistentSubscriptionInfo(t.Context(), stream, group, esdb.GetPersistentSubscriptionOptions{})
	require.NoError(t, err)
	return i
}

// once serves a log until the returned function is called.
func once(t testing.TB, log store.Log) (c *esdb.Client, stop func()) {
	return onceWith(t, log, log)
}

func onceWith(t testing.TB, log store.Log, appender store.Appender) (c *esdb.Client, stop func()) {
	address, stopServer := serveUntil(t, esdbwire.Config{Log: log, Appender: appender, Own: events.Categories()})
	c = client(t, "esdb://"+address+"?tls=false")
	return c, func() { _ = c.Close(); stopServer() }
}

func TestAGroupGoesOnWhereItWasWhenTheServerBeginsAgain(t *testing.T) {
	log, err := sqlitestore.Open(t.TempDir()+"/log.db", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	fill(t, log, 1, 5)
	c, stop := once(t, log)
	createGroup(t, c, ch, nil)
	s := consume(t, c, ch, 10)
	got := take(t, s, 10)
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, numbers(got))
	ack(t, s, got[0], got[1], got[2], got[4]) // 3 is not done
	require.Eventually(t, func() bool { return info(t, c, ch).Connections[0].InFlightMessages == 6 }, 10*time.Second, time.Millisecond)
	stop()

	c, stop = once(t, log)
	before := info(t, c, ch)
	require.Equal(t, "NotReady", before.Status)
	require.Equal(t, uint64(2), *before.Stats.LastCheckpointedEventRevision)
	s = consume(t, c, ch, 10)
	require.Equal(t, []uint64{3, 4, 5, 6, 7, 8, 9}, numbers(take(t, s, 7)), "what was done behind 3 comes again")
	stop()
}

func TestWhatWasPutAsideComesBackUntilItIsDone(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 2)
	c, stop := once(t, log)
	createGroup(t, c, ch, nil)
	s := consume(t, c, ch, 10)
	for _, e := range take(t, s, 4) {
		require.NoError(t, s.Nack("no such customer", esdb.NackActionPark, e.Event))
	}
	parked := "$persistentsubscription-" + ch + "::" + group + "-parked"
	require.Eventually(t, func() bool { return info(t, c, ch).Stats.ParkedMessagesCount == 4 }, 10*time.Second, time.Millisecond)
	list := readAll(t, c, parked)
	require.Equal(t, "0@"+ch, string(list[0].Data))
	require.Contains(t, string(list[0].UserMetadata), "no such customer")

	replay := func(stopAt int) {
		require.NoError(t, c.ReplayParkedMessages(t.Context(), ch, group, esdb.ReplayParkedMessagesOptions{StopAt: stopAt}))
	}
	replay(2)
	back := take(t, s, 2)
	require.Equal(t, []uint64{0, 1}, numbers(back))
	require.Equal(t, parked, back[0].Event.Link.StreamID)
	ack(t, s, back[0])
	replay(0) // no limit: what came back already does not come twice
	back = append(back, take(t, s, 2)...)
	require.Equal(t, []uint64{0, 1, 2, 3}, numbers(back))
	require.NoError(t, s.Nack("still none", esdb.NackActionPark, back[2].Event))
	require.Eventually(t, func() bool { return info(t, c, ch).Stats.TotalInFlightMessages == 2 }, 10*time.Second, time.Millisecond)
	stop() // 1 and 3 are not done: they are aside still, as is 2

	c, stop = once(t, log)
	defer stop()
	s = consume(t, c, ch, 10)
	replay = func(stopAt int) {
		require.NoError(t, c.ReplayParkedMessages(t.Context(), ch, group, esdb.ReplayParkedMessagesOptions{StopAt: stopAt}))
	}
	replay(0)
	again := take(t, s, 4)
	require.Equal(t, []uint64{1, 2, 3, 2}, numbers(again), "2 was put aside twice, the first time behind 1")
	ack(t, s, again...)
	require.Eventually(t, func() bool { return info(t, c, ch).Stats.ParkedMessagesCount == 0 }, 10*time.Second, time.Millisecond)
	requireMissingOrEmpty(t, c, parked)
}

func requireMissingOrEmpty(t testing.TB, c *esdb.Client, stream string) {
	t.Helper()
	read, err := c.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 1000)
	require.Empty(t, collect(t, read, err))
}

func TestTooManyTriesPutAnEventAside(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	c := writable(t, log)
	createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) { s.MaxRetryCount, s.MessageTimeout = 2, 50 })
	s := consume(t, c, ch, 10)
	tries := map[uint64][]int{}
	for range 6 { // nobody answers
		e := take(t, s, 1)[0]
		tries[e.Event.Event.EventNumber] = append(tries[e.Event.Event.EventNumber], e.RetryCount)
	}
	require.Equal(t, map[uint64][]int{0: {0, 1, 2}, 1: {0, 1, 2}}, tries)
	require.Eventually(t, func() bool { return info(t, c, ch).Stats.ParkedMessagesCount == 2 }, 10*time.Second, time.Millisecond)
}

func TestAGroupThatIsMadeAgainBeginsAgain(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	c := writable(t, log)
	for range 3 {
		createGroup(t, c, ch, nil)
		s := consume(t, c, ch, 10)
		got := take(t, s, 2)
		require.Equal(t, []uint64{0, 1}, numbers(got))
		ack(t, s, got[0])
		require.NoError(t, s.Nack("", esdb.NackActionPark, got[1].Event))
		require.Eventually(t, func() bool { return info(t, c, ch).Stats.ParkedMessagesCount == 1 }, 10*time.Second, time.Millisecond)
		require.NoError(t, c.DeletePersistentSubscription(t.Context(), ch, group, esdb.DeletePersistentSubscriptionOptions{}))
		requireDropped(t, s)
		_, err := c.GetPersistentSubscriptionInfo(t.Context(), ch, group, esdb.GetPersistentSubscriptionOptions{})
		requireCode(t, esdb.ErrorCodeResourceNotFound, err)
	}
}

func TestAGroupIsChanged(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 2)
	c := writable(t, log)
	createGroup(t, c, ch, nil)
	requireCode(t, esdb.ErrorCodeResourceAlreadyExists, c.CreatePersistentSubscription(t.Context(), ch, group, streamOptions(nil)))
	s := consume(t, c, ch, 2)
	ack(t, s, take(t, s, 2)[0])
	take(t, s, 1) // there is room: the answer has come
	one := func(s *esdb.PersistentSubscriptionSettings) { s.MaxSubscriberCount = 1 }
	require.NoError(t, c.UpdatePersistentSubscription(t.Context(), ch, group, streamOptions(one)))
	requireDropped(t, s)
	s = consume(t, c, ch, 10)
	require.Equal(t, []uint64{1, 2, 3}, numbers(take(t, s, 3)), "it goes on where it was")
	_, err := c.SubscribeToPersistentSubscription(t.Context(), ch, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	require.ErrorContains(t, err, "has all the consumers")

	require.NoError(t, c.RestartPersistentSubscriptionSubsystem(t.Context(), esdb.RestartPersistentSubscriptionSubsystemOptions{}))
	requireDropped(t, s)
	i := info(t, c, ch)
	require.Equal(t, int32(1), i.Settings.MaxSubscriberCount)
	require.Equal(t, esdb.Start{}, i.Settings.StartFrom)
}

func TestWhatAConsumerHadGoesToAnother(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 3)
	c := writable(t, log)
	createGroup(t, c, ch, nil)
	first := consume(t, c, ch, 10)
	got := take(t, first, 6)
	second := consume(t, c, ch, 10)
	require.NoError(t, first.Nack("", esdb.NackActionSkip, got[0].Event))
	require.NoError(t, first.Nack("", esdb.NackActionRetry, got[1].Event))
	require.NoError(t, first.Nack("I am done", esdb.NackActionStop, got[2].Event))
	requireDropped(t, first)
	seen := map[uint64]bool{}
	for _, e := range take(t, second, 5) {
		seen[e.Event.Event.EventNumber] = true
	}
	require.Equal(t, map[uint64]bool{1: true, 2: true, 3: true, 4: true, 5: true}, seen)
}

func TestAGroupSharesTheWholeLog(t *testing.T) {
	log := memstore.New()
	fill(t, log, 2, 1)
	c := writable(t, log)
	settings := esdb.SubscriptionSettingsDefault()
	settings.CheckpointLowerBound, settings.CheckpointUpperBound, settings.CheckpointAfter = 1, 1, 1
	all := func(group string, o esdb.PersistentAllSubscriptionOptions) *esdb.PersistentSubscription {
		o.Settings = &settings
		require.NoError(t, c.CreatePersistentSubscriptionToAll(t.Context(), group, o))
		s, err := c.SubscribeToPersistentSubscriptionToAll(t.Context(), group, esdb.SubscribeToPersistentSubscriptionOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	some := all("some", esdb.PersistentAllSubscriptionOptions{
		StartFrom: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"conversation-CH1"}},
	})
	every := all("every", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}})
	later := all("later", esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.End{}})
	got := take(t, some, 2)
	require.Equal(t, "conversation-CH1", got[1].Event.Event.StreamID)
	ack(t, some, got...)
	ack(t, every, take(t, every, 4)...)
	info, err := c.GetPersistentSubscriptionInfoToAll(t.Context(), "every", esdb.GetPersistentSubscriptionOptions{})
	require.NoError(t, err)
	require.Equal(t, "$all", info.EventSource)

	// What groups keep of themselves, which is in the log by now, comes to none.
	require.Eventually(t, func() bool {
		info, err := c.GetPersistentSubscriptionInfoToAll(t.Context(), "every", esdb.GetPersistentSubscriptionOptions{})
		require.NoError(t, err)
		return info.Stats.LastCheckpointedPosition != nil && info.Stats.LastCheckpointedPosition.Commit == 4
	}, 10*time.Second, time.Millisecond)
	put(t, log, "conversation-CH9", 0, 1)
	for _, s := range []*esdb.PersistentSubscription{every, later} {
		require.Equal(t, "conversation-CH9", take(t, s, 1)[0].Event.Event.StreamID)
	}
	list, err := c.ListPersistentSubscriptionsToAll(t.Context(), esdb.ListPersistentSubscriptionsOptions{})
	require.NoError(t, err)
	require.Len(t, list, 3)
}

func TestGroupsAreForWhoMayWrite(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	c := plain(t, log)
	requireCode(t, esdb.ErrorCodeAccessDenied, c.CreatePersistentSubscription(t.Context(), ch, group, streamOptions(nil)))
	_, err := c.SubscribeToPersistentSubscription(t.Context(), ch, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	requireCode(t, esdb.ErrorCodeAccessDenied, err)
	list, err := c.ListAllPersistentSubscriptions(t.Context(), esdb.ListPersistentSubscriptionsOptions{})
	require.NoError(t, err)
	require.Empty(t, list)

	c = writable(t, log)
	createGroup(t, c, ch, nil)
	for _, stream := range []string{
		"$persistentSubscriptionConfig", "$persistentsubscription-" + ch + "::" + group + "-checkpoint",
		"$$$persistentsubscription-" + ch + "::" + group + "-parked",
	} {
		_, err := put2(t, c, stream, esdb.Any{}, event("$SubscriptionCheckpoint", "7"))
		requireCode(t, esdb.ErrorCodeAccessDenied, err)
		_, err = c.TombstoneStream(t.Context(), stream, esdb.TombstoneStreamOptions{})
		require.ErrorContains(t, err, "PermissionDenied")
	}
}

func TestGroupsThatMakeNoSenseAreRefused(t *testing.T) {
	log := memstore.New()
	c := writable(t, log)
	for name, change := range map[string]func(*esdb.PersistentSubscriptionSettings){
		"negative timeout": func(s *esdb.PersistentSubscriptionSettings) { s.MessageTimeout = -1 },
		"no buffer":        func(s *esdb.PersistentSubscriptionSettings) { s.HistoryBufferSize = 0 },
		"huge buffer":      func(s *esdb.PersistentSubscriptionSettings) { s.HistoryBufferSize = 1 << 30 },
		"batch > buffer":   func(s *esdb.PersistentSubscriptionSettings) { s.ReadBatchSize, s.HistoryBufferSize = 20, 10 },
	} {
		require.Error(t, c.CreatePersistentSubscription(t.Context(), ch, group, streamOptions(change)), name)
	}
	for _, name := range []string{"", "a\nb", "a\xff", strings.Repeat("x", 600)} {
		require.Error(t, c.CreatePersistentSubscription(t.Context(), ch, name, streamOptions(nil)))
	}
	filter := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "(?=x)"}
	require.Error(t, c.CreatePersistentSubscriptionToAll(t.Context(), group, esdb.PersistentAllSubscriptionOptions{Filter: filter}))
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.True(t, head.IsZero(), "they leave no trace")

	_, err = c.SubscribeToPersistentSubscription(t.Context(), ch, group, esdb.SubscribeToPersistentSubscriptionOptions{})
	requireCode(t, esdb.ErrorCodeResourceNotFound, err)
	requireCode(t, esdb.ErrorCodeResourceNotFound, c.UpdatePersistentSubscription(t.Context(), ch, group, streamOptions(nil)))
	requireCode(t, esdb.ErrorCodeResourceNotFound, c.DeletePersistentSubscription(t.Context(), ch, group, esdb.DeletePersistentSubscriptionOptions{}))
	requireCode(t, esdb.ErrorCodeResourceNotFound, c.ReplayParkedMessages(t.Context(), ch, group, esdb.ReplayParkedMessagesOptions{}))
	createGroup(t, c, ch, nil)
	_, err = c.SubscribeToPersistentSubscription(t.Context(), ch, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 1 << 20})
	require.ErrorContains(t, err, "buffer size")
}

// What no client of theirs would send.
func TestCallsForGroupsThatAreNone(t *testing.T) {
	log := memstore.New()
	conn, err := grpc.NewClient(serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()}), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	c := persistent.NewPersistentSubscriptionsClient(conn)
	stream := &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
		StreamIdentifier: named(ch), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: &shared.Empty{}},
	}}
	nowhere := &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{StreamIdentifier: named(ch)}}
	allNowhere := &persistent.CreateReq_Options_All{All: &persistent.CreateReq_AllOptions{}}
	settings := &persistent.CreateReq_Settings{HistoryBufferSize: 20, LiveBufferSize: 20, ReadBatchSize: 20, ConsumerStrategy: "Best"}
	for name, o := range map[string]*persistent.CreateReq_Options{
		"no options": nil, "nothing": {}, "no settings": {StreamOption: stream, GroupName: group},
		"strategy": {StreamOption: stream, GroupName: group, Settings: settings}, "no stream": {GroupName: group, Settings: settings},
		"no beginning": {StreamOption: nowhere, GroupName: group, Settings: usual()}, "no beginning of all": {StreamOption: allNowhere, GroupName: group, Settings: usual()},
	} {
		_, err := c.Create(t.Context(), &persistent.CreateReq{Options: o})
		require.Equal(t, codes.InvalidArgument, status.Code(err), name)
	}
	settings.ConsumerStrategy = "PinnedByCorrelation"
	_, err = c.Create(t.Context(), &persistent.CreateReq{Options: &persistent.CreateReq_Options{StreamOption: stream, GroupName: group, Settings: settings}})
	require.NoError(t, err)

	first := func(m *persistent.ReadReq) error {
		call, err := c.Read(t.Context())
		require.NoError(t, err)
		require.NoError(t, call.Send(m))
		if _, err = call.Recv(); err == nil {
			require.NoError(t, call.Send(&persistent.ReadReq{}))
			_, err = call.Recv()
		}
		return err
	}
	options := &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: stream.Stream.StreamIdentifier}, GroupName: group,
	}
	require.Equal(t, codes.InvalidArgument, status.Code(first(&persistent.ReadReq{})))
	require.ErrorContains(t, first(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: options}}), "buffer size is 0")
	options.BufferSize = 1
	require.ErrorContains(t, first(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: options}}), "ack or nack")
}

// Names that no header can hold are no reason to break the connection.
func TestNamesMayBeOfAnyLanguage(t *testing.T) {
	c := writable(t, memstore.New())
	const stream = "bestellung-Grüße 1"
	_, err := put2(t, c, stream, esdb.NoStream{}, event("placed", "{}"))
	require.NoError(t, err)
	_, err = c.DeleteStream(t.Context(), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(7)})
	require.ErrorContains(t, err, "FailedPrecondition")
	_, err = c.GetPersistentSubscriptionInfo(t.Context(), stream, "Prüfer", esdb.GetPersistentSubscriptionOptions{})
	requireCode(t, esdb.ErrorCodeResourceNotFound, err)
	require.NoError(t, c.CreatePersistentSubscription(t.Context(), stream, "Prüfer", streamOptions(nil)))
	s, err := c.SubscribeToPersistentSubscription(t.Context(), stream, "Prüfer", esdb.SubscribeToPersistentSubscriptionOptions{})
	require.NoError(t, err)
	take(t, s, 1)
	require.NoError(t, s.Close())
}

func TestLinksComeWithWhatTheyStandFor(t *testing.T) {
	c := writable(t, memstore.New())
	placed := event("placed", `{"n":1}`)
	_, err := put2(t, c, "order-1", esdb.NoStream{}, placed)
	require.NoError(t, err)
	link, gone := event("$>", "0@order-1"), event("$>", "0@order-2")
	_, err = put2(t, c, "orders", esdb.NoStream{}, link, gone)
	require.NoError(t, err)
	createGroup(t, c, "orders", func(s *esdb.PersistentSubscriptionSettings) { s.ResolveLinkTos = true })
	s := consume(t, c, "orders", 10)
	got := take(t, s, 2)
	require.Equal(t, []uuid.UUID{placed.EventID, link.EventID, gone.EventID},
		[]uuid.UUID{got[0].Event.Event.EventID, got[0].Event.Link.EventID, got[1].Event.Link.EventID})
	require.Nil(t, got[1].Event.Event)
	require.NoError(t, s.Nack("", esdb.NackActionPark, got[0].Event))
	require.Eventually(t, func() bool { return info(t, c, "orders").Stats.ParkedMessagesCount == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "0@order-1", string(readAll(t, c, "$persistentsubscription-orders::"+group+"-parked")[0].Data))
}
