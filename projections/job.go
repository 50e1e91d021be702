package projections

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/parley-engine/parley/store"
)

// RebuildOptions say how a rebuild goes. The zero value is one at full speed that is
// swapped in only when nothing differs.
type RebuildOptions struct {
	// Rate bounds the events read from the log in a second; 0 = no bound.
	Rate int `json:"rate,omitempty"`
	// Accept swaps even when the two generations differ, as after a repaired mistake in
	// a projection. It needs a Reason, which the manifest keeps.
	Accept bool   `json:"accept,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (o RebuildOptions) check() error {
	switch {
	case o.Rate < 0:
		return fmt.Errorf("%w: a rate is not negative", ErrOptions)
	case o.Accept && o.Reason == "":
		return fmt.Errorf("%w: to accept a difference needs a reason", ErrOptions)
	case !o.Accept && o.Reason != "":
		return fmt.Errorf("%w: a reason is for accepting a difference", ErrOptions)
	}
	return nil
}

// Errors of what is asked of rebuilds.
var (
	ErrOptions    = errors.New("options of a rebuild")
	ErrRebuilding = errors.New("a rebuild is running already")
	ErrUnfinished = errors.New("there is an unfinished rebuild; resume or cancel it")
	ErrNoRebuild  = errors.New("no rebuild is running, and none is unfinished")
	ErrCancelled  = errors.New("the rebuild was cancelled")
)

// SuspendedError says that a rebuild ended before it was done and can be continued,
// also by another process.
type SuspendedError struct {
	Phase Phase
	Err   error // why
}

func (e *SuspendedError) Error() string {
	return fmt.Sprintf("the rebuild stopped while %s and can be resumed: %v", e.Phase, e.Err)
}

// Unwrap returns why.
func (e *SuspendedError) Unwrap() error { return e.Err }

// job is a rebuild that is not done. It is on disk, so that another process can
// continue it. One that was killed while it filled its file begins anew.
type job struct {
	RebuildOptions
	Generation int       `json:"generation"`
	File       string    `json:"file"`
	Saved      jobState  `json:"saved,omitempty"` // what the file is good for
	Phase      Phase     `json:"phase"`           // when it stopped
	Paused     bool      `json:"paused,omitempty"`
	Began      time.Time `json:"began"`
}

// jobState says what of a rebuild is on disk.
type jobState string

const (
	nothingSaved jobState = ""
	fillingSaved jobState = "filling" // rows without indexes, up to the file's mark
	filledSaved  jobState = "filled"  // a generation like any other
)

func jobPath(dir string) string { return filepath.Join(dir, Name+".rebuild.json") }

// readJob returns nil when there is none.
func readJob(dir string) (*job, error) {
	data, err := os.ReadFile(jobPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("unfinished rebuild: %w", err)
	}
	j := &job{}
	if err := json.Unmarshal(data, j); err != nil || filepath.Base(j.File) != j.File {
		return nil, &DamagedError{Path: jobPath(dir), Reason: "it does not describe a rebuild"}
	}
	if j.Generation <= 0 || j.File != fileName(j.Generation) {
		return nil, nil // of another version: what it would fill is of no use
	}
	return j, nil
}

func writeJob(dir string, j *job) error {
	data, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(jobPath(dir), append(data, '\n'))
}

func removeJob(dir string) error {
	if err := os.Remove(jobPath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// control is how others reach a rebuild that runs. Safe for concurrent use.
type control struct {
	cancel context.CancelCauseFunc
	limit  *rate.Limiter // nil = no bound

	mu       sync.Mutex
	goOn     chan struct{} // closed by Resume; nil unless paused
	progress Progress
}

func newControl(cancel context.CancelCauseFunc, j *job) *control {
	c := &control{cancel: cancel}
	if j.Rate > 0 {
		c.limit = rate.NewLimiter(rate.Limit(j.Rate), max(1, j.Rate/10))
	}
	if j.Paused {
		c.goOn = make(chan struct{})
	}
	return c
}

func (c *control) paused() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.goOn
}

func (c *control) note(p Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = p
}

// step waits while the rebuild is paused, and as long as its rate asks.
func (c *control) step(ctx context.Context) error {
	if goOn := c.paused(); goOn != nil {
		select {
		case <-goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.limit != nil && c.limit.Wait(ctx) != nil { // it fails early when it sees that it would
		<-ctx.Done()
	}
	return ctx.Err()
}

// RebuildStatus is what an operator sees of a rebuild.
type RebuildStatus struct {
	Progress
	RebuildOptions
	Generation int       `json:"generation"`
	Running    bool      `json:"running"` // false: it waits for resume
	Paused     bool      `json:"paused"`
	Began      time.Time `json:"began"`
}

// Rebuilding tells of the rebuild that runs or is unfinished; nil without one.
func (rm *ReadModels) Rebuilding() (*RebuildStatus, error) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.control != nil {
		c := rm.control
		paused := c.paused() != nil
		c.mu.Lock()
		defer c.mu.Unlock()
		return &RebuildStatus{c.progress, rm.job.RebuildOptions, rm.job.Generation, true, paused, rm.job.Began}, nil
	}
	return Unfinished(rm.dir)
}

// Unfinished tells of a rebuild that waits to be resumed in the folder; nil without one.
// One that runs in another process looks the same.
func Unfinished(dir string) (*RebuildStatus, error) {
	j, err := readJob(dir)
	if j == nil || err != nil {
		return nil, err
	}
	return &RebuildStatus{Progress{Phase: j.Phase}, j.RebuildOptions, j.Generation, false, j.Paused, j.Began}, nil
}

// Pause lets the rebuild that runs, or is unfinished, wait until Resume. It stays paused
// over restarts.
func (rm *ReadModels) Pause() error {
	return rm.changeJob(func(c *control) {
		if c.goOn == nil {
			c.goOn = make(chan struct{})
		}
	})
}

// Resume lets a paused rebuild go on. One that runs nowhere is not paused any more, and
// goes on with [ReadModels.Continue].
func (rm *ReadModels) Resume() error {
	return rm.changeJob(func(c *control) {
		if c.goOn != nil {
			close(c.goOn)
			c.goOn = nil
		}
	})
}

// changeJob changes the rebuild that runs, or is unfinished, in memory and on disk.
func (rm *ReadModels) changeJob(change func(*control)) error {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	j, c := rm.job, rm.control
	if c == nil {
		var err error
		if j, err = readJob(rm.dir); err != nil {
			return err
		}
		if j == nil {
			return ErrNoRebuild
		}
		c = newControl(nil, j)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
	j.Paused = c.goOn != nil
	return writeJob(rm.dir, j)
}

// Cancel gives up the rebuild that runs, which then returns ErrCancelled, or deletes an
// unfinished one.
func (rm *ReadModels) Cancel() error {
	if rm.cancelRunning() {
		return nil
	}
	select {
	case rm.rebuilding <- struct{}{}:
		defer func() { <-rm.rebuilding }()
	default: // it just began, or is about to end
		return ErrRebuilding
	}
	j, err := readJob(rm.dir)
	var damage *DamagedError
	switch {
	case errors.As(err, &damage): // whatever it was
		return errors.Join(removeJob(rm.dir), removeLeftovers(rm.dir, rm.manifest))
	case err != nil:
		return err
	case j == nil:
		return ErrNoRebuild
	}
	return errors.Join(removeJob(rm.dir), removeDatabase(filepath.Join(rm.dir, j.File)))
}

func (rm *ReadModels) cancelRunning() bool {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.control == nil {
		return false
	}
	rm.control.cancel(ErrCancelled)
	return true
}

// Rebuild builds the next generation from the log while the live one goes on,
// compares the two at one position of the log, and swaps. It works with and
// without a Run going on. Queries see the live generation until the swap. report is
// called from time to time; nil for none.
//
// When the context ends, or Close is called, it returns a *SuspendedError and
// [ReadModels.Continue] goes on from there; on any other error the live generation
// stays and the new file is deleted: a *MismatchError when the two differ and that is
// not accepted, ErrCancelled after Cancel. ErrRebuilding and ErrUnfinished refuse a
// second one.
func (rm *ReadModels) Rebuild(ctx context.Context, o RebuildOptions, report func(Progress)) (Rebuilt, error) {
	if err := o.check(); err != nil {
		return Rebuilt{}, err
	}
	return rm.rebuildAlone(ctx, report, func() (*job, error) {
		if j, err := readJob(rm.dir); j != nil || err != nil {
			return nil, errors.Join(err, ErrUnfinished)
		}
		return rm.newJob(o)
	})
}

// Continue goes on with an unfinished rebuild, paused or not.
func (rm *ReadModels) Continue(ctx context.Context, report func(Progress)) (Rebuilt, error) {
	return rm.rebuildAlone(ctx, report, func() (*job, error) {
		j, err := readJob(rm.dir)
		if j == nil && err == nil {
			err = ErrNoRebuild
		}
		return j, err
	})
}

func (rm *ReadModels) newJob(o RebuildOptions) (*job, error) {
	number := max(rm.manifest.Generation, highestGeneration(rm.dir)) + 1
	j := &job{RebuildOptions: o, Generation: number, File: fileName(number), Phase: Filling, Began: time.Now().UTC()}
	return j, writeJob(rm.dir, j)
}

// rebuildAlone does a job unless another one is done.
func (rm *ReadModels) rebuildAlone(ctx context.Context, report func(Progress), which func() (*job, error)) (Rebuilt, error) {
	select {
	case rm.rebuilding <- struct{}{}:
		defer func() { <-rm.rebuilding }()
	default:
		return Rebuilt{}, ErrRebuilding
	}
	return rm.work(ctx, report, which)
}

// work does a job while rm.rebuilding is held.
func (rm *ReadModels) work(ctx context.Context, report func(Progress), which func() (*job, error)) (Rebuilt, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if report == nil {
		report = func(Progress) {}
	}
	b, err := rm.beginJob(cancel, report, which)
	if err != nil {
		return Rebuilt{}, err
	}
	err = b.run(ctx)
	rm.endJob()
	if err != nil {
		return Rebuilt{}, b.stop(ctx, err)
	}
	b.outcome.Took = time.Since(b.began)
	rm.options.Logger.Info("read models rebuilt", "generation", b.outcome.Generation, "events", b.outcome.Events,
		"took", b.outcome.Took, "verified", b.outcome.Verified, "accepted", b.job.Reason)
	return b.outcome, nil
}

func (rm *ReadModels) beginJob(cancel context.CancelCauseFunc, report func(Progress), which func() (*job, error)) (*rebuild, error) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.closed {
		return nil, store.ErrClosed
	}
	j, err := which()
	if err != nil {
		return nil, err
	}
	rm.job, rm.control = j, newControl(cancel, j)
	return &rebuild{rm: rm, job: j, control: rm.control, report: report, began: time.Now(), total: rm.progress.get().Events}, nil
}

func (rm *ReadModels) endJob() {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	rm.job, rm.control = nil, nil
}

// stop ends a job that was not done: it is saved when it was only interrupted, else
// deleted.
func (b *rebuild) stop(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, ErrCancelled) {
		if cause != nil {
			err = cause
		}
		return errors.Join(err, b.discard())
	}
	saved, saveErr := b.save()
	if saveErr != nil { // the disk, perhaps: it begins anew
		b.rm.options.Logger.Warn("an unfinished rebuild was not saved and will begin anew", "err", saveErr)
	}
	b.job.Saved, b.job.Phase = saved, b.phase
	if !errors.Is(cause, ctx.Err()) {
		cause = errors.Join(cause, ctx.Err())
	}
	return &SuspendedError{Phase: b.phase, Err: errors.Join(cause, writeJob(b.rm.dir, b.job))}
}

// save makes what there is last, and closes it. A file in the middle of getting its
// indexes is not worth keeping.
func (b *rebuild) save() (jobState, error) {
	switch {
	case b.next == nil:
		return b.job.Saved, nil
	case b.filled:
		return filledSaved, b.next.close()
	case b.phase != Filling:
		return nothingSaved, errors.Join(b.next.close(), removeDatabase(b.next.path))
	}
	if err := errors.Join(b.next.saveFilling(), b.next.close()); err != nil {
		return nothingSaved, errors.Join(err, removeDatabase(b.next.path))
	}
	return fillingSaved, nil
}

// discard deletes a generation that did not become live, and its job.
func (b *rebuild) discard() error {
	err := removeJob(b.rm.dir)
	if b.next == nil {
		return err
	}
	return errors.Join(err, b.next.close(), removeDatabase(b.next.path))
}
