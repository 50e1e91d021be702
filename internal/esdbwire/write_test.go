package esdbwire_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// writable serves a log with streams of Parley that nobody may write, and the
// streams of others.
func writable(t testing.TB, log store.Log) *esdb.Client {
	address := serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})
	return client(t, "esdb://"+address+"?tls=false")
}

func event(kind, data string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: kind, ContentType: esdb.ContentTypeJson, Data: []byte(data), Metadata: []byte(`{"a":1}`)}
}

func put2(t testing.TB, c *esdb.Client, stream string, expected esdb.ExpectedRevision, list ...esdb.EventData) (*esdb.WriteResult, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return c.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, list...)
}

func requireCode(t testing.TB, code esdb.ErrorCode, err error) {
	t.Helper()
	known, ok := esdb.FromError(err)
	require.False(t, ok)
	require.Equal(t, code, known.Code(), "%v", err)
}

func readAll(t testing.TB, c *esdb.Client, stream string) []*esdb.RecordedEvent {
	t.Helper()
	read, err := c.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 1000)
	return collect(t, read, err)
}

func requireMissing(t testing.TB, c *esdb.Client, stream string) {
	t.Helper()
	read, err := c.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 1000)
	require.NoError(t, err)
	defer read.Close()
	_, err = read.Recv()
	requireCode(t, esdb.ErrorCodeResourceNotFound, err)
}

func TestStreamsOfOthersAreWritten(t *testing.T) {
	c := writable(t, memstore.New())
	binary := event("raw", "")
	binary.ContentType, binary.Data, binary.Metadata = esdb.ContentTypeBinary, []byte{0xff, 0, 1}, []byte{0xfe}
	wrote, err := put2(t, c, "order-1", esdb.NoStream{}, event("placed", `{"n": 1}`), binary)
	require.NoError(t, err)
	require.Equal(t, uint64(1), wrote.NextExpectedVersion)
	list := readAll(t, c, "order-1")
	require.Equal(t, []uint64{0, 1}, revisions(list))
	require.Equal(t, "placed", list[0].EventType)
	require.Equal(t, `{"n": 1}`, string(list[0].Data))
	require.Equal(t, `{"a":1}`, string(list[0].UserMetadata))
	require.Equal(t, "application/json", list[0].ContentType)
	require.Equal(t, binary.EventID, list[1].EventID)
	require.Equal(t, binary.Data, list[1].Data)
	require.Equal(t, binary.Metadata, list[1].UserMetadata)
	require.Equal(t, "application/octet-stream", list[1].ContentType)
	require.Equal(t, wrote.CommitPosition, list[1].Position.Commit)
}

func TestExpectedRevisions(t *testing.T) {
	c := writable(t, memstore.New())
	for _, expected := range []esdb.ExpectedRevision{esdb.StreamExists{}, esdb.Revision(0)} {
		_, err := put2(t, c, "order-1", expected, event("a", "{}"))
		requireCode(t, esdb.ErrorCodeWrongExpectedVersion, err)
	}
	requireMissing(t, c, "order-1")
	for i, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Revision(0), esdb.StreamExists{}, esdb.Any{}} {
		wrote, err := put2(t, c, "order-1", expected, event("a", "{}"))
		require.NoError(t, err)
		require.Equal(t, uint64(i), wrote.NextExpectedVersion)
	}
	for _, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Revision(0), esdb.Revision(7)} {
		_, err := put2(t, c, "order-1", expected, event("a", "{}"))
		requireCode(t, esdb.ErrorCodeWrongExpectedVersion, err)
	}
	require.Len(t, readAll(t, c, "order-1"), 4)
}

func TestTheSameAppendAgainIsDoneOnce(t *testing.T) {
	c := writable(t, memstore.New())
	for _, expected := range []esdb.ExpectedRevision{esdb.NoStream{}, esdb.Any{}} {
		stream := fmt.Sprintf("order-%T", expected)
		batch := []esdb.EventData{event("a", "1"), event("b", "2")}
		first, err := put2(t, c, stream, expected, batch...)
		require.NoError(t, err)
		_, err = put2(t, c, stream, esdb.Any{}, event("c", "3"))
		require.NoError(t, err)
		again, err := put2(t, c, stream, expected, batch...)
		require.NoError(t, err)
		require.Equal(t, first, again)
		require.Len(t, readAll(t, c, stream), 3)
	}
}

