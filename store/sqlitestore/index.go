package sqlitestore

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/store"
)

const (
	// positionsPerRow keeps a row of the index within a quarter of a page.
	positionsPerRow = 64
	// indexSlice is how many rows are written at once at least: neighbours
	// share pages.
	indexSlice = 64
)

// indexer writes the stream index behind the commits. Its fields belong to the
// writer's goroutine.
//
// When the active tail is full it is frozen, a goroutine turns it into sorted
// rows, and every following group writes some of them. What a crash interrupts
// is done again at the next start from the same first event on, so the same rows
// are replaced by equal or longer ones.
type indexer struct {
	conn       *sqlite.Conn
	tails      *tails
	size       int // events of a full tail
	background *sync.WaitGroup

	sorted chan []indexRow // the rows of the frozen tail, once; nil when nothing is frozen
	rows   []indexRow      // of them, what is not written yet
	total  int             // rows of the frozen tail
	credit int             // rows that may be written by now
}

// indexRow is a row of the table stream_index.
type indexRow struct {
	stream    string
	first     store.Revision
	positions string
}

// head returns the last revision of a stream.
func (x *indexer) head(stream string) (store.Revision, error) {
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
	if x.credit < indexSlice && len(x.rows) > x.credit {
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
	frozen := x.tails.freeze()
	sorted := make(chan []indexRow, 1)
	x.sorted = sorted
	x.background.Go(func() { sorted <- indexRows(frozen) })
}

// indexRows returns the rows for a tail in the order of the table.
func indexRows(t *tail) []indexRow {
	names := make([]string, 0, len(t.streams))
	for name := range t.streams {
		names = append(names, name)
	}
	slices.Sort(names)
	rows := make([]indexRow, 0, len(names))
	var text []byte
	for _, name := range names {
		s := t.streams[name]
		first := s.first
		for part := range slices.Chunk(t.positions(s), positionsPerRow) {
			text = appendPositions(text[:0], part)
			rows = append(rows, indexRow{name, first, string(text)})
			first += store.Revision(len(part))
		}
	}
	return rows
}

const insertIndexRow = `INSERT INTO stream_index VALUES (?, ?, ?)
	ON CONFLICT DO UPDATE SET positions = excluded.positions`

// write adds n rows to the transaction, and with the last ones the progress.
func (x *indexer) write(n int) (committed func(), err error) {
	stmt, err := x.conn.Prepare(insertIndexRow)
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
	if x.rows = x.rows[n:]; len(x.rows) > 0 {
		return func() {}, nil
	}
	x.rows = nil
	return x.tails.retire, x.saveProgress(x.tails.frozen.upto())
}

func (x *indexer) saveProgress(upto uint64) error {
	stmt, err := x.conn.Prepare(`UPDATE index_progress SET indexed_upto = ?`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(upto))
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
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

// recover reads the part of the log that the index does not know yet, prepares
// the writer for the next event, and refuses a log with holes.
func (w *writer) recover() (err error) {
	if w.insert, err = w.conn.Prepare(insertEvent); err != nil {
		return err
	}
	upto, err := queryInt(w.conn, `SELECT indexed_upto FROM index_progress`)
	if err != nil {
		return err
	}
	w.store.tails.active = newTail(uint64(upto))
	if err := w.readTail(); err != nil {
		return err
	}
	head, err := queryInt(w.conn, `SELECT max(position) FROM events`)
	if err != nil {
		return err
	}
	if uint64(head) != w.store.tails.active.upto() {
		return fmt.Errorf("log is damaged: it ends at position %d and is indexed up to %d", head, upto)
	}
	w.store.head.Store(uint64(head))
	w.recorded, err = queryInt(w.conn, `SELECT recorded FROM events ORDER BY position DESC LIMIT 1`)
	return err
}

func (w *writer) readTail() error {
	t := w.store.tails.active
	stmt, err := w.conn.Prepare(`SELECT position, stream, revision FROM events WHERE position > ? ORDER BY position`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(t.base))
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return errors.Join(err, stmt.Finalize())
		}
		position, stream, revision := stmt.ColumnInt64(0), stmt.ColumnText(1), store.Revision(stmt.ColumnInt64(2))
		s, known := t.streams[stream]
		if uint64(position) != t.upto()+1 || known && revision != s.head()+1 {
			return errors.Join(fmt.Errorf("log is damaged: events are missing before position %d", position), stmt.Finalize())
		}
		t.add(stream, revision)
	}
}
