package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Sightings are how far the marks on the broker say that the log was seen: by who publishes
// its events, and by what nodes do one at a time.
func Sightings(ctx context.Context, conn *nats.Conn) (seen []store.Sighting, err error) {
	err = eachMark(ctx, conn, func(_ jetstream.KeyValue, key string, m Mark, _ bool) error {
		seen = append(seen, store.Sighting{By: BucketCheckpoints + "/" + key, Position: m.Position})
		return nil
	})
	return seen, err
}

// SetBack moves the marks that are behind the end of the log to it. It is for a log that
// lost its end, before anything is appended to it: what comes next would not be published
// otherwise. Nobody else may follow the log meanwhile.
func SetBack(ctx context.Context, conn *nats.Conn, end events.Position) error {
	return eachMark(ctx, conn, func(bucket jetstream.KeyValue, key string, m Mark, plain bool) error {
		if m.Position.Compare(end) <= 0 {
			return nil
		}
		m.Position = end
		value, err := json.Marshal(m)
		if plain {
			value = []byte(end.String())
		}
		if err == nil {
			_, err = bucket.Put(ctx, key, value)
		}
		return err
	})
}

// eachMark calls do for every mark; plain ones are a position and nothing else.
func eachMark(ctx context.Context, conn *nats.Conn, do func(bucket jetstream.KeyValue, key string, m Mark, plain bool) error) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("marks: %w", err)
	}
	bucket, err := (&bucketCheckpoint{js}).bucket(ctx)
	if err != nil {
		return fmt.Errorf("marks: %w", err)
	}
	keys, err := bucket.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("marks: %w", err)
	}
	for _, key := range keys {
		if err := oneMark(ctx, bucket, key, do); err != nil {
			return fmt.Errorf("mark %s: %w", key, err)
		}
	}
	return nil
}

func oneMark(ctx context.Context, bucket jetstream.KeyValue, key string, do func(jetstream.KeyValue, string, Mark, bool) error) error {
	plain := strings.HasPrefix(key, "position.")
	if !plain && key != keyEvents {
		return nil // not ours
	}
	entry, err := bucket.Get(ctx, key)
	if err != nil {
		return err
	}
	var m Mark
	if plain {
		m.Position, err = events.ParsePosition(string(entry.Value()))
	} else {
		err = json.Unmarshal(entry.Value(), &m)
	}
	if err != nil {
		return err
	}
	return do(bucket, key, m, plain)
}
