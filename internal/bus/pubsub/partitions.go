package pubsub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Partitions are what several processes divide a stream by. The server puts each
// message into one of them, by the token at the first wildcard of its subject: all
// messages of a key are in the same one.
type Partitions struct {
	Count int // the same for all processes, for ever
	// Share runs do for this process's part of the partitions' names, one process
	// for each at a time (lease.Leases.Share).
	Share func(ctx context.Context, names []string, do func(ctx context.Context, name string) error) error
	// Taken, if not nil, is called before a partition is read.
	Taken func(ctx context.Context) error
}

// Transform makes a stream of the topic ("commands.>") put what is published to
// commands.<key> under commands.<partition>.<key>.
func (p Partitions) Transform(topic string) *jetstream.SubjectTransformConfig {
	prefix := strings.TrimSuffix(topic, ">")
	return &jetstream.SubjectTransformConfig{
		Source:      prefix + "*",
		Destination: fmt.Sprintf("%s{{partition(%d,1)}}.{{wildcard(1)}}", prefix, p.Count),
	}
}

// Topics are the subjects of the partitions, in order.
func (p Partitions) Topics(topic string) []string {
	topics := make([]string, p.Count)
	for i := range topics {
		topics[i] = strings.TrimSuffix(topic, ">") + strconv.Itoa(i) + ".*"
	}
	return topics
}

// PartitionedSubscriber reads this process's part of a partitioned stream. It is
// safe for concurrent use.
type PartitionedSubscriber struct {
	nc         *nats.Conn
	options    StreamOptions
	partitions Partitions

	mu     sync.Mutex
	closed bool
	cancel []context.CancelFunc
	open   sync.WaitGroup
	knew   map[string]*memory // by topic, of those whose consumer was deleted
}

// NewPartitionedSubscriber returns a subscriber on a connection, which stays the
// caller's. Of the options, Sole is implied and MaxPending is for each partition.
func NewPartitionedSubscriber(nc *nats.Conn, o *StreamOptions, p Partitions) *PartitionedSubscriber {
	opts := o.withDefaults()
	opts.Sole = true
	return &PartitionedSubscriber{nc: nc, options: opts, partitions: p, knew: map[string]*memory{}}
}

// Subscribe delivers the messages of the partitions this process has, which come
// and go. The channel is closed after Close, after ctx ended, or when a partition
// cannot be read; all of them wait for what was handed out.
func (s *PartitionedSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	s.cancel = append(s.cancel, cancel)
	out := make(chan *message.Message)
	s.open.Go(func() {
		defer close(out)
		defer cancel()
		var names []string
		topics := map[string]string{} // by name
		for _, t := range s.partitions.Topics(topic) {
			name := DurableName(s.options.Group, t)
			names, topics[name] = append(names, name), t
		}
		err := s.partitions.Share(ctx, names, func(ctx context.Context, name string) error {
			return s.read(ctx, topics[name], out)
		})
		if err != nil {
			s.options.Logger.Error("partitions are no longer read", "subject", topic, "err", err)
		}
	})
	return out, nil
}

// read delivers one partition until ctx ends. A partition that cannot be opened, or
// whose consumer is deleted, is given up, so that this process or another tries again.
func (s *PartitionedSubscriber) read(ctx context.Context, topic string, out chan *message.Message) error {
	options := s.options
	options.out, options.last = out, s.recollect(topic)
	subscriber, err := NewStreamSubscriber(s.nc, &options)
	if err != nil {
		return err
	}
	if s.partitions.Taken != nil {
		err = s.partitions.Taken(ctx)
	}
	var partition *streamSubscription
	if err == nil {
		partition, err = subscriber.subscribe(context.WithoutCancel(ctx), topic)
	}
	if err == nil {
		select {
		case <-ctx.Done():
			return subscriber.Close()
		case <-partition.done:
			s.remember(topic, partition.memory())
			err = errors.New("its consumer ended")
		}
	}
	if ctx.Err() == nil {
		s.options.Logger.Warn("partition is not read for now", "subject", topic, "err", err)
	}
	return nil
}

// remember keeps what was known of a partition, for when this process reads it again.
func (s *PartitionedSubscriber) remember(topic string, m *memory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knew[topic] = m
}

// recollect returns it once: somebody else may go on from there.
func (s *PartitionedSubscriber) recollect(topic string) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.knew[topic]
	delete(s.knew, topic)
	return m
}

// Close gives all partitions back, waits for what was handed out and closes the
// channels. It may be called more than once.
func (s *PartitionedSubscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, cancel := range s.cancel {
		cancel()
	}
	s.mu.Unlock()
	s.open.Wait()
	return nil
}
