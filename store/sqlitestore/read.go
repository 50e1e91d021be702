package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// A chunk is what is read with one loan of a connection: this many events or
// bytes, or this many rows looked at when a filter drops most of them.
const (
	firstChunk  = 4 // events of a stream, of which many want the last one only
	chunkEvents = 512
	chunkBytes  = 1 << 20
	chunkRows   = 16 << 10
)

// chunk is the events of one loan.
type chunk struct {
	events []events.Recorded
	bytes  int
}

// lists lends the lists of chunks: followers read a few events at a time, all the time.
var lists = sync.Pool{New: func() any { return new([]events.Recorded) }}

func (c *chunk) full() bool { return len(c.events) >= chunkEvents || c.bytes >= chunkBytes }

// add reads the current row into the chunk.
func (c *chunk) add(s *scanner, stmt *sqlite.Stmt, encoded bool) error {
	c.events = append(c.events, events.Recorded{})
	e := &c.events[len(c.events)-1]
	err := s.event(stmt, e, encoded)
	c.bytes += len(e.Data) + 512
	return err
}

// inChunks yields the events that read puts into the chunk, until read says
// that there is no more. No connection is held while the consumer works.
func inChunks(ctx context.Context, p *pool, read func(*reader, *chunk) (more bool, err error)) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		list := lists.Get().(*[]events.Recorded)
		defer lists.Put(list)
		for more := true; more; {
			c := chunk{events: (*list)[:0]}
			err := p.with(ctx, func(r *reader) (err error) {
				more, err = read(r, &c)
				return err
			})
			if err != nil {
				yield(events.Recorded{}, err)
				return
			}
			*list = c.events
			done := !yieldAll(ctx, c.events, yield)
			clear(c.events)
			if done {
				return
			}
		}
	}
}

func yieldAll(ctx context.Context, list []events.Recorded, yield func(events.Recorded, error) bool) bool {
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			yield(events.Recorded{}, err)
			return false
		}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// ReadAll implements store.LogReader.
func (s *Store) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		readAll(ctx, s.pool, after.Commit, s.head.Load(), filter)(yield)
	}
}

// readAll yields what the filter selects behind after, up to head.
func readAll(ctx context.Context, p *pool, after, head uint64, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return inChunks(ctx, p, func(r *reader, c *chunk) (bool, error) {
		if after >= head {
			return false, nil
		}
		upto, err := r.scanLog(c, after, head, filter)
		after = upto
		return upto < head, err
	})
}

// scanLog fills the chunk and returns how far it has looked.
func (r *reader) scanLog(c *chunk, after, head uint64, filter store.Filter) (uint64, error) {
	stmt, err := r.Prepare(`SELECT ` + columns + ` FROM events WHERE position > ? AND position <= ? ORDER BY position`)
	if err != nil {
		return after, err
	}
	stmt.BindInt64(1, int64(after))
	stmt.BindInt64(2, int64(head))
	for rows := 0; rows < chunkRows && !c.full(); rows++ {
		found, err := stmt.Step()
		if err != nil || !found {
			return head, errors.Join(err, stmt.Reset())
		}
		after = uint64(stmt.ColumnInt64(0))
		if !r.selected(stmt, filter) {
			continue
		}
		if err := c.add(r.scanner, stmt, filter.EncodedMetadata); err != nil {
			return after, errors.Join(err, stmt.Reset())
		}
	}
	return after, stmt.Reset()
}

// ReadFrom implements store.LogReader.
func (s *Store) ReadFrom(ctx context.Context, from events.Position, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		readFrom(ctx, s.pool, from, s.head.Load(), direction, filter)(yield)
	}
}

// readFrom yields what the filter selects from the event at a position on.
func readFrom(ctx context.Context, p *pool, from events.Position, head uint64, direction store.Direction, filter store.Filter) iter.Seq2[events.Recorded, error] {
	begun, next := from.IsZero(), from.Commit // of a read downwards: what is next; upwards: what is behind it
	if direction == store.Forwards && !from.IsZero() {
		next--
	}
	return inChunks(ctx, p, func(r *reader, c *chunk) (more bool, err error) {
		if !begun {
			if err := r.has(from, head); err != nil {
				return false, err
			}
			begun = true
		}
		if direction == store.Backwards {
			next, err = r.scanDown(c, next, filter)
			return next > 0, err
		}
		if next >= head {
			return false, nil
		}
		next, err = r.scanLog(c, next, head, filter)
		return next < head, err
	})
}

