package esdbwire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
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

// fill appends n batches of two events to each of so many streams, in turns.
func fill(t testing.TB, log store.Log, streams, n int) {
	for i := range n {
		for s := range streams {
			put(t, log, fmt.Sprintf("conversation-CH%d", s), 2*i, 2)
		}
	}
}

// put appends events at a revision.
func put(t testing.TB, log store.Log, stream string, at, n int) {
	batch := make([]events.Proposed, n)
	for i := range batch {
		batch[i] = events.Proposed{
			ID: events.EventID(events.NameID(fmt.Sprint(stream, at)), i), Type: fmt.Sprintf("test.kind-%d.v1", (at+i)%2),
			Data: fmt.Appendf(nil, `{"n":%d}`, at+i), Metadata: events.Metadata{Account: "AC1", Correlation: "c"},
		}
	}
	_, err := log.Append(context.Background(), stream, store.Revision(at-1), batch)
	require.NoError(t, err)
}

func serve(t testing.TB, c esdbwire.Config) (address string) {
	address, stop := serveUntil(t, c)
	t.Cleanup(stop)
	return address
}

// serveUntil serves until stop is called.
func serveUntil(t testing.TB, c esdbwire.Config) (address string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := esdbwire.New(c)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return listener.Addr().String(), func() {
		server.Close()
		require.NoError(t, <-done)
	}
}

// client is the vendor's own, as it is.
func client(t testing.TB, url string) *esdb.Client {
	config, err := esdb.ParseConnectionString(url)
	require.NoError(t, err)
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	c, err := esdb.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func plain(t testing.TB, log esdbwire.Log) *esdb.Client {
	return client(t, "esdb://"+serve(t, esdbwire.Config{Log: log})+"?tls=false")
}

func collect(t testing.TB, read *esdb.ReadStream, err error) (list []*esdb.RecordedEvent) {
	t.Helper()
	require.NoError(t, err)
	defer read.Close()
	for {
		e, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		require.NoError(t, err)
		list = append(list, e.Event)
	}
}

func revisions(list []*esdb.RecordedEvent) (all []uint64) {
	for _, e := range list {
		all = append(all, e.EventNumber)
	}
	return all
}

func TestAStreamIsRead(t *testing.T) {
	log := memstore.New()
	fill(t, log, 3, 3)
	c := plain(t, log)
	read := func(name string, o esdb.ReadStreamOptions, count uint64) []*esdb.RecordedEvent {
		stream, err := c.ReadStream(t.Context(), name, o, count)
		return collect(t, stream, err)
	}
	const ch = "conversation-CH1"
	all := read(ch, esdb.ReadStreamOptions{From: esdb.Start{}}, 100)
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5}, revisions(all))
	i := 0
	for own, err := range log.ReadStream(t.Context(), ch, 0, store.Forwards) {
		require.NoError(t, err)
		got := all[i]
		require.Equal(t, uuid.UUID(own.ID), got.EventID)
		require.Equal(t, []any{own.Type, own.Stream, "application/json"}, []any{got.EventType, got.StreamID, got.ContentType})
		require.Equal(t, events.Position{Commit: got.Position.Commit, Prepare: got.Position.Prepare}, own.Position)
		require.WithinDuration(t, own.Recorded, got.CreatedDate, time.Microsecond)
		require.JSONEq(t, string(own.Data), string(got.Data))
		metadata, err := events.ParseMetadata(got.UserMetadata)
		require.NoError(t, err)
		require.Equal(t, own.Metadata, metadata)
		i++
	}
	require.Equal(t, []uint64{2, 3}, revisions(read(ch, esdb.ReadStreamOptions{From: esdb.Revision(2)}, 2)))
	require.Equal(t, []uint64{5, 4, 3}, revisions(read(ch, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 3)))
	require.Equal(t, []uint64{1, 0}, revisions(read(ch, esdb.ReadStreamOptions{From: esdb.Revision(1), Direction: esdb.Backwards}, 9)))
	require.Empty(t, read(ch, esdb.ReadStreamOptions{From: esdb.Start{}, Direction: esdb.Backwards}, 9))
	require.Empty(t, read(ch, esdb.ReadStreamOptions{From: esdb.Revision(99)}, 9))
	require.Empty(t, read(ch, esdb.ReadStreamOptions{From: esdb.End{}}, 9))

	missing, err := c.ReadStream(t.Context(), "conversation-CH", esdb.ReadStreamOptions{}, 1)
	require.NoError(t, err)
	defer missing.Close()
	_, err = missing.Recv()
	failure, _ := esdb.FromError(err)
	require.Equal(t, esdb.ErrorCodeResourceNotFound, failure.Code())
}

