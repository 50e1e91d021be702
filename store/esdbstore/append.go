package esdbstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Append implements store.Appender. A batch over the server's limit is refused with
// store.ErrTooLarge before it is sent.
func (s *Store) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if err := ctx.Err(); err != nil {
		return store.Appended{}, err
	}
	mark := newMark()
	encoded, err := store.Encode(stream, expected, marked(batch, mark))
	if err != nil {
		return store.Appended{}, err
	}
	if err := s.begin(); err != nil {
		return store.Appended{}, err
	}
	defer s.writing.Done()
	size := 0
	for i := range encoded {
		size += len(encoded[i].Data) // nothing else is counted there
	}
	if size > s.options.MaxAppendBytes {
		return store.Appended{}, fmt.Errorf("batch has %d bytes of data, the database takes %d: %w", size, s.options.MaxAppendBytes, store.ErrTooLarge)
	}
	sight := s.news.watch(encoded[len(encoded)-1].ID)
	defer s.news.forget(sight)
	appended, err := s.write(ctx, stream, expected, encoded)
	if err != nil {
		return store.Appended{}, s.told(ctx, err)
	}
	theirs, err := s.markOf(ctx, stream, appended, sight)
	appended.Repeated = theirs != mark
	return appended, s.told(ctx, err)
}

// write sends the batch until its outcome is known.
func (s *Store) write(ctx context.Context, stream string, expected store.Revision, batch []store.Encoded) (appended store.Appended, err error) {
	err = s.again(ctx, func(used *link) error {
		resp, err := used.writing.send(ctx, request(s.options.Prefix+stream, expected, batch))
		if err != nil {
			return err
		}
		appended, err = outcome(resp, stream, expected)
		return err
	})
	return appended, err
}

// serverDeadline is how long the server may take for a batch.
const serverDeadline = 10 * time.Second

func structured(id events.ID) *shared.UUID {
	most, least := int64(0), int64(0)
	for i := range 8 {
		most, least = most<<8|int64(id[i]), least<<8|int64(id[8+i])
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least}}}
}

// outcome reads the answer to a batch.
func outcome(resp *streams.BatchAppendResp, stream string, expected store.Revision) (store.Appended, error) {
	if success := resp.GetSuccess(); success != nil {
		at := success.GetPosition()
		return store.Appended{
			Revision: store.Revision(success.GetCurrentRevision()),
			Position: events.Position{Commit: at.GetCommitPosition(), Prepare: at.GetPreparePosition()},
		}, nil
	}
	failure := resp.GetError()
	for _, packed := range failure.GetDetails() {
		details, err := packed.UnmarshalNew()
		if err != nil {
			continue
		}
		switch d := details.(type) {
		case *shared.WrongExpectedVersion:
			conflict := &store.ConflictError{Stream: stream, Expected: expected, Actual: store.NoStream}
			if at, there := d.GetCurrentStreamRevisionOption().(*shared.WrongExpectedVersion_CurrentStreamRevision); there {
				conflict.Actual = store.Revision(at.CurrentStreamRevision)
			}
			return store.Appended{}, conflict
		case *shared.MaximumAppendSizeExceeded:
			return store.Appended{}, fmt.Errorf("the database takes %d bytes: %w", d.GetMaxAppendSize(), store.ErrTooLarge)
		case *shared.AccessDenied:
			return store.Appended{}, errors.New("the database refuses access: the user may not write here")
		case *shared.StreamDeleted:
			return store.Appended{}, fmt.Errorf("stream %s was deleted for good in the database", stream)
		case *shared.BadRequest:
			return store.Appended{}, fmt.Errorf("the database refuses: %s", d.GetMessage())
		}
	}
	return store.Appended{}, &trouble{fmt.Errorf("database: %s: %s", codes.Code(failure.GetCode()), failure.GetMessage())}
}

// errBroken says that the call which carries all batches broke: their outcomes are
// unknown.
var errBroken = &trouble{errors.New("the connection broke before the database answered")}

