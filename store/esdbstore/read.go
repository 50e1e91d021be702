package esdbstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// errDone ends a read.
var errDone = errors.New("no more events")

// reader is one Read call. It is closed by who opened it.
type reader struct {
	call   grpc.ClientStream
	cancel func()
	names  internal
	brief  bool // messages say of events only what they are and where
}

func (s *Store) open(ctx context.Context, used *link, q *streams.ReadReq_Options) (*reader, error) {
	ctx, cancel := context.WithCancel(s.links.outgoing(ctx))
	call, err := used.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, streams.Streams_Read_FullMethodName, grpc.ForceCodecV2(codec{}))
	if err == nil {
		err = call.SendMsg(&streams.ReadReq{Options: q})
	}
	if err == nil || errors.Is(err, io.EOF) { // the reason comes with the first answer
		err = call.CloseSend()
	}
	if err != nil {
		cancel()
		return nil, judge(err, nil)
	}
	return &reader{call: call, cancel: cancel, names: internal{}}, nil
}

func (r *reader) close() { r.cancel() }

// next returns the next message, or errDone.
func (r *reader) next() (*message, error) {
	m := &message{names: r.names, brief: r.brief}
	err := r.call.RecvMsg(m)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errDone
	case err != nil:
		return nil, judge(err, r.call.Trailer())
	case m.notFound:
		return nil, errDone
	}
	return m, nil
}

func base(direction store.Direction, count uint64) *streams.ReadReq_Options {
	o := &streams.ReadReq_Options{
		CountOption:  &streams.ReadReq_Options_Count{Count: count},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
	}
	if direction == store.Backwards {
		o.ReadDirection = streams.ReadReq_Options_Backwards
	}
	return o
}

// everything is a count that no read reaches.
const everything = 1 << 62

func streamQuery(stream string, from store.Revision, direction store.Direction, count uint64) *streams.ReadReq_Options {
	o := base(direction, count)
	at := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}}
	if from == store.End {
		at.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: &shared.Empty{}}
	} else {
		at.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: uint64(from)}
	}
	o.StreamOption = &streams.ReadReq_Options_Stream{Stream: at}
	return o
}

// allQuery is a read or subscription of everything that is ours, or of a part.
func (s *Store) allQuery(o *streams.ReadReq_Options, from events.Position, prefixes []string) *streams.ReadReq_Options {
	at := &streams.ReadReq_Options_AllOptions{AllOption: &streams.ReadReq_Options_AllOptions_Position{
		Position: &streams.ReadReq_Options_Position{CommitPosition: from.Commit, PreparePosition: from.Prepare},
	}}
	if from.IsZero() {
		at.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	}
	o.StreamOption = &streams.ReadReq_Options_All{All: at}
	filter := &streams.ReadReq_Options_FilterOptions{
		Filter:                       &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: s.expression(prefixes)},
		Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: searchWindow},
		CheckpointIntervalMultiplier: 1,
	}
	o.FilterOption = &streams.ReadReq_Options_Filter{Filter: filter}
	return o
}

// searchWindow is how many events the server looks at before it tells how far it is.
const searchWindow = 1000

// expression selects streams on the server. Whatever it selects is looked at again.
func (s *Store) expression(prefixes []string) *streams.ReadReq_Options_FilterOptions_Expression {
	x := &streams.ReadReq_Options_FilterOptions_Expression{}
	if len(prefixes) == 0 {
		for _, c := range s.options.Categories {
			prefixes = append(prefixes, events.Stream(c, ""))
		}
	}
	for _, p := range prefixes {
		x.Prefix = append(x.Prefix, s.options.Prefix+p)
	}
	switch {
	case len(x.Prefix) > 0 && (s.options.Prefix != "" || !contains(x.Prefix, "")):
		return x
	case s.options.Prefix != "":
		x.Prefix = []string{s.options.Prefix}
		return x
	}
	return &streams.ReadReq_Options_FilterOptions_Expression{Regex: `^[^\$].*`}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// ours returns a stream's name without the prefix; ok is false for a stream that is
// none of ours.
func (s *Store) ours(stream string) (name string, ok bool) {
	name, ok = strings.CutPrefix(stream, s.options.Prefix)
	if !ok || name == "" || name[0] == '$' {
		return "", false
	}
	if s.options.Categories == nil {
		return name, true
	}
	category, _, dash := events.SplitStream(name)
	return name, dash && contains(s.options.Categories, category)
}

// ReadStream implements store.StreamReader.
func (s *Store) ReadStream(ctx context.Context, stream string, from store.Revision, direction store.Direction) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		if direction == store.Forwards {
			from = max(from, 0)
		}
		err := s.ready(ctx)
		if err == nil && from >= 0 && (from != store.End || direction == store.Backwards) {
			c := &cursor{store: s, yield: yield, stream: stream, from: from, direction: direction}
			err = c.run(ctx, func() *streams.ReadReq_Options {
				return streamQuery(s.options.Prefix+stream, c.from, direction, everything)
			})
			if c.stopped {
				return
			}
		}
		if err != nil {
			yield(events.Recorded{}, s.told(ctx, err))
		}
	}
}