func TestTheWholeLogIsReadInBothDirections(t *testing.T) {
	log, err := sqlitestore.Open(t.TempDir()+"/log.db", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	fill(t, log, 5, 60)
	c := plain(t, log)
	positions := func(o esdb.ReadAllOptions, count uint64) (all []uint64) {
		read, err := c.ReadAll(t.Context(), o, count)
		for _, e := range collect(t, read, err) {
			all = append(all, e.Position.Commit)
		}
		return all
	}
	forwards := positions(esdb.ReadAllOptions{From: esdb.Start{}}, 1<<20)
	require.Len(t, forwards, 600)
	require.IsIncreasing(t, forwards)
	back := positions(esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1<<20)
	require.IsDecreasing(t, back)
	require.Len(t, back, 600)
	require.Equal(t, forwards[599:], positions(esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1))
	require.Equal(t, forwards[10:12], positions(esdb.ReadAllOptions{From: esdb.Position{Commit: forwards[10], Prepare: forwards[10]}}, 2), "the one at the position too")
	require.Equal(t, []uint64{forwards[9], forwards[8]}, positions(esdb.ReadAllOptions{From: esdb.Position{Commit: forwards[10], Prepare: forwards[10]}, Direction: esdb.Backwards}, 2), "those before it")
	require.Empty(t, positions(esdb.ReadAllOptions{From: esdb.End{}}, 5))
	require.Empty(t, positions(esdb.ReadAllOptions{From: esdb.Start{}, Direction: esdb.Backwards}, 5))
}

// received reads a subscription until so many events came, and returns them with
// the kinds of everything else, in order.
func received(t testing.TB, s *esdb.Subscription, n int) (list []*esdb.RecordedEvent, others []string) {
	t.Helper()
	for len(list) < n {
		switch e := s.Recv(); {
		case e.EventAppeared != nil:
			list = append(list, e.EventAppeared.Event)
		case e.CaughtUp != nil:
			others = append(others, fmt.Sprint("caught up at ", len(list)))
		case e.FellBehind != nil:
			others = append(others, fmt.Sprint("fell behind at ", len(list)))
		case e.CheckPointReached != nil:
			others = append(others, fmt.Sprint("checkpoint ", e.CheckPointReached.Commit))
		case e.SubscriptionDropped != nil:
			t.Fatal(e.SubscriptionDropped.Error)
		}
	}
	return list, others
}

// No event is lost or repeated while history ends and news begin.
func TestSubscriptionsGoFromHistoryToNews(t *testing.T) {
	log := memstore.New()
	fill(t, log, 4, 300)
	c := plain(t, log)
	var writers sync.WaitGroup
	defer writers.Wait()
	for s := range 4 {
		writers.Go(func() {
			for i := 300; i < 600; i++ {
				put(t, log, fmt.Sprintf("conversation-CH%d", s), 2*i, 2)
			}
		})
	}
	whole, err := c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	one, err := c.SubscribeToStream(t.Context(), "conversation-CH2", esdb.SubscribeToStreamOptions{From: esdb.Revision(99)})
	require.NoError(t, err)
	all, _ := received(t, whole, 4800)
	next, last := map[string]uint64{}, uint64(0)
	for _, e := range all {
		require.Equal(t, next[e.StreamID], e.EventNumber)
		require.Greater(t, e.Position.Commit, last)
		next[e.StreamID], last = e.EventNumber+1, e.Position.Commit
	}
	of, _ := received(t, one, 1100)
	for i, e := range of {
		require.EqualValues(t, 100+i, e.EventNumber)
		require.Equal(t, "conversation-CH2", e.StreamID)
	}
	writers.Wait()
	fromEnd, err := c.SubscribeToStream(t.Context(), "conversation-CH2", esdb.SubscribeToStreamOptions{From: esdb.End{}})
	require.NoError(t, err)
	require.NotNil(t, fromEnd.Recv().CaughtUp)
	put(t, log, "conversation-CH22", 0, 1) // its name begins the same
	put(t, log, "conversation-CH2", 1200, 1)
	news, _ := received(t, fromEnd, 1)
	require.EqualValues(t, 1200, news[0].EventNumber)
	require.NoError(t, errors.Join(whole.Close(), one.Close(), fromEnd.Close()))
}

func TestWhoFallsBehindIsTold(t *testing.T) {
	log := memstore.New()
	s, err := plain(t, log).SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.End{}})
	require.NoError(t, err)
	put(t, log, "conversation-CH0", 0, 2*store.SubscribeBatch+1)
	list, others := received(t, s, 2*store.SubscribeBatch+1)
	require.EqualValues(t, 2*store.SubscribeBatch, list[len(list)-1].EventNumber)
	require.Equal(t, []string{"caught up at 0", fmt.Sprint("fell behind at ", store.SubscribeBatch-1)}, others)
	require.NotNil(t, s.Recv().CaughtUp)
	require.NoError(t, s.Close())
}

