package esdbwire_test

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// raw speaks the protocol by the stubs alone: what no client would send, too.
type raw struct {
	testing.TB
	streams.StreamsClient
}

func rawOn(t testing.TB, log store.Log, writeOwn bool) raw {
	address := serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories(), WriteOwn: writeOwn})
	return raw{t, streams.NewStreamsClient(dialRaw(t, address))}
}

func onDisk(t testing.TB) *sqlitestore.Store {
	log, err := sqlitestore.Open(filepath.Join(t.TempDir(), "log.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	return log
}

func named(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

var jsonOfType = map[string]string{"type": "t", "content-type": "application/json"}

func textID() *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}}
}

// append sends n events with the options.
func (r raw) append(o *streams.AppendReq_Options, n int) (*streams.AppendResp, error) {
	call, err := r.Append(r.Context())
	require.NoError(r, err)
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}})
	for range n {
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: textID(), Metadata: jsonOfType, Data: []byte("{}"),
		}}})
	}
	return call.CloseAndRecv()
}

// batch sends n events as one batch.
func (r raw) batch(o *streams.BatchAppendReq_Options, n int) *streams.BatchAppendResp {
	call, err := r.BatchAppend(r.Context())
	require.NoError(r, err)
	m := &streams.BatchAppendReq{CorrelationId: textID(), Options: o, IsFinal: true}
	for range n {
		m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{Id: textID(), Metadata: jsonOfType, Data: []byte("{}")})
	}
	require.NoError(r, call.Send(m))
	resp, err := call.Recv()
	require.NoError(r, err)
	require.NoError(r, call.CloseSend())
	return resp
}

// delete and tombstone return the code and what the trailer says.
func (r raw) delete(o *streams.DeleteReq_Options) (codes.Code, metadata.MD) {
	var trailer metadata.MD
	_, err := r.Delete(r.Context(), &streams.DeleteReq{Options: o}, grpc.Trailer(&trailer))
	return status.Code(err), trailer
}

func (r raw) tombstone(o *streams.TombstoneReq_Options) (codes.Code, metadata.MD) {
	var trailer metadata.MD
	_, err := r.Tombstone(r.Context(), &streams.TombstoneReq{Options: o}, grpc.Trailer(&trailer))
	return status.Code(err), trailer
}

// greatNumbers are expected revisions that no stream has, and whether they are numbers
// of a revision at all.
var greatNumbers = map[uint64]bool{
	1 << 62: true, math.MaxInt64 - 4097: true, math.MaxInt64 - 3: true, math.MaxInt64 - 2: true, math.MaxInt64 - 1: true, math.MaxInt64: true,
	1 << 63: false, 1<<63 + 1: false, math.MaxUint64 - 4: false, math.MaxUint64 - 1: false,
}

// Whatever number is expected, at every entry, the answer is that of EventStoreDB, and
// the log takes what comes next.
func TestNoExpectedRevisionClosesTheLog(t *testing.T) {
	for _, own := range []bool{false, true} {
		log := onDisk(t)
		r := rawOn(t, log, own)
		for i, there := range []string{"order-there", "order-missing", "conversation-there", "conversation-missing"} {
			exists := i%2 == 0
			if exists {
				put(t, log, map[bool]string{true: there, false: "foreign-" + there}[i > 1], 0, 0+1)
			}
			for number, isRevision := range greatNumbers {
				t.Run(fmt.Sprint(own, there, number), func(t *testing.T) {
					r := raw{t, r.StreamsClient}
					if i > 1 {
						r.requireDeniedOrWrong(there, number)
						return
					}
					r.requireWrongEverywhere(there, number, exists, isRevision)
				})
			}
		}
		require.NoError(t, log.Failed())
		_, err := log.Append(t.Context(), "conversation-after", store.NoStream, []events.Proposed{{ID: events.NameID("after"), Type: "t.v1", Data: []byte("{}")}})
		require.NoError(t, err)
	}
}

