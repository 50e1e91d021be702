package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/events"
)

// BucketCheckpoints is the key-value bucket of checkpoints that live on the
// broker.
const BucketCheckpoints = "PARLEY_CHECKPOINTS"

const keyEvents = "events"

// PositionMark is a position of the log that processes share, beside the event
// stream's. It is safe for concurrent use; the last one saved is the one loaded.
type PositionMark struct {
	bucket bucketCheckpoint
	key    string
}

// NewPositionMark returns the mark of a name, as in webhooks.
func NewPositionMark(conn *nats.Conn, name string) (*PositionMark, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("mark %s: %w", name, err)
	}
	return &PositionMark{bucketCheckpoint{js}, "position." + name}, nil
}

// Load returns the last position saved; zero: none was.
func (m *PositionMark) Load(ctx context.Context) (at events.Position, err error) {
	bucket, err := m.bucket.bucket(ctx)
	if err != nil {
		return at, err
	}
	entry, err := bucket.Get(ctx, m.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	return events.ParsePosition(string(entry.Value()))
}

// Save keeps the position.
func (m *PositionMark) Save(ctx context.Context, at events.Position) error {
	return m.bucket.put(ctx, m.key, []byte(at.String()))
}

// bucketCheckpoint keeps the mark beside the event stream, so that both are
// lost together or not at all.
type bucketCheckpoint struct{ js jetstream.JetStream }

func (c *bucketCheckpoint) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	return c.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: BucketCheckpoints, Description: "how far the log was published", History: 1,
	})
}

func (c *bucketCheckpoint) Load(ctx context.Context) (Mark, error) {
	bucket, err := c.bucket(ctx)
	if err != nil {
		return Mark{}, err
	}
	entry, err := bucket.Get(ctx, keyEvents)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, err
	}
	var m Mark
	if err := json.Unmarshal(entry.Value(), &m); err != nil {
		return Mark{}, fmt.Errorf("read mark: %w", err)
	}
	return m, nil
}

func (c *bucketCheckpoint) Save(ctx context.Context, m Mark) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return c.put(ctx, keyEvents, data)
}

// put writes a value, into another bucket if somebody deleted the last one.
func (c *bucketCheckpoint) put(ctx context.Context, key string, value []byte) error {
	subject := "$KV." + BucketCheckpoints + "." + key
	_, err := c.js.Publish(ctx, subject, value)
	if !errors.Is(err, jetstream.ErrNoStreamResponse) {
		return err
	}
	if _, err := c.bucket(ctx); err != nil {
		return err
	}
	_, err = c.js.Publish(ctx, subject, value)
	return err
}
