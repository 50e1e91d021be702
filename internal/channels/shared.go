package channels

import (
	"context"
	"errors"
)

// Shared is what nodes that share a log know of each other's sending. It is safe for
// concurrent use, and remembers for a week.
type Shared interface {
	// Claim reports whether the key is the owner's, who may have claimed it before.
	Claim(ctx context.Context, key, owner string) (bool, error)
	// Keep keeps a value that Find finds; empty: there is none.
	Keep(ctx context.Context, key, value string) error
	Find(ctx context.Context, key string) (value string, err error)
}

// errClaimed says that another node was about to send a message.
var errClaimed = errors.New("another node has begun to send it")

// claimed makes sure that no other node has begun to send what must not be sent twice.
// Where one has, the message is parked once: who retries it then has decided.
func (v *Channels) claimed(ctx context.Context, a Adapter, key string) error {
	if v.Shared == nil || a.Carrier.Idempotent() {
		return nil
	}
	asked := "claimed " + key
	decided, err := v.In.Link(asked)
	if err != nil || decided != "" {
		return err
	}
	mine, err := v.Shared.Claim(ctx, "send "+key, v.Owner)
	if err != nil || mine {
		return err
	}
	if err := v.in.Put(map[string]string{asked: "by another"}); err != nil {
		return err
	}
	return unknown(errClaimed)
}

// keep lets every node find what a gateway calls a message.
func (v *Channels) keep(ctx context.Context, key, reference string) error {
	if v.Shared == nil {
		return nil
	}
	return v.Shared.Keep(ctx, key, reference)
}

// find finds what a gateway calls a message, here or at another node.
func (v *Channels) find(ctx context.Context, key string) (string, error) {
	value, err := v.In.Link(key)
	if err != nil || value != "" || v.Shared == nil {
		return value, err
	}
	return v.Shared.Find(ctx, key)
}
