package esdbwire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// service answers the calls of the Streams service.
type service struct {
	streams.UnimplementedStreamsServer
	*database
}

// Read implements streams.StreamsServer: all reads and subscriptions.
func (s *service) Read(r *streams.ReadReq, call streams.Streams_ReadServer) error {
	return answered(s.read(r, call), call.SetTrailer)
}

func (s *service) read(r *streams.ReadReq, call streams.Streams_ReadServer) error {
	q, err := s.queryOf(r.GetOptions())
	if err != nil {
		return err
	}
	a := &answer{call: call, textID: q.textID}
	if q.resolve {
		a.resolve = func(link *record) (*record, error) { return s.linked(call.Context(), link) }
	}
	switch {
	case q.subscribe && q.stream != "":
		return s.followStream(call.Context(), q, a)
	case q.subscribe:
		return s.followAll(call.Context(), q, a)
	case q.stream != "":
		return s.readStream(call.Context(), q, a)
	}
	return s.readAll(call.Context(), q, a)
}

// readStream sends up to count events from a revision, inclusive.
func (s *service) readStream(ctx context.Context, q *query, a *answer) error {
	asked := q.revision
	there, visible, err := s.look(ctx, q)
	if err != nil {
		return err
	}
	if !there {
		return a.notFound(q.stream)
	}
	sent, last := uint64(0), visible.last
	for e, err := range s.log.ReadStream(ctx, q.stored, q.revision, q.direction) {
		if err != nil {
			return err
		}
		if store.Revision(e.Revision) < visible.first {
			break // backwards; forwards begins there
		}
		if e.Recorded.Before(visible.since) {
			continue
		}
		if sent == 0 {
			if err := a.begins(q, asked, store.Revision(e.Revision)); err != nil {
				return err
			}
		}
		if err := a.recorded(&e); err != nil {
			return err
		}
		last = max(last, store.Revision(e.Revision))
		if sent++; sent == q.count {
			break
		}
	}
	return s.ends(ctx, q, a, asked, sent, last, visible)
}

// ends says where the stream ends to a client that knows the message: it waits for that
// where there was no event to send.
func (s *service) ends(ctx context.Context, q *query, a *answer, asked store.Revision, sent uint64, last store.Revision, v visible) error {
	if s.isOwn(q.stream) && (sent == 0 || q.places) {
		end, err := s.end(ctx, q.stream)
		if err != nil {
			return err
		}
		if end.last < 0 {
			return a.notFound(q.stream)
		}
		last = max(last, end.last)
	}
	if !q.places {
		return nil
	}
	if sent == 0 {
		if err := a.nothing(q, asked, last, v); err != nil {
			return err
		}
	}
	return a.lastPosition(last)
}

// visible is what may be seen of a stream.
type visible struct {
	first store.Revision
	since time.Time
	last  store.Revision // of the stream, as it was looked at; not of Parley's
	cut   store.Revision // the first to be seen, also where the stream does not reach it
}

// look finds out what there is of a stream, and moves the query to the first event
// that may be seen. Parley's streams have everything, and are not looked at.
func (d *database) look(ctx context.Context, q *query) (there bool, v visible, err error) {
	if d.isOwn(q.stream) {
		return true, v, nil
	}
	state, err := d.state(ctx, q.stream)
	if err != nil {
		return false, v, err
	}
	if state.tombstoned && !(q.subscribe && q.atEnd) { // nothing comes any more, which is no error
		return false, v, streamDeleted(q.stream)
	}
	v.first, v.last = state.first(), state.last
	v.cut = max(v.first, store.Revision(state.before))
	if state.maxAge > 0 {
		v.since = time.Now().Add(-state.maxAge)
	}
	if q.direction == store.Forwards {
		q.revision = max(q.revision, v.first)
	}
	return state.last >= 0 && !state.deleted(), v, nil
}

// linked returns the event that another stands for, nil when there is none.
func (d *database) linked(ctx context.Context, link *record) (*record, error) {
	number, stream, ok := strings.Cut(string(link.data), "@")
	revision, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || revision < 0 {
		return nil, nil
	}
	for e, err := range d.log.ReadStream(ctx, d.stored(stream), store.Revision(revision), store.Forwards) {
		if err != nil {
			return nil, err
		}
		r, err := shown(&e)
		return &r, err
	}
	return nil, nil
}

// asKept selects all events of the log, whose metadata go to clients as they are kept.
var asKept = store.Filter{EncodedMetadata: true}

// readAll sends up to count events: forwards those behind a position, where the
// protocol means the event at the position as well, backwards those before it.
func (s *service) readAll(ctx context.Context, q *query, a *answer) error {
	sent := uint64(0)
	for e, err := range s.all(ctx, q) {
		if err != nil {
			return err
		}
		r, err := shown(&e)
		if err != nil {
			return err
		}
		if !q.matches(&r) {
			continue
		}
		if err := a.event(&r); err != nil {
			return err
		}
		if sent++; sent == q.count {
			return nil
		}
	}
	return nil
}

// followAll confirms, and sends everything behind a position for ever.
func (s *service) followAll(ctx context.Context, q *query, a *answer) error {
	after, err := s.place(ctx, q)
	if errors.Is(err, errNoPlace) {
		return errNoStart
	}
	if err != nil {
		return err
	}
	f := &follower{answer: a, query: q, live: q.atEnd}
	if err := f.begin(); err != nil {
		return err
	}
	return s.follow(ctx, after, asKept, f.one, f.reached)
}

