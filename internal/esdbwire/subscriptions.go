package esdbwire

import (
	"context"
	"math"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// subscriptions answers the calls of the PersistentSubscriptions service.
type subscriptions struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	*groups
	receivers sync.WaitGroup // of answers in calls
}

// named is who says which group it is about.
type named interface {
	GetStreamIdentifier() *shared.StreamIdentifier
	GetGroupName() string
}

func nameOf(o named, all *shared.Empty) (groupName, error) {
	name := groupName{Stream: wholeLog, Group: o.GetGroupName()}
	if all == nil {
		var err error
		if name.Stream, err = streamName(o.GetStreamIdentifier()); err != nil {
			return name, err
		}
		if name.all() {
			return name, badRequest("the whole log is asked for as such, not as a stream")
		}
	}
	return name, name.check()
}

// mayChange reports whether clients may have groups: what these keep is written.
func (p *subscriptions) mayChange() error {
	if p.appender == nil {
		return errDenied
	}
	return nil
}

// Create implements persistent.PersistentSubscriptionsServer.
func (p *subscriptions) Create(ctx context.Context, r *persistent.CreateReq) (*persistent.CreateResp, error) {
	return &persistent.CreateResp{}, answered(p.createGroup(ctx, r.GetOptions()), trailerOf(ctx))
}

func (p *subscriptions) createGroup(ctx context.Context, o *persistent.CreateReq_Options) error {
	if err := p.mayChange(); err != nil {
		return err
	}
	name, from, err := ofCreate(o).source()
	if err != nil {
		return err
	}
	c := groupConfig{groupName: name, ID: uuid.New()}
	strategy := o.GetSettings().GetConsumerStrategy()
	if strategy == "" { // clients before KurrentDB's
		strategy = o.GetSettings().GetNamedConsumerStrategy().String() //nolint:staticcheck // the only one they send
	}
	if err := c.set(o.GetSettings(), strategy); err != nil {
		return err
	}
	if c.Filter, err = groupFilterOf(o.GetAll().GetFilter()); err != nil {
		return err
	}
	if err := p.begin(ctx, &c, from); err != nil {
		return err
	}
	return p.create(ctx, c)
}

// asked is what creating and updating a group say of its source.
type asked struct {
	named              // the stream is given here in the older form, which clients still send,
	former uint64      // with the revision that is in the settings then
	stream streamAsked // nil: not given
	all    pointAsked  // nil: not given
	at     interface {
		GetCommitPosition() uint64
		GetPreparePosition() uint64
	}
}

type pointAsked interface {
	proto.Message
	GetStart() *shared.Empty
	GetEnd() *shared.Empty
}

type streamAsked interface {
	pointAsked
	GetStreamIdentifier() *shared.StreamIdentifier
	GetRevision() uint64
}

// inStream names a group in a stream.
type inStream struct {
	streamAsked
	group string
}

func (s inStream) GetGroupName() string { return s.group }

// beginning is where a group is asked to begin: the first event that it is for.
type beginning struct {
	start, end bool
	revision   uint64
	position   events.Position
}

// source reads which group of what it is, and where that begins. The greatest number
// stands for the end.
func (a asked) source() (name groupName, from beginning, err error) {
	switch {
	case a.all != nil:
		name, err = nameOf(a, &shared.Empty{})
		from = beginning{start: a.all.GetStart() != nil, end: a.all.GetEnd() != nil, position: events.Position{Commit: a.at.GetCommitPosition(), Prepare: a.at.GetPreparePosition()}}
		from.end = from.end || from.position.Commit == math.MaxUint64
		if err == nil && !from.start && !from.end && !said(a.all, "position") {
			err = errNoBeginning
		}
		from.start = from.start || !from.end && from.position.IsZero()
	case a.stream != nil:
		name, err = nameOf(inStream{a.stream, a.GetGroupName()}, nil)
		from = beginning{start: a.stream.GetStart() != nil, end: a.stream.GetEnd() != nil, revision: a.stream.GetRevision()}
		from.end = from.end || from.revision == math.MaxUint64
		if err == nil && !from.start && !from.end && !said(a.stream, "revision") {
			err = errNoBeginning
		}
	case a.GetStreamIdentifier() != nil:
		name, err = nameOf(a, nil)
		from = beginning{end: a.former == math.MaxUint64, revision: a.former}
	default:
		err = badRequest("neither a stream nor $all")
	}
	return name, from, err
}

var errNoBeginning = badRequest("it is not said where the group begins")

// said reports whether a message has a field.
func said(m proto.Message, field protoreflect.Name) bool {
	r := m.ProtoReflect()
	return r.Has(r.Descriptor().Fields().ByName(field))
}

func ofCreate(o *persistent.CreateReq_Options) asked {
	a := asked{named: o, at: o.GetAll().GetPosition(), former: o.GetSettings().GetRevision()} //nolint:staticcheck // what clients send
	if o.GetAll() != nil {
		a.all = o.GetAll()
	} else if o.GetStream() != nil {
		a.stream = o.GetStream()
	}
	return a
}

