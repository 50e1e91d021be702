package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// swap makes the new generation the live one.
func (b *rebuild) swap(ctx context.Context) error {
	if err := b.closeIn(ctx); err != nil {
		return err
	}
	rm := b.rm
	rm.following.Lock() // nobody may be busy with the former generation
	defer rm.following.Unlock()
	m := manifest{Name: Name, Version: Version, Generation: b.job.Generation, File: b.job.File, Swapped: time.Now().UTC()}
	if !b.outcome.Verified {
		m.Accepted = b.job.Reason
	}
	err := rm.changeOver(ctx, b.next, m, func() {
		b.tell(Swapping)
		b.outcome.Generation, b.outcome.Events, b.outcome.Position = m.Generation, b.next.mark.event, b.next.mark.position
	})
	if err != nil {
		return err
	}
	b.next = nil // it is the runner's now
	if err := removeJob(rm.dir); err != nil {
		rm.options.Logger.Warn("a rebuild that is done looks unfinished", "err", err)
	}
	return nil
}

// changeOver makes a generation the live one and the live one the former. The order
// matters: readers and the runner change over when the manifest is on disk, so a crash
// in between comes up with one or the other. moment is called when the two stand at the
// same position, before that. rm.following is held.
func (rm *ReadModels) changeOver(ctx context.Context, next *generation, m manifest, moment func()) error {
	rm.formerAt = events.Position{} // it will be another one
	reading, err := openSource(next.path, rm.options.Readers)
	if err != nil {
		return err
	}
	outdated, former, err := rm.changeOverAlone(ctx, next, m, moment, reading)
	if err != nil {
		return errors.Join(err, reading.close())
	}
	if err := errors.Join(outdated.close(), retire(former), removeLeftovers(rm.dir, m.withFormer(former))); err != nil {
		rm.options.Logger.Warn("former read models were not cleared away", "err", err)
	}
	return nil
}

// withFormer names the generation that was live before; nil when that met an error. One
// without events is nothing to go back to.
func (m manifest) withFormer(g *generation) manifest {
	switch {
	case g == nil:
	case g.mark.event > 0:
		m.Former = filepath.Base(g.path)
	default:
		m.Left = filepath.Base(g.path)
	}
	return m
}

// retire closes the former generation: what follows the log on its behalf opens it anew.
func retire(former *generation) error {
	if former == nil {
		return nil
	}
	return former.close()
}

func (rm *ReadModels) changeOverAlone(ctx context.Context, next *generation, m manifest, moment func(), reading *source) (*source, *generation, error) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.closed {
		return nil, nil, store.ErrClosed
	}
	upto := rm.progress.get().Position
	if err := next.catchUp(rm.between(ctx, next.mark.position, upto), upto); err != nil {
		return nil, nil, err
	}
	moment()
	former := rm.live
	m = m.withFormer(former)
	if err := writeManifest(rm.dir, m); err != nil {
		return nil, nil, err
	}
	rm.manifest, rm.live = m, next
	outdated := rm.exchange(reading)
	rm.progress.reach(m.Generation, next.mark)
	rm.wakeFormer()
	return outdated, former, nil
}

// ErrNoFormer refuses a rollback.
var ErrNoFormer = errors.New("there is no former generation to go back to")

// Rollback makes the former generation the live one again, at the position of the live
// one, which becomes the former: a second Rollback undoes the first. It is refused
// while a rebuild runs, and when the former is gone or of another version.
func (rm *ReadModels) Rollback(ctx context.Context) (Rebuilt, error) {
	select {
	case rm.rebuilding <- struct{}{}:
		defer func() { <-rm.rebuilding }()
	default:
		return Rebuilt{}, ErrRebuilding
	}
	began := time.Now()
	rm.following.Lock() // the former is ours alone
	defer rm.following.Unlock()
	m, err := rm.formerManifest()
	if err != nil {
		return Rebuilt{}, err
	}
	next, err := rm.takeFormer(ctx, filepath.Join(rm.dir, m.File))
	if err != nil {
		return Rebuilt{}, err
	}
	back := Rebuilt{Generation: m.Generation}
	err = rm.changeOver(ctx, next, m, func() { back.Events, back.Position = next.mark.event, next.mark.position })
	if err != nil {
		return Rebuilt{}, errors.Join(err, next.close())
	}
	rm.options.Logger.Info("read models rolled back", "generation", m.Generation)
	back.Took = time.Since(began)
	return back, nil
}

// formerManifest is the one that a rollback writes.
func (rm *ReadModels) formerManifest() (manifest, error) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	file := rm.manifest.Former
	var version, number int
	switch _, err := fmt.Sscanf(file, Name+"-v%d-g%d.db", &version, &number); {
	case rm.closed:
		return manifest{}, store.ErrClosed
	case file == "" || !exists(filepath.Join(rm.dir, file)):
		return manifest{}, ErrNoFormer
	case err != nil || version != Version:
		return manifest{}, fmt.Errorf("%w: %s is of another version", ErrNoFormer, file)
	}
	return manifest{Name: Name, Version: Version, Generation: number, File: file, Swapped: time.Now().UTC()}, nil
}

// history is a part of the log.
type history = iter.Seq2[events.Recorded, error]

// between reads a part of the log, both ends of which are positions that were seen.
func (rm *ReadModels) between(ctx context.Context, after, upto events.Position) history {
	return func(yield func(events.Recorded, error) bool) {
		for r, err := range rm.log.ReadAll(ctx, after, store.Filter{}) {
			if err == nil && r.Position.Compare(upto) > 0 {
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
