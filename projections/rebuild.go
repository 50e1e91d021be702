package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Phase is a step of a rebuild.
type Phase string

// The phases, in order.
const (
	Filling    Phase = "filling"     // reading the log from its beginning
	Indexing   Phase = "indexing"    // making the indexes
	CatchingUp Phase = "catching up" // applying what came meanwhile
	Verifying  Phase = "verifying"   // comparing with the live generation
	Swapping   Phase = "swapping"    // making it the live one
)

// Progress of a rebuild.
type Progress struct {
	Phase    Phase           `json:"phase"`
	Events   int64           `json:"events"`   // applied so far
	Total    int64           `json:"total"`    // the live generation had applied at the start; 0 when unknown
	Position events.Position `json:"position"` // of the last event applied
	Elapsed  time.Duration   `json:"elapsed"`
}

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Generation int             `json:"generation"`
	Events     int64           `json:"events"`
	Position   events.Position `json:"position"`
	Took       time.Duration   `json:"took"`
	Verified   bool            `json:"verified"` // false when there was nothing to compare with
	Tables     []Digest        `json:"tables"`   // at Position of the comparison
}

// MismatchError says that a rebuild disagrees with the live generation at the
// same position of the log. Nothing was swapped; the new file is deleted.
type MismatchError struct {
	Position    events.Position
	Differences []Difference
}

func (e *MismatchError) Error() string {
	d := e.Differences[0]
	return fmt.Sprintf("rebuilt read model differs from the live one at position %s in %d tables; %s has %d rows live and %d rebuilt",
		e.Position, len(e.Differences), d.Live.Table, d.Live.Rows, d.Rebuilt.Rows)
}

// ErrRebuilding refuses a second rebuild.
var ErrRebuilding = errors.New("a rebuild is running already")

// rebuild is one rebuild on its way.
type rebuild struct {
	rm      *ReadModels
	report  func(Progress)
	began   time.Time
	total   int64
	next    *generation
	number  int
	outcome Rebuilt
}

// Rebuild builds the next generation from the log while the live one goes on,
// compares the two at one position of the log, and swaps. It works with and
// without a Run going on. Queries see the live generation until the swap. On
// any error the live generation stays and the new file is deleted. report is
// called from time to time; nil for none.
func (rm *ReadModels) Rebuild(ctx context.Context, report func(Progress)) (Rebuilt, error) {
	return rm.rebuildOver(ctx, report, true)
}

// RebuildAnyway is Rebuild that swaps even when the two differ, as after a
// repaired mistake in a projection. Rebuilt.Verified is then false.
func (rm *ReadModels) RebuildAnyway(ctx context.Context, report func(Progress)) (Rebuilt, error) {
	return rm.rebuildOver(ctx, report, false)
}

func (rm *ReadModels) rebuildOver(ctx context.Context, report func(Progress), strict bool) (Rebuilt, error) {
	select {
	case rm.rebuilding <- struct{}{}:
		defer func() { <-rm.rebuilding }()
		return rm.rebuildAlone(ctx, report, strict)
	default:
		return Rebuilt{}, ErrRebuilding
	}
}

// rebuildAlone is a rebuild while rm.rebuilding is held.
func (rm *ReadModels) rebuildAlone(ctx context.Context, report func(Progress), strict bool) (Rebuilt, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := rm.cancelWith(cancel); err != nil {
		return Rebuilt{}, err
	}
	defer func() { _ = rm.cancelWith(nil) }() // closed or not
	if report == nil {
		report = func(Progress) {}
	}
	b := &rebuild{rm: rm, report: report, began: time.Now(), total: rm.progress.get().Events}
	if err := b.run(ctx, strict); err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, store.ErrClosed) {
			err = cause
		}
		return Rebuilt{}, errors.Join(err, b.discard())
	}
	b.outcome.Took = time.Since(b.began)
	rm.options.Logger.Info("read models rebuilt", "generation", b.outcome.Generation, "events", b.outcome.Events, "took", b.outcome.Took)
	return b.outcome, nil
}

// cancelWith tells Close how to end the rebuild.
func (rm *ReadModels) cancelWith(cancel context.CancelCauseFunc) error {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	rm.cancel = cancel
	if rm.closed {
		return store.ErrClosed
	}
	return nil
}

