package sqlitestore

import (
	"errors"
	"fmt"
	"strconv"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/store"
)

// cursor walks the positions of one stream's events: those of the index and
// those that are only in memory, as if it were one list.
type cursor struct {
	stream    string
	next      store.Revision
	direction store.Direction
	head      uint64 // events behind this position do not exist for this read
	tail      run    // the index is asked only for what is before
	chunk     int    // how many places were read at a time last

	// newest returns, for a read backwards, at most n events in memory that end with a
	// revision; none when the index has it. Nil: tail is all that is in memory.
	newest func(upto store.Revision, n int) run
	wanted int // of newest, the next time
}

// nextChunk is how many places are read next: most want the first few, and the others
// many.
func (c *cursor) nextChunk() int {
	c.chunk = min(max(firstChunk, c.chunk*8), chunkEvents)
	return c.chunk
}

// refill takes what is in memory before the tail that was read. The index is asked when
// there is nothing: what memory has lost it has, for who looks later.
func (c *cursor) refill() bool {
	if c.newest == nil {
		return false
	}
	c.wanted = max(firstChunk, 2*c.wanted)
	r := c.newest(c.next, c.wanted)
	if len(r.positions) > 0 {
		c.tail = r
	}
	return len(r.positions) > 0
}

func newCursor(stream string, from store.Revision, direction store.Direction, head uint64, tail run) *cursor {
	if direction == store.Forwards {
		from = max(from, 0)
	}
	for n := len(tail.positions); n > 0 && tail.positions[n-1] > head; n-- {
		tail.positions = tail.positions[:n-1]
	}
	return &cursor{stream: stream, next: from, direction: direction, head: head, tail: tail}
}

// positions returns the next places, at most limit; none at the end.
func (c *cursor) positions(conn *sqlite.Conn, limit int) ([]uint64, error) {
	if c.direction == store.Backwards {
		return c.backwards(conn, limit)
	}
	return c.forwards(conn, limit)
}

func (c *cursor) forwards(conn *sqlite.Conn, limit int) ([]uint64, error) {
	var list []uint64
	if c.beforeTail(c.next) {
		err := c.scan(conn, rowsUpwards, func(r run) bool {
			for ; c.next >= r.first && c.next < r.end() && c.beforeTail(c.next) && len(list) < limit; c.next++ {
				position := r.positions[c.next-r.first]
				if position > c.head { // appended and indexed since the read began
					return false
				}
				list = append(list, position)
			}
			return c.next >= r.end() && c.beforeTail(c.next) && len(list) < limit
		})
		if err != nil {
			return nil, err
		}
	}
	if offset := c.next - c.tail.first; offset >= 0 && offset < store.Revision(len(c.tail.positions)) {
		rest := c.tail.positions[offset:]
		rest = rest[:min(len(rest), limit-len(list))]
		list = append(list, rest...)
		c.next += store.Revision(len(rest))
	}
	return list, nil
}

func (c *cursor) backwards(conn *sqlite.Conn, limit int) ([]uint64, error) {
	var list []uint64
	for more := true; more; more = c.refill() {
		if len(c.tail.positions) > 0 {
			for c.next = min(c.next, c.tail.end()-1); c.next >= c.tail.first && len(list) < limit; c.next-- {
				if position := c.tail.positions[c.next-c.tail.first]; position <= c.head {
					list = append(list, position)
				}
			}
		}
		if len(list) == limit || c.next < 0 {
			return list, nil
		}
	}
	err := c.scan(conn, rowsDownwards, func(r run) bool {
		for c.next = min(c.next, r.end()-1); c.next >= r.first && len(list) < limit; c.next-- {
			if position := r.positions[c.next-r.first]; position <= c.head {
				list = append(list, position)
			}
		}
		return len(list) < limit
	})
	return list, err
}

// beforeTail reports whether it is the index that knows a revision.
func (c *cursor) beforeTail(revision store.Revision) bool {
	return len(c.tail.positions) == 0 || revision < c.tail.first
}

const (
	rowsUpwards = `SELECT first_revision, positions FROM stream_index WHERE stream = ?1 AND first_revision >= ?2 - ?2 % 64
		ORDER BY first_revision`
	rowsDownwards = `SELECT first_revision, positions FROM stream_index WHERE stream = ?1 AND first_revision <= ?2
		ORDER BY first_revision DESC`
)

// scan hands the index rows from c.next on to take until it returns false.
func (c *cursor) scan(conn *sqlite.Conn, query string, take func(run) bool) error {
	stmt, err := conn.Prepare(query)
	if err != nil {
		return err
	}
	stmt.BindText(1, c.stream)
	stmt.BindInt64(2, int64(c.next))
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return errors.Join(err, stmt.Reset())
		}
		r, err := parseRun(stmt)
		if err != nil || !take(r) {
			return errors.Join(err, stmt.Reset())
		}
	}
}

func parseRun(stmt *sqlite.Stmt) (run, error) {
	text := stmt.ColumnText(1)
	positions, err := parsePositions(text)
	return run{first: store.Revision(stmt.ColumnInt64(0)), positions: positions}, err
}

// appendPositions writes a JSON array of whole numbers.
func appendPositions(b []byte, positions []uint64) []byte {
	b = append(b, '[')
	for i, p := range positions {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, p, 10)
	}
	return append(b, ']')
}

// parsePositions reads what appendPositions writes.
func parsePositions(text string) ([]uint64, error) {
	if len(text) < 3 || text[0] != '[' || text[len(text)-1] != ']' {
		return nil, fmt.Errorf("damaged stream index: %.40q", text)
	}
	positions := make([]uint64, 1, len(text)/4+1)
	last := &positions[0]
	for _, c := range []byte(text[1 : len(text)-1]) {
		switch {
		case c >= '0' && c <= '9':
			*last = *last*10 + uint64(c-'0')
		case c == ',':
			positions = append(positions, 0)
			last = &positions[len(positions)-1]
		default:
			return nil, fmt.Errorf("damaged stream index: %.40q", text)
		}
	}
	return positions, nil
}

func missing(position uint64) error {
	return fmt.Errorf("log is damaged: no event at position %d", position)
}