// batchWriter shares one BatchAppend call among all who append over a connection.
type batchWriter struct {
	links *links
	conn  *grpc.ClientConn
	tasks sync.WaitGroup

	mu   sync.Mutex
	call *batchCall // nil: none is open
}

// batchCall is one call. Its sender and its receiver end when it breaks.
type batchCall struct {
	stream  streams.Streams_BatchAppendClient
	cancel  func()
	outbox  chan []*batchMessage
	broken  chan struct{} // closed when nothing more is sent or answered
	reason  error         // why; set before broken is closed
	mu      sync.Mutex
	answers map[events.ID]chan *streams.BatchAppendResp // by correlation
}

// send sends one batch and waits for its answer.
func (w *batchWriter) send(ctx context.Context, messages []*batchMessage) (*streams.BatchAppendResp, error) {
	call, err := w.open()
	if err != nil {
		return nil, err
	}
	key := events.ID(uuid.New())
	correlation, answer := structured(key), make(chan *streams.BatchAppendResp, 1)
	for _, m := range messages {
		m.head.CorrelationId = correlation
	}
	call.expect(key, answer)
	defer call.expect(key, nil)
	select {
	case call.outbox <- messages:
	case <-call.broken:
		return nil, call.reason
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case resp := <-answer:
		return resp, nil
	case <-call.broken:
		select {
		case resp := <-answer: // it came just before
			return resp, nil
		default:
			return nil, call.reason
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// correlationOf reads an id in either form; a damaged one is that of nobody.
func correlationOf(id *shared.UUID) (out events.ID) {
	if s := id.GetStructured(); s != nil {
		binary.BigEndian.PutUint64(out[:8], uint64(s.MostSignificantBits))
		binary.BigEndian.PutUint64(out[8:], uint64(s.LeastSignificantBits))
		return out
	}
	parsed, err := uuid.Parse(id.GetString_())
	if err != nil {
		return events.ID{}
	}
	return events.ID(parsed)
}

func (c *batchCall) expect(key events.ID, answer chan *streams.BatchAppendResp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer == nil {
		delete(c.answers, key)
		return
	}
	c.answers[key] = answer
}

// open returns the call that is open, or opens one.
func (w *batchWriter) open() (*batchCall, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.call != nil {
		select {
		case <-w.call.broken:
		default:
			return w.call, nil
		}
	}
	ctx, cancel := context.WithCancel(w.links.outgoing(context.Background()))
	stream, err := streams.NewStreamsClient(w.conn).BatchAppend(ctx, grpc.ForceCodecV2(codec{}))
	if err != nil {
		cancel()
		return nil, judge(err, nil)
	}
	c := &batchCall{
		stream: stream, cancel: cancel, outbox: make(chan []*batchMessage, 64),
		broken: make(chan struct{}), answers: map[events.ID]chan *streams.BatchAppendResp{},
	}
	w.call = c
	w.tasks.Go(c.receive)
	w.tasks.Go(c.transmit)
	return c, nil
}

// wait returns when sender and receiver have ended; the connection is closed by
// then, so they do.
func (w *batchWriter) wait() { w.tasks.Wait() }

func (c *batchCall) receive() {
	defer c.cancel()
	defer close(c.broken)
	for {
		resp, err := c.stream.Recv()
		if err != nil {
			c.reason = errBroken
			if why := judge(err, c.stream.Trailer()); !isTrouble(why) {
				c.reason = why
			}
			return
		}
		c.mu.Lock()
		answer := c.answers[correlationOf(resp.GetCorrelationId())]
		c.mu.Unlock()
		if answer != nil {
			select {
			case answer <- resp:
			default: // an answer twice
			}
		}
	}
}

func (c *batchCall) transmit() {
	for {
		select {
		case messages := <-c.outbox:
			for _, m := range messages {
				if c.stream.SendMsg(m) != nil {
					c.cancel() // the receiver learns why
					return
				}
			}
		case <-c.broken:
			return
		}
	}
}