// ready reports why nothing can be read.
func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.isClosed() {
		return store.ErrClosed
	}
	return nil
}

// ReadAll implements store.LogReader.
func (s *Store) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		head, err := s.Head(ctx)
		if err == nil && head.Compare(after) > 0 {
			c := &cursor{store: s, yield: yield, after: after, head: head, filter: filter}
			err = c.run(ctx, func() *streams.ReadReq_Options {
				return s.allQuery(base(store.Forwards, everything), c.after, filter.StreamPrefixes)
			})
			if c.stopped {
				return
			}
		}
		if err != nil {
			yield(events.Recorded{}, s.told(ctx, err))
		}
	}
}

// Head implements store.LogReader: the position of the last event that is ours.
func (s *Store) Head(ctx context.Context) (head events.Position, err error) {
	if err := s.ready(ctx); err != nil {
		return head, err
	}
	head, err = s.findHead(ctx)
	return head, s.told(ctx, err)
}

func (s *Store) findHead(ctx context.Context) (head events.Position, err error) {
	bound, unbind := s.bound(ctx)
	defer unbind()
	err = s.again(bound, func(used *link) error {
		o := s.allQuery(base(store.Backwards, 1), events.Position{}, nil)
		o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
		r, err := s.open(bound, used, o)
		if err != nil {
			return err
		}
		defer r.close()
		for {
			m, err := r.next()
			if errors.Is(err, errDone) {
				return nil
			}
			if err != nil {
				return err
			}
			if m.isEvent {
				head = m.recorded.Position
				return nil
			}
		}
	})
	return head, err
}

// cursor is where a read is, over broken connections.
type cursor struct {
	store   *Store
	yield   func(events.Recorded, error) bool
	stopped bool // by who reads

	stream    string         // of a stream: its name,
	from      store.Revision // and the next revision
	direction store.Direction
	begun     bool

	after  events.Position // of the whole log: the last one seen,
	head   events.Position // and the last one wanted;
	down   bool            // or read downwards, what is before after
	filter store.Filter
}

// run reads to the end. A connection that breaks is replaced, and the read goes on
// where it was.
func (c *cursor) run(ctx context.Context, query func() *streams.ReadReq_Options) error {
	ctx, unbind := c.store.bound(ctx)
	defer unbind()
	for {
		moved := false
		err := c.store.again(ctx, func(used *link) error {
			r, err := c.store.open(ctx, used, query())
			if err != nil {
				return err
			}
			defer r.close()
			moved, err = c.drain(ctx, r)
			if moved && isTrouble(err) {
				return nil // the patience is for standing still
			}
			if err == nil {
				moved = false
			}
			return err
		})
		if err != nil || c.stopped || !moved {
			return err
		}
	}
}

// drain yields what a call brings, and tells whether that was anything.
func (c *cursor) drain(ctx context.Context, r *reader) (moved bool, err error) {
	for {
		m, err := r.next()
		if errors.Is(err, errDone) {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
		if !m.isEvent {
			continue
		}
		wanted, last, err := c.take(m)
		if err != nil {
			return moved, err
		}
		moved = true
		if wanted {
			if err := ctx.Err(); err != nil {
				return moved, err
			}
			// Who leaves is told nothing more, also when the context ends meanwhile.
			if c.stopped = !c.yield(m.recorded, nil); c.stopped {
				return moved, nil
			}
		}
		if last {
			return moved, nil
		}
	}
}

// take moves the cursor to an event.
func (c *cursor) take(m *message) (wanted, last bool, err error) {
	e := &m.recorded
	if c.stream != "" {
		at := store.Revision(e.Revision)
		if c.direction == store.Backwards && !c.begun {
			c.from = min(c.from, at) // it may begin behind the end
		}
		if c.begun = true; at != c.from {
			return false, false, fmt.Errorf("stream %s: revision %d came in place of %d: it was truncated in the database", c.stream, e.Revision, c.from)
		}
		e.Stream = c.stream
		step := store.Revision(1)
		if c.direction == store.Backwards {
			step = -1
		}
		c.from = at + step
		return true, c.from < 0, m.failed
	}
	order := e.Position.Compare(c.after)
	switch {
	case c.down && order >= 0, !c.down && order <= 0:
		return false, false, nil // the place from which it was read is read again
	case !c.down && e.Position.Compare(c.head) > 0:
		return false, true, nil
	}
	c.after = e.Position
	name, ok := c.store.ours(e.Stream)
	wanted = ok && c.filter.Match(name, e.Type)
	e.Stream = name
	if !wanted {
		m.failed = nil
	}
	return wanted, !c.down && e.Position == c.head, m.failed
}
