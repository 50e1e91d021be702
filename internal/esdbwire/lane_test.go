package esdbwire_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// anyBatch is one event at any revision.
func anyBatch(stream string) *streams.BatchAppendReq {
	return &streams.BatchAppendReq{
		CorrelationId: textID(), IsFinal: true,
		Options: &streams.BatchAppendReq_Options{
			StreamIdentifier: named(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		},
		ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{Id: textID(), Metadata: jsonOfType, Data: []byte("{}")}},
	}
}

// Many appends to one stream are few writes. Each is answered with its own revision and
// position, and they are there in the order in which they came.
func TestManyAppendsToOneStreamAreWrittenTogether(t *testing.T) {
	const n = 900
	log, first, release := memstore.New(), make(chan struct{}), make(chan struct{})
	var writes atomic.Int64
	appender := hooked{log, func(_ context.Context, _ string, write func() (store.Appended, error)) (store.Appended, error) {
		if writes.Add(1) == 1 {
			close(first)
			<-release
		}
		return write()
	}}
	address := serve(t, esdbwire.Config{Log: log, Appender: appender, Own: events.Categories()})
	call, err := streams.NewStreamsClient(dialRaw(t, address)).BatchAppend(t.Context())
	require.NoError(t, err)
	sent := map[string]int{}
	for i := range n {
		m := anyBatch("order-1")
		switch { // some say where they expect to be, in a row with the others
		case i == 0:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
		case i%3 == 0:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(i - 1)}
		case i%3 == 1:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
		}
		sent[m.GetCorrelationId().GetString_()] = i
		require.NoError(t, call.Send(m))
		if i == 0 {
			<-first
		}
	}
	missing := anyBatch("order-2") // it comes behind all the others
	require.NoError(t, call.Send(missing))
	for {
		resp, err := call.Recv()
		require.NoError(t, err)
		if resp.GetCorrelationId().GetString_() == missing.GetCorrelationId().GetString_() {
			break
		}
	}
	close(release)
	places := map[uint64]uint64{}
	for range n {
		resp, err := call.Recv()
		require.NoError(t, err)
		require.Nil(t, resp.GetError())
		require.Equal(t, uint64(sent[resp.GetCorrelationId().GetString_()]), resp.GetSuccess().GetCurrentRevision())
		places[resp.GetSuccess().GetCurrentRevision()] = resp.GetSuccess().GetPosition().GetCommitPosition()
	}
	require.LessOrEqual(t, writes.Load(), int64(5))
	for e, err := range log.ReadStream(t.Context(), "foreign-order-1", 0, store.Forwards) {
		require.NoError(t, err)
		require.Equal(t, e.Position.Commit, places[e.Revision])
	}
	require.Len(t, places, n)
}

// Whoever writes beside, and whatever is expected, an acknowledged event is there once,
// at the revision that was told, and a refused one is not.
func TestAppendsTogetherAreAsIfEachWereAlone(t *testing.T) {
	log := onDisk(t)
	r := rawOn(t, log, false)
	var mu sync.Mutex
	told := map[events.ID]uint64{}
	refused := map[events.ID]bool{}
	var all sync.WaitGroup
	for w := range 12 {
		all.Go(func() {
			for i := range 60 {
				id := uuid.New()
				x := &streams.AppendReq_Options{StreamIdentifier: named("order-1"), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}}}
				if w%4 == 0 {
					x.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(10 * i)}
				}
				revision, ok := r.one(x, id)
				if ok && w%4 == 0 {
					again, okAgain := r.one(x, id)
					assert.Equal(t, []any{revision, ok}, []any{again, okAgain}, "the same append again")
				}
				mu.Lock()
				if refused[events.ID(id)] = !ok; ok {
					told[events.ID(id)] = revision
				}
				mu.Unlock()
			}
		})
	}
	all.Go(func() { beside(t, log, "foreign-order-1", 40) })
	all.Wait()
	seen := 0
	for e, err := range log.ReadStream(t.Context(), "foreign-order-1", 0, store.Forwards) {
		require.NoError(t, err)
		require.False(t, refused[e.ID])
		if revision, ours := told[e.ID]; ours {
			require.Equal(t, revision, e.Revision)
			seen++
		}
	}
	require.Equal(t, len(told), seen)
}

