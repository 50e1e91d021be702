package esdbwire

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// service answers the calls of the Streams service.
type service struct {
	streams.UnimplementedStreamsServer
	log Log
}

// heardOut is how many messages of an append are taken before it is refused. A
// client that still sends does not get to see why.
const heardOut = 1000

// Append implements streams.StreamsServer: it refuses.
func (s *service) Append(call streams.Streams_AppendServer) error {
	for range heardOut {
		if _, err := call.Recv(); err != nil {
			break // mostly the end of what there is
		}
	}
	return denied(call.SetTrailer)
}

// BatchAppend implements streams.StreamsServer: it refuses.
func (s *service) BatchAppend(call streams.Streams_BatchAppendServer) error {
	return denied(call.SetTrailer)
}

// Delete implements streams.StreamsServer: it refuses.
func (s *service) Delete(ctx context.Context, _ *streams.DeleteReq) (*streams.DeleteResp, error) {
	return nil, denied(func(m metadata.MD) { _ = grpc.SetTrailer(ctx, m) })
}

// Tombstone implements streams.StreamsServer: it refuses.
func (s *service) Tombstone(ctx context.Context, _ *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	return nil, denied(func(m metadata.MD) { _ = grpc.SetTrailer(ctx, m) })
}

// Read implements streams.StreamsServer: all reads and subscriptions.
func (s *service) Read(r *streams.ReadReq, call streams.Streams_ReadServer) error {
	q, err := queryOf(r.GetOptions())
	if err != nil {
		return err
	}
	a := &answer{call: call, textID: q.textID}
	switch {
	case q.subscribe && q.stream != "":
		err = s.followStream(call.Context(), q, a)
	case q.subscribe:
		err = s.followAll(call.Context(), q, a)
	case q.stream != "":
		err = s.readStream(call.Context(), q, a)
	default:
		err = s.readAll(call.Context(), q, a)
	}
	return statusOf(err)
}

// statusOf turns errors of the log into those of the protocol.
func statusOf(err error) error {
	var known interface{ GRPCStatus() *status.Status }
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrUnavailable):
		return status.Error(codes.Unavailable, "the log is not available")
	}
	return status.Error(codes.Internal, "the log could not be read")
}

// readStream sends up to count events from a revision, inclusive.
func (s *service) readStream(ctx context.Context, q *query, a *answer) error {
	sent := uint64(0)
	for e, err := range s.log.ReadStream(ctx, q.stream, q.revision, q.direction) {
		if err != nil {
			return err
		}
		if err := a.event(&e); err != nil {
			return err
		}
		if sent++; sent == q.count {
			return nil
		}
	}
	if sent > 0 {
		return nil
	}
	there, err := s.exists(ctx, q.stream)
	if err != nil || there {
		return err
	}
	return a.notFound(q.stream)
}

func (s *service) exists(ctx context.Context, stream string) (bool, error) {
	for _, err := range s.log.ReadStream(ctx, stream, store.End, store.Backwards) {
		return err == nil, err
	}
	return false, nil
}

// readAll sends up to count events: forwards those behind a position, where the
// protocol means the event at the position as well, backwards those before it.
func (s *service) readAll(ctx context.Context, q *query, a *answer) error {
	sent := uint64(0)
	for e, err := range s.all(ctx, q) {
		if err != nil {
			return err
		}
		if !q.matches(&e) {
			continue
		}
		if err := a.event(&e); err != nil {
			return err
		}
		if sent++; sent == q.count {
			return nil
		}
	}
	return nil
}

func (s *service) all(ctx context.Context, q *query) iter.Seq2[events.Recorded, error] {
	if q.direction == store.Forwards {
		return s.log.ReadAll(ctx, before(q.position), store.Filter{})
	}
	return s.backwards(ctx, q.position, max(q.count, smallestWindow))
}

// before is the place from which a reader behind it sees the event at p.
func before(p events.Position) events.Position {
	if p.IsZero() {
		return p
	}
	return events.At(p.Commit - 1)
}

// Windows of a backward read, in positions.
const (
	smallestWindow = 64
	largestWindow  = 4096
)

// backwards yields the events before a position, the last first. The log reads
// forwards only, so it goes back by windows: each is read once, and kept for the
// moment in which it is turned round.
func (s *service) backwards(ctx context.Context, end events.Position, first uint64) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		head, err := s.log.Head(ctx)
		if err != nil {
			yield(events.Recorded{}, err)
			return
		}
		to := min(end.Commit, head.Commit+1) // exclusive
		for size := min(first, largestWindow); to > 1; size = min(2*size, largestWindow) {
			from := to - 1 - min(to-1, size)
			window, err := s.window(ctx, from, to)
			if err != nil {
				yield(events.Recorded{}, err)
				return
			}
			for _, e := range slices.Backward(window) {
				if !yield(e, nil) {
					return
				}
			}
			to = from + 1
		}
	}
}

