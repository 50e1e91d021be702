package pubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// StreamOptions are the settings of a StreamSubscriber; the zero value works.
type StreamOptions struct {
	// Group names the durable consumer; subscribers of one group share its
	// messages, and the order of a key holds only while one of them is active.
	Group string // default "parley"
	// Stream names the stream of a topic when it must exist already. Default:
	// found by the topic.
	Stream string
	// Provision, when given, describes the stream of a topic, to be created if
	// it is missing.
	Provision func(topic string) jetstream.StreamConfig
	// Key names the lane. Default LastToken.
	Key func(*Delivery) string
	// Sole says that the caller sees to it that the group has one member at a
	// time. The consumer is then pinned to that member, and a new one goes on from
	// what is not acknowledged without asking whether the former is alive.
	Sole bool
	// Lanes to share with others. Default: own ones.
	Lanes *Lanes
	// MaxPending bounds the messages held at a time, and with them the memory.
	MaxPending int // default 4096
	// Span bounds how far handling may run ahead of the oldest message that is
	// not acknowledged. After a crash no more than that, and what the broker had
	// not yet noted, comes again. Default 256.
	Span int
	// AckWait is after how much silence the broker takes a message back. Held
	// messages are kept alive, so it bounds only the detection of a dead process.
	AckWait time.Duration // default 30 s
	// A Nack pauses the lane for FirstPause, doubled up to LongestPause. After
	// Attempts (0: never) GiveUp takes the message; nil from it counts as an Ack.
	FirstPause, LongestPause time.Duration // default 100 ms and 10 s
	Attempts                 int
	GiveUp                   func(ctx context.Context, m *message.Message) error
	// Bare leaves the messages' metadata empty, for handlers that read the
	// Delivery.
	Bare bool
	// Patience bounds how long a stop waits for handlers.
	Patience time.Duration // default 30 s
	Logger   *slog.Logger  // nil: discard
	// Renew, if not nil, is called when the consumer, or the stream with it, was deleted
	// by somebody else, and makes sure that there is a stream. The subscription then goes
	// on with another consumer, where it was; until Renew returns nil it is called again,
	// later and later. Nil: the subscription ends.
	Renew func(ctx context.Context, topic string) error
	// Missed, if not nil, is told how many messages disappeared from the stream before
	// they came. It is right only where the topic is all of the stream.
	Missed func(messages uint64)

	last *memory               // of the subscription that this one goes on for; nil: none
	out  chan *message.Message // shared by subscriptions, who leave it open; nil: each has its own
}

// StreamSubscriber reads JetStream streams. The topic is a subject, wildcards
// allowed, of one stream. It is safe for concurrent use.
type StreamSubscriber struct {
	js   jetstream.JetStream
	opts StreamOptions

	mu       sync.Mutex
	closed   bool
	open     map[*streamSubscription]struct{}
	renewals []*renewal
}

// NewStreamSubscriber returns a subscriber on a connection, which stays the
// caller's.
func NewStreamSubscriber(nc *nats.Conn, o *StreamOptions) (*StreamSubscriber, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open streams: %w", err)
	}
	return &StreamSubscriber{js: js, opts: o.withDefaults(), open: make(map[*streamSubscription]struct{})}, nil
}

