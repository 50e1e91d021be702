package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// BucketChannels is the key-value bucket of what nodes know of each other's sending.
const BucketChannels = "PARLEY_CHANNELS"

// sharedLife is how long it is remembered.
const sharedLife = 7 * 24 * time.Hour

// Shared is what processes on one broker know in common: who claimed a key, and what was
// kept under one. It is safe for concurrent use. Keys may be any text.
type Shared struct{ bucket jetstream.KeyValue }

// OpenShared opens the bucket, or makes it.
func OpenShared(ctx context.Context, conn *nats.Conn) (*Shared, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", BucketChannels, err)
	}
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: BucketChannels, Description: "messages on their way to people outside", History: 1, TTL: sharedLife,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", BucketChannels, err)
	}
	return &Shared{bucket}, nil
}

// sharedKey is a key as the bucket takes it.
func sharedKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Claim reports whether the key is the owner's, who may have claimed it before.
func (s *Shared) Claim(ctx context.Context, key, owner string) (bool, error) {
	_, err := s.bucket.Create(ctx, sharedKey(key), []byte(owner))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return false, err
	}
	holder, err := s.Find(ctx, key)
	return holder == owner, err
}

// Keep keeps a value that Find finds.
func (s *Shared) Keep(ctx context.Context, key, value string) error {
	_, err := s.bucket.Put(ctx, sharedKey(key), []byte(value))
	return err
}

// Find returns what was kept under a key, or who claimed it; empty: nothing, or too long
// ago.
func (s *Shared) Find(ctx context.Context, key string) (string, error) {
	entry, err := s.bucket.Get(ctx, sharedKey(key))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return string(entry.Value()), nil
}