func TestStreamsOfParleyAreNeverWritten(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	c := writable(t, log)
	for _, stream := range []string{"conversation-CH0", "conversation-new", "$$conversation-CH0", "user-1"} {
		_, err := put2(t, c, stream, esdb.Any{}, event("a", "{}"))
		requireCode(t, esdb.ErrorCodeAccessDenied, err)
	}
	_, err := c.DeleteStream(t.Context(), "conversation-CH0", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	require.Error(t, err)
	_, err = c.TombstoneStream(t.Context(), "conversation-CH0", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	require.Error(t, err)
	require.Len(t, readAll(t, c, "conversation-CH0"), 2)
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, events.At(2), head)
}

func TestADeletedStreamGoesOnBehindItsEnd(t *testing.T) {
	c := writable(t, memstore.New())
	_, err := put2(t, c, "order-1", esdb.NoStream{}, event("a", "1"), event("b", "2"))
	require.NoError(t, err)
	_, err = c.DeleteStream(t.Context(), "order-1", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(0)})
	require.Error(t, err, "it is at 1")
	_, err = c.DeleteStream(t.Context(), "order-1", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(1)})
	require.NoError(t, err)
	requireMissing(t, c, "order-1")
	_, err = put2(t, c, "order-1", esdb.StreamExists{}, event("c", "3"))
	requireCode(t, esdb.ErrorCodeWrongExpectedVersion, err)
	next := event("c", "3")
	for range 2 { // the second is the same again
		wrote, err := put2(t, c, "order-1", esdb.NoStream{}, next)
		require.NoError(t, err)
		require.Equal(t, uint64(2), wrote.NextExpectedVersion)
	}
	require.Equal(t, []uint64{2}, revisions(readAll(t, c, "order-1")))
}

func TestDeletingHidesNoAppendThatItDidNotSee(t *testing.T) {
	c := writable(t, memstore.New())
	for i := range 100 {
		stream := fmt.Sprint("order-", i)
		_, err := put2(t, c, stream, esdb.NoStream{}, event("a", "1"))
		require.NoError(t, err)
		appended := make(chan error)
		go func() {
			_, err := c.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0)}, event("b", "2"))
			appended <- err
		}()
		_, deleted := c.DeleteStream(t.Context(), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(0)})
		require.NoError(t, <-appended, "at 0 it was, deleted or not")
		want := []uint64{1}
		if deleted != nil { // the append came first
			require.ErrorContains(t, deleted, "is at 1, not at 0") // this client knows no code for it here
			want = []uint64{0, 1}
		}
		require.Equal(t, want, revisions(readAll(t, c, stream)))
	}
}

func TestATombstoneIsForEver(t *testing.T) {
	c := writable(t, memstore.New())
	_, err := put2(t, c, "order-1", esdb.NoStream{}, event("a", "1"))
	require.NoError(t, err)
	_, err = c.TombstoneStream(t.Context(), "order-1", esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(0)})
	require.NoError(t, err)
	_, err = put2(t, c, "order-1", esdb.Any{}, event("b", "2"))
	requireCode(t, esdb.ErrorCodeStreamDeleted, err)
	read, err := c.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{From: esdb.Start{}}, 10)
	require.NoError(t, err)
	defer read.Close()
	_, err = read.Recv()
	requireCode(t, esdb.ErrorCodeStreamDeleted, err)
}