// one appends one event.
func (r raw) one(o *streams.AppendReq_Options, id uuid.UUID) (revision uint64, ok bool) {
	call, err := r.Append(r.Context())
	if err != nil {
		return 0, false
	}
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}})
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id: &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}, Metadata: jsonOfType, Data: []byte("{}"),
	}}})
	resp, err := call.CloseAndRecv()
	assert.NoError(r, err)
	return resp.GetSuccess().GetCurrentRevision(), resp.GetSuccess() != nil
}

// beside writes to a stream as another node does, n times: fewer than a try is made again.
func beside(t *testing.T, log store.Log, stream string, n int) {
	at := store.NoStream
	for i := 0; i < n; {
		e := events.Proposed{ID: events.NameID(fmt.Sprint("beside ", i)), Type: "foreign.recorded.v1", Data: []byte(`{"type":"t","content_type":"application/json"}`)}
		appended, err := log.Append(t.Context(), stream, at, []events.Proposed{e})
		conflict := new(store.ConflictError)
		switch {
		case errors.As(err, &conflict):
			at = conflict.Actual
		case assert.NoError(t, err):
			at = appended.Revision
			i++
		default:
			return
		}
	}
}

// One that cannot be written is refused alone, and who has gone holds up nobody.
func TestOneOfManyIsRefusedAlone(t *testing.T) {
	log, first, release := memstore.New(), make(chan struct{}), make(chan struct{})
	var once sync.Once
	appender := hooked{log, func(_ context.Context, _ string, write func() (store.Appended, error)) (store.Appended, error) {
		once.Do(func() { close(first); <-release })
		return write()
	}}
	address := serve(t, esdbwire.Config{Log: log, Appender: appender, Own: events.Categories()})
	call, err := streams.NewStreamsClient(dialRaw(t, address)).BatchAppend(t.Context())
	require.NoError(t, err)
	want := map[string]codes.Code{}
	send := func(code codes.Code, change func(*streams.BatchAppendReq)) {
		m := anyBatch("order-1")
		if change != nil {
			change(m)
		}
		want[m.GetCorrelationId().GetString_()] = code
		require.NoError(t, call.Send(m))
	}
	send(codes.OK, nil)
	<-first
	for range 10 {
		send(codes.OK, nil)
		send(codes.InvalidArgument, func(m *streams.BatchAppendReq) { // an id twice
			m.ProposedMessages = append(m.ProposedMessages, m.ProposedMessages...)
		})
		send(codes.FailedPrecondition, func(m *streams.BatchAppendReq) {
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: 1 << 40}
		})
		send(codes.DeadlineExceeded, func(m *streams.BatchAppendReq) {
			m.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(1)}
		})
		send(codes.OK, func(m *streams.BatchAppendReq) { m.ProposedMessages = nil })
	}
	var got []codes.Code
	for range 10 { // those whose time is over do not wait for the others
		resp, err := call.Recv()
		require.NoError(t, err)
		got = append(got, codes.Code(resp.GetError().GetCode()))
	}
	require.NotContains(t, got, codes.OK)
	close(release)
	for range len(want) - 10 {
		resp, err := call.Recv()
		require.NoError(t, err)
		require.Equal(t, want[resp.GetCorrelationId().GetString_()], codes.Code(resp.GetError().GetCode()), resp)
	}
	require.Len(t, collectLog(t, log, "foreign-order-1"), 11)
}

func collectLog(t *testing.T, log store.Log, stream string) (list []events.Recorded) {
	for e, err := range log.ReadStream(t.Context(), stream, 0, store.Forwards) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}
