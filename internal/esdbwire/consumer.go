package esdbwire

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire/competing"
)

// consumer is a call that takes part in a group.
type consumer struct {
	from, user, name string // for whoever asks about the group
	slots            int
	outbox
	dropped  chan error
	seat     *competing.Consumer
	measured int64 // given by the last time somebody asked
}

func newConsumer(ctx context.Context, slots int, roomy func()) *consumer {
	c := &consumer{slots: slots, outbox: newOutbox(roomy), dropped: make(chan error, 1)}
	if p, ok := peer.FromContext(ctx); ok {
		c.from = p.Addr.String()
	}
	for _, header := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		c.user, _, _ = basic(header)
	}
	for _, name := range metadata.ValueFromIncomingContext(ctx, "connection-name") {
		c.name = name[:min(len(name), 200)]
	}
	return c
}

// drop ends the consumer's call.
func (c *consumer) drop(why error) {
	select {
	case c.dropped <- why:
	default: // it has ended already
	}
}

// Read implements persistent.PersistentSubscriptionsServer: a consumer joins a group.
func (p *subscriptions) Read(call persistent.PersistentSubscriptions_ReadServer) error {
	return answered(p.consume(call), call.SetTrailer)
}

func (p *subscriptions) consume(call persistent.PersistentSubscriptions_ReadServer) error {
	ctx := call.Context()
	first, err := call.Recv()
	if err != nil {
		return err
	}
	name, slots, err := consumption(first.GetOptions())
	if err != nil {
		return err
	}
	if err := p.mayChange(); err != nil {
		return err
	}
	g, err := p.groups.run(ctx, name)
	if err != nil {
		return err
	}
	c := newConsumer(ctx, slots, g.nudge)
	if err := g.join(ctx, c); err != nil {
		return err
	}
	defer g.leave(c)
	confirmed := &persistent.ReadResp_SubscriptionConfirmation{SubscriptionId: name.String() + "/" + uuid.NewString()}
	if err := call.Send(&persistent.ReadResp{Content: &persistent.ReadResp_SubscriptionConfirmation_{SubscriptionConfirmation: confirmed}}); err != nil {
		return err
	}
	answers := make(chan error, 1)
	p.receivers.Go(func() { answers <- p.answers(call, g, c) }) // ends with the call
	_, textID := first.GetOptions().GetUuidOption().GetContent().(*persistent.ReadReq_Options_UUIDOption_String_)
	return c.send(call, answers, textID)
}

func consumption(o *persistent.ReadReq_Options) (name groupName, slots int, err error) {
	if name, err = nameOf(o, o.GetAll()); err != nil {
		return name, 0, err
	}
	if slots = int(o.GetBufferSize()); slots < 1 || slots > maxBuffer {
		return name, 0, badRequest("buffer size is %d, not from 1 to %d", slots, maxBuffer)
	}
	return name, slots, nil
}

// send sends what the group gives to the consumer, until either ends.
func (c *consumer) send(call persistent.PersistentSubscriptions_ReadServer, answers <-chan error, textID bool) error {
	for {
		d, some := c.next()
		if some {
			if err := call.Send(d.message(textID)); err != nil {
				return err
			}
		}
		more := c.more
		if some {
			more = always
		}
		select {
		case <-more:
		case err := <-answers:
			return err
		case err := <-c.dropped:
			return err
		case <-call.Context().Done():
			return call.Context().Err()
		}
	}
}

func (d *delivery) message(textID bool) *persistent.ReadResp {
	m := &persistent.ReadResp_ReadEvent{
		Position: &persistent.ReadResp_ReadEvent_CommitPosition{CommitPosition: d.original().position.Commit},
		Count:    &persistent.ReadResp_ReadEvent_RetryCount{RetryCount: int32(min(d.retries, math.MaxInt32))},
	}
	if d.event != nil {
		m.Event = persistentEvent(d.event, textID)
	}
	if d.link != nil {
		m.Link = persistentEvent(d.link, textID)
	}
	return &persistent.ReadResp{Content: &persistent.ReadResp_Event{Event: m}}
}

func persistentEvent(r *record, textID bool) *persistent.ReadResp_ReadEvent_RecordedEvent {
	e := recordedEvent(r, textID)
	return &persistent.ReadResp_ReadEvent_RecordedEvent{
		Id: e.Id, StreamIdentifier: e.StreamIdentifier, StreamRevision: e.StreamRevision, PreparePosition: e.PreparePosition,
		CommitPosition: e.CommitPosition, Metadata: e.Metadata, CustomMetadata: e.CustomMetadata, Data: e.Data,
	}
}

// answers takes what the consumer says of its events, until it says no more: nil when
// it wants to end.
func (p *subscriptions) answers(call persistent.PersistentSubscriptions_ReadServer, g *group, c *consumer) error {
	for {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = g.answer(call.Context(), c, m)
		}
		if err != nil {
			return err
		}
	}
}

func (g *group) answer(ctx context.Context, c *consumer, m *persistent.ReadReq) error {
	if m.GetAck() == nil && m.GetNack() == nil {
		return badRequest("a consumer says ack or nack")
	}
	ids, err := idsOf(append(m.GetAck().GetIds(), m.GetNack().GetIds()...))
	if err != nil {
		return err
	}
	var failed error
	err = g.do(ctx, func() {
		if m.GetAck() != nil {
			for _, id := range ids {
				g.queue.Ack(c.seat, id)
			}
			return
		}
		failed = g.nack(c, ids, m.GetNack())
	})
	return errors.Join(err, failed)
}

func idsOf(list []*shared.UUID) (ids []events.ID, err error) {
	for _, one := range list {
		id, err := parseID(one)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// nack does what a consumer wants with events that it did not handle. It is called in
// the goroutine of run. The error is for the consumer.
func (g *group) nack(c *consumer, ids []events.ID, n *persistent.ReadReq_Nack) error {
	var parked []*competing.Message
	for _, id := range ids {
		var m *competing.Message
		switch n.GetAction() {
		case persistent.ReadReq_Nack_Park:
			m = g.queue.Park(c.seat, id)
		case persistent.ReadReq_Nack_Retry, persistent.ReadReq_Nack_Unknown:
			m = g.queue.Retry(c.seat, id)
		case persistent.ReadReq_Nack_Skip:
			g.queue.Ack(c.seat, id)
		case persistent.ReadReq_Nack_Stop: // it goes to another when this one has left
		default:
			return badRequest("there is no nack action %d", n.GetAction())
		}
		if m != nil {
			parked = append(parked, m)
		}
	}
	if err := g.park(parked, n.GetReason()); err != nil {
		g.cancel(err) // consumers are dropped; what was not put aside comes again
	}
	if n.GetAction() == persistent.ReadReq_Nack_Stop {
		return groupDropped(g.config.groupName)
	}
	return nil
}
