package sqlitestore

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/store"
)

const (
	// positionsPerRow is part of the format. A full row has a quarter of a page.
	positionsPerRow = 64
	// indexSlice is how many rows are written at once at least: neighbours
	// share pages.
	indexSlice = 64
)

// indexer writes the stream index behind the commits. Its fields belong to the
// writer's goroutine.
//
// When the active tail is full it is frozen, a goroutine turns it into sorted
// rows, and every following group writes some of them. How far that has come is
// written in the same transaction, so what a crash interrupts is continued: the
// same stretch of the log gives the same rows again.
type indexer struct {
	conn       *sqlite.Conn
	tails      *tails
	heads      *heads
	size       int // events of a full tail
	background *sync.WaitGroup

	sorted chan []indexRow // the rows of the frozen tail, once; nil when nothing is frozen
	rows   []indexRow      // of them, what is not written yet
	total  int             // how many there were
	credit int             // how many may be written by now
}

// indexRow is a row of the table stream_index.
type indexRow struct {
	stream    string
	first     store.Revision
	positions string
}

// head returns the last revision of a stream.
func (x *indexer) head(stream string) (store.Revision, error) {
	if head, ok := x.heads.get(stream); ok {
		return head, nil
	}
	if head, ok := x.tails.head(stream); ok {
		return head, nil
	}
	c := newCursor(stream, store.End, store.Backwards, 1<<62, run{})
	head := store.NoStream
	err := c.scan(x.conn, rowsDownwards, func(r run) bool {
		head = r.end() - 1
		return false
	})
	return head, err
}

// step adds to the transaction of a group of n events its share of the index. It
// returns what is to be done once the transaction is on disk.
func (x *indexer) step(n int) (committed func(), err error) {
	x.takeSorted(false)
	if x.rows == nil {
		return x.freezeWhenFull, nil
	}
	x.credit += 1 + n*x.total*4/(3*x.size)
	if x.credit < min(indexSlice, 1+x.size/16) && len(x.rows) > x.credit {
		return func() {}, nil
	}
	slice := min(x.credit, len(x.rows))
	x.credit = 0
	return x.write(slice)
}

// takeSorted takes the sorted rows if they are ready. It waits for them when
// asked to, and when the next tail is twice as full as it should be.
func (x *indexer) takeSorted(wait bool) {
	if x.sorted == nil {
		return
	}
	if wait || len(x.tails.active.former) > 2*x.size {
		x.rows = <-x.sorted
	} else {
		select {
		case x.rows = <-x.sorted:
		default:
			return
		}
	}
	x.sorted, x.total, x.credit = nil, len(x.rows), 0
}

func (x *indexer) freezeWhenFull() {
	if x.tails.frozen == nil && len(x.tails.active.former) >= x.size {
		x.freeze()
	}
}

func (x *indexer) freeze() {
	x.tails.freeze()
	x.sort(indexRow{})
}

// sort has the rows of the frozen tail made, without those up to done.
func (x *indexer) sort(done indexRow) {
	frozen, sorted := x.tails.frozen, make(chan []indexRow, 1)
	x.sorted = sorted
	x.background.Go(func() {
		rows := indexRows(frozen)
		first, _ := slices.BinarySearchFunc(rows, done, compareBehind)
		sorted <- rows[first:]
	})
}

// compareBehind orders rows by key and puts the row searched for before its
// equal, so that the search ends behind it.
func compareBehind(row, done indexRow) int {
	if c := cmp.Or(cmp.Compare(row.stream, done.stream), cmp.Compare(row.first, done.first)); c != 0 {
		return c
	}
	return -1
}

// indexRows returns the rows for a tail in the order of the table.
func indexRows(t *tail) []indexRow {
	rows := make([]indexRow, 0, len(t.streams))
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(t.streams)) {
		s := t.streams[name]
		revision := s.first
		for rest := t.positions(s); len(rest) > 0; {
			inRow := revision % positionsPerRow
			n := min(len(rest), int(positionsPerRow-inRow))
			text = appendPositions(text[:0], rest[:n])
			rows = append(rows, indexRow{name, revision - inRow, string(text)})
			rest, revision = rest[n:], revision+store.Revision(n)
		}
	}
	return rows
}

const addIndexRow = `INSERT INTO stream_index VALUES (?, ?, ?)
	ON CONFLICT DO UPDATE SET positions = rtrim(positions, ']') || ',' || ltrim(excluded.positions, '[')`

// write adds n rows to the transaction, and the progress.
func (x *indexer) write(n int) (committed func(), err error) {
	stmt, err := x.conn.Prepare(addIndexRow)
	if err != nil {
		return nil, err
	}
	for _, row := range x.rows[:n] {
		stmt.BindText(1, row.stream)
		stmt.BindInt64(2, int64(row.first))
		stmt.BindText(3, row.positions)
		if _, err := stmt.Step(); err != nil {
			return nil, err
		}
		if err := stmt.Reset(); err != nil {
			return nil, err
		}
	}
	upto := x.tails.frozen.upto()
	if n < len(x.rows) {
		last := x.rows[n-1]
		x.rows = x.rows[n:]
		return func() {}, x.saveProgress(progress{x.tails.frozen.base, upto, last})
	}
	x.rows = nil
	return x.tails.retire, x.saveProgress(progress{indexed: upto})
}

// finish indexes everything, in transactions of its own.
func (x *indexer) finish() error {
	for x.tails.frozen != nil || len(x.tails.active.former) > 0 {
		if x.tails.frozen == nil {
			x.freeze()
		}
		x.takeSorted(true)
		if err := exec(x.conn, "BEGIN IMMEDIATE"); err != nil {
			return err
		}
		committed, err := x.write(len(x.rows))
		if err != nil {
			return err
		}
		if err := exec(x.conn, "COMMIT"); err != nil {
			return err
		}
		committed()
	}
	return nil
}