// A position is an event's, or the place right before it, and no other number is one:
// what EventStoreDB 23.10 answers.
func TestWhatIsAPlaceInTheWholeLog(t *testing.T) {
	log := memstore.New()
	put(t, log, "conversation-CH0", 0, 5)
	c := plain(t, log)
	const refused, nothing = -1, 0
	for at, want := range map[esdb.Position]struct{ forwards, backwards, behind int }{
		{Commit: 4, Prepare: 4}: {4, 3, 5},
		{Commit: 4, Prepare: 3}: {4, 2, 5},
		{Commit: 1, Prepare: 0}: {1, nothing, 2},
		{Commit: 4, Prepare: 2}: {refused, refused, refused},
		{Commit: 4, Prepare: 0}: {refused, refused, refused},
		{Commit: 9, Prepare: 9}: {nothing, refused, 6},
	} {
		first := func(direction esdb.Direction) int {
			read, err := c.ReadAll(t.Context(), esdb.ReadAllOptions{From: at, Direction: direction}, 1)
			require.NoError(t, err)
			defer read.Close()
			switch e, err := read.Recv(); {
			case errors.Is(err, io.EOF):
				return nothing
			case err != nil:
				require.ErrorContains(t, err, "Unexpected ReadAllResult: Error")
				return refused
			default:
				return int(e.Event.Position.Commit)
			}
		}
		require.Equal(t, []int{want.forwards, want.backwards}, []int{first(esdb.Forwards), first(esdb.Backwards)}, "%+v", at)
		s, err := c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: at})
		if want.behind == refused {
			require.ErrorContains(t, err, "Exception was thrown by handler")
			continue
		}
		require.NoError(t, err)
		if want.behind == 6 && at.Commit == 9 {
			put(t, log, "conversation-CH0", 5, 1)
		}
		list, _ := received(t, s, 1)
		require.EqualValues(t, want.behind, list[0].Position.Commit, "%+v", at)
		require.NoError(t, s.Close())
	}
}

func TestFiltersAndCheckpoints(t *testing.T) {
	log := memstore.New()
	fill(t, log, 10, 10)
	c := plain(t, log)
	for name, filter := range map[string]*esdb.SubscriptionFilter{
		"prefix": {Type: esdb.StreamFilterType, Prefixes: []string{"conversation-CH3", "user-"}},
		"regex":  {Type: esdb.StreamFilterType, Regex: "CH3$"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: filter, MaxSearchWindow: 10, CheckpointInterval: 2})
			require.NoError(t, err)
			list, others := received(t, s, 20)
			for i, e := range list {
				require.EqualValues(t, i, e.EventNumber)
				require.Equal(t, "conversation-CH3", e.StreamID)
			}
			require.Equal(t, []string{"checkpoint 20", "checkpoint 40", "checkpoint 60", "checkpoint 80"}, others[:4])
			require.NoError(t, s.Close())
		})
	}
	s, err := c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"test.kind-1"}}})
	require.NoError(t, err)
	list, _ := received(t, s, 100)
	for _, e := range list {
		require.Equal(t, "test.kind-1.v1", e.EventType)
	}
	require.NoError(t, s.Close())
	_, err = c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "(?!x)"}})
	require.Error(t, err)
}

