package bus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// The settings of our streams are on the broker, where others may change them. Most are
// changed back. Some the broker lets nobody change back: such a stream takes nothing more
// and is made anew as soon as nothing is left in it.

// errFixed says that a stream has a setting that cannot be changed back.
var errFixed = errors.New("the broker does not change back what somebody else has set")

// codeInvalidConfig is what the broker answers to an update that is not possible.
const codeInvalidConfig = 10052

// provision creates the stream, or brings it up to date with the settings. More replicas
// than are asked for are kept. With errFixed comes the stream as it is.
func provision(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig) (jetstream.Stream, error) {
	old, err := js.Stream(ctx, c.Name)
	if err == nil {
		c.Replicas = max(c.Replicas, old.CachedInfo().Config.Replicas)
	}
	there := err == nil
	stream, err := js.CreateOrUpdateStream(ctx, c)
	if refused := new(jetstream.APIError); there && errors.As(err, &refused) && refused.ErrorCode == codeInvalidConfig {
		return old, fmt.Errorf("stream %s: %w: %w", c.Name, errFixed, err)
	}
	if err != nil {
		return nil, fmt.Errorf("create stream %s: %w", c.Name, err)
	}
	return stream, nil
}

// drifted names the settings that matter in which a stream is not as it was made.
func drifted(is, made *jetstream.StreamConfig) (names []string) {
	for name, same := range map[string]bool{
		"sealed":                  is.Sealed == made.Sealed,
		"deny_delete":             is.DenyDelete == made.DenyDelete,
		"deny_purge":              is.DenyPurge == made.DenyPurge,
		"storage":                 is.Storage == made.Storage,
		"subjects":                slices.Equal(is.Subjects, made.Subjects),
		"subject_transform":       reflect.DeepEqual(is.SubjectTransform, made.SubjectTransform),
		"sources":                 len(is.Sources) == len(made.Sources),
		"retention":               is.Retention == made.Retention,
		"discard":                 is.Discard == made.Discard,
		"discard_new_per_subject": is.DiscardNewPerSubject == made.DiscardNewPerSubject,
		"no_ack":                  is.NoAck == made.NoAck,
		"max_msgs":                is.MaxMsgs == made.MaxMsgs,
		"max_msgs_per_subject":    is.MaxMsgsPerSubject == made.MaxMsgsPerSubject,
		"max_bytes":               is.MaxBytes == made.MaxBytes,
		"max_age":                 is.MaxAge == made.MaxAge,
		"max_msg_size":            is.MaxMsgSize == made.MaxMsgSize,
		"max_consumers":           is.MaxConsumers == made.MaxConsumers,
		"duplicate_window":        is.Duplicates == made.Duplicates,
		"num_replicas":            is.Replicas >= made.Replicas,
		"metadata":                is.Metadata[metaDated] == made.Metadata[metaDated],
	} {
		if !same {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// made is a stream as it is to be.
type made struct {
	config  jetstream.StreamConfig
	created time.Time // the stream with this name was, when we last made it or found it
	fixed   error     // why it is not as it is to be; nil: it is
}

func (b *Bus) noteMade(m made) {
	b.streamsMu.Lock()
	defer b.streamsMu.Unlock()
	b.streams[m.config.Name] = m
}

// noteFixed leaves the rest as it is: the stream may have been made anew meanwhile.
func (b *Bus) noteFixed(name string, err error) {
	b.streamsMu.Lock()
	defer b.streamsMu.Unlock()
	m := b.streams[name]
	m.fixed = err
	b.streams[name] = m
}

// provisioned notes what came of making a stream: it is as it was made, or to be as it was
// wanted once it is rid of what cannot be changed back.
func (b *Bus) provisioned(stream jetstream.Stream, wanted *jetstream.StreamConfig, err error) {
	switch {
	case err == nil:
		b.noteMade(made{config: stream.CachedInfo().Config, created: stream.CachedInfo().Created})
	case errors.Is(err, errFixed):
		b.noteMade(made{config: *wanted, created: stream.CachedInfo().Created, fixed: err})
	}
}

func (b *Bus) streamMade(name string) made {
	b.streamsMu.Lock()
	defer b.streamsMu.Unlock()
	return b.streams[name]
}

// Problem says which stream somebody else has made unfit for use, and what is done about
// it or the way out; empty: none.
func (b *Bus) Problem() string {
	var problems []string
	if m := b.streamMade(StreamCommands); m.fixed != nil {
		problems = append(problems, m.fixed.Error()+"; it takes no commands, and is made anew when those in it are done")
	}
	if m := b.streamMade(StreamDead); m.fixed != nil {
		problems = append(problems, m.fixed.Error()+"; "+lettersWayOut)
	}
	return strings.Join(problems, "; ")
}

const lettersWayOut = "save its letters (parley dlq list, parley dlq show) and delete the stream on the broker: it is made anew then"

// keepSettings looks whether somebody else changed a stream's settings.
func (b *Bus) keepSettings(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.opts.provisionTimeout)
	defer cancel()
	for _, name := range []string{StreamCommands, StreamDead} {
		stream, err := b.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue // it is made anew
		}
		if err == nil {
			err = b.changeBack(ctx, stream, b.streamMade(name))
		}
		if err != nil {
			return fmt.Errorf("look at the settings of %s: %w", name, err)
		}
	}
	return nil
}

func (b *Bus) changeBack(ctx context.Context, stream jetstream.Stream, m made) error {
	names := drifted(&stream.CachedInfo().Config, &m.config)
	if len(names) == 0 {
		b.noteFixed(m.config.Name, nil)
		return nil
	}
	known := m.fixed != nil
	_, err := provision(ctx, b.js, m.config)
	if errors.Is(err, errFixed) {
		if !known {
			b.metrics.lost(pubsub.LostSettings, 1)
		}
		b.noteFixed(m.config.Name, err)
		b.log.Error("a stream was made unfit for use by somebody else", "stream", m.config.Name, "settings", names, "err", b.Problem())
		return b.replace(ctx, stream, m.config)
	}
	if err != nil {
		return err
	}
	b.noteFixed(m.config.Name, nil)
	b.metrics.lost(pubsub.LostSettings, 1)
	b.log.Error("a stream's settings were changed by somebody else and are changed back", "stream", m.config.Name, "settings", names)
	return nil
}

// replace makes a stream anew when nothing is left in it to be done. Before it is looked
// whether that is so, it is made to take nothing more.
func (b *Bus) replace(ctx context.Context, stream jetstream.Stream, c jetstream.StreamConfig) error {
	if c.Name == StreamDead && stream.CachedInfo().State.Msgs > 0 {
		return nil
	}
	if is := stream.CachedInfo().Config; !is.Sealed {
		is.Sealed = true
		if _, err := b.js.UpdateStream(ctx, is); err != nil {
			return err
		}
	}
	if empty, err := b.drained(ctx, stream); err != nil || !empty {
		return err
	}
	b.replacing.Lock()
	defer b.replacing.Unlock()
	if err := b.js.DeleteStream(ctx, c.Name); err != nil {
		return err
	}
	if err := b.remake(ctx, c.Name, func(ctx context.Context) (jetstream.Stream, error) { return b.makeStream(ctx, c.Name) }); err != nil {
		return err
	}
	b.log.Warn("a stream is made anew with its own settings; nothing is lost", "stream", c.Name)
	return nil
}

// makeStream makes one of the streams of commands.
func (b *Bus) makeStream(ctx context.Context, name string) (stream jetstream.Stream, err error) {
	if name == StreamCommands {
		stream, _, err = b.commandsStream(ctx) // how its commands are named does not change
		return stream, err
	}
	config := deadConfig()
	stream, err = provision(ctx, b.js, config)
	b.provisioned(stream, &config, err)
	return stream, err
}

// drained reports whether everything in a stream is done.
func (b *Bus) drained(ctx context.Context, stream jetstream.Stream) (bool, error) {
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return err == nil, err
	}
	if info.Config.Name == StreamDead {
		return false, nil
	}
	for _, topic := range b.topics() {
		consumer, err := stream.Consumer(ctx, pubsub.DurableName(b.opts.Group, topic))
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if left := consumer.CachedInfo(); left.NumPending > 0 || left.NumAckPending > 0 {
			return false, nil
		}
	}
	return true, nil
}