// has refuses a position that is no event's.
func (r *reader) has(at events.Position, head uint64) error {
	if at != events.At(at.Commit) || at.Commit > head {
		return fmt.Errorf("position %s: %w", at, store.ErrNoEvent)
	}
	stmt, err := r.Prepare(`SELECT 1 FROM events WHERE position = ?`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(at.Commit))
	found, err := stmt.Step()
	if err == nil && !found {
		err = fmt.Errorf("position %s: %w", at, store.ErrNoEvent)
	}
	return errors.Join(err, stmt.Reset())
}

// scanDown fills the chunk with events at a position and before it, the last first,
// and returns the next position to look at, 0 when there is none.
func (r *reader) scanDown(c *chunk, from uint64, filter store.Filter) (next uint64, err error) {
	stmt, err := r.Prepare(`SELECT ` + columns + ` FROM events WHERE position <= ? ORDER BY position DESC`)
	if err != nil {
		return from, err
	}
	stmt.BindInt64(1, int64(from))
	for rows := 0; rows < chunkRows && !c.full(); rows++ {
		found, err := stmt.Step()
		if err != nil || !found {
			return 0, errors.Join(err, stmt.Reset())
		}
		from = uint64(stmt.ColumnInt64(0)) - 1
		if !r.selected(stmt, filter) {
			continue
		}
		if err := c.add(r.scanner, stmt, filter.EncodedMetadata); err != nil {
			return from, errors.Join(err, stmt.Reset())
		}
	}
	return from, stmt.Reset()
}

// ReadStream implements store.StreamReader.
func (s *Store) ReadStream(ctx context.Context, stream string, from store.Revision, direction store.Direction) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		// The head comes first: what is behind it is cut off the tail.
		head := s.head.Load()
		var place *cursor
		if direction == store.Backwards {
			place = newCursor(stream, from, direction, head, run{})
			place.newest = func(upto store.Revision, n int) run { return s.tails.newest(stream, upto, n) }
		} else {
			place = newCursor(stream, from, direction, head, s.tails.unindexed(stream, from))
		}
		inChunks(ctx, s.pool, place.read)(yield)
	}
}

// read fills the chunk with the next events of the stream, in one snapshot.
func (c *cursor) read(r *reader, into *chunk) (more bool, err error) {
	if err := exec(r.Conn, "BEGIN"); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, exec(r.Conn, "END")) }()
	chunk := c.nextChunk()
	positions, err := c.positions(r.Conn, chunk)
	if err != nil {
		return false, err
	}
	read, err := r.fetch(into, positions)
	c.unread(len(positions) - read)
	return read < len(positions) || len(positions) == chunk, err
}

// unread steps back over positions that were not used.
func (c *cursor) unread(n int) {
	if c.direction == store.Backwards {
		if c.next += store.Revision(n); n > 0 && c.newest != nil {
			c.tail = run{} // they may be of one before it
		}
	} else {
		c.next -= store.Revision(n)
	}
}

// fetch reads the events at the positions until the chunk is full, and returns
// how many.
func (r *reader) fetch(into *chunk, positions []uint64) (int, error) {
	stmt, err := r.Prepare(`SELECT ` + columns + ` FROM events WHERE position = ?`)
	if err != nil {
		return 0, err
	}
	for i, position := range positions {
		if into.full() {
			return i, nil
		}
		if err := r.eventAt(stmt, position, into); err != nil {
			return i, err
		}
	}
	return len(positions), nil
}

func (r *reader) eventAt(stmt *sqlite.Stmt, position uint64, into *chunk) error {
	stmt.BindInt64(1, int64(position))
	found, err := stmt.Step()
	switch {
	case err != nil:
		return err
	case !found:
		err = missing(position)
	default:
		err = into.add(r.scanner, stmt, false)
	}
	return errors.Join(err, stmt.Reset())
}
