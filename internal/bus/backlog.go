package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// Backlog is what durable commands wait: acknowledged, and not done yet. Those that are
// under way count; dead letters do not.
type Backlog struct {
	Commands uint64
	Oldest   time.Time // when the oldest was stored; zero without any
}

// MeasureBacklog asks the broker, whoever reads from it. It needs nothing but a
// connection, so it works with and without a server. The zero Options' group is meant.
func MeasureBacklog(ctx context.Context, nc *nats.Conn) (Backlog, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return Backlog{}, fmt.Errorf("measure backlog: %w", err)
	}
	stream, err := js.Stream(ctx, StreamCommands)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Backlog{}, nil // no server was ever here
	}
	if err != nil {
		return Backlog{}, fmt.Errorf("measure backlog: %w", err)
	}
	readers, err := readersOf(ctx, stream)
	if err != nil {
		return Backlog{}, fmt.Errorf("measure backlog: %w", err)
	}
	var b Backlog
	for _, topic := range topicsOf(stream.CachedInfo().Config) {
		if err := b.add(ctx, stream, topic, readers[pubsub.DurableName(defaultGroup, topic)]); err != nil {
			return Backlog{}, fmt.Errorf("measure backlog: %w", err)
		}
	}
	return b, nil
}

// topicsOf are what durable commands are read by, as the stream says.
func topicsOf(c jetstream.StreamConfig) []string {
	if c.SubjectTransform == nil {
		return []string{SubjectSend}
	}
	return pubsub.Partitions{Count: commandPartitions}.Topics(SubjectSend)
}

func readersOf(ctx context.Context, stream jetstream.Stream) (map[string]*jetstream.ConsumerInfo, error) {
	readers := map[string]*jetstream.ConsumerInfo{}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		readers[info.Name] = info
	}
	return readers, list.Err()
}

// add counts what waits on a topic; nil: nobody has read it yet.
func (b *Backlog) add(ctx context.Context, stream jetstream.Stream, topic string, reader *jetstream.ConsumerInfo) error {
	waiting, floor := uint64(0), uint64(0)
	if reader != nil {
		waiting, floor = reader.NumPending+uint64(reader.NumAckPending), reader.AckFloor.Stream
	} else {
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(topic))
		if err != nil {
			return err
		}
		for _, n := range info.State.Subjects {
			waiting += n
		}
	}
	if waiting == 0 {
		return nil
	}
	first, err := stream.GetMsg(ctx, floor+1, jetstream.WithGetMsgSubject(topic))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // done meanwhile
	}
	if err != nil {
		return err
	}
	b.Commands += waiting
	if b.Oldest.IsZero() || first.Time.Before(b.Oldest) {
		b.Oldest = first.Time.UTC()
	}
	return nil
}
