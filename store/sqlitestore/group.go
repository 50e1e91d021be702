package sqlitestore

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

const insertEvent = `INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

// group is one transaction in the making.
type group struct {
	heads    map[string]store.Revision // of the streams written to in this group
	accepted []*request
	next     uint64 // position of the next event
	recorded int64
	bytes    int
}

// commit decides and writes the requests in one transaction, and answers them
// once it is on disk.
func (w *writer) commit(requests []*request) {
	if w.broken != nil {
		answerAll(requests, w.refusal())
		return
	}
	if err := exec(w.conn, "BEGIN IMMEDIATE"); err != nil {
		w.notBegun(requests, err)
		return
	}
	g := &group{heads: map[string]store.Revision{}, next: w.store.head.Load() + 1, recorded: max(w.recorded, w.now().UnixNano())}
	if err := w.write(g, requests); err != nil {
		w.giveUp(requests, err)
		return
	}
	if len(g.accepted) > 0 {
		w.publish(g)
		w.checkpoints.after(w.conn, g.bytes)
	}
}

// notBegun answers a group of which nothing was written. Somebody with a SQLite
// shell who holds the write lock will give it back: the log stays open, and the
// answer is no error of SQLite, which would mean a failed write to the caller.
func (w *writer) notBegun(requests []*request, err error) {
	if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy {
		w.giveUp(requests, err)
		return
	}
	answerAll(requests, fmt.Errorf("%w: nothing was written: another program holds the write lock of the log", store.ErrUnavailable))
}

// giveUp answers a group of which nobody knows what the disk has.
func (w *writer) giveUp(requests []*request, err error) {
	err = explain(err)
	w.fail(errors.Join(err, w.rollBack()))
	answerAll(requests, fmt.Errorf("%w: the outcome is unknown: %w", store.ErrUnavailable, err))
}

// answerAll answers those of the requests that have no answer yet.
func answerAll(requests []*request, err error) {
	for _, r := range requests {
		select {
		case r.done <- outcome{err: err}:
		default: // it was refused before the group failed
		}
	}
}

func (w *writer) rollBack() error {
	if w.conn.AutocommitEnabled() {
		return nil
	}
	return sqlitex.ExecuteTransient(w.conn, "ROLLBACK", nil)
}

// write brings the accepted requests to disk and ends the transaction; what
// conflicts is answered.
func (w *writer) write(g *group, requests []*request) error {
	for _, r := range requests {
		first := g.next
		if err := w.decide(g, r); err != nil {
			if err := w.refuse(g, r, first, err); err != nil {
				return err
			}
		}
	}
	if len(g.accepted) == 0 {
		return exec(w.conn, "ROLLBACK")
	}
	indexed, err := w.index.step(int(g.next - w.store.head.Load() - 1))
	if err != nil {
		return err
	}
	w.checkpoints.begun.Add(1)
	if err := exec(w.conn, "COMMIT"); err != nil {
		return err
	}
	indexed()
	return nil
}

// refuse answers a request that failed by itself, after what it wrote of its events,
// from position first on, was taken out of the transaction: the others of its group have
// nothing to do with it. It returns the error when it is one of the file, which is
// everybody's.
func (w *writer) refuse(g *group, r *request, first uint64, failed error) error {
	if !ofRequest(failed) || w.conn.AutocommitEnabled() {
		return failed
	}
	if err := w.insert.Reset(); err != nil && !ofRequest(err) {
		return err
	}
	if err := w.takeOut(first); err != nil {
		return errors.Join(failed, err)
	}
	g.next = first
	// Not as an error of SQLite, which would mean a failed write to the caller.
	r.answer(store.Appended{}, fmt.Errorf("stream %s: nothing was written: %s", r.stream, failed.Error()))
	return nil
}

func (w *writer) takeOut(first uint64) error {
	stmt, err := w.conn.Prepare(`DELETE FROM events WHERE position >= ?`)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(first))
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

// ofRequest tells an error that another request need not meet from one of the disk or
// the file. One that is not SQLite's says that the stream is not as it should be.
func ofRequest(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultError, sqlite.ResultConstraint, sqlite.ResultTooBig, sqlite.ResultMismatch:
		return true
	}
	return false
}

// decide writes, refuses or defers one request. A stream that this very group
// has written to is compared with what is committed only in the next group.
func (w *writer) decide(g *group, r *request) error {
	head, touched := g.heads[r.stream]
	if !touched {
		var err error
		if head, err = w.index.head(r.stream); err != nil {
			return err
		}
	}
	switch {
	case head == r.expected:
		return w.accept(g, r)
	case touched:
		w.carried = append(w.carried, r)
		return nil
	}
	return w.repeatOrConflict(r, head)
}

// repeatOrConflict recognises an append that was made before by the ids of the
// events that follow expected. There is no index by id: the stream says where
// they are.
func (w *writer) repeatOrConflict(r *request, head store.Revision) error {
	conflict := &store.ConflictError{Stream: r.stream, Expected: r.expected, Actual: head}
	if store.Revision(len(r.batch)) > head-r.expected { // their sum may be no number any more
		r.answer(store.Appended{}, conflict)
		return nil
	}
	last := r.expected + store.Revision(len(r.batch))
	place := newCursor(r.stream, r.expected+1, store.Forwards, w.store.head.Load(), w.store.tails.unindexed(r.stream, r.expected+1))
	positions, err := place.positions(w.conn, len(r.batch))
	if err != nil {
		return err
	}
	if len(positions) < len(r.batch) {
		return fmt.Errorf("stream %s ends at %d of %d events", r.stream, len(positions), len(r.batch))
	}
	for i, position := range positions {
		same, err := hasID(w.conn, position, r.batch[i].ID)
		if err != nil {
			return err
		}
		if !same {
			r.answer(store.Appended{}, conflict)
			return nil
		}
	}
	r.answer(store.Appended{Revision: last, Position: events.At(positions[len(positions)-1]), Repeated: true}, nil)
	return nil
}

func hasID(c *sqlite.Conn, position uint64, id events.ID) (bool, error) {
	stmt, err := c.Prepare(`SELECT id FROM events WHERE position = ?`)
	if err != nil {
		return false, err
	}
	stmt.BindInt64(1, int64(position))
	found, err := stmt.Step()
	var stored events.ID
	stmt.ColumnBytes(0, stored[:])
	return found && stored == id, errors.Join(err, stmt.Reset())
}

func (w *writer) accept(g *group, r *request) error {
	revision := r.expected
	for i := range r.batch {
		revision++
		if err := w.insertEvent(g, r.stream, revision, &r.batch[i]); err != nil {
			return err
		}
		g.next++
	}
	g.heads[r.stream] = revision
	g.accepted = append(g.accepted, r)
	g.bytes += size(r.batch)
	return nil
}

func (w *writer) insertEvent(g *group, stream string, revision store.Revision, e *store.Encoded) error {
	stmt := w.insert
	stmt.BindInt64(1, int64(g.next))
	stmt.BindBytes(2, e.ID[:])
	stmt.BindText(3, e.Type)
	stmt.BindText(4, stream)
	stmt.BindInt64(5, int64(revision))
	stmt.BindInt64(6, g.recorded)
	stmt.BindText(7, e.Metadata)
	stmt.BindText(8, e.Data)
	if _, err := stmt.Step(); err != nil {
		return err
	}
	return stmt.Reset()
}

// publish makes what was committed visible and answers for it. Readers must find
// an event in the tail before they can hear of it.
func (w *writer) publish(g *group) {
	position := w.store.head.Load()
	w.store.tails.mu.Lock()
	for _, r := range g.accepted {
		for i := range r.batch {
			w.store.tails.active.add(r.stream, r.expected+1+store.Revision(i))
		}
	}
	w.store.tails.mu.Unlock()
	w.recorded = g.recorded
	w.mark(g)
	w.store.head.Store(g.next - 1)
	w.store.news.notify()
	for _, r := range g.accepted {
		n := len(r.batch)
		position += uint64(n)
		r.answer(store.Appended{Revision: r.expected + store.Revision(n), Position: events.At(position)}, nil)
	}
	for stream, revision := range g.heads {
		w.index.heads.put(stream, revision)
	}
}

// exec runs a statement that is used often and has no parameters.
func exec(c *sqlite.Conn, query string) error {
	stmt, err := c.Prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.Step()
	return errors.Join(err, stmt.Reset())
}

// explain says what an operator can do about an error of the disk.
func explain(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull:
		return fmt.Errorf("disk is full; free some space and start again: %w", err)
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return fmt.Errorf("log is damaged; restore it from a backup: %w", err)
	case sqlite.ResultIOErr:
		return fmt.Errorf("disk failed; check it and start again: %w", err)
	}
	return fmt.Errorf("write to the log: %w", err)
}