// requireDeniedOrWrong is for a stream of Parley's, to which some servers let write: what
// it is that is refused comes second.
func (r raw) requireDeniedOrWrong(stream string, number uint64) {
	for n := 1; n < 4; n++ {
		resp, err := r.append(&streams.AppendReq_Options{StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: number}}, n)
		if err == nil {
			require.NotNil(r, resp.GetWrongExpectedVersion())
		} else {
			require.Contains(r, []codes.Code{codes.PermissionDenied, codes.InvalidArgument, codes.Unknown}, status.Code(err))
		}
		failed := r.batch(&streams.BatchAppendReq_Options{StreamIdentifier: named(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: number}}, n).GetError()
		require.NotNil(r, failed)
		require.NotContains(r, []codes.Code{codes.Internal, codes.Unavailable}, codes.Code(failed.GetCode()))
	}
}

func (r raw) requireWrongEverywhere(stream string, number uint64, exists, isRevision bool) {
	for n := range 4 {
		resp, err := r.append(&streams.AppendReq_Options{StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: number}}, n)
		batched := r.batch(&streams.BatchAppendReq_Options{StreamIdentifier: named(stream), ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: number}}, n)
		require.NotNil(r, batched.GetError())
		if !isRevision {
			require.Equal(r, codes.Unknown, status.Code(err))
			require.Contains(r, err.Error(), strconv.FormatUint(number, 10))
			require.Equal(r, codes.InvalidArgument, codes.Code(batched.GetError().GetCode()))
			require.Contains(r, batched.GetError().GetMessage(), strconv.FormatUint(number, 10))
			continue
		}
		require.NoError(r, err)
		wrong := resp.GetWrongExpectedVersion()
		require.NotNil(r, wrong)
		require.Equal(r, number, wrong.GetExpectedRevision())
		require.Equal(r, !exists, wrong.GetCurrentNoStream() != nil)
		details := new(shared.WrongExpectedVersion)
		require.NoError(r, batched.GetError().GetDetails()[0].UnmarshalTo(details))
		require.Equal(r, number, details.GetExpectedStreamPosition())
	}
	code, trailer := r.delete(&streams.DeleteReq_Options{StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: number}})
	r.requireWrongTrailer(code, trailer, number, exists, isRevision)
	code, trailer = r.tombstone(&streams.TombstoneReq_Options{StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.TombstoneReq_Options_Revision{Revision: number}})
	r.requireWrongTrailer(code, trailer, number, exists, isRevision)
}

func (r raw) requireWrongTrailer(code codes.Code, trailer metadata.MD, number uint64, exists, isRevision bool) {
	if !isRevision {
		require.Equal(r, codes.Unknown, code)
		return
	}
	require.Equal(r, codes.FailedPrecondition, code)
	require.Equal(r, []string{strconv.FormatUint(number, 10)}, trailer.Get("expected-version"))
	require.Equal(r, []string{map[bool]string{true: "0", false: "-1"}[exists]}, trailer.Get("actual-version"))
}

// -1 in 64 bits, which is the greatest number without a sign, is no stream.
func TestTheGreatestNumberIsNoStream(t *testing.T) {
	r := rawOn(t, memstore.New(), false)
	resp, err := r.append(&streams.AppendReq_Options{StreamIdentifier: named("order-1"), ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: math.MaxUint64}}, 2)
	require.NoError(t, err)
	require.Equal(t, uint64(1), resp.GetSuccess().GetCurrentRevision())
	batched := r.batch(&streams.BatchAppendReq_Options{StreamIdentifier: named("order-2"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: math.MaxUint64}}, 2)
	require.Equal(t, uint64(1), batched.GetSuccess().GetCurrentRevision())
	code, trailer := r.delete(&streams.DeleteReq_Options{StreamIdentifier: named("order-1"), ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: math.MaxUint64}})
	require.Equal(t, codes.FailedPrecondition, code)
	require.Equal(t, []string{"-1"}, trailer.Get("expected-version"))
	require.Equal(t, []string{"1"}, trailer.Get("actual-version"))
}