// window returns the events behind from and before to.
func (s *service) window(ctx context.Context, from, to uint64) (window []events.Recorded, err error) {
	for e, err := range s.log.ReadAll(ctx, events.At(from), store.Filter{}) {
		if err != nil {
			return nil, err
		}
		if e.Position.Commit >= to {
			break
		}
		window = append(window, e)
	}
	return window, nil
}

// followAll confirms, and sends everything behind a position for ever.
func (s *service) followAll(ctx context.Context, q *query, a *answer) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	after := q.position
	if q.atEnd {
		after = head
	}
	f := &follower{answer: a, query: q, live: after.Compare(head) >= 0}
	if err := f.begin(); err != nil {
		return err
	}
	for batch, err := range store.Subscribe(ctx, s.log, after, store.Filter{}) {
		if err != nil {
			return err
		}
		if err := f.take(batch); err != nil {
			return err
		}
	}
	return nil
}

// followStream confirms, and sends everything of a stream behind a revision for
// ever. The head is taken first: what the stream has by then is read from it, what
// comes later from the log, and revisions tell what was in both.
func (s *service) followStream(ctx context.Context, q *query, a *answer) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	if err := a.confirm(); err != nil {
		return err
	}
	next, err := s.history(ctx, q, a)
	if err != nil {
		return err
	}
	f := &follower{answer: a, query: q, next: next, live: true}
	if err := a.caughtUp(); err != nil {
		return err
	}
	for batch, err := range store.Subscribe(ctx, s.log, head, store.Filter{StreamPrefixes: []string{q.stream}}) {
		if err != nil {
			return err
		}
		batch.Live = true // a stream has no part of its own to be behind with
		if err := f.take(batch); err != nil {
			return err
		}
	}
	return nil
}

// history sends what a stream has, unless only news are wanted, and returns the
// revision that comes next.
func (s *service) history(ctx context.Context, q *query, a *answer) (next store.Revision, err error) {
	next = q.revision
	if q.atEnd {
		for e, err := range s.log.ReadStream(ctx, q.stream, store.End, store.Backwards) {
			return store.Revision(e.Revision) + 1, err
		}
		return next, nil
	}
	for e, err := range s.log.ReadStream(ctx, q.stream, next, store.Forwards) {
		if err == nil {
			next, err = store.Revision(e.Revision)+1, a.event(&e)
		}
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

// follower sends batches of a subscription.
type follower struct {
	*answer
	query      *query
	live       bool
	next       store.Revision // of a stream
	considered uint64         // events since the last checkpoint
}

func (f *follower) begin() error {
	if err := f.confirm(); err != nil || !f.live {
		return err
	}
	return f.caughtUp()
}

func (f *follower) take(batch store.Batch) error {
	if f.live && !batch.Live {
		f.live = false
		if err := f.fellBehind(); err != nil {
			return err
		}
	}
	for i := range batch.Events {
		if err := f.one(&batch.Events[i]); err != nil {
			return err
		}
	}
	if f.live || !batch.Live {
		return nil
	}
	f.live = true
	return f.caughtUp()
}

// one sends an event that is wanted, and a checkpoint now and then, so that a
// client whose filter selects little does not begin far behind.
func (f *follower) one(e *events.Recorded) error {
	if f.query.matches(e) && store.Revision(e.Revision) >= f.next {
		if err := f.event(e); err != nil {
			return err
		}
	}
	if f.considered++; f.query.checkpoint == 0 || f.considered < f.query.checkpoint {
		return nil
	}
	f.considered = 0
	return f.checkpointAt(e.Position)
}

// answer sends the messages of one call.
type answer struct {
	call   streams.Streams_ReadServer
	textID bool
}

func (a *answer) event(e *events.Recorded) error { return a.call.Send(eventOf(e, a.textID)) }

func (a *answer) notFound(stream string) error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
	}}})
}

func (a *answer) checkpointAt(p events.Position) error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: p.Commit, PreparePosition: p.Prepare,
	}}})
}

func (a *answer) caughtUp() error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

func (a *answer) fellBehind() error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_FellBehind_{FellBehind: &streams.ReadResp_FellBehind{}}})
}

// confirm comes first in a subscription.
func (a *answer) confirm() error {
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: &streams.ReadResp_SubscriptionConfirmation{
		SubscriptionId: uuid.NewString(),
	}}})
}