func (o *StreamOptions) withDefaults() StreamOptions {
	var opts StreamOptions
	if o != nil {
		opts = *o
	}
	opts.Group = cmp.Or(opts.Group, "parley")
	opts.MaxPending = cmp.Or(opts.MaxPending, 4096)
	opts.Span = cmp.Or(opts.Span, 256)
	opts.AckWait = cmp.Or(opts.AckWait, 30*time.Second)
	opts.FirstPause = cmp.Or(opts.FirstPause, 100*time.Millisecond)
	opts.LongestPause = cmp.Or(opts.LongestPause, 10*time.Second)
	opts.Patience = cmp.Or(opts.Patience, 30*time.Second)
	if opts.Key == nil {
		opts.Key = LastToken
	}
	if opts.Lanes == nil {
		opts.Lanes = NewLanes()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return opts
}

// SubscribeInitialize creates the durable consumer, so that what is published
// from now on will be delivered to a later Subscribe.
func (s *StreamSubscriber) SubscribeInitialize(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := s.consumer(ctx, topic)
	return err
}

// Subscribe delivers the messages of the topic. The channel is closed after
// Close, after ctx ended, or when the connection was closed or, without Renew, the
// consumer deleted; all of them wait for what was handed out.
func (s *StreamSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if s.opts.Renew != nil {
		return s.subscribeForGood(ctx, topic)
	}
	sub, err := s.subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	return sub.out, nil
}

func (s *StreamSubscriber) subscribeForGood(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	r, err := s.renewing(ctx, topic)
	if err != nil {
		return nil, err
	}
	s.renewals = append(s.renewals, r)
	return r.out, nil
}

func (s *StreamSubscriber) subscribe(ctx context.Context, topic string) (*streamSubscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	of, done, err := s.takeOver(ctx, topic)
	if err != nil {
		return nil, err
	}
	sub, err := s.start(ctx, topic, of, done)
	if err != nil {
		return nil, err
	}
	s.open[sub] = struct{}{}
	return sub, nil
}

// Close stops pulling, waits for what was handed out, gives back the rest, and
// closes the channels. It may be called more than once.
func (s *StreamSubscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	open, renewals := s.open, s.renewals
	s.open, s.renewals = nil, nil
	s.mu.Unlock()
	var errs []error
	for _, r := range renewals {
		errs = append(errs, r.close())
	}
	for sub := range open {
		sub.stop()
	}
	for sub := range open {
		<-sub.done
	}
	return errors.Join(errs...)
}

func (s *StreamSubscriber) consumer(ctx context.Context, topic string) (jetstream.Consumer, error) {
	stream, err := s.stream(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("stream of %s: %w", topic, err)
	}
	config := jetstream.ConsumerConfig{
		Durable:       DurableName(s.opts.Group, topic),
		FilterSubject: topic,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       s.opts.AckWait,
		MaxAckPending: s.opts.MaxPending,
		MaxDeliver:    -1,
	}
	if s.opts.Sole {
		config.PriorityPolicy = jetstream.PriorityPolicyPinned
		config.PriorityGroups = []string{soleGroup}
		config.PinnedTTL = s.opts.AckWait
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", config.Durable, err)
	}
	return consumer, nil
}

func (s *StreamSubscriber) stream(ctx context.Context, topic string) (jetstream.Stream, error) {
	if s.opts.Provision != nil {
		return s.js.CreateOrUpdateStream(ctx, s.opts.Provision(topic))
	}
	name := s.opts.Stream
	if name == "" {
		var err error
		if name, err = s.js.StreamNameBySubject(ctx, topic); err != nil {
			return nil, err
		}
	}
	return s.js.Stream(ctx, name)
}

// DurableName is the name of a group's consumer for a topic.
func DurableName(group, topic string) string {
	return strings.NewReplacer(".", "_", "*", "any", ">", "all", " ", "_").Replace(group + "-" + topic)
}

// streamSubscription is one Subscribe call on a stream.
type streamSubscription struct {
	*subscription
	owner    *StreamSubscriber
	topic    string
	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
	alive    *nats.Subscription // tells others that the group has a member
	before   *handled           // what the group had handled when it last stopped
	created  time.Time          // the stream was
	ended    chan struct{}      // stop was called
	stopOnce sync.Once
	done     chan struct{} // everything is settled and out is closed

	backMu sync.Mutex
	back   []*entry            // to be given back at the end, in the stream's order
	bySeq  map[uint64]struct{} // came, and not acknowledged
	moved  *sync.Cond          // on backMu: something was acknowledged, or the end began
	seen   uint64              // the highest sequence that came, or the floor at the start; settled once receive is no longer called
	told   uint64              // up to here it was told what did not come
	gaps   []uint64            // sequences that the stream did not have at the start, rising
}

// start runs two goroutines that live until the subscription is done: the
// client library's reader, and watch, for which done stands.
func (s *StreamSubscriber) start(ctx context.Context, topic string, of taken, done *handled) (*streamSubscription, error) {
	consumer := of.consumer
	sub := &streamSubscription{
		owner: s, topic: topic, consumer: consumer, before: done, created: of.stream.Created,
		ended: make(chan struct{}), done: make(chan struct{}),
		bySeq: make(map[uint64]struct{}), seen: consumer.CachedInfo().AckFloor.Stream,
	}
	sub.gaps = of.stream.State.Deleted
	if first := of.stream.State.FirstSeq; first > 0 {
		sub.told = max(sub.seen, first-1)
	}
	o := s.opts
	sub.subscription = newSubscription(ctx, o.Lanes, sub,
		retry{attempts: o.Attempts, first: o.FirstPause, longest: o.LongestPause, giveUp: o.GiveUp})
	sub.bare = o.Bare
	if o.out != nil {
		sub.out = o.out
	}
	alive, err := s.announce(consumer)
	if err != nil {
		return nil, err
	}
	sub.alive = alive
	sub.moved = sync.NewCond(&sub.backMu)
	consume, err := consumer.Consume(sub.receive, s.consumeOptions(topic)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to %s: %w", topic, err), alive.Unsubscribe())
	}
	sub.consume = consume
	go sub.watch(ctx)
	return sub, nil
}

// soleGroup names the members of whom one is pinned.
const soleGroup = "parley"

// pullBytes bounds what is on its way here at a time, well below what a broker keeps for a
// connection before it calls it slow and cuts it off; the largest message fits.
func (s *StreamSubscriber) pullBytes() int { return max(4<<20, 2*int(s.js.Conn().MaxPayload())) }

func (s *StreamSubscriber) consumeOptions(topic string) []jetstream.PullConsumeOpt {
	options := []jetstream.PullConsumeOpt{
		jetstream.PullMaxMessagesWithBytesLimit(min(s.opts.MaxPending, 500), s.pullBytes()),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			s.opts.Logger.Warn("bus subscription is disturbed", "subject", topic, "err", err)
		}),
	}
	if s.opts.Sole {
		options = append(options, jetstream.PullPriorityGroup(soleGroup))
	}
	return options
}

