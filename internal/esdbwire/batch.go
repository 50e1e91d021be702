package esdbwire

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Bounds of one BatchAppend call.
const (
	maxInFlight = 1024         // batches that are being written
	maxGathered = 4 * heardOut // bytes of batches that are not complete
	maxDeadline = 5 * time.Minute
)

// BatchAppend implements streams.StreamsServer: many appends over one call. Those to
// one stream are done in the order they came, many at a time, those to different ones side
// by side.
func (s *service) BatchAppend(call streams.Streams_BatchAppendServer) error {
	ctx, cancel := context.WithCancel(call.Context())
	defer cancel()
	b := &batches{
		service: s, call: call, cancel: cancel, free: make(chan struct{}, maxInFlight),
		open: map[events.ID]*batch{}, idle: make(chan *batch),
	}
	err := b.receive(ctx)
	if err != nil {
		cancel()
	}
	close(b.idle)
	b.work.Wait()
	return answered(err, call.SetTrailer)
}

// batch is one append.
type batch struct {
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	stream      string
	expected    expectation
	events      []proposed
	size, data  int   // bytes of all that came, and of the data that count
	failed      error // answered when it is complete
	task        *task // being written
	cancel      func()
}

// batches are the appends of one call.
type batches struct {
	*service
	call     streams.Streams_BatchAppendServer
	cancel   func()
	free     chan struct{}
	open     map[events.ID]*batch // by correlation
	gathered int                  // bytes in open

	work    sync.WaitGroup
	idle    chan *batch // to those who answered one and wait for another
	sending sync.Mutex
}

func (b *batches) receive(ctx context.Context) error {
	for {
		m := new(batchRequest)
		err := b.call.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		complete, err := b.gather(m)
		if err != nil {
			return err
		}
		if complete == nil {
			continue
		}
		select {
		case b.free <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		b.dispatch(ctx, complete)
	}
}

// gather adds a message to its batch, which is returned when it was the last.
func (b *batches) gather(m *batchRequest) (*batch, error) {
	id, err := parseID(m.rest.GetCorrelationId())
	if err != nil {
		return nil, err
	}
	one := b.open[id]
	if one == nil {
		if len(b.open) == maxInFlight {
			return nil, badRequest("more than %d batches are not complete", maxInFlight)
		}
		one = &batch{correlation: m.rest.GetCorrelationId(), options: m.rest.GetOptions()}
		one.stream, one.failed = streamName(m.rest.GetOptions().GetStreamIdentifier())
		if one.failed == nil {
			one.expected, one.failed = batchExpectation(m.rest.GetOptions())
		}
		if !m.rest.GetIsFinal() {
			b.open[id] = one
		}
	}
	before := one.size
	one.add(m)
	if b.gathered += one.size - before; b.gathered > maxGathered {
		return nil, tooLarge()
	}
	if !m.rest.GetIsFinal() {
		return nil, nil
	}
	b.gathered -= one.size
	delete(b.open, id)
	return one, nil
}

func (one *batch) add(m *batchRequest) {
	if one.failed != nil {
		return
	}
	for i := range m.events {
		one.size += m.events[i].size()
		one.data += len(m.events[i].data)
	}
	one.events = append(one.events, m.events...)
	switch {
	case m.failed != nil:
		one.failed, one.events = m.failed, nil
	case len(one.events) > store.MaxBatch:
		one.failed, one.events = tooMany(), nil
	case one.data > maxAppend || one.size > heardOut:
		one.failed, one.events = tooLarge(), nil
	}
}

// dispatch begins to write a batch: those to one stream in the order in which they come.
func (b *batches) dispatch(ctx context.Context, one *batch) {
	if one.failed == nil {
		one.begin(ctx, b.database)
	}
	select {
	case b.idle <- one:
	default:
		b.work.Go(func() { b.answerer(one) })
	}
}

// begin takes the batch into the lane of its stream.
func (one *batch) begin(ctx context.Context, d *database) {
	if !d.mayWrite(one.stream) {
		one.failed = errDenied
		return
	}
	encoded, err := d.encode(one.stream, one.events)
	if err != nil {
		one.failed = err
		return
	}
	ctx, one.cancel = context.WithTimeout(ctx, one.deadline())
	one.task = d.lanes.begin(ctx, one.stream, one.expected, encoded)
}

// answerer answers a batch, and then others as long as the call lasts: one that is new
// has to grow its stack first.
func (b *batches) answerer(one *batch) {
	for ; one != nil; one = <-b.idle {
		b.answer(one)
		<-b.free
	}
}

func (b *batches) answer(one *batch) {
	resp := &streams.BatchAppendResp{CorrelationId: one.correlation, StreamIdentifier: one.options.GetStreamIdentifier()}
	echo(resp, one.options)
	o, err := outcome{}, one.failed
	if err == nil {
		o, err = one.task.end()
		one.cancel()
	}
	if err != nil {
		resp.Result = &streams.BatchAppendResp_Error{Error: batchStatus(err)}
	} else {
		resp.Result = &streams.BatchAppendResp_Success_{Success: batchSuccess(o)}
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	if b.call.Send(resp) != nil {
		b.cancel() // nobody listens
	}
}

func (one *batch) deadline() time.Duration {
	for _, d := range []time.Duration{one.options.GetDeadline().AsDuration(), time.Until(one.options.GetDeadline_21_10_0().AsTime())} {
		if d > 0 {
			return min(d, maxDeadline)
		}
	}
	return maxDeadline
}

func batchExpectation(o *streams.BatchAppendReq_Options) (expectation, error) {
	switch o.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_Any:
		return expectation{kind: anyRevision}, nil
	case *streams.BatchAppendReq_Options_StreamExists:
		return expectation{kind: streamExists}, nil
	case *streams.BatchAppendReq_Options_StreamPosition:
		x, err := exactlyAt(o.GetStreamPosition())
		if err != nil {
			err = badRequest("%v", err) // as EventStoreDB has it for one of many
		}
		return x, err
	case *streams.BatchAppendReq_Options_NoStream:
		return expectation{revision: store.NoStream}, nil
	}
	return expectation{}, errNothingExpected
}

// echo repeats what was expected.
func echo(resp *streams.BatchAppendResp, o *streams.BatchAppendReq_Options) {
	switch at := o.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_Any:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: at.Any}
	case *streams.BatchAppendReq_Options_StreamExists:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: at.StreamExists}
	case *streams.BatchAppendReq_Options_NoStream:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: at.NoStream}
	case *streams.BatchAppendReq_Options_StreamPosition:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: at.StreamPosition}
	}
}

func batchSuccess(o outcome) *streams.BatchAppendResp_Success {
	s := &streams.BatchAppendResp_Success{}
	if o.revision < 0 {
		s.CurrentRevisionOption = &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		s.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(o.revision)}
	}
	if o.position.IsZero() {
		s.PositionOption = &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}}
	} else {
		s.PositionOption = &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{
			CommitPosition: o.position.Commit, PreparePosition: o.position.Prepare,
		}}
	}
	return s
}
