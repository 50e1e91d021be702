package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// BucketCheckpoints is the key-value bucket of checkpoints that live on the
// broker.
const BucketCheckpoints = "PARLEY_CHECKPOINTS"

const keyEvents = "events"

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
	_, err = c.js.Publish(ctx, "$KV."+BucketCheckpoints+"."+keyEvents, data)
	return err
}
