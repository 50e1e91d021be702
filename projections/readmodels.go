package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// Options of [Open]. The zero value of every field works, and so does nil.
type Options struct {
	// Logger tells what an operator should know; nil means silence.
	Logger *slog.Logger
	// Readers is the number of connections that answer queries; default 4.
	Readers int
	// CacheRows bounds the rows kept in memory, per table; default 20 000.
	CacheRows int
	// RebuildRows bounds the rows a rebuild keeps in memory, per table; default
	// 100 000. What does not fit is written and read back.
	RebuildRows int
	// Gather is how long news gathers before it is applied, unless somebody
	// waits for it: fewer and larger transactions; default 10 ms.
	Gather time.Duration
	// KeepFormer is how long after a swap the former generation is kept caught up, so
	// that Rollback is quick; default one hour. A negative one keeps none.
	KeepFormer time.Duration
	// Applied, unless nil, is told of each batch that was committed, and when that began.
	// It must not keep the batch.
	Applied func(batch []events.Recorded, began time.Time)
	// OnPoison is what an event that cannot be applied does; default Stop.
	OnPoison Poison
	// ReplaceDamaged builds anew, from the beginning of the log, when the live
	// generation cannot be used; without it Open refuses.
	ReplaceDamaged bool
}

func (o *Options) withDefaults() Options {
	var filled Options
	if o != nil {
		filled = *o
	}
	if filled.Gather <= 0 {
		filled.Gather = 10 * time.Millisecond
	}
	if filled.KeepFormer == 0 {
		filled.KeepFormer = time.Hour
	}
	if filled.Logger == nil {
		filled.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&filled.Readers, 4}, {&filled.CacheRows, 20_000}, {&filled.RebuildRows, 100_000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return filled
}

// ReadModels is the server's side: it follows the log, answers queries and can
// be rebuilt while it does both. Safe for concurrent use. One process may have
// a folder open this way; others use [OpenReadOnly].
type ReadModels struct {
	*Queries
	dir      string
	log      store.LogReader
	options  Options
	progress progress
	changes  *Changes      // of conversations, in what is committed
	hurry    chan struct{} // one slot: somebody waits for what was just appended

	rebuilding chan struct{}   // holds one element while a rebuild or a rollback runs
	following  sync.Mutex      // held by who works on the former generation; before writing
	formerAt   events.Position // guarded by following: where it stands, if that is known
	newFormer  chan struct{}   // one slot: there is another former generation

	// writing guards the fields below. It is held for one batch at a time, and
	// by a rebuild for the moment of the swap.
	writing  sync.Mutex
	live     *generation // nil after an error, until the next run opens it again
	manifest manifest
	job      *job     // the rebuild that runs; nil without one
	control  *control // of the job
	running  bool
	closed   bool
}

// Open opens the read models in the folder, which is made if missing, and
// starts nothing. A folder without read models, or with ones of another
// version, gets a new, empty generation, which the first [ReadModels.Run] fills
// from the log; and so does one whose last event is not in the log at its
// position, as when the log was restored from a backup: after Open, what the
// rows say is what this log says. A generation that cannot be used is refused
// with a *DamagedError unless the options say otherwise.
func Open(dir string, log store.LogReader, options *Options) (*ReadModels, error) {
	rm := &ReadModels{dir: dir, log: log, options: options.withDefaults(), changes: NewChanges(changesKept, events.Position{}), hurry: make(chan struct{}, 1), rebuilding: make(chan struct{}, 1), newFormer: make(chan struct{}, 1)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("read models: %w", err)
	}
	if err := rm.openLive(); err != nil {
		return nil, err
	}
	queries, err := newQueries(rm.live.path, rm.options.Readers)
	if err != nil {
		return nil, errors.Join(err, rm.live.close())
	}
	rm.Queries = queries
	rm.progress.status = Status{Name: Name, Version: Version}
	rm.progress.reach(rm.manifest.Generation, rm.live.mark)
	return rm, nil
}

func (rm *ReadModels) openLive() error {
	m, found, err := readManifest(rm.dir)
	if err == nil && found && m.Version == Version && exists(filepath.Join(rm.dir, m.File)) {
		var kept bool
		if kept, err = rm.continueLive(m); kept {
			return removeLeftovers(rm.dir, m)
		}
	}
	if err != nil && !rm.replaces(err) {
		return err
	}
	return rm.startFromZero(m)
}

// continueLive opens the generation that the manifest names. It is not kept
// when it stands for events that the log does not have.
func (rm *ReadModels) continueLive(m manifest) (kept bool, err error) {
	g, err := openGeneration(filepath.Join(rm.dir, m.File), rm.options.CacheRows/2)
	if err != nil {
		return false, err
	}
	if kept, err = standsOn(context.Background(), rm.log, g.mark); kept {
		g.quarantine.on = rm.options.OnPoison == Quarantine
		rm.live, rm.manifest = g, m
		return true, nil
	}
	if err == nil {
		rm.options.Logger.Warn("the log does not have the last event of the read models; was it restored from a backup?",
			"file", m.File, "position", g.mark.position, "event", g.mark.id)
	}
	return false, errors.Join(err, g.close())
}

func (rm *ReadModels) replaces(err error) bool {
	var damage *DamagedError
	return rm.options.ReplaceDamaged && errors.As(err, &damage)
}

// startFromZero makes an empty generation live; the first run fills it.
func (rm *ReadModels) startFromZero(former manifest) error {
	number := max(former.Generation, highestGeneration(rm.dir)) + 1
	next := manifest{Name: Name, Version: Version, Generation: number, File: fileName(number), Former: former.File}
	g, err := newGeneration(filepath.Join(rm.dir, next.File), rm.options.CacheRows/2, false)
	if err != nil {
		return err
	}
	if err := writeManifest(rm.dir, next); err != nil {
		return errors.Join(err, g.close())
	}
	g.quarantine.on = rm.options.OnPoison == Quarantine
	rm.live, rm.manifest = g, next
	if former.File != "" {
		rm.options.Logger.Warn("read models are built anew from the log", "former", former.File, "file", next.File)
	}
	return removeLeftovers(rm.dir, next)
}

// ErrRunning refuses a second Run.
var ErrRunning = errors.New("the projection is running already")

// Run follows the log until the context ends, and returns nil then. Any other
// error stops the projection with its position unmoved: Status shows it, Wait
// returns it, and calling Run again is the recovery.
func (rm *ReadModels) Run(ctx context.Context) error {
	if err := rm.begin(); err != nil {
		return err
	}
	err := rm.followBoth(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	rm.end(err)
	return err
}

func (rm *ReadModels) begin() error {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	switch {
	case rm.closed:
		return store.ErrClosed
	case rm.running:
		return ErrRunning
	}
	if rm.live == nil {
		live, err := openGeneration(filepath.Join(rm.dir, rm.manifest.File), rm.options.CacheRows/2)
		if err != nil {
			return err
		}
		live.quarantine.on = rm.options.OnPoison == Quarantine
		rm.live = live
	}
	rm.running = true
	rm.progress.start()
	return nil
}

func (rm *ReadModels) end(err error) {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	rm.running = false
	rm.progress.stop(err)
}

// followBoth follows the log on behalf of the live generation and of the former.
func (rm *ReadModels) followBoth(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var former sync.WaitGroup
	defer former.Wait()
	defer cancel()
	former.Go(func() { rm.followFormer(ctx) })
	return rm.fillThenFollow(ctx)
}

// fillThenFollow fills an empty generation the fast way before it follows.
func (rm *ReadModels) fillThenFollow(ctx context.Context) error {
	head, err := rm.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the log's head: %w", err)
	}
	if rm.progress.get().Position.IsZero() && !head.IsZero() {
		if err := rm.fill(ctx); err != nil {
			return err
		}
	}
	return rm.follow(ctx)
}

// fill is the first rebuild, unless another one gets there first.
func (rm *ReadModels) fill(ctx context.Context) error {
	select {
	case rm.rebuilding <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-rm.rebuilding }()
	if !rm.progress.get().Position.IsZero() {
		return nil
	}
	_, err := rm.work(ctx, nil, func() (*job, error) {
		if j, err := readJob(rm.dir); j != nil || err != nil {
			return j, err
		}
		return rm.newJob(RebuildOptions{})
	})
	return err
}

// maxTransaction bounds the events of one transaction while there is a backlog:
// the more there are, the fewer pages are written twice.
const maxTransaction = 8 * store.SubscribeBatch

func (rm *ReadModels) follow(ctx context.Context) error {
	after := rm.progress.get().Position
	var pending store.Batch
	for batch, err := range store.Subscribe(ctx, store.Paced(rm.log, rm.options.Gather, rm.hurry), after, store.Filter{}) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		pending = store.Batch{Events: append(pending.Events, batch.Events...), Upto: batch.Upto}
		if !batch.Live && len(pending.Events) < maxTransaction {
			continue
		}
		if err := rm.apply(pending); err != nil {
			return err
		}
		clear(pending.Events)
		pending.Events = pending.Events[:0]
	}
	return nil
}

