package esdbwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Append implements streams.StreamsServer.
func (s *service) Append(call streams.Streams_AppendServer) error {
	stream, x, batch, err := receive(call)
	if err == nil {
		var o outcome
		if o, err = s.append(call.Context(), stream, x, batch); err == nil {
			return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: successOf(o)}})
		}
	}
	if wrong := new(wrongVersion); errors.As(err, &wrong) {
		return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrongOf(wrong)}})
	}
	return answered(err, call.SetTrailer)
}

// heardOut bounds the bytes that are taken of an append before it is refused. A
// client that still sends does not get to see why.
const heardOut = 16 * maxAppend

// receive takes the whole of an append, which begins with its options.
func receive(call streams.Streams_AppendServer) (stream string, x expectation, batch []proposed, err error) {
	first, err := call.Recv()
	if err != nil {
		return "", x, nil, err
	}
	if first.GetOptions() == nil {
		return "", x, nil, badRequest("an append begins with its options")
	}
	if stream, err = streamName(first.GetOptions().GetStreamIdentifier()); err != nil {
		return "", x, nil, err
	}
	if x, err = expectationOf(first.GetOptions()); err != nil {
		return "", x, nil, err
	}
	size, data := 0, 0
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", x, nil, err
		}
		p, err := proposedOf(message.GetProposedMessage())
		if err != nil {
			return "", x, nil, err
		}
		if len(batch) == store.MaxBatch {
			return "", x, nil, tooMany()
		}
		if size += p.size(); size > heardOut {
			return "", x, nil, tooLarge()
		}
		if data += len(p.data); data <= maxAppend {
			batch = append(batch, p)
		}
	}
	if data > maxAppend {
		return "", x, nil, tooLarge()
	}
	return stream, x, batch, nil
}

// longestName bounds a stream's name in bytes: with what is put before it, it is one of
// the log.
const longestName = store.MaxName - len(foreignPrefix) - len(metastreamMark)

func streamName(id *shared.StreamIdentifier) (string, error) {
	stream := string(id.GetStreamName())
	switch {
	case stream == "" || stream == metastreamMark:
		return "", badRequest("a stream needs a name")
	case len(stream) > longestName:
		return "", badRequest("the stream's name has %d bytes, of at most %d: %.60q", len(stream), longestName, stream)
	case !store.ValidName(stream):
		return "", badRequest("the stream's name %.60q has a control character, or is not UTF-8: the log keeps neither", stream)
	}
	return stream, nil
}

// options are those of everything that writes.
type options interface {
	proto.Message
	GetRevision() uint64
	GetNoStream() *shared.Empty
	GetAny() *shared.Empty
	GetStreamExists() *shared.Empty
}

func expectationOf(o options) (expectation, error) {
	switch {
	case o.GetAny() != nil:
		return expectation{kind: anyRevision}, nil
	case o.GetStreamExists() != nil:
		return expectation{kind: streamExists}, nil
	case o.GetNoStream() != nil:
		return expectation{revision: store.NoStream}, nil
	case !said(o, "revision"):
		return expectation{}, errNothingExpected
	}
	return exactlyAt(o.GetRevision())
}

var errNothingExpected = badRequest("it is not said at which revision the stream is expected, nor that any will do")

// exactlyAt expects a revision that a client gives as a number. The greatest one is -1
// in 64 bits, no stream; others that are below zero then are refused, with the code that
// EventStoreDB has for them.
func exactlyAt(n uint64) (expectation, error) {
	switch {
	case n == math.MaxUint64:
		return expectation{revision: store.NoStream}, nil
	case n > math.MaxInt64:
		text := fmt.Sprintf("expected revision %d is above %d", n, int64(math.MaxInt64))
		return expectation{}, &refusal{code: codes.Unknown, text: text, details: &shared.BadRequest{Message: text}}
	}
	return expectation{revision: store.Revision(n)}, nil
}

var errNoType = &refusal{
	code: codes.InvalidArgument, text: "an event needs type and content-type", name: "missing-required-metadata-property",
	with: []string{"required-metadata-properties", "type,content-type"}, details: &shared.BadRequest{Message: "type and content-type"},
}

func proposedOf(m *streams.AppendReq_ProposedMessage) (proposed, error) {
	p := proposed{metadata: m.GetCustomMetadata(), data: m.GetData()}
	var there, typed bool
	p.kind, there = m.GetMetadata()["type"]
	if p.contentType, typed = m.GetMetadata()["content-type"]; !there || !typed {
		return p, errNoType
	}
	var err error
	p.id, err = parseID(m.GetId())
	return p, err
}

var errNoID = badRequest("an event needs an id")

func parseID(id *shared.UUID) (events.ID, error) {
	var out events.ID
	if s := id.GetStructured(); s != nil {
		for i := range 8 {
			out[i] = byte(uint64(s.MostSignificantBits) >> (56 - 8*i))
			out[8+i] = byte(uint64(s.LeastSignificantBits) >> (56 - 8*i))
		}
		return out, nil
	}
	parsed, err := uuid.Parse(id.GetString_())
	if err != nil {
		return out, errNoID
	}
	return events.ID(parsed), nil
}

func successOf(o outcome) *streams.AppendResp_Success {
	s := &streams.AppendResp_Success{}
	if o.revision < 0 {
		s.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
	} else {
		s.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(o.revision)}
	}
	if o.position.IsZero() {
		s.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	} else {
		s.PositionOption = &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: o.position.Commit, PreparePosition: o.position.Prepare,
		}}
	}
	return s
}

// wrongOf says where the stream is, in the fields of today and of old clients.
func wrongOf(w *wrongVersion) *streams.AppendResp_WrongExpectedVersion {
	m := &streams.AppendResp_WrongExpectedVersion{}
	if w.actual < 0 {
		m.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		m.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	} else {
		at := uint64(w.actual)
		m.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: at}
		m.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: at}
	}
	switch {
	case w.expected.kind == anyRevision:
		m.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		m.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case w.expected.kind == streamExists:
		m.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		m.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case w.expected.revision < 0:
		m.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	default:
		at := uint64(w.expected.revision)
		m.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: at}
		m.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: at}
	}
	return m
}

// Delete implements streams.StreamsServer.
func (s *service) Delete(ctx context.Context, r *streams.DeleteReq) (*streams.DeleteResp, error) {
	stream, err := streamName(r.GetOptions().GetStreamIdentifier())
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	x, err := expectationOf(r.GetOptions())
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	o, err := s.delete(ctx, stream, x)
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{
		CommitPosition: o.position.Commit, PreparePosition: o.position.Prepare,
	}}}, nil
}

// Tombstone implements streams.StreamsServer.
func (s *service) Tombstone(ctx context.Context, r *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	stream, err := streamName(r.GetOptions().GetStreamIdentifier())
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	x, err := expectationOf(r.GetOptions())
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	o, err := s.tombstone(ctx, stream, x)
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{
		CommitPosition: o.position.Commit, PreparePosition: o.position.Prepare,
	}}}, nil
}

func trailerOf(ctx context.Context) func(metadata.MD) {
	return func(m metadata.MD) { _ = grpc.SetTrailer(ctx, m) }
}
