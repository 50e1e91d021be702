package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus/pubsub"
	"github.com/parley-engine/parley/store"
)

// Mark says how far the log has been published, and where that ended up.
type Mark struct {
	Position events.Position `json:"position"` // of the log
	Sequence uint64          `json:"sequence"` // in the event stream
}

// Checkpoint keeps the mark over restarts. What Save was given may be lost in a
// crash (events are then published again), but never replaced by anything newer.
type Checkpoint interface {
	// Load returns the last mark, or the zero Mark when there is none.
	Load(ctx context.Context) (Mark, error)
	Save(ctx context.Context, m Mark) error
}

// EventOptions are the settings of an EventPublisher; the zero value works.
type EventOptions struct {
	Limits     EventLimits
	Filter     store.Filter  // default: everything
	Checkpoint Checkpoint    // default: a key-value bucket on the same broker
	SaveEvery  time.Duration // how often the checkpoint is saved; default 1 s
	Window     int           // events in flight; default 512
	Pause      time.Duration // after something failed; default 1 s
	LookEvery  time.Duration // how often it is looked whether somebody deleted the stream; default 5 s
	Gather     time.Duration // news gathers for this long, so that a busy log is read in larger steps; default 5 ms
	Rewind     Rewind        // nil: never
	Logger     *slog.Logger  // nil: discard
}

// Rewind says whether the stream lost events, so that they are published again from behind
// the last one that it has, whatever the checkpoint says.
type Rewind interface {
	Wanted() bool
	Done() error // from here on the checkpoint says where to go on
}

// EventPublisher follows the log and publishes every event. The log is the
// outbox: what was appended will be published, at least once, in log order.
// Consumers recognise repeats by ce-id and gaps by ce-sequence.
type EventPublisher struct {
	js   jetstream.JetStream
	pub  *pubsub.Publisher
	log  store.LogReader
	opts EventOptions

	since time.Time            // events recorded before are not told; of Run alone
	mark  atomic.Pointer[Mark] // published up to here; nil before it is known
}

// NewEventPublisher returns a publisher on a connection, which stays the
// caller's.
func NewEventPublisher(nc *nats.Conn, log store.LogReader, o *EventOptions) (*EventPublisher, error) {
	var opts EventOptions
	if o != nil {
		opts = *o
	}
	opts.Pause = cmp.Or(opts.Pause, time.Second)
	opts.Gather = cmp.Or(opts.Gather, 5*time.Millisecond)
	opts.SaveEvery = cmp.Or(opts.SaveEvery, time.Second)
	opts.LookEvery = cmp.Or(opts.LookEvery, 5*time.Second)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open event stream: %w", err)
	}
	pub, err := pubsub.NewPublisher(nc, &pubsub.PublisherOptions{Window: opts.Window})
	if err != nil {
		return nil, err
	}
	if opts.Checkpoint == nil {
		opts.Checkpoint = &bucketCheckpoint{js: js}
	}
	return &EventPublisher{js: js, pub: pub, log: store.Paced(log, opts.Gather, nil), opts: opts}, nil
}

// Position returns how far the log has been published, over all starts; zero until that
// is known.
func (p *EventPublisher) Position() events.Position {
	if mark := p.mark.Load(); mark != nil {
		return mark.Position
	}
	return events.Position{}
}

// Run publishes until ctx ends, then returns nil. A broker that is away is
// waited for. Only an event that cannot be written at all, because an older
// program reads a newer log, ends it with an error. Run it once.
func (p *EventPublisher) Run(ctx context.Context) error {
	saving, stop := context.WithCancel(context.WithoutCancel(ctx))
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		p.saveMarks(saving)
	}()
	err := p.follow(ctx)
	stop()
	<-saved
	return errors.Join(err, p.pub.Close())
}