// receive is called by the client library, one message at a time.
func (s *streamSubscription) receive(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return // no reply subject to settle it with: not a stream's message
	}
	e := &entry{sub: s.subscription, raw: m, touched: time.Now()}
	e.Delivery = Delivery{
		Subject: m.Subject(), Header: m.Headers(), Data: m.Data(),
		Sequence: meta.Sequence.Stream, Delivery: meta.NumDelivered, Time: meta.Timestamp.UTC(),
	}
	e.Key = s.owner.opts.Key(&e.Delivery)
	if !s.first(e.Sequence) {
		return // delivered again while it is still here: the one we hold will be settled
	}
	if s.before.has(e.Sequence) {
		s.ack(e)
		return
	}
	s.keepSpan(e.Sequence)
	if !s.accept(e) {
		s.putBack(e)
	}
}

// keepSpan waits until the message is not too far ahead of the oldest one that
// is not acknowledged, or until the end begins, which accepts nothing more.
func (s *streamSubscription) keepSpan(sequence uint64) {
	s.backMu.Lock()
	defer s.backMu.Unlock()
	for !isClosed(s.ended) && s.oldest(sequence)+uint64(s.owner.opts.Span) < sequence {
		s.moved.Wait()
	}
}

// oldest is the lowest sequence that is not acknowledged.
func (s *streamSubscription) oldest(newest uint64) uint64 {
	lowest := newest
	for sequence := range s.bySeq {
		lowest = min(lowest, sequence)
	}
	return lowest
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (s *streamSubscription) first(sequence uint64) bool {
	s.backMu.Lock()
	defer s.backMu.Unlock()
	if _, here := s.bySeq[sequence]; here {
		return false
	}
	s.bySeq[sequence] = struct{}{}
	s.missed(sequence - 1)
	s.seen = max(s.seen, sequence)
	return true
}

func (s *streamSubscription) ack(e *entry) {
	if err := e.raw.(jetstream.Msg).Ack(); err != nil {
		s.owner.opts.Logger.Warn("acknowledgement was not sent; the message will come again", "subject", e.Subject, "sequence", e.Sequence, "err", err)
	}
	s.backMu.Lock()
	defer s.backMu.Unlock()
	delete(s.bySeq, e.Sequence)
	s.moved.Broadcast()
}

// putBack keeps the delivery for the end: giving it back now would put it
// behind what is given back later, whatever their order in the stream.
func (s *streamSubscription) putBack(e *entry) {
	s.backMu.Lock()
	defer s.backMu.Unlock()
	s.back = append(s.back, e)
}

// giveBack returns what was not started, in the stream's order, to the group's
// other members. The last one leaves a note for the next, and before that waits
// until the broker has taken note of every acknowledgement: it does so behind
// the connection's back, and a server that is stopped right away would forget
// them.
func (s *streamSubscription) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	back, left := s.unhandled()
	if own := s.consumer.CachedInfo(); !s.owner.opts.Sole && s.owner.alive(ctx, own.Stream, own.Name) {
		s.nakAll(back)
		return
	}
	info := s.settled(ctx, len(left))
	if info == nil {
		return
	}
	if done := s.before.and(s.seen, left); info.NumAckPending > 0 || done.upto > s.seen {
		s.owner.leave(ctx, info, done)
	}
}

// unhandled returns what was not started, and the sequences of all that was not
// handled: those, and what handlers did not finish in time.
func (s *streamSubscription) unhandled() (back []*entry, left []uint64) {
	s.backMu.Lock()
	defer s.backMu.Unlock()
	slices.SortFunc(s.back, func(a, b *entry) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return slices.Clone(s.back), slices.Sorted(maps.Keys(s.bySeq))
}

func (s *streamSubscription) nakAll(back []*entry) {
	for _, e := range back {
		if err := e.raw.(jetstream.Msg).Nak(); err != nil {
			s.owner.opts.Logger.Warn("message was not given back; it comes again later", "subject", e.Subject, "err", err)
		}
	}
}

// settled polls the broker until nothing is pending but what is left and what
// was on its way here when the subscription ended. It returns nil when that
// cannot be found out, or is not so, because another member left things behind.
func (s *streamSubscription) settled(ctx context.Context, left int) *jetstream.ConsumerInfo {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		info, err := s.consumer.Info(ctx)
		if err != nil {
			return nil // the broker is gone, and with it what could be asked
		}
		underWay := int(info.Delivered.Stream - min(s.seen, info.Delivered.Stream))
		if info.NumAckPending == left+underWay {
			return info
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *streamSubscription) forget() {
	s.owner.mu.Lock()
	defer s.owner.mu.Unlock()
	delete(s.owner.open, s)
}
