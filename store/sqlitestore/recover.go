package sqlitestore

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/parley-engine/parley/store"
)

// progress is how far the stream index has come: it has all events up to
// indexed, and of those up to pending the rows up to done. Pending is zero when
// nothing is half done.
type progress struct {
	indexed, pending uint64
	done             indexRow // its positions are not kept
}

func (x *indexer) saveProgress(p progress) error {
	stmt, err := x.conn.Prepare(`UPDATE index_progress SET indexed_upto = ?, pending_upto = ?, pending_stream = ?, pending_revision = ?`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(p.indexed))
	stmt.BindInt64(2, int64(p.pending))
	stmt.BindText(3, p.done.stream)
	stmt.BindInt64(4, int64(p.done.first))
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

func loadProgress(c *sqlite.Conn) (p progress, err error) {
	stmt, err := c.Prepare(`SELECT indexed_upto, pending_upto, pending_stream, pending_revision FROM index_progress`)
	if err != nil {
		return p, err
	}
	if _, err = stmt.Step(); err == nil {
		p.indexed, p.pending = uint64(stmt.ColumnInt64(0)), uint64(stmt.ColumnInt64(1))
		p.done = indexRow{stream: stmt.ColumnText(2), first: store.Revision(stmt.ColumnInt64(3))}
	}
	return p, errors.Join(err, stmt.Reset())
}

// recover reads the part of the log that the index does not know yet, prepares
// the writer for the next event, and refuses a log with holes.
func (w *writer) recover() (err error) {
	if w.insert, err = w.conn.Prepare(insertEvent); err != nil {
		return err
	}
	p, err := loadProgress(w.conn)
	if err != nil {
		return err
	}
	w.store.tails.active = newTail(p.indexed)
	if err := w.readTail(p); err != nil {
		return err
	}
	head, err := lastPosition(w.conn)
	if err != nil {
		return err
	}
	if upto := w.store.tails.active.upto(); uint64(head) != upto || p.pending > upto {
		return fmt.Errorf("log is damaged: it ends at position %d, its index at %d", head, max(upto, p.pending))
	}
	w.store.head.Store(uint64(head))
	w.recorded, err = queryInt(w.conn, `SELECT recorded FROM events ORDER BY position DESC LIMIT 1`)
	return err
}

// readTail rebuilds the tails as they were. When the index was half done with a
// stretch, that is the frozen tail again, and its missing rows are made.
func (w *writer) readTail(p progress) error {
	stmt, err := w.conn.Prepare(`SELECT position, stream, revision FROM events WHERE position > ? ORDER BY position`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(p.indexed))
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			return errors.Join(err, stmt.Finalize())
		}
		position := uint64(stmt.ColumnInt64(0))
		if err := w.store.tails.restore(position, stmt.ColumnText(1), store.Revision(stmt.ColumnInt64(2))); err != nil {
			return errors.Join(err, stmt.Finalize())
		}
		if position == p.pending {
			w.store.tails.freeze()
			w.index.sort(p.done)
		}
	}
}

func (t *tails) restore(position uint64, stream string, revision store.Revision) error {
	head, known := t.head(stream)
	if position != t.active.upto()+1 || known && revision != head+1 {
		return fmt.Errorf("log is damaged: events are missing before position %d", position)
	}
	t.active.add(stream, revision)
	return nil
}