// interruptibly lets the end of the context end what do has the connection do.
func interruptibly(ctx context.Context, conn *sqlite.Conn, do func() error) error {
	former := conn.SetInterrupt(ctx.Done())
	defer conn.SetInterrupt(former)
	return interrupted(ctx, do())
}

func (b *rebuild) run(ctx context.Context, strict bool) error {
	if err := b.create(); err != nil {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	b.tell(Indexing)
	err := interruptibly(ctx, b.next.conn, func() error { return b.next.goLive(b.rm.options.CacheRows / 2) })
	if err != nil {
		return fmt.Errorf("index read model: %w", err)
	}
	if err := b.verify(ctx, strict); err != nil {
		return err
	}
	return b.swap(ctx)
}

func (b *rebuild) create() (err error) {
	b.rm.writing.Lock()
	defer b.rm.writing.Unlock()
	if b.rm.closed {
		return store.ErrClosed
	}
	b.number = b.rm.manifest.Generation + 1
	path := filepath.Join(b.rm.dir, fileName(b.number))
	if err := removeDatabase(path); err != nil {
		return err
	}
	b.next, err = newGeneration(path, b.rm.options.RebuildRows/2, true)
	return err
}

func (b *rebuild) tell(phase Phase) {
	b.report(Progress{Phase: phase, Events: b.next.mark.event, Total: b.total,
		Position: b.next.mark.position, Elapsed: time.Since(b.began)})
}

// fill reads the log from its beginning to where the live generation is, or to
// the head when that has nothing yet.
func (b *rebuild) fill(ctx context.Context) error {
	target := b.rm.progress.get().Position
	if target.IsZero() {
		head, err := b.rm.log.Head(ctx)
		if err != nil {
			return fmt.Errorf("read the log's head: %w", err)
		}
		target = head
	}
	if err := sqlitex.ExecuteTransient(b.next.conn, "BEGIN", nil); err != nil {
		return err
	}
	if err := b.foldAll(decodeInParallel(ctx, b.events(ctx, events.Position{}, target))); err != nil {
		return err
	}
	if err := b.next.fold.flush(); err != nil {
		return err
	}
	return sqlitex.ExecuteTransient(b.next.conn, "COMMIT", nil)
}

// tellEvery is how many events lie between two reports of progress.
const tellEvery = 1 << 16

func (b *rebuild) foldAll(log iter.Seq2[decoded, error]) error {
	b.tell(Filling)
	g := b.next
	return g.takeAll(log, func(*events.Recorded) error {
		if g.mark.event%tellEvery == 0 {
			b.tell(Filling)
		}
		return nil
	})
}

func eventError(r *events.Recorded, err error) error {
	var known *EventError
	if r == nil || errors.As(err, &known) {
		return err
	}
	return &EventError{Position: r.Position, Stream: r.Stream, Type: r.Type, Err: err}
}

// events reads the log behind after up to target, both ends of which are
// positions that were seen.
func (b *rebuild) events(ctx context.Context, after, target events.Position) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for r, err := range b.rm.log.ReadAll(ctx, after, store.Filter{}) {
			if err == nil && r.Position.Compare(target) > 0 {
				return
			}
			if err != nil {
				err = fmt.Errorf("read the log: %w", err)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// catchUp applies what lies behind the new generation up to target.
func (b *rebuild) catchUp(ctx context.Context, target events.Position) error {
	var batch store.Batch
	for r, err := range b.events(ctx, b.next.mark.position, target) {
		if err != nil {
			return err
		}
		batch.Events, batch.Upto = append(batch.Events, r), r.Position
		if len(batch.Events) == store.SubscribeBatch {
			if err := b.next.apply(batch); err != nil {
				return err
			}
			batch.Events = nil
		}
	}
	batch.Upto = target
	return b.next.apply(batch)
}

// closeInRounds bounds the chase after a live generation that is as fast.
const closeInRounds = 8

// closeIn catches up while the live generation moves, until what is left is
// little enough to be done while it stands still.
func (b *rebuild) closeIn(ctx context.Context) error {
	for range closeInRounds {
		b.tell(CatchingUp)
		before := b.next.mark.event
		if err := b.catchUp(ctx, b.rm.progress.get().Position); err != nil {
			return err
		}
		if b.next.mark.event-before <= store.SubscribeBatch {
			return nil
		}
	}
	return nil
}

// verify compares the two generations. The live one goes on: what is compared
// is a snapshot, taken at a moment when both stand at the same position.
func (b *rebuild) verify(ctx context.Context, strict bool) error {
	if b.rm.progress.get().Position.IsZero() {
		return nil // nothing to compare with
	}
	if err := b.closeIn(ctx); err != nil {
		return err
	}
	snapshot, err := b.meet(ctx)
	if err != nil {
		return err
	}
	b.tell(Verifying)
	live, rebuilt, err := b.digestBoth(ctx, snapshot)
	if err != nil {
		return err
	}
	b.outcome.Tables = rebuilt
	differences := compare(live, rebuilt)
	b.outcome.Verified = len(differences) == 0
	if strict && len(differences) > 0 {
		return &MismatchError{Position: b.next.mark.position, Differences: differences}
	}
	return nil
}

// digestBoth reads the two files side by side.
func (b *rebuild) digestBoth(ctx context.Context, s *snapshot) (live, rebuilt []Digest, err error) {
	var group errgroup.Group
	group.Go(func() error {
		err := interruptibly(ctx, s.conn, func() (err error) { live, err = digests(s.conn); return err })
		return errors.Join(err, s.close())
	})
	group.Go(func() error {
		return interruptibly(ctx, b.next.conn, func() (err error) { rebuilt, err = digests(b.next.conn); return err })
	})
	if err := group.Wait(); err != nil {
		return nil, nil, fmt.Errorf("compare generations: %w", err)
	}
	return live, rebuilt, nil
}

// meet brings the new generation to the position of the live one, which stands
// still meanwhile, and returns a snapshot of that.
func (b *rebuild) meet(ctx context.Context) (*snapshot, error) {
	b.rm.writing.Lock()
	defer b.rm.writing.Unlock()
	if err := b.catchUp(ctx, b.rm.progress.get().Position); err != nil {
		return nil, err
	}
	return openSnapshot(filepath.Join(b.rm.dir, b.rm.manifest.File))
}

// swap makes the new generation the live one. The order matters: readers and
// the runner change over when the manifest is on disk, so a crash in between
// comes up with one or the other.
func (b *rebuild) swap(ctx context.Context) error {
	if err := b.closeIn(ctx); err != nil {
		return err
	}
	source, err := openSource(b.next.path, b.rm.options.Readers)
	if err != nil {
		return err
	}
	former, err := b.changeOver(ctx, source)
	if err != nil {
		return errors.Join(err, source.close())
	}
	if err := errors.Join(former.close(), removeLeftovers(b.rm.dir, b.rm.manifest)); err != nil {
		b.rm.options.Logger.Warn("former read models were not cleared away", "err", err)
	}
	return nil
}

func (b *rebuild) changeOver(ctx context.Context, next *source) (former *source, err error) {
	rm := b.rm
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.closed {
		return nil, store.ErrClosed
	}
	if err := b.catchUp(ctx, rm.progress.get().Position); err != nil {
		return nil, err
	}
	b.tell(Swapping)
	m := manifest{Name: Name, Version: Version, Generation: b.number, File: filepath.Base(b.next.path), Former: rm.manifest.File}
	if err := writeManifest(rm.dir, m); err != nil {
		return nil, err
	}
	b.retire(rm.live)
	rm.manifest, rm.live = m, b.next
	b.outcome.Generation, b.outcome.Events, b.outcome.Position = m.Generation, b.next.mark.event, b.next.mark.position
	b.next = nil
	former = rm.exchange(next)
	rm.progress.reach(m.Generation, rm.live.mark)
	return former, nil
}

// retire closes the former generation. It is not needed any more, so what goes
// wrong stops nothing.
func (b *rebuild) retire(former *generation) {
	if former == nil {
		return
	}
	if err := former.close(); err != nil {
		b.rm.options.Logger.Warn("former read model was not closed cleanly", "file", former.path, "err", err)
	}
}

// discard deletes a generation that did not become live.
func (b *rebuild) discard() error {
	if b.next == nil {
		return nil
	}
	return errors.Join(b.next.close(), removeDatabase(b.next.path))
}