// Clients take the trailer of a refused delete for numbers.
func TestARefusedDeleteSaysInNumbersWhatWasExpected(t *testing.T) {
	log := memstore.New()
	r := rawOn(t, log, false)
	put(t, log, "foreign-order-there", 0, 3)
	empty := &shared.Empty{}
	for _, c := range []struct {
		stream           string
		delete           *streams.DeleteReq_Options
		tombstone        *streams.TombstoneReq_Options
		expected, actual string
	}{
		{stream: "order-missing", expected: "-2", actual: "-1",
			delete: &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: empty}}},
		{stream: "order-missing", expected: "-1", actual: "-1",
			delete: &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_NoStream{NoStream: empty}}},
		{stream: "order-missing", expected: "-4", actual: "-1",
			delete:    &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_StreamExists{StreamExists: empty}},
			tombstone: &streams.TombstoneReq_Options{ExpectedStreamRevision: &streams.TombstoneReq_Options_StreamExists{StreamExists: empty}}},
		{stream: "order-there", expected: "-1", actual: "2",
			delete:    &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_NoStream{NoStream: empty}},
			tombstone: &streams.TombstoneReq_Options{ExpectedStreamRevision: &streams.TombstoneReq_Options_NoStream{NoStream: empty}}},
		{stream: "order-there", expected: "7", actual: "2",
			delete:    &streams.DeleteReq_Options{ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 7}},
			tombstone: &streams.TombstoneReq_Options{ExpectedStreamRevision: &streams.TombstoneReq_Options_Revision{Revision: 7}}},
	} {
		want := metadata.Pairs("exception", "wrong-expected-version", "stream-name", c.stream, "expected-version", c.expected, "actual-version", c.actual)
		c.delete.StreamIdentifier = named(c.stream)
		code, trailer := r.delete(c.delete)
		require.Equal(t, codes.FailedPrecondition, code, c)
		require.Subset(t, trailer, want)
		if c.tombstone != nil {
			c.tombstone.StreamIdentifier = named(c.stream)
			code, trailer = r.tombstone(c.tombstone)
			require.Equal(t, codes.FailedPrecondition, code, c)
			require.Subset(t, trailer, want)
		}
	}
}

// Who says nothing of what is expected has forgotten it.
func TestSomethingMustBeExpected(t *testing.T) {
	r := rawOn(t, memstore.New(), false)
	_, err := r.append(&streams.AppendReq_Options{StreamIdentifier: named("order-1")}, 1)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	batched := r.batch(&streams.BatchAppendReq_Options{StreamIdentifier: named("order-1")}, 1)
	require.Equal(t, codes.InvalidArgument, codes.Code(batched.GetError().GetCode()))
	code, _ := r.delete(&streams.DeleteReq_Options{StreamIdentifier: named("order-1")})
	require.Equal(t, codes.InvalidArgument, code)
	code, _ = r.tombstone(&streams.TombstoneReq_Options{StreamIdentifier: named("order-1")})
	require.Equal(t, codes.InvalidArgument, code)
}

