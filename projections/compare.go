package projections

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/events"
)

// MismatchError says that a rebuild disagrees with the live generation at the
// same position of the log, or with itself. Nothing was swapped; the new file is deleted.
type MismatchError struct {
	Position    events.Position
	Differences []Difference    // by table
	Rows        []RowDifference // the first of each table
	First       *DivergingEvent // at which the two part; nil when it was not found
	Violations  []Violation     // of invariants, by the rebuilt one
	Quarantined []Quarantined   // what the live one has parked, which may be why
}

func (e *MismatchError) Error() string {
	if len(e.Differences) == 0 {
		return fmt.Sprintf("rebuilt read model is wrong at position %s: %s", e.Position, e.Violations[0])
	}
	d := e.Differences[0]
	text := fmt.Sprintf("rebuilt read model differs from the live one at position %s in %d tables; %s has %d rows live and %d rebuilt",
		e.Position, len(e.Differences), d.Live.Table, d.Live.Rows, d.Rebuilt.Rows)
	if e.First != nil {
		text += fmt.Sprintf("; the first diverging event is %s, %s of %s at position %s: %s",
			e.First.ID, e.First.Type, e.First.Stream, e.First.Position, e.First.Why)
	}
	return text
}

// verify compares the two generations. The live one goes on: what is compared
// is a snapshot, taken at a moment when both stand at the same position.
func (b *rebuild) verify(ctx context.Context) error {
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
	mismatch, err := b.compareWith(ctx, snapshot)
	if err = errors.Join(err, snapshot.close()); err != nil {
		return fmt.Errorf("compare generations: %w", err)
	}
	b.outcome.Verified = mismatch == nil
	if mismatch != nil && !b.job.Accept {
		return mismatch
	}
	return nil
}

// compareWith returns nil when nothing differs and nothing is wrong.
func (b *rebuild) compareWith(ctx context.Context, live *snapshot) (*MismatchError, error) {
	before, after, err := b.digestBoth(ctx, live)
	if err != nil {
		return nil, err
	}
	b.outcome.Tables = after
	m := &MismatchError{Position: b.next.mark.position, Differences: compare(before, after)}
	err = interruptibly(ctx, b.next.conn, func() (err error) { m.Violations, err = violations(b.next.conn); return err })
	if err != nil || len(m.Differences)+len(m.Violations) == 0 {
		return nil, err
	}
	if b.job.Accept {
		return m, nil // nobody asks why
	}
	if m.Quarantined, err = quarantinedIn(live.conn); err != nil {
		return nil, err
	}
	return m, b.explain(ctx, live, m)
}

// explain finds the rows that differ, and the events at which they part.
func (b *rebuild) explain(ctx context.Context, live *snapshot, m *MismatchError) (err error) {
	b.tell(Explaining)
	for _, d := range m.Differences {
		rows, err := differingRows(d.Live.Table, live.conn, b.next.conn)
		if err != nil {
			return err
		}
		m.Rows = append(m.Rows, rows...)
	}
	if len(m.Rows) > 0 {
		m.First, err = b.findEvents(ctx, m.Rows)
	}
	return err
}

// digestBoth reads the two files side by side.
func (b *rebuild) digestBoth(ctx context.Context, s *snapshot) (live, rebuilt []Digest, err error) {
	var group errgroup.Group
	group.Go(func() error {
		return interruptibly(ctx, s.conn, func() (err error) { live, err = digests(s.conn); return err })
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
