package esdbwire

import (
	"context"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"github.com/parley-engine/parley/internal/esdbwire/competing"
)

// GetInfo implements persistent.PersistentSubscriptionsServer.
func (p *subscriptions) GetInfo(ctx context.Context, r *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	name, err := nameOf(r.GetOptions(), r.GetOptions().GetAll())
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	c, err := p.find(ctx, name)
	if err != nil {
		return nil, answered(err, trailerOf(ctx))
	}
	info, err := p.info(ctx, c)
	return &persistent.GetInfoResp{SubscriptionInfo: info}, answered(err, trailerOf(ctx))
}

// List implements persistent.PersistentSubscriptionsServer.
func (p *subscriptions) List(ctx context.Context, r *persistent.ListReq) (*persistent.ListResp, error) {
	list, err := p.infos(ctx, r.GetOptions())
	return &persistent.ListResp{Subscriptions: list}, answered(err, trailerOf(ctx))
}

func (p *subscriptions) infos(ctx context.Context, o *persistent.ListReq_Options) ([]*persistent.SubscriptionInfo, error) {
	only := ""
	if stream := o.GetListForStream(); stream.GetAll() != nil {
		only = wholeLog
	} else if stream != nil {
		var err error
		if only, err = streamName(stream.GetStream()); err != nil {
			return nil, err
		}
	}
	list, _, err := p.list(ctx)
	if err != nil {
		return nil, err
	}
	var infos []*persistent.SubscriptionInfo
	for i := range list {
		if only != "" && list[i].Stream != only {
			continue
		}
		info, err := p.info(ctx, &list[i])
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	if only != "" && len(infos) == 0 {
		return nil, groupMissing(groupName{only, ""})
	}
	return infos, nil
}

// info is what there is to know of a group, more when it runs.
func (p *subscriptions) info(ctx context.Context, c *groupConfig) (*persistent.SubscriptionInfo, error) {
	done, err := p.progress(ctx, c)
	if err != nil {
		return nil, err
	}
	parked, err := p.parkedCount(ctx, c.groupName)
	if err != nil {
		return nil, err
	}
	info := &persistent.SubscriptionInfo{
		EventSource: c.Stream, GroupName: c.Group, Status: "NotReady", StartFrom: c.From, ResolveLinkTos: c.ResolveLinks,
		MessageTimeoutMilliseconds: c.TimeoutMS, ExtraStatistics: c.ExtraStatistics, MaxRetryCount: c.MaxRetries,
		LiveBufferSize: c.LiveBufferSize, BufferSize: c.HistoryBuffer, ReadBatchSize: c.ReadBatchSize,
		CheckPointAfterMilliseconds: c.CheckpointMS, MinCheckPointCount: c.MinCheckpoint, MaxCheckPointCount: c.MaxCheckpoint,
		NamedConsumerStrategy: string(c.Strategy), MaxSubscriberCount: c.MaxSubscribers, ParkedMessageCount: parked,
	}
	if text := c.text(done); text != c.After {
		info.LastCheckpointedEventPosition = text
	}
	if g := p.one(c.groupName); g != nil {
		// A group that ends meanwhile is told of as one that does not run.
		_ = g.do(ctx, func() { g.tell(info) })
	}
	return info, nil
}

// tell adds what is known while the group runs. It is called in the goroutine of run.
func (g *group) tell(info *persistent.SubscriptionInfo) {
	fresh, again := g.queue.Waiting()
	switch {
	case g.replaying:
		info.Status = "ReplayingParkedMessages"
	case !g.queue.Room():
		info.Status = "Behind"
	default:
		info.Status = "Live"
	}
	if g.known != g.after {
		info.LastKnownEventPosition = g.config.text(g.known)
	}
	_, unsaved := g.queue.Done(competing.Parked)
	info.ParkedMessageCount = max(0, info.ParkedMessageCount-int64(unsaved))
	info.ReadBufferCount, info.RetryBufferCount = int32(fresh), int32(again)
	info.TotalInFlightMessages = int32(g.queue.Out())
	info.OutstandingMessagesCount = int32(g.queue.Out())
	total := g.given
	for c := range g.consumers {
		total += c.seat.Total
		info.Connections = append(info.Connections, c.tell(g.started))
	}
	info.TotalItems, info.CountSinceLastMeasurement = total, total-g.measured
	info.AveragePerSecond = perSecond(total, g.started)
	g.measured = total
}

func (c *consumer) tell(started time.Time) *persistent.SubscriptionInfo_ConnectionInfo {
	total := c.seat.Total
	since := total - c.measured
	c.measured = total
	return &persistent.SubscriptionInfo_ConnectionInfo{
		From: c.from, Username: c.user, ConnectionName: c.name, TotalItems: total, AverageItemsPerSecond: perSecond(total, started),
		CountSinceLastMeasurement: since, AvailableSlots: int32(c.seat.Slots - c.seat.InFlight),
		InFlightMessages: int32(c.seat.InFlight),
	}
}

func perSecond(n int64, since time.Time) int32 {
	return int32(float64(n) / max(time.Since(since).Seconds(), 1))
}