// followStream confirms, and sends everything of a stream behind a revision for
// ever. The head is taken first: what the stream has by then is read from it, what
// comes later from the log, and revisions tell what was in both.
func (s *service) followStream(ctx context.Context, q *query, a *answer) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	if _, _, err := s.look(ctx, q); err != nil {
		return err
	}
	if err := a.confirm(); err != nil {
		return err
	}
	f := &follower{answer: a, query: q, live: true, steady: true, ends: !s.isOwn(q.stream)}
	if f.next, err = s.history(ctx, q, f.send); err != nil {
		return err
	}
	if err := a.caughtUp(); err != nil {
		return err
	}
	return s.follow(ctx, head, store.Filter{StreamPrefixes: []string{q.stored}, EncodedMetadata: true}, f.one, f.reached)
}

// history sends what a stream has, unless only news are wanted, and returns the
// revision that comes next.
func (d *database) history(ctx context.Context, q *query, send func(*events.Recorded) error) (next store.Revision, err error) {
	next = q.revision
	if q.atEnd {
		for e, err := range d.log.ReadStream(ctx, q.stored, store.End, store.Backwards) {
			return store.Revision(e.Revision) + 1, err
		}
		return next, nil
	}
	for e, err := range d.log.ReadStream(ctx, q.stored, next, store.Forwards) {
		if err == nil {
			next, err = store.Revision(e.Revision)+1, send(&e)
		}
		if err != nil {
			return next, err
		}
	}
	return next, nil
}

// follower sends what a subscription sees.
type follower struct {
	*answer
	query      *query
	live       bool
	steady     bool           // never said to be behind: a stream has no part of its own to be behind with
	ends       bool           // with the stream's tombstone
	next       store.Revision // of a stream
	considered uint64         // events since the last checkpoint
	run        int            // events since the head was reached
}

func (f *follower) begin() error {
	if err := f.confirm(); err != nil || !f.live {
		return err
	}
	return f.caughtUp()
}

// follow calls one for each event behind a position, for ever, and reached, if it is not
// nil, whenever it has come to the head. It does what store.Subscribe does, without
// batches: whoever is slow holds one event, and not a thousand.
func (d *database) follow(ctx context.Context, after events.Position, filter store.Filter, one func(*events.Recorded) error, reached func() error) error {
	for {
		head, err := d.log.Wait(ctx, after)
		if err != nil {
			return err
		}
		for e, err := range d.log.ReadAll(ctx, after, filter) {
			if err == nil && e.Position.Compare(after) <= 0 {
				err = fmt.Errorf("log went from position %s to %s", after, e.Position)
			}
			if err == nil {
				after, err = e.Position, one(&e)
			}
			if err != nil {
				return err
			}
		}
		if after.Compare(head) < 0 {
			after = head
		}
		if reached == nil {
			continue
		}
		if err := reached(); err != nil {
			return err
		}
	}
}

// behind says that more came at a time than a live subscription has.
func (f *follower) behind() error {
	if !f.live || f.steady {
		return nil
	}
	f.live = false
	return f.fellBehind()
}

// reached says that the head was reached.
func (f *follower) reached() error {
	if f.run = 0; f.live {
		return nil
	}
	f.live = true
	return f.caughtUp()
}

// one sends an event that is wanted, and a checkpoint now and then, so that a
// client whose filter selects little does not begin far behind.
func (f *follower) one(e *events.Recorded) error {
	if f.run++; f.run == store.SubscribeBatch {
		if err := f.behind(); err != nil {
			return err
		}
	}
	r, err := shown(e)
	if err != nil {
		return err
	}
	if f.query.matches(&r) && store.Revision(e.Revision) >= f.next {
		if err := f.record(&r); err != nil {
			return err
		}
	}
	if f.considered++; f.query.checkpoint == 0 || f.considered < f.query.checkpoint {
		return nil
	}
	f.considered = 0
	return f.checkpointAt(e.Position)
}

// send sends an event of a stream, and record what clients see of it. Behind a tombstone
// nothing comes any more: the subscription ends.
func (f *follower) send(e *events.Recorded) error {
	r, err := shown(e)
	if err != nil {
		return err
	}
	return f.record(&r)
}

func (f *follower) record(r *record) error {
	if err := f.event(r); err != nil {
		return err
	}
	if f.ends && r.kind == tombstoneType {
		return streamDeleted(r.stream)
	}
	return nil
}

// answer sends the messages of one call.
type answer struct {
	call    streams.Streams_ReadServer
	textID  bool
	resolve func(link *record) (*record, error) // nil: links are sent as they are
	encoder encoder
}

func (a *answer) recorded(e *events.Recorded) error {
	r, err := shown(e)
	if err != nil {
		return err
	}
	return a.event(&r)
}

func (a *answer) event(r *record) error {
	if r.kind == linkType && a.resolve != nil {
		return a.link(r)
	}
	if r.kind == tombstoneType { // it has no place among the events of its stream
		r.revision = math.MaxInt64
	}
	a.encoder.textID = a.textID
	return a.call.SendMsg(a.encoder.message(r))
}

// link sends an event that stands for another together with that one.
func (a *answer) link(r *record) error {
	target, err := a.resolve(r)
	if err != nil {
		return err
	}
	m := &streams.ReadResp_ReadEvent{
		Link: recordedEvent(r, a.textID), Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: r.position.Commit},
	}
	if target != nil {
		m.Event = recordedEvent(target, a.textID)
	}
	return a.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: m}})
}

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
