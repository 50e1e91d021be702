package esdbstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// markSize is the length of a mark: 64 bits as hex digits.
const markSize = 16

// newMark tells the events of one append call from those of another with the same
// ids. It goes into their metadata and is no part of what readers get.
func newMark() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// marked is the batch with a mark.
func marked(batch []events.Proposed, mark string) []events.Proposed {
	out := slices.Clone(batch)
	for i := range out {
		out[i].Metadata.Append = mark
	}
	return out
}

// markPatience is how long an append waits for its event to come by on the
// subscription before it asks for it.
const markPatience = 100 * time.Millisecond

// markOf returns the mark of a batch that is in the log.
func (s *Store) markOf(ctx context.Context, stream string, at store.Appended, sight *sight) (string, error) {
	if m, seen := s.news.seen(ctx, sight, at.Position, markPatience); seen {
		return m, nil
	}
	ctx, unbind := s.bound(ctx)
	defer unbind()
	var found string
	err := s.again(ctx, func(used *link) error {
		r, err := s.open(ctx, used, streamQuery(s.options.Prefix+stream, at.Revision, store.Forwards, 1))
		if err != nil {
			return err
		}
		defer r.close()
		m, err := r.next()
		if errors.Is(err, errDone) {
			return errors.New("an event that was just written is not there")
		}
		if err == nil {
			found = m.mark
		}
		return err
	})
	return found, err
}
