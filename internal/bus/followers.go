package bus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/bus/access"
)

// Followers keeps, in the event stream, one consumer for each token that reads events:
// its holder cannot make one, because whoever makes a consumer chooses where it
// delivers. A Followers is for one goroutine.
type Followers struct{ js jetstream.JetStream }

// NewFollowers returns one on a connection, which stays the caller's.
func NewFollowers(nc *nats.Conn) (*Followers, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open followers: %w", err)
	}
	return &Followers{js: js}, nil
}

// ofToken are the names of the consumers that are ours to delete.
var ofToken = regexp.MustCompile(`^bt[0-9a-f]{16}$`)

// Settle makes the consumers that are missing, which then deliver from the stream's
// first event on, and deletes those of tokens that are no longer valid. It returns how
// many it made. Without a stream there is nothing to settle yet.
func (f *Followers) Settle(ctx context.Context, tokens []access.Token) (made int, err error) {
	stream, err := f.js.Stream(ctx, StreamEvents)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("consumers of bus tokens: %w", err)
	}
	there := map[string]bool{}
	names := stream.ConsumerNames(ctx)
	for name := range names.Name() {
		there[name] = true
	}
	if err := names.Err(); err != nil {
		return 0, fmt.Errorf("consumers of bus tokens: %w", err)
	}
	for i := range tokens {
		t := &tokens[i]
		if !t.Valid() || !t.Has(access.Events) {
			continue
		}
		if !there[t.Consumer()] {
			if _, err := stream.CreateConsumer(ctx, followerConfig(t)); err != nil {
				return made, fmt.Errorf("consumer of bus token %s: %w", t.ID, err)
			}
			made++
		}
		delete(there, t.Consumer())
	}
	return made, f.remove(ctx, stream, there)
}

func (f *Followers) remove(ctx context.Context, stream jetstream.Stream, names map[string]bool) error {
	for name := range names {
		if !ofToken.MatchString(name) {
			continue
		}
		if err := stream.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("consumer of bus token %s: %w", name, err)
		}
	}
	return nil
}

func followerConfig(t *access.Token) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: t.Consumer(), Description: "events of " + t.Account + " for a bus token", FilterSubject: t.EventFilter(),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: 1000, MaxDeliver: -1,
	}
}
