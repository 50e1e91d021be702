package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus/pubsub"
)

// metaDated is the commands' stream's metadata for when commands without an id began
// to be named by the instant at which they were stored, and not by their sequence
// alone: those that were waiting then keep the name they may have been carried out by.
const metaDated = "parley-ids-dated-since"

// naming is how commands that came without an id are named.
type naming struct{ datedSince time.Time }

func (n naming) metadata() map[string]string {
	return map[string]string{metaDated: n.datedSince.Format(time.RFC3339Nano)}
}

// id gives a stored command the same id at every delivery, on every node: the name of
// its sequence and of the instant at which the stream stored it. A sequence alone would
// be used again by a stream that was made anew. A call is not delivered again, so any
// id will do.
func (n naming) id(d *pubsub.Delivery) (id events.ID) {
	switch {
	case d.Sequence > 0 && d.Time.Before(n.datedSince):
		return sequenceID(d.Sequence)
	case d.Sequence > 0:
		return events.NameID(fmt.Sprintf("parley.commands:%d@%d", d.Sequence, d.Time.UnixNano()))
	}
	_, _ = rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// sequenceID is how former versions named them.
func sequenceID(sequence uint64) events.ID {
	return events.NameID("parley.commands:" + strconv.FormatUint(sequence, 10))
}

// provisionCommands makes the commands' stream or brings it up to date, and says how
// what is in it is named. One that is made anew goes on behind the dead letters, whose
// order is that of their sequences.
func provisionCommands(ctx context.Context, js jetstream.JetStream, letters *DeadLetters, c jetstream.StreamConfig) (jetstream.Stream, naming, error) {
	var names naming
	known := map[string]string{}
	switch old, err := js.Stream(ctx, c.Name); {
	case err == nil:
		maps.Copy(known, old.CachedInfo().Config.Metadata)
		names.datedSince = old.CachedInfo().State.LastTime.UTC().Add(1)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, names, fmt.Errorf("look at stream %s: %w", c.Name, err)
	default:
		last, err := letters.lastOrigin(ctx)
		if err != nil {
			return nil, names, err
		}
		if last > 0 {
			c.FirstSeq = last + 1
		}
	}
	if text := known[metaDated]; text != "" {
		var err error
		if names.datedSince, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, names, fmt.Errorf("stream %s: metadata %s: %w", c.Name, metaDated, err)
		}
	}
	c.Metadata = names.metadata()
	stream, err := provision(ctx, js, c)
	return stream, names, err
}