func TestATombstoneAtAnyRevisionIsNotRefusedForAppendsBeside(t *testing.T) {
	log := memstore.New()
	put(t, log, "foreign-order-1", 0, 1)
	tries := 0
	appender := hooked{log, func(_ context.Context, _ string, write func() (store.Appended, error)) (store.Appended, error) {
		if tries++; tries <= 3 {
			put(t, log, "foreign-order-1", tries, 1)
		}
		return write()
	}}
	r := raw{t, streams.NewStreamsClient(dialRaw(t, serve(t, esdbwire.Config{Log: log, Appender: appender, Own: events.Categories()})))}
	o := &streams.TombstoneReq_Options{StreamIdentifier: named("order-1"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Revision{Revision: 0}}
	code, _ := r.tombstone(o)
	require.Equal(t, codes.FailedPrecondition, code, "it is at another one")
	o.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}
	code, _ = r.tombstone(o)
	require.Equal(t, codes.OK, code)
	require.Len(t, collectLog(t, log, "foreign-order-1"), 5)
}

func TestMetadataSayHowMuchIsSeen(t *testing.T) {
	log := memstore.New()
	c := writable(t, log)
	for i := range 10 {
		_, err := put2(t, c, "order-1", esdb.Any{}, event("a", fmt.Sprint(i)))
		require.NoError(t, err)
	}
	set := func(change func(*esdb.StreamMetadata)) {
		m := esdb.StreamMetadata{}
		change(&m)
		_, err := c.SetStreamMetadata(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
		require.NoError(t, err)
	}
	set(func(m *esdb.StreamMetadata) { m.SetMaxCount(3) })
	require.Equal(t, []uint64{7, 8, 9}, revisions(readAll(t, c, "order-1")))
	set(func(m *esdb.StreamMetadata) { m.SetTruncateBefore(5) })
	require.Equal(t, []uint64{5, 6, 7, 8, 9}, revisions(readAll(t, c, "order-1")))
	backwards, err := c.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 100)
	require.Equal(t, []uint64{9, 8, 7, 6, 5}, revisions(collect(t, backwards, err)))
	got, err := c.GetStreamMetadata(t.Context(), "order-1", esdb.ReadStreamOptions{})
	require.NoError(t, err)
	require.Equal(t, uint64(5), *got.TruncateBefore())
	set(func(m *esdb.StreamMetadata) { m.SetMaxAge(time.Hour) })
	require.Len(t, readAll(t, c, "order-1"), 10)
	require.Len(t, readAll(t, c, "$$order-1"), 1, "of metadata the last is seen")
}

func TestMaxAgeHidesWhatIsOlder(t *testing.T) {
	log := memstore.New()
	log.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	c := writable(t, log)
	_, err := put2(t, c, "order-1", esdb.Any{}, event("a", "1"))
	require.NoError(t, err)
	m := esdb.StreamMetadata{}
	m.SetMaxAge(30 * time.Minute)
	_, err = c.SetStreamMetadata(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
	require.NoError(t, err)
	require.Empty(t, readAll(t, c, "order-1"), "empty, not missing")
}

func TestFiltersSeeTheNamesOfOthers(t *testing.T) {
	log := memstore.New()
	fill(t, log, 2, 2)
	c := writable(t, log)
	_, err := put2(t, c, "order-1", esdb.Any{}, event("placed", "1"), event("paid", "2"))
	require.NoError(t, err)
	for _, filter := range []*esdb.SubscriptionFilter{
		{Type: esdb.StreamFilterType, Prefixes: []string{"order-"}},
		{Type: esdb.EventFilterType, Regex: "^p"},
	} {
		sub, err := c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: filter})
		require.NoError(t, err)
		var kinds []string
		for len(kinds) < 2 {
			m := sub.Recv()
			require.Nil(t, m.SubscriptionDropped)
			if m.EventAppeared != nil {
				kinds = append(kinds, m.EventAppeared.Event.StreamID+" "+m.EventAppeared.Event.EventType)
			}
		}
		require.NoError(t, sub.Close())
		require.Equal(t, []string{"order-1 placed", "order-1 paid"}, kinds)
	}
}

func TestLargeAppendsAreRefused(t *testing.T) {
	c := writable(t, memstore.New())
	_, err := put2(t, c, "order-1", esdb.Any{}, event("a", `"`+strings.Repeat("x", 2<<20)+`"`))
	require.Error(t, err)
	requireMissing(t, c, "order-1")
}