func TestNothingIsWritten(t *testing.T) {
	log := memstore.New()
	c := plain(t, log)
	_, err := c.AppendToStream(t.Context(), "mine", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x", ContentType: esdb.ContentTypeJson, Data: []byte("{}")})
	failure, _ := esdb.FromError(err)
	require.Equal(t, esdb.ErrorCodeAccessDenied, failure.Code())
	_, err = c.DeleteStream(t.Context(), "mine", esdb.DeleteStreamOptions{})
	require.Error(t, err)
	_, err = c.TombstoneStream(t.Context(), "mine", esdb.TombstoneStreamOptions{})
	require.Error(t, err)
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.True(t, head.IsZero())
}

func certificate(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestWhoIsAskedOverTLS(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	address := serve(t, esdbwire.Config{Log: log, TLS: certificate(t), Users: func(user, password string) bool { return user == "admin" && password == "secret:1" }})
	good := client(t, "esdb://admin:secret%3A1@"+address+"?tlsVerifyCert=false")
	read, err := good.ReadStream(t.Context(), "conversation-CH0", esdb.ReadStreamOptions{}, 5)
	require.Len(t, collect(t, read, err), 2)
	for _, who := range []string{"admin:wrong@", "other:secret%3A1@", ""} {
		read, err := client(t, "esdb://"+who+address+"?tlsVerifyCert=false").ReadStream(t.Context(), "conversation-CH0", esdb.ReadStreamOptions{}, 5)
		if err == nil {
			_, err = read.Recv()
		}
		failure, _ := esdb.FromError(err)
		require.Equal(t, esdb.ErrorCodeUnauthenticated, failure.Code(), who)
	}
}

// What no client of theirs would send is refused by the protocol's own means.
func TestRequestsThatAreNone(t *testing.T) {
	conn, err := grpc.NewClient(serve(t, esdbwire.Config{Log: memstore.New()}), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	one := &streams.ReadReq_Options_Count{Count: 1}
	all := &streams.ReadReq_Options_All{}
	subscription := &streams.ReadReq_Options_Subscription{}
	named := func(name string) *streams.ReadReq_Options_Stream {
		return &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)}}}
	}
	beyond := named("x")
	beyond.Stream.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: 1 << 63}
	place := func(commit, prepare uint64) *streams.ReadReq_Options_All {
		return &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: prepare},
		}}}
	}
	regex := &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: "("}},
	}}
	for name, o := range map[string]*streams.ReadReq_Options{
		"nothing":                {},
		"no options":             nil,
		"no count":               {StreamOption: all},
		"count of zero":          {StreamOption: all, CountOption: &streams.ReadReq_Options_Count{}},
		"no source":              {CountOption: one},
		"no name":                {StreamOption: named(""), CountOption: one},
		"long name":              {StreamOption: named(string(make([]byte, 600))), CountOption: one},
		"unknown direction":      {StreamOption: all, CountOption: one, ReadDirection: 7},
		"backwards subscription": {StreamOption: all, CountOption: subscription, ReadDirection: streams.ReadReq_Options_Backwards},
		"revision out of range":  {StreamOption: beyond, CountOption: one},
		"position out of range":  {StreamOption: place(1<<63, 1<<63), CountOption: one},
		"no such pair":           {StreamOption: place(0, 5), CountOption: one},
		"bad regex":              {StreamOption: all, CountOption: one, FilterOption: regex},
		"filter on a stream":     {StreamOption: named("x"), CountOption: one, FilterOption: regex},
	} {
		read, err := streams.NewStreamsClient(conn).Read(t.Context(), &streams.ReadReq{Options: o})
		require.NoError(t, err)
		_, err = read.Recv()
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
	}
}

// A connection that says nothing holds up neither others nor the end.
func TestIdleConnectionsHoldUpNobody(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	for _, first := range []string{"", "P", "PRI * HTTP/2.0\r\n"} {
		for _, c := range []esdbwire.Config{{Log: log}, {Log: log, TLS: certificate(t)}} {
			address, stop := serveUntil(t, c)
			idle, err := net.Dial("tcp", address)
			require.NoError(t, err)
			_, err = idle.Write([]byte(first))
			require.NoError(t, err)
			url := "esdb://" + address + "?tls=false"
			if c.TLS != nil {
				url = "esdb://" + address + "?tlsVerifyCert=false"
			}
			stream, err := client(t, url).ReadStream(t.Context(), ch, esdb.ReadStreamOptions{}, 10)
			require.Len(t, collect(t, stream, err), 2)
			stopped := make(chan struct{})
			go func() { stop(); close(stopped) }()
			select {
			case <-stopped:
			case <-time.After(5 * time.Second):
				t.Errorf("after %q the server does not end", first)
				<-stopped
			}
			require.NoError(t, idle.Close())
		}
	}
}
