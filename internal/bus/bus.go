package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-engine/parley/internal/bus/pubsub"
	"github.com/parley-engine/parley/internal/engine"
)

// Execute carries out one command. Its errors are *engine.Failure; any other
// counts as internal.
type Execute func(ctx context.Context, c engine.Command) (engine.Outcome, error)

// Options are the settings of a Bus. The zero value works.
type Options struct {
	Group           string        // queue group and durable name; default "parley"
	MaxInFlight     int           // calls held at a time; default 4096
	MaxPending      int           // durable commands held at a time; default 4096
	MaxCommandBytes int           // of a body; default 256 KiB
	MaxStreamBytes  int64         // of commands waiting; 0: no limit
	AckWait         time.Duration // silence after which a process counts as dead; default 30 s
	Timeout         time.Duration // of one attempt; default 30 s
	Workers         int           // goroutines kept for handlers, a matter of speed only; default 128
	Retries         int           // of a durable command that failed for a passing reason; default 12
	FirstPause      time.Duration // before the first retry, then doubled; default 100 ms
	LongestPause    time.Duration // default 10 s
	Patience        time.Duration // of a stop, with commands under way; default 20 s
	// Share divides durable commands among several processes on one broker, as
	// lease.Leases.Share does. Nil: this process is alone with its broker.
	Share func(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error
	// ActFor says whether an account may act for another one (engine.Engine.ActFor). Nil:
	// for none.
	ActFor func(ctx context.Context, acting, account string) error
	// Owner says whose an aggregate is (engine.Engine.Owner), so that nobody is told that
	// another account's is parked. Nil: that is not known.
	Owner            func(ctx context.Context, aggregate string) (account string, err error)
	Logger           *slog.Logger // nil: discard
	Registerer       prometheus.Registerer
	provisionTimeout time.Duration
}

// defaultGroup names the consumers of the durable commands.
const defaultGroup = "parley"

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	opts.Group = cmp.Or(opts.Group, defaultGroup)
	opts.MaxInFlight = cmp.Or(opts.MaxInFlight, 4096)
	opts.MaxPending = cmp.Or(opts.MaxPending, 4096)
	opts.MaxCommandBytes = cmp.Or(opts.MaxCommandBytes, 256<<10)
	opts.AckWait = cmp.Or(opts.AckWait, 30*time.Second)
	opts.Timeout = cmp.Or(opts.Timeout, 30*time.Second)
	opts.Workers = cmp.Or(opts.Workers, 128)
	opts.Retries = cmp.Or(opts.Retries, 12)
	opts.FirstPause = cmp.Or(opts.FirstPause, 100*time.Millisecond)
	opts.LongestPause = cmp.Or(opts.LongestPause, 10*time.Second)
	opts.Patience = cmp.Or(opts.Patience, 20*time.Second)
	opts.provisionTimeout = cmp.Or(opts.provisionTimeout, 10*time.Second)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return opts
}

// Bus takes commands from both doors. Run it once.
type Bus struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	execute Execute
	opts    Options
	log     *slog.Logger
	metrics *metrics
	lanes   *pubsub.Lanes
	parked  *parking
	letters *DeadLetters // set by prepare
	names   naming       // set by prepare

	streamsMu sync.Mutex
	streams   map[string]made // by name
	replacing sync.Mutex      // held while a stream is deleted and made anew by this process

	ready    chan struct{} // closed: both doors are open
	stopping chan struct{} // closed: Drain was called, or Run's context ended
	stop     sync.Once
	stopped  chan struct{} // closed: Run has returned
	failed   chan error    // what the sweeper found; of capacity 1
}

// New returns a Bus on a connection, which stays the caller's.
func New(nc *nats.Conn, execute Execute, o *Options) (*Bus, error) {
	opts := o.withDefaults()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open streams: %w", err)
	}
	b := &Bus{
		nc: nc, js: js, execute: execute, opts: opts, log: opts.Logger,
		lanes: pubsub.NewLanes(), parked: &parking{lanes: make(map[string][]place)}, streams: make(map[string]made),
		ready: make(chan struct{}), stopping: make(chan struct{}), stopped: make(chan struct{}), failed: make(chan error, 1),
	}
	b.metrics, err = newMetrics(opts.Registerer, b.lanes, b.parked)
	return b, err
}

