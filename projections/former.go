package projections

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// formerEvery is how often the former generation catches up: seldom, for nobody waits
// for it, and a rollback does the rest.
const formerEvery = time.Second

// formerRows are the rows of the former generation kept in memory, per table.
const formerRows = 1000

// wakeFormer tells the follower that there is another former generation.
func (rm *ReadModels) wakeFormer() {
	select {
	case rm.newFormer <- struct{}{}:
	default:
	}
}

// followFormer keeps the former generation caught up until the time to go back to it is
// over; then it is deleted. What goes wrong with it stops nothing: it is given up.
func (rm *ReadModels) followFormer(ctx context.Context) {
	tick := time.NewTicker(formerEvery)
	defer tick.Stop()
	for {
		rm.tendFormer(ctx)
		wait := tick.C
		if !rm.hasFormer() {
			wait = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-rm.newFormer:
		case <-wait:
		}
	}
}

func (rm *ReadModels) hasFormer() bool {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	return rm.manifest.Former != ""
}

// tendFormer does what is to be done for the former generation now.
func (rm *ReadModels) tendFormer(ctx context.Context) {
	rm.following.Lock()
	defer rm.following.Unlock()
	err := rm.catchFormerUp(ctx)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrNoFormer) {
		return
	}
	if !errors.Is(err, errOver) {
		rm.options.Logger.Warn("the former read models are given up; no rollback until the next rebuild", "err", err)
	}
	if err := rm.dropFormer(); err != nil {
		rm.options.Logger.Warn("the former read models were not deleted", "err", err)
	}
}

// errOver says that nobody may go back to the former generation any more.
var errOver = errors.New("its time is over")

func (rm *ReadModels) catchFormerUp(ctx context.Context) error {
	m, err := rm.formerManifest()
	if err != nil {
		return err
	}
	rm.writing.Lock()
	over := rm.manifest.Swapped.Add(rm.options.KeepFormer)
	rm.writing.Unlock()
	if !time.Now().Before(over) {
		return errOver
	}
	if rm.formerAt.Compare(rm.progress.get().Position) >= 0 {
		return nil // nothing came since
	}
	g, err := rm.takeFormer(ctx, filepath.Join(rm.dir, m.File))
	if err != nil {
		return err
	}
	rm.formerAt = g.mark.position
	return g.close()
}

// takeFormer opens the former generation and brings it to where the live one is;
// rm.following is held.
func (rm *ReadModels) takeFormer(ctx context.Context, path string) (*generation, error) {
	g, err := openGeneration(path, formerRows)
	if err != nil {
		return nil, err
	}
	g.quarantine.on = rm.options.OnPoison == Quarantine
	if err := rm.catchUpTaken(ctx, g); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (rm *ReadModels) catchUpTaken(ctx context.Context, g *generation) error {
	switch stands, err := standsOn(ctx, rm.log, g.mark); {
	case err != nil:
		return err
	case !stands:
		return errors.New("the log does not have its last event")
	}
	upto := rm.progress.get().Position
	if err := g.catchUp(rm.between(ctx, g.mark.position, upto), upto); err != nil {
		return err
	}
	return g.checkpoint()
}

// dropFormer forgets and deletes the former generation; rm.following is held.
func (rm *ReadModels) dropFormer() error {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.closed || rm.manifest.Former == "" {
		return nil
	}
	m := rm.manifest
	m.Former = ""
	if err := writeManifest(rm.dir, m); err != nil {
		return err
	}
	former := rm.manifest.Former
	rm.manifest = m
	return removeDatabase(filepath.Join(rm.dir, former))
}
