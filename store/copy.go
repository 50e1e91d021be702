package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-engine/parley/events"
)

// ErrNotEmpty says that a copy would go into a log that has events.
var ErrNotEmpty = errors.New("log to copy to is not empty")

// ErrDiffers says that a log is no beginning of the one it should be a copy of.
var ErrDiffers = errors.New("log to copy to has something else")

// CopyOptions are settings of a copy; the zero value works.
type CopyOptions struct {
	// Resume allows a log that has the beginning already: from a copy that was cut
	// short, or an earlier one of a log that has grown.
	Resume bool
	// Progress, if not nil, hears how many events have been looked at.
	Progress func(events int)
}

// Copied is what a copy did.
type Copied struct {
	Events int             `json:"events"` // in the log that was copied
	Copied int             `json:"copied"` // of them written now
	Head   events.Position `json:"head"`   // up to which it was copied
	Digest string          `json:"digest"` // of both, see Digest
}

// Copy writes what one log has to another, in its order and with the same streams,
// revisions, ids, metadata and payloads; positions and recorded times are those of
// the log it is written to. It copies up to the head it found. Cut short anywhere,
// it goes on with Resume. Nothing else may write to the target meanwhile.
//
// At the end the copy is read and compared; ErrDiffers says that it is not the
// same.
func Copy(ctx context.Context, from LogReader, to Log, o CopyOptions) (Copied, error) {
	c := &copier{to: to, options: o}
	if err := c.survey(ctx); err != nil {
		return Copied{}, err
	}
	if len(c.there) > 0 && !o.Resume {
		return Copied{}, ErrNotEmpty
	}
	for e, err := range from.ReadAll(ctx, events.Position{}, Filter{}) {
		if err == nil {
			err = c.take(ctx, e)
		}
		if err != nil {
			return c.done, err
		}
	}
	if err := c.flush(ctx); err != nil {
		return c.done, err
	}
	c.done.Digest = c.digest.String()
	return c.done, c.compare(ctx)
}

// copier writes runs of events of one stream as one batch.
type copier struct {
	to      Log
	options CopyOptions
	there   map[string]place // what the target had at the beginning
	done    Copied
	digest  Digest

	stream string
	first  uint64 // revision of the batch's first event
	batch  []events.Proposed
	bytes  int
}

// batchBytes bounds a batch well below what any backend takes.
const batchBytes = 512 << 10

// survey finds out what the target has.
func (c *copier) survey(ctx context.Context) error {
	c.there = map[string]place{}
	for e, err := range c.to.ReadAll(ctx, events.Position{}, Filter{}) {
		if err != nil {
			return err
		}
		c.there[e.Stream] = place{next: e.Revision + 1, last: e.ID}
		if !c.options.Resume {
			return nil
		}
	}
	return nil
}

func (c *copier) take(ctx context.Context, e events.Recorded) error {
	c.digest.Add(&e)
	c.done.Events, c.done.Head = c.done.Events+1, e.Position
	if c.options.Progress != nil {
		c.options.Progress(c.done.Events)
	}
	if at, known := c.there[e.Stream]; known && e.Revision < at.next {
		if e.Revision+1 == at.next && e.ID != at.last {
			return fmt.Errorf("stream %s revision %d: %w", e.Stream, e.Revision, ErrDiffers)
		}
		return nil
	}
	size := len(e.Data) + len(events.AppendMetadata(nil, e.Metadata))
	if e.Stream != c.stream || len(c.batch) == MaxBatch || c.bytes+size > batchBytes {
		if err := c.flush(ctx); err != nil {
			return err
		}
		c.stream, c.first = e.Stream, e.Revision
	}
	c.batch = append(c.batch, events.Proposed{ID: e.ID, Type: e.Type, Data: e.Data, Metadata: e.Metadata})
	c.bytes += size
	return nil
}

// flush writes the batch. A conflict means that the target has something else.
func (c *copier) flush(ctx context.Context) error {
	if len(c.batch) == 0 {
		return nil
	}
	_, err := c.to.Append(ctx, c.stream, Revision(c.first)-1, c.batch)
	if conflict := new(ConflictError); errors.As(err, &conflict) {
		return fmt.Errorf("%w: %w", ErrDiffers, err)
	}
	if err != nil {
		return fmt.Errorf("copy stream %s from revision %d: %w", c.stream, c.first, err)
	}
	c.done.Copied += len(c.batch)
	c.batch, c.bytes = c.batch[:0], 0
	return nil
}

// compare reads the copy.
func (c *copier) compare(ctx context.Context) error {
	var copied Digest
	n := 0
	for e, err := range c.to.ReadAll(ctx, events.Position{}, Filter{}) {
		if err != nil {
			return err
		}
		copied.Add(&e)
		n++
	}
	if copied.String() != c.done.Digest {
		return fmt.Errorf("%w: %d events with digest %s in place of %d with %s", ErrDiffers, n, copied.String(), c.done.Events, c.done.Digest)
	}
	return nil
}