// follow publishes, and starts over after a pause when something failed.
func (p *EventPublisher) follow(ctx context.Context) error {
	for {
		err := p.publish(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop: whatever was under way is published at the next start
		}
		if unknown := new(events.UnknownTypeError); errors.As(err, &unknown) {
			return err
		}
		p.opts.Logger.Warn("events are not published for now", "err", err)
		pause := p.opts.Pause
		if errors.Is(err, errEventsGone) {
			pause = max(pause, deletionTakes)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// publish goes on from the last mark until something fails.
func (p *EventPublisher) publish(ctx context.Context) error {
	stream, err := provision(ctx, p.js, eventsConfig(p.opts.Limits))
	if errors.Is(err, errFixed) { // everything in it is in the log
		return errors.Join(fmt.Errorf("%w; it is made anew: %w", errEventsGone, err), p.js.DeleteStream(ctx, StreamEvents))
	}
	if err != nil {
		return err
	}
	mark, err := p.resume(ctx, stream)
	if err != nil {
		return err
	}
	begun := mark // readers keep the pointer
	p.mark.Store(&begun)
	return p.watched(ctx, stream.CachedInfo(), func(ctx context.Context) error { return p.publishFrom(ctx, mark) })
}

func (p *EventPublisher) publishFrom(ctx context.Context, mark Mark) error {
	for batch, err := range store.Subscribe(ctx, p.log, mark.Position, p.opts.Filter) {
		if err != nil {
			return err
		}
		if mark, err = p.publishBatch(batch, mark); err != nil {
			return err
		}
		reached := mark // readers keep the pointer
		p.mark.Store(&reached)
	}
	return ctx.Err()
}

// saveMarks saves once a second, so that publishing never waits for it, and a
// last time at the end.
func (p *EventPublisher) saveMarks(ctx context.Context) {
	tick := time.NewTicker(p.opts.SaveEvery)
	defer tick.Stop()
	var last Mark
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if mark := p.mark.Load(); mark != nil && *mark != last {
			last = *mark
			p.save(ctx, last)
		}
	}
}

func (p *EventPublisher) save(ctx context.Context, m Mark) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := p.opts.Checkpoint.Save(ctx, m); err != nil {
		p.opts.Logger.Warn("event checkpoint was not saved; a restart publishes more again", "err", err)
	}
}

// foreignType is what others wrote into the log.
var foreignType = events.ForeignRecorded{}.EventType()

func (p *EventPublisher) publishBatch(batch store.Batch, mark Mark) (Mark, error) {
	messages := make([]*nats.Msg, 0, len(batch.Events))
	for _, e := range batch.Events {
		if e.Type == foreignType || e.Recorded.Before(p.since) {
			continue // not an event of ours to tell, or the stream would have forgotten it
		}
		m, err := eventMessage(e)
		if err != nil {
			return mark, err
		}
		messages = append(messages, m)
	}
	last, err := p.pub.PublishAll(messages)
	if err != nil {
		return mark, err
	}
	return Mark{Position: batch.Upto, Sequence: max(mark.Sequence, last)}, nil
}

// resume returns where to go on. The stream may be behind the checkpoint: it is
// written lazily, so a power cut takes its tail, an operator may have deleted it, and
// damage may have taken a part. Its own last event then says how far it goes; likewise
// where the checkpoint was lost.
func (p *EventPublisher) resume(ctx context.Context, stream jetstream.Stream) (Mark, error) {
	mark, err := p.lastMark(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("load event checkpoint: %w", err)
	}
	state := stream.CachedInfo().State
	rewind := p.opts.Rewind != nil && p.opts.Rewind.Wanted()
	unknown := mark == Mark{} && state.Msgs > 0
	if !rewind && !unknown && state.LastSeq >= mark.Sequence {
		return mark, nil
	}
	p.opts.Logger.Warn("event stream lost events, or how far it goes; publishing again from its last one", "stream_sequence", state.LastSeq, "checkpoint_sequence", mark.Sequence)
	if mark, err = lastPublished(ctx, stream); err != nil {
		return Mark{}, err
	}
	if rewind {
		return mark, p.rewind(ctx, mark)
	}
	return mark, nil
}

// rewind makes the new mark durable before the wish for it is forgotten. An empty stream
// gets what it would still hold.
func (p *EventPublisher) rewind(ctx context.Context, mark Mark) error {
	if mark.Position.IsZero() {
		p.since = time.Now().Add(-eventsConfig(p.opts.Limits).MaxAge)
	}
	if err := p.opts.Checkpoint.Save(ctx, mark); err != nil {
		return fmt.Errorf("save event checkpoint: %w", err)
	}
	return p.opts.Rewind.Done()
}

// lastPublished is the mark of the last event that the stream has; zero: it has none.
func lastPublished(ctx context.Context, stream jetstream.Stream) (Mark, error) {
	last, err := stream.GetLastMsgForSubject(ctx, SubjectEvents)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("read last event: %w", err)
	}
	position, err := events.ParsePosition(last.Header.Get(cePosition))
	if err != nil {
		return Mark{}, fmt.Errorf("read last event: %w", err)
	}
	return Mark{Position: position, Sequence: last.Sequence}, nil
}

func (p *EventPublisher) lastMark(ctx context.Context) (Mark, error) {
	if mark := p.mark.Load(); mark != nil {
		return *mark, nil
	}
	return p.opts.Checkpoint.Load(ctx)
}