// Data count as they came, whatever they take where they are kept; types and metadata do
// not count. What is too much is refused for the reason that it is.
func TestAnAppendTakesWhatEventStoreDBTakes(t *testing.T) {
	const most = 1 << 20
	binary := bytes.Repeat([]byte{0xff, 0x00}, most/2)
	nul, quotes := bytes.Repeat([]byte{0}, most), bytes.Repeat([]byte(`"`), most)
	text := bytes.Repeat([]byte("x"), most)
	metadata := bytes.Repeat([]byte{0xfe}, 1<<20)
	for _, log := range []store.Log{memstore.New(), onDisk(t)} {
		r := rawOn(t, log, false)
		for name, data := range map[string][]byte{"binary": binary, "nul": nul, "quotes": quotes, "text": text} {
			stream := "order-" + name
			require.Equal(t, codes.OK, r.send(stream, data, metadata), name)
			require.Equal(t, codes.OK, r.send(stream, data[:most-1], nil, []byte("y")), name)
			require.Equal(t, codes.InvalidArgument, r.send(stream, append(bytes.Clone(data), 'y'), nil), name)
			require.Equal(t, codes.InvalidArgument, r.send(stream, data, nil, []byte("y")), name)
			require.Equal(t, data, r.first(stream).GetData(), name)
			require.Equal(t, metadata, r.first(stream).GetCustomMetadata(), name)
		}
		many := &streams.AppendReq_Options{StreamIdentifier: named("order-many"), ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}}
		resp, err := r.append(many, store.MaxBatch)
		require.NoError(t, err)
		require.Equal(t, uint64(store.MaxBatch-1), resp.GetSuccess().GetCurrentRevision())
		_, err = r.append(many, store.MaxBatch+1)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, "16384 events")
		batched := r.batch(&streams.BatchAppendReq_Options{
			StreamIdentifier: named("order-batch"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		}, 10_000)
		require.Equal(t, uint64(9999), batched.GetSuccess().GetCurrentRevision())
	}
}

// send appends one event for each piece of data, the first with metadata, both ways, and
// returns the code of the outcome, which is the same.
func (r raw) send(stream string, first, metadata []byte, more ...[]byte) codes.Code {
	r.Helper()
	o := &streams.AppendReq_Options{StreamIdentifier: named(stream), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}}}
	call, err := r.Append(r.Context())
	require.NoError(r, err)
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: o}})
	m := &streams.BatchAppendReq{CorrelationId: textID(), IsFinal: true, Options: &streams.BatchAppendReq_Options{
		StreamIdentifier: named(stream + "-batch"), ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
	}}
	for i, data := range append([][]byte{first}, more...) {
		if i > 0 {
			metadata = nil
		}
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: textID(), Metadata: jsonOfType, Data: data, CustomMetadata: metadata,
		}}})
		m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{Id: textID(), Metadata: jsonOfType, Data: data, CustomMetadata: metadata})
	}
	_, err = call.CloseAndRecv()
	if err != nil {
		require.Equal(r, []string{"maximum-append-size-exceeded"}, call.Trailer().Get("exception"))
	}
	batches, batchErr := r.BatchAppend(r.Context())
	require.NoError(r, batchErr)
	require.NoError(r, batches.Send(m))
	resp, batchErr := batches.Recv()
	require.NoError(r, batchErr)
	require.Equal(r, status.Code(err), codes.Code(resp.GetError().GetCode()))
	return status.Code(err)
}

func (r raw) first(stream string) *streams.ReadResp_ReadEvent_RecordedEvent {
	call, err := r.Read(r.Context(), &streams.ReadReq{Options: span(stream, 1, false, "start")})
	require.NoError(r, err)
	m, err := call.Recv()
	require.NoError(r, err)
	return m.GetEvent().GetEvent()
}

// A name that the log does not keep is refused for what it is.
func TestANameIsRefusedForWhatItIs(t *testing.T) {
	r := rawOn(t, memstore.New(), false)
	for name, reason := range map[string]string{
		"": "needs a name", "$$": "needs a name", "order-\n": "control character", "order-\x00": "control character", "order-\xff": "UTF-8",
		strings.Repeat("é", 300): "600 bytes, of at most 502",
	} {
		_, err := r.append(&streams.AppendReq_Options{StreamIdentifier: named(name), ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}}}, 1)
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, reason)
	}
	for _, name := range []string{strings.Repeat("é", 251), "order 1", "-", "a::b/c", "🎈", "$mine"} {
		_, err := r.append(&streams.AppendReq_Options{StreamIdentifier: named(name), ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}}, 1)
		require.NoError(t, err)
	}
}
