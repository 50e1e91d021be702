package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

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
	Explaining Phase = "explaining"  // looking for the event at which the two part, when they differ
	Swapping   Phase = "swapping"    // making it the live one
)

// Progress of a rebuild.
type Progress struct {
	Phase    Phase           `json:"phase"`
	Events   int64           `json:"events"`   // applied so far
	Total    int64           `json:"total"`    // the live generation had applied at the start; 0 when unknown
	Position events.Position `json:"position"` // of the last event applied
	Elapsed  time.Duration   `json:"elapsed"`  // since it began, or was continued
	Before   int64           `json:"before"`   // events that were applied before it was continued
}

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Generation int             `json:"generation"`
	Events     int64           `json:"events"`
	Position   events.Position `json:"position"`
	Took       time.Duration   `json:"took"`
	Verified   bool            `json:"verified"` // false when there was nothing to compare with, or the difference was accepted
	Tables     []Digest        `json:"tables"`   // at Position of the comparison
}

// rebuild is one rebuild on its way.
type rebuild struct {
	rm      *ReadModels
	job     *job
	control *control
	report  func(Progress)
	began   time.Time
	before  int64 // events applied when it was continued
	total   int64
	phase   Phase
	next    *generation
	filled  bool // next has its indexes and is a generation like any other
	outcome Rebuilt
}

// interruptibly lets the end of the context end what do has the connection do.
func interruptibly(ctx context.Context, conn *sqlite.Conn, do func() error) error {
	former := conn.SetInterrupt(ctx.Done())
	defer conn.SetInterrupt(former)
	return interrupted(ctx, do())
}

func (b *rebuild) run(ctx context.Context) error {
	if err := b.create(ctx); err != nil {
		return err
	}
	if !b.filled {
		if err := b.fillAndIndex(ctx); err != nil {
			return err
		}
	}
	if err := b.verify(ctx); err != nil {
		return err
	}
	return b.swap(ctx)
}

// fillAndIndex makes a generation like any other, which from there on survives a crash.
func (b *rebuild) fillAndIndex(ctx context.Context) error {
	if err := b.fill(ctx); err != nil {
		return err
	}
	b.tell(Indexing)
	if b.next.mark.event <= sortInMemory {
		if err := pragma(b.next.conn, "temp_store = MEMORY"); err != nil {
			return err
		}
	}
	err := interruptibly(ctx, b.next.conn, func() error { return b.next.goLive(b.rm.options.CacheRows / 2) })
	if err != nil {
		return fmt.Errorf("index read model: %w", err)
	}
	b.filled = true
	return b.note(filledSaved)
}

// sortInMemory is up to how many events indexes are sorted in memory, in some 100 MiB: what
// is sorted in files holds up the log's next sync. Longer histories take files, so that
// memory does not grow with them.
const sortInMemory = 2_000_000

// note says on disk what of the new file can be used after a crash.
func (b *rebuild) note(s jobState) error {
	b.rm.writing.Lock()
	defer b.rm.writing.Unlock()
	b.job.Saved = s
	return writeJob(b.rm.dir, b.job)
}

// create opens what there is of an unfinished rebuild, or a new file.
func (b *rebuild) create(ctx context.Context) error {
	if kept, err := b.reopen(ctx); kept || err != nil {
		return err
	}
	b.rm.writing.Lock()
	defer b.rm.writing.Unlock()
	if b.rm.closed {
		return store.ErrClosed
	}
	path := filepath.Join(b.rm.dir, b.job.File)
	err := removeDatabase(path)
	if err == nil {
		b.next, err = newGeneration(path, b.rm.options.RebuildRows/2, true)
	}
	if err != nil || b.rm.live == nil {
		return err
	}
	b.next.quarantine.on = b.rm.options.OnPoison == Quarantine
	skipped, err := skippedIn(b.rm.live.conn)
	if err == nil {
		err = b.next.quarantine.inherit(skipped)
	}
	return err
}

// reopen continues with the file of an unfinished rebuild, unless it cannot be used or
// has what the log does not have.
func (b *rebuild) reopen(ctx context.Context) (kept bool, err error) {
	path := filepath.Join(b.rm.dir, b.job.File)
	var g *generation
	switch b.job.Saved {
	case nothingSaved:
		return false, nil
	case fillingSaved:
		if err := b.note(nothingSaved); err != nil { // until it is saved again
			return false, err
		}
		g, err = openFilling(path, b.rm.options.RebuildRows/2)
	case filledSaved:
		g, err = openGeneration(path, b.rm.options.CacheRows/2)
		b.filled = err == nil
	}
	var damage *DamagedError
	if errors.As(err, &damage) {
		b.rm.options.Logger.Warn("an unfinished rebuild begins anew", "err", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if kept, err = standsOn(ctx, b.rm.log, g.mark); kept {
		g.quarantine.on = b.rm.options.OnPoison == Quarantine
		b.next, b.before = g, g.mark.event
		return true, nil
	}
	b.filled = false
	return false, errors.Join(err, g.close())
}

func (b *rebuild) tell(phase Phase) {
	b.phase = phase
	p := Progress{Phase: phase, Events: b.next.mark.event, Total: b.total,
		Position: b.next.mark.position, Elapsed: time.Since(b.began), Before: b.before}
	b.control.note(p)
	b.report(p)
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
	if err := b.foldAll(ctx, decodeInParallel(ctx, b.rm.between(ctx, b.next.mark.position, target))); err != nil {
		return err
	}
	if err := b.next.fold.flush(); err != nil {
		return err
	}
	return sqlitex.ExecuteTransient(b.next.conn, "COMMIT", nil)
}

// tellEvery is how many events lie between two reports of progress.
const tellEvery = 1 << 16

func (b *rebuild) foldAll(ctx context.Context, log iter.Seq2[decoded, error]) error {
	b.tell(Filling)
	g, told := b.next, time.Now()
	return g.takeAll(log, func(*events.Recorded) error {
		if g.mark.event%tellEvery == 0 || b.job.Rate > 0 && time.Since(told) > time.Second {
			told = time.Now()
			b.tell(Filling)
		}
		if b.job.Rate == 0 && g.mark.event%stepEvery != 0 {
			return nil
		}
		return b.control.step(ctx)
	})
}

// stepEvery is after how many events a rebuild at full speed looks whether it shall wait.
const stepEvery = 64

func eventError(r *events.Recorded, err error) error {
	var known *EventError
	if r == nil || errors.As(err, &known) {
		return err
	}
	return &EventError{Position: r.Position, Stream: r.Stream, Type: r.Type, Err: err}
}

// catchUp applies what lies behind the new generation up to target.
func (b *rebuild) catchUp(ctx context.Context, target events.Position) error {
	return b.next.catchUp(b.rm.between(ctx, b.next.mark.position, target), target)
}

// catchUp applies a part of the log that ends at target.
func (g *generation) catchUp(log history, target events.Position) error {
	var batch store.Batch
	for r, err := range log {
		if err != nil {
			return err
		}
		batch.Events, batch.Upto = append(batch.Events, r), r.Position
		if len(batch.Events) == store.SubscribeBatch {
			if err := g.apply(batch); err != nil {
				return err
			}
			batch.Events = nil
		}
	}
	batch.Upto = target
	return g.apply(batch)
}

// closeInRounds bounds the chase after a live generation that is as fast.
const closeInRounds = 8

// closeIn catches up while the live generation moves, until what is left is
// little enough to be done while it stands still.
func (b *rebuild) closeIn(ctx context.Context) error {
	for range closeInRounds {
		b.tell(CatchingUp)
		if err := b.control.step(ctx); err != nil {
			return err
		}
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
