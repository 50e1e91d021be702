package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// commandsStream makes the stream of durable commands, or brings it up to date, and says how
// commands without an id are named.
func (b *Bus) commandsStream(ctx context.Context) (jetstream.Stream, naming, error) {
	commands := commandsConfig(b.nc.MaxPayload(), b.opts.MaxStreamBytes)
	if b.opts.Share != nil {
		commands.SubjectTransform = b.partitions().Transform(SubjectSend)
	}
	stream, names, err := provisionCommands(ctx, b.js, b.letters, commands)
	commands.Metadata = names.metadata()
	b.provisioned(stream, &commands, err)
	return stream, names, err
}

// deletionTakes is how long a server may need to clear a deleted stream's files away. It
// answers that there is no such stream before that; one that is made meanwhile finds
// messages of the former, and then loses its own files.
const deletionTakes = 2 * time.Second

// remake makes a stream that somebody else has just deleted.
func (b *Bus) remake(ctx context.Context, name string, create func(context.Context) (jetstream.Stream, error)) error {
	wait := time.NewTimer(deletionTakes)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := b.js.Stream(ctx, name); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err // somebody was faster
	}
	stream, err := create(ctx)
	if err != nil || stream.CachedInfo().State.Msgs == 0 || b.opts.Share != nil { // other nodes may have sent something
		return err
	}
	return errors.Join(fmt.Errorf("stream %s has messages of its former self", name), b.js.DeleteStream(ctx, name))
}

// renew is called when the durable door lost its consumer, which the subscriber makes
// anew; the stream is made anew here, if it was deleted as well. Either is told.
func (b *Bus) renew(ctx context.Context, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.provisionTimeout)
	defer cancel()
	b.replacing.Lock()
	defer b.replacing.Unlock()
	stream, err := b.js.Stream(ctx, StreamCommands)
	lost := pubsub.LostConsumer
	if was := b.streamMade(StreamCommands); err == nil && !stream.CachedInfo().Created.Equal(was.created) {
		lost, was.created = pubsub.LostStream, stream.CachedInfo().Created
		b.noteMade(was)
	} else if errors.Is(err, jetstream.ErrStreamNotFound) {
		lost, err = pubsub.LostStream, b.remake(ctx, StreamCommands, func(ctx context.Context) (jetstream.Stream, error) { return b.makeStream(ctx, StreamCommands) })
	}
	if err != nil {
		return err
	}
	b.metrics.lost(lost, 1)
	if lost == pubsub.LostStream {
		b.log.Error("the stream of durable commands was deleted by somebody else and is made anew: what was acknowledged and not done is lost", "stream", StreamCommands)
		return nil
	}
	b.log.Warn("the consumer of the durable commands was deleted by somebody else and is made anew; nothing is lost, nothing is done twice", "stream", StreamCommands)
	return nil
}

// missed tells of durable commands that somebody else removed.
func (b *Bus) missed(commands uint64) {
	b.metrics.lost(pubsub.LostMessages, commands)
	b.log.Error("durable commands were removed from their stream by somebody else: they were acknowledged and are not done", "stream", StreamCommands, "commands", commands)
}

// keepLetters makes the stream of dead letters anew if somebody else deleted it.
func (b *Bus) keepLetters(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.provisionTimeout)
	defer cancel()
	_, err := b.js.Stream(ctx, StreamDead)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	parked := b.parked.forget() // before there can be letters with the same sequences
	if err := b.remake(ctx, StreamDead, func(ctx context.Context) (jetstream.Stream, error) { return b.makeStream(ctx, StreamDead) }); err != nil {
		return err
	}
	b.metrics.lost(pubsub.LostStream, 1)
	b.log.Error("the stream of dead letters was deleted by somebody else and is made anew: the letters are lost", "stream", StreamDead, "parked_aggregates", parked)
	return nil
}

// lastSweep leaves no handled command behind on a broker that goes on without this
// process: should the consumer be deleted until the next start, nobody would know that it
// was handled.
func (b *Bus) lastSweep(ctx context.Context) {
	if b.opts.Share == nil || b.nc.IsClosed() {
		return
	}
	if err := b.forgetHandled(ctx); err != nil {
		b.log.Warn("handled commands were not purged; the next start does it", "err", err)
	}
}

// tidy is one round of the sweeper.
func (b *Bus) tidy(ctx context.Context) error {
	if err := b.keepLetters(ctx); err != nil {
		return fmt.Errorf("look at %s: %w", StreamDead, err)
	}
	if err := b.keepSettings(ctx); err != nil {
		return err
	}
	if b.streamMade(StreamCommands).fixed != nil {
		return nil //nolint:nilerr // nothing can be purged
	}
	return b.forgetHandled(ctx)
}
