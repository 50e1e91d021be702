package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// errEventsGone ends an attempt to publish; the next one makes the stream anew.
var errEventsGone = errors.New("the event stream was deleted, cut or changed by somebody else")

// watched runs publish and looks after the stream meanwhile, so that one that somebody
// deletes is made anew before there is another event to publish.
func (p *EventPublisher) watched(ctx context.Context, stream *jetstream.StreamInfo, publish func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		p.lookAfterStream(ctx, stream, cancel)
	}()
	err := publish(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	<-looked
	if errors.Is(cause, errEventsGone) {
		return cause
	}
	return err
}

func (p *EventPublisher) lookAfterStream(ctx context.Context, before *jetstream.StreamInfo, gone context.CancelCauseFunc) {
	tick := time.NewTicker(p.opts.LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		mark := p.mark.Load() // before the stream is asked: it may only be further
		now, err := p.lookAtStream(ctx)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			gone(fmt.Errorf("%w: it is not there", errEventsGone))
			return
		case err != nil:
			continue // the broker is away for now, as publishing finds out
		case len(drifted(&now.Config, &before.Config)) > 0:
			gone(fmt.Errorf("%w: settings %v", errEventsGone, drifted(&now.Config, &before.Config)))
			return
		case mark != nil && now.State.LastSeq < mark.Sequence:
			gone(fmt.Errorf("%w: it ends at %d, and %d was published", errEventsGone, now.State.LastSeq, mark.Sequence))
			return
		}
		if n := removed(before, now); n > 0 {
			p.opts.Logger.Error("events were removed from their stream by somebody else: who had not read them reads them in the log only", "stream", StreamEvents, "events", n)
		}
		before = now
	}
}

func (p *EventPublisher) lookAtStream(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := p.js.Stream(ctx, StreamEvents)
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// removed counts what is missing since the stream was looked at, and that it did not
// have to forget by its age. Streams with a limit of bytes forget by that, so those are
// not judged by their beginning.
func removed(before, now *jetstream.StreamInfo) (n uint64) {
	if !before.Created.Equal(now.Created) {
		return 0
	}
	if holes := now.State.NumDeleted - before.State.NumDeleted; holes > 0 {
		n += uint64(holes)
	}
	first := before.State.LastSeq + 1 // what came since is young enough
	if before.State.Msgs > 0 && now.TimeStamp.Sub(before.State.FirstTime) < now.Config.MaxAge {
		first = before.State.FirstSeq
	}
	if now.Config.MaxBytes <= 0 && now.State.FirstSeq > first {
		n += now.State.FirstSeq - first
	}
	return n
}