// Ready is closed when both doors are open.
func (b *Bus) Ready() <-chan struct{} { return b.ready }

// Run opens the doors and blocks until ctx ends or Drain is called, then drains
// (see the package comment) and returns nil. It returns an error when the
// streams cannot be made or read.
func (b *Bus) Run(ctx context.Context) error {
	defer close(b.stopped)
	if err := b.prepare(ctx); err != nil {
		return err
	}
	lent := startWorkers(b.opts.Workers)
	defer lent.stop()
	router, doors, err := b.router(lent)
	if err != nil {
		return err
	}
	sends, err := b.openSends()
	if err != nil {
		return err
	}
	defer sends.close()
	stopFollowing := context.AfterFunc(ctx, b.beginStop)
	defer stopFollowing()
	var sweeper sync.WaitGroup
	defer sweeper.Wait()
	sweeper.Go(func() { b.sweep(context.WithoutCancel(ctx)) })
	defer b.beginStop() // for the sweeper, should the router end by itself
	err = b.serve(context.WithoutCancel(ctx), router, doors)
	b.lastSweep(context.WithoutCancel(ctx))
	return err
}

// doors are the router's handlers.
type doors struct{ call, send *message.Handler }

// serve runs the router until the bus stops, or a door ends by itself: a router goes on
// with one of them. Closing it closes the subscribers, and they wait for what they
// handed out.
func (b *Bus) serve(ctx context.Context, router *message.Router, d doors) error {
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	select {
	case <-router.Running():
		close(b.ready)
	case err := <-ended:
		return err
	}
	var err error
	select {
	case <-d.call.Stopped():
		err = errors.New("the call door ended by itself")
	case <-d.send.Stopped():
		err = errors.New("the durable door ended by itself: the connection was closed")
	case err = <-b.failed:
	case <-b.stopping:
	}
	err = cmp.Or(err, router.Close())
	<-ended
	if flushErr := b.nc.FlushTimeout(b.opts.Patience); err == nil && flushErr != nil {
		err = fmt.Errorf("flush replies: %w", flushErr)
	}
	return err
}

// Drain makes Run stop gracefully and waits until it has, or until ctx ends.
func (b *Bus) Drain(ctx context.Context) error {
	b.beginStop()
	select {
	case <-b.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain bus: %w", ctx.Err())
	}
}

func (b *Bus) beginStop() { b.stop.Do(func() { close(b.stopping) }) }

// sweepEvery is how often handled commands are purged from the stream.
const sweepEvery = 10 * time.Second

func (b *Bus) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := b.tidy(ctx); errors.Is(err, pubsub.ErrBehind) {
			b.failed <- fmt.Errorf("the durable door is closed: %w; the next start reads again what is left", err)
			return
		} else if err != nil {
			b.log.Warn("handled commands were not purged; the next sweep tries again", "err", err)
		}
		select {
		case <-tick.C:
		case <-b.stopping:
			return
		}
	}
}

// forgetHandled purges the commands up to the first one that is not handled.
func (b *Bus) forgetHandled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.provisionTimeout)
	defer cancel()
	stream, err := b.js.Stream(ctx, StreamCommands)
	if err != nil {
		return err
	}
	for _, topic := range b.topics() {
		if err := b.forget(ctx, stream, topic); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) forget(ctx context.Context, stream jetstream.Stream, topic string) error {
	consumer, err := stream.Consumer(ctx, pubsub.DurableName(b.opts.Group, topic))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // nobody has read it yet
	}
	if err != nil {
		return err
	}
	if err := pubsub.Behind(ctx, stream, consumer); err != nil {
		return err
	}
	floor := consumer.CachedInfo().AckFloor.Stream
	if floor < stream.CachedInfo().State.FirstSeq {
		return nil
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(topic), jetstream.WithPurgeSequence(floor+1))
}

// topics are what durable commands are read by.
func (b *Bus) topics() []string {
	if b.opts.Share == nil {
		return []string{SubjectSend}
	}
	return b.partitions().Topics(SubjectSend)
}