// apply commits one batch and tells those who wait for it.
func (rm *ReadModels) apply(batch store.Batch) error {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.live == nil {
		return store.ErrClosed
	}
	began := time.Now()
	if err := rm.live.apply(batch); err != nil {
		err = errors.Join(err, rm.live.close()) // its rows in memory are not to be trusted
		rm.live = nil
		return err
	}
	if rm.options.Applied != nil && len(batch.Events) > 0 {
		rm.options.Applied(batch.Events, began)
	}
	rm.noteChanges(batch.Events)
	rm.progress.reach(rm.manifest.Generation, rm.live.mark)
	if rm.live.dirty >= checkpointEvery {
		return rm.live.checkpoint()
	}
	return nil
}

// Wait returns when everything up to the position is in the rows that queries
// see, or with the context's error, or with a *StoppedError when the projection
// does not move.
func (rm *ReadModels) Wait(ctx context.Context, position events.Position) error {
	if rm.progress.get().Position.Compare(position) < 0 {
		select {
		case rm.hurry <- struct{}{}: // somebody waits: no more gathering
		default:
		}
	}
	return rm.progress.wait(ctx, position)
}

// Status tells how the projection is doing.
func (rm *ReadModels) Status() Status { return rm.progress.get() }

// Close releases the files. End Run first. A rebuild that runs is given up, with
// store.ErrClosed, and waited for; so its report must not call Close.
func (rm *ReadModels) Close() error {
	if !rm.beginClose() {
		return nil
	}
	rm.rebuilding <- struct{}{}
	defer func() { <-rm.rebuilding }()
	rm.writing.Lock()
	defer rm.writing.Unlock()
	err := rm.Queries.Close()
	if rm.live != nil {
		err = errors.Join(err, rm.live.close())
		rm.live = nil
	}
	return err
}

// beginClose lets nothing new begin; false when that was done before.
func (rm *ReadModels) beginClose() bool {
	rm.writing.Lock()
	defer rm.writing.Unlock()
	if rm.closed {
		return false
	}
	rm.closed = true
	if rm.control != nil {
		rm.control.cancel(store.ErrClosed)
	}
	return true
}