func ofUpdate(o *persistent.UpdateReq_Options) asked {
	a := asked{named: o, at: o.GetAll().GetPosition(), former: o.GetSettings().GetRevision()} //nolint:staticcheck // what clients send
	if o.GetAll() != nil {
		a.all = o.GetAll()
	} else if o.GetStream() != nil {
		a.stream = o.GetStream()
	}
	return a
}

// begin puts a group where it is asked to begin. The end is that of now.
func (p *subscriptions) begin(ctx context.Context, c *groupConfig, b beginning) error {
	at := place{revision: store.NoStream}
	switch {
	case b.start:
		c.From = c.text(place{})
	case b.end && c.all():
		head, err := p.log.Head(ctx)
		if err != nil {
			return err
		}
		at.position, c.From = head, "C:-1/P:-1"
	case b.end:
		s, err := p.state(ctx, c.Stream)
		if err != nil {
			return err
		}
		at.revision, c.From = s.last, "-1"
	case c.all():
		if b.position.Commit > math.MaxInt64 {
			return badRequest("there is no position %d", b.position.Commit)
		}
		from, err := p.place(ctx, &query{position: b.position})
		if err != nil {
			return err
		}
		if at.position, err = p.former(ctx, from); err != nil {
			return err
		}
		c.From = c.text(place{position: from})
	default:
		if b.revision > math.MaxInt64 {
			return badRequest("revision %d is too large", b.revision)
		}
		at.revision, c.From = store.Revision(b.revision)-1, c.text(place{revision: store.Revision(b.revision)})
	}
	c.After = c.text(at)
	return nil
}

func groupFilterOf(f *persistent.CreateReq_AllOptions_FilterOptions) (*groupFilter, error) {
	if f == nil {
		return nil, nil
	}
	expression := f.GetStreamIdentifier()
	_, byType := f.GetFilter().(*persistent.CreateReq_AllOptions_FilterOptions_EventType)
	if byType {
		expression = f.GetEventType()
	}
	kept := &groupFilter{ByType: byType, Regex: expression.GetRegex(), Prefixes: expression.GetPrefix()}
	_, err := kept.matches()
	return kept, err
}

// Update implements persistent.PersistentSubscriptionsServer. Everything is replaced
// but the filter.
func (p *subscriptions) Update(ctx context.Context, r *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	return &persistent.UpdateResp{}, answered(p.updateGroup(ctx, r.GetOptions()), trailerOf(ctx))
}

func (p *subscriptions) updateGroup(ctx context.Context, o *persistent.UpdateReq_Options) error {
	if err := p.mayChange(); err != nil {
		return err
	}
	name, from, err := ofUpdate(o).source()
	if err != nil {
		return err
	}
	return p.update(ctx, name, func(c *groupConfig) error {
		if err := c.set(o.GetSettings(), o.GetSettings().GetNamedConsumerStrategy().String()); err != nil {
			return err
		}
		return p.begin(ctx, c, from)
	})
}

// Delete implements persistent.PersistentSubscriptionsServer.
func (p *subscriptions) Delete(ctx context.Context, r *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	err := p.mayChange()
	if err == nil {
		var name groupName
		if name, err = nameOf(r.GetOptions(), r.GetOptions().GetAll()); err == nil {
			err = p.delete(ctx, name)
		}
	}
	return &persistent.DeleteResp{}, answered(err, trailerOf(ctx))
}

// ReplayParked implements persistent.PersistentSubscriptionsServer.
func (p *subscriptions) ReplayParked(ctx context.Context, r *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	return &persistent.ReplayParkedResp{}, answered(p.replayParked(ctx, r.GetOptions()), trailerOf(ctx))
}

func (p *subscriptions) replayParked(ctx context.Context, o *persistent.ReplayParkedReq_Options) error {
	if err := p.mayChange(); err != nil {
		return err
	}
	name, err := nameOf(o, o.GetAll())
	if err != nil {
		return err
	}
	stop := int64(math.MaxInt64)
	if _, limited := o.GetStopAtOption().(*persistent.ReplayParkedReq_Options_StopAt); limited {
		stop = o.GetStopAt()
	}
	if stop < 0 {
		return badRequest("there is no parked event %d to stop at", stop)
	}
	g, err := p.run(ctx, name)
	if err != nil {
		return err
	}
	failed := g.do(ctx, func() { err = g.replay(stop) })
	if failed != nil {
		return failed
	}
	return err
}

// RestartSubsystem implements persistent.PersistentSubscriptionsServer.
func (p *subscriptions) RestartSubsystem(ctx context.Context, _ *shared.Empty) (*shared.Empty, error) {
	err := p.mayChange()
	if err == nil {
		p.restart()
	}
	return &shared.Empty{}, answered(err, trailerOf(ctx))
}