// commandPartitions is how many parts the durable commands of several processes
// are divided into, and so how many processes can share them. It is a property of
// the stream: another number needs an empty one.
const commandPartitions = 32

func (b *Bus) partitions() pubsub.Partitions {
	return pubsub.Partitions{Count: commandPartitions, Share: b.opts.Share, Taken: func(ctx context.Context) error {
		if _, err := b.js.Stream(ctx, StreamCommands); errors.Is(err, jetstream.ErrStreamNotFound) {
			if err := b.renew(ctx, ""); err != nil {
				return err
			}
		}
		return b.parked.load(ctx, b.letters) // somebody else may have parked something
	}}
}

// prepare makes the streams and learns which aggregates are parked.
func (b *Bus) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.provisionTimeout)
	defer cancel()
	var err error
	if b.letters, err = OpenDeadLetters(ctx, b.nc); err != nil {
		return err
	}
	dead := deadConfig()
	b.provisioned(b.letters.stream, &dead, b.letters.fixed)
	if _, b.names, err = b.commandsStream(ctx); err != nil && !errors.Is(err, errFixed) {
		return err
	}
	return b.parked.load(ctx, b.letters)
}

// router joins the doors, the middleware and the handler. The first middleware
// is the outermost.
func (b *Bus) router(lent *workers) (*message.Router, doors, error) {
	calls, sends, err := b.doors()
	if err != nil {
		return nil, doors{}, err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: b.opts.Patience + 5*time.Second}, routerLog{b.log})
	if err != nil {
		return nil, doors{}, fmt.Errorf("make router: %w", err)
	}
	router.AddMiddleware(b.settle, b.measure)
	call := router.AddConsumerHandler(doorCall, SubjectCall, calls, b.handle)
	call.AddMiddleware(lent.middleware, middleware.Recoverer) // the subscriber limits the time
	send := router.AddConsumerHandler(doorSend, SubjectSend, sends, b.handle)
	send.AddMiddleware(b.retry, lent.middleware, middleware.Recoverer, middleware.Timeout(b.opts.Timeout))
	return router, doors{call, send}, nil
}

func (b *Bus) doors() (calls, sends message.Subscriber, err error) {
	calls = pubsub.NewCallSubscriber(b.nc, &pubsub.CallOptions{
		Queue: b.opts.Group, Key: b.lane, Lanes: b.lanes,
		MaxInFlight: b.opts.MaxInFlight, Refuse: b.refuse, Bare: true,
		Timeout: b.opts.Timeout, Patience: b.opts.Patience, Logger: b.log,
	})
	durable := &pubsub.StreamOptions{
		Group: b.opts.Group, Stream: StreamCommands, Key: b.lane, Lanes: b.lanes,
		MaxPending: b.opts.MaxPending, AckWait: b.opts.AckWait,
		FirstPause: b.opts.FirstPause, LongestPause: b.opts.LongestPause,
		Bare: true, Patience: b.opts.Patience, Logger: b.log,
	}
	if b.opts.Share != nil {
		durable.MaxPending = max(1, b.opts.MaxPending/commandPartitions)
		return calls, pubsub.NewPartitionedSubscriber(b.nc, durable, b.partitions()), nil
	}
	durable.Renew, durable.Missed = b.renew, b.missed
	sends, err = pubsub.NewStreamSubscriber(b.nc, durable)
	return calls, sends, err
}

// lane is the aggregate. A command that creates one has a lane of its own, by
// its id, so that the same command never runs twice at a time.
func (b *Bus) lane(d *pubsub.Delivery) string {
	key := pubsub.LastToken(d)
	if key != newAggregate {
		return key
	}
	if id := d.Header.Get(HeaderCommandID); id != "" && literal(id) {
		return id
	}
	c, err := b.names.decode(d, b.opts.MaxCommandBytes)
	if err != nil {
		return b.names.id(d).String()
	}
	return c.ID.String()
}

// refuse answers a call that will not be handled.
func (b *Bus) refuse(d *pubsub.Delivery) {
	b.metrics.count(doorCall, engine.KindUnavailable)
	if !answerable(d.Reply) {
		return
	}
	if err := b.nc.Publish(d.Reply, busy); err != nil {
		b.log.Warn("refusal was not sent", "subject", d.Subject, "err", err)
	}
}
