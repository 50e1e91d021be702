package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

// operation is what an operator asks of a projection. A running server does it; without
// one it is done on the folder.
type operation struct {
	action string
	projections.RebuildOptions
	projections.Scope
	Stream string `json:"stream,omitempty"` // of the quarantine
}

// What can be done to a projection.
const (
	actionDescribe = "describe"
	actionRebuild  = "rebuild"
	actionRefold   = "refold"
	actionPause    = "pause"
	actionResume   = "resume"
	actionCancel   = "cancel"
	actionRollback = "rollback"
	actionRetry    = "retry" // what is parked
	actionSkip     = "skip"
)

// operationStep is one line of an operation's story: a step, or its end.
type operationStep struct {
	Progress *projections.Progress      `json:"progress,omitempty"`
	Status   *projections.RebuildStatus `json:"status,omitempty"`
	Rebuilt  *projections.Rebuilt       `json:"rebuilt,omitempty"`
	Refolded *projections.Refolded      `json:"refolded,omitempty"`
	Released *projections.Released      `json:"released,omitempty"`
	Mismatch *projections.MismatchError `json:"mismatch,omitempty"`
	Exit     int                        `json:"exit,omitempty"` // code for the error that follows
	Error    string                     `json:"error,omitempty"`
	Done     bool                       `json:"done,omitempty"`
}

// perform does it. What is done in the background goes on when whoever asked leaves.
func (o operation) perform(ctx context.Context, models *projections.ReadModels, background func(work) error, step func(operationStep)) error {
	switch o.action {
	case actionDescribe:
		status, err := models.Rebuilding()
		step(operationStep{Status: status})
		return err
	case actionPause:
		return models.Pause()
	case actionCancel:
		return models.Cancel()
	case actionResume:
		err := models.Resume()
		if status, statusErr := models.Rebuilding(); err != nil || statusErr != nil || status == nil || status.Running {
			return errors.Join(err, statusErr)
		}
		return background(continueRebuild(models))
	case actionRebuild:
		return background(newRebuild(models, o.RebuildOptions))
	case actionRefold:
		refolded, err := models.Refold(ctx, o.Scope, o.Rate)
		if err == nil {
			step(operationStep{Refolded: &refolded})
		}
		return err
	case actionRetry, actionSkip:
		released, err := o.release(ctx, models)
		if err == nil {
			step(operationStep{Released: &released})
		}
		return err
	case actionRollback:
		rebuilt, err := models.Rollback(ctx)
		if err == nil {
			step(operationStep{Rebuilt: &rebuilt})
		}
		return err
	}
	return usage("there is nothing like %q to do with a projection", o.action)
}

func (o operation) release(ctx context.Context, models *projections.ReadModels) (projections.Released, error) {
	if o.action == actionSkip {
		return models.Skip(ctx, o.Stream, o.Reason)
	}
	return models.Retry(ctx, o.Stream)
}

// work takes long and tells its steps.
type work func(ctx context.Context, step func(operationStep)) error

func newRebuild(models *projections.ReadModels, o projections.RebuildOptions) work {
	return told(func(ctx context.Context, report func(projections.Progress)) (projections.Rebuilt, error) {
		return models.Rebuild(ctx, o, report)
	})
}

func continueRebuild(models *projections.ReadModels) work {
	return told(models.Continue)
}

// told tells the steps of a rebuild, at most one a second and phase.
func told(rebuild func(context.Context, func(projections.Progress)) (projections.Rebuilt, error)) work {
	return func(ctx context.Context, step func(operationStep)) error {
		rebuilt, err := rebuild(ctx, onceASecond(func(p projections.Progress) { step(operationStep{Progress: &p}) }))
		var mismatch *projections.MismatchError
		if errors.As(err, &mismatch) {
			step(operationStep{Mismatch: mismatch})
			return fmt.Errorf("%w: %w", errDifference, err)
		}
		if err == nil {
			step(operationStep{Rebuilt: &rebuilt})
		}
		return err
	}
}

// tasks does what takes long in the server's own time.
type tasks struct {
	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of the server's part, while it runs; nil before and after
	running sync.WaitGroup
}

var errNotRunning = errors.New("the server is starting or stopping")

// run lets tasks begin until the context ends, and waits for them.
func (t *tasks) run(ctx context.Context) error {
	t.open(ctx)
	<-ctx.Done()
	t.close()
	t.running.Wait()
	return nil
}

func (t *tasks) open(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx = ctx
}

func (t *tasks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx = nil
}

func (t *tasks) begin() (context.Context, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil {
		return nil, errNotRunning
	}
	t.running.Add(1)
	return t.ctx, nil
}

// do begins the work and follows it as long as whoever asked listens.
func (t *tasks) do(asker context.Context, w work, step func(operationStep)) error {
	ctx, err := t.begin()
	if err != nil {
		return err
	}
	steps, ended := make(chan operationStep), make(chan error, 1)
	go func() { // waited for by run
		defer t.running.Done()
		ended <- w(ctx, func(s operationStep) {
			select {
			case steps <- s:
			case <-asker.Done():
			}
		})
	}()
	for {
		select {
		case s := <-steps:
			step(s)
		case err := <-ended:
			return err
		case <-asker.Done():
			return asker.Err()
		}
	}
}

// operate is the admin door's.
func (v *server) operate(ctx context.Context, name, action string, options []byte, step func(any)) error {
	o := operation{action: action}
	err := knownProjection(name)
	if err == nil && len(options) > 0 {
		if err = json.Unmarshal(options, &o); err != nil {
			err = usage("options: %v", err)
		}
	}
	if err == nil {
		tell := func(s operationStep) { step(s) }
		background := func(w work) error { return v.tasks.do(ctx, w, tell) }
		err = o.perform(ctx, v.models, background, tell)
	}
	if err != nil {
		step(operationStep{Exit: exitCode(err)})
	}
	return err
}

// runTasks goes on with a rebuild that a restart interrupted, and does what operators
// ask for.
func (v *server) runTasks(ctx context.Context) error {
	waiting, err := v.models.Rebuilding()
	if err != nil {
		v.log.Warn("an unfinished rebuild is not continued", "err", err)
	}
	if waiting == nil || waiting.Running || waiting.Paused {
		return v.tasks.run(ctx)
	}
	v.tasks.open(ctx)
	began, err := v.tasks.begin()
	if err != nil {
		return err
	}
	go func() { // waited for by run
		defer v.tasks.running.Done()
		err := continueRebuild(v.models)(began, func(operationStep) {})
		if err != nil && ctx.Err() == nil && !errors.Is(err, projections.ErrRebuilding) && !errors.Is(err, projections.ErrNoRebuild) {
			v.log.Error("rebuild failed", "err", err)
		}
	}()
	return v.tasks.run(ctx)
}

// remoteError is what a server answered.
type remoteError struct {
	message string
	exit    int
}

func (e *remoteError) Error() string { return e.message }

// operateByServer has the folder's running server do it; errNoServer when there is none.
func operateByServer(ctx context.Context, f folder, o operation, step func(operationStep)) error {
	e, err := f.running()
	if err != nil {
		return err
	}
	token, err := f.known("admin-token")
	if err != nil {
		return err
	}
	options, err := json.Marshal(o)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.forOperators()+"/admin/projections/"+projections.Name+"/"+o.action, bytes.NewReader(options))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client, err := e.client()
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f, errNoServer)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", response.Status)
	}
	err = followSteps(response.Body, step)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// maxStep bounds a line of a server's story, in bytes: a mismatch can be long.
const maxStep = 64 << 20

func followSteps(body io.Reader, step func(operationStep)) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxStep)
	exit := exitFailure
	for lines.Scan() {
		var s operationStep
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("answer of the server: %w", err)
		}
		switch {
		case s.Done:
			return nil
		case s.Error != "":
			return &remoteError{s.Error, exit}
		case s.Exit != 0:
			exit = s.Exit
		default:
			step(s)
		}
	}
	return errors.Join(errors.New("the server left before it was done"), lines.Err())
}

// operateHere does it on the folder itself. The log's lock keeps servers out.
func operateHere(ctx context.Context, f folder, o operation, step func(operationStep)) (err error) {
	log, err := f.openLog(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	err = o.performOn(ctx, log, f, step)
	if o.action != actionRebuild || !damagedFile(err) {
		return err
	}
	return o.performWithout(ctx, log, f, step)
}

func (o operation) performOn(ctx context.Context, log store.Log, f folder, step func(operationStep)) (err error) {
	models, err := projections.Open(f.read(), log, &projections.Options{ReplaceDamaged: o.action == actionRebuild, OnPoison: projections.Quarantine})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, models.Close()) }()
	switch o.action {
	case actionRebuild, actionRefold, actionRollback, actionRetry, actionSkip:
		if err := catchUpModels(ctx, models, log); err != nil {
			return err
		}
	}
	return o.perform(ctx, models, func(w work) error { return w(ctx, step) }, step)
}

// performWithout puts read models aside that are too damaged to be compared
// with. They come back when it was not them but the log that is damaged.
func (o operation) performWithout(ctx context.Context, log store.Log, f folder, step func(operationStep)) error {
	aside := f.read() + ".damaged"
	if err := errors.Join(os.RemoveAll(aside), os.Rename(f.read(), aside)); err != nil {
		return err
	}
	if err := o.performOn(ctx, log, f, step); err != nil {
		return errors.Join(err, os.RemoveAll(f.read()), os.Rename(aside, f.read()))
	}
	return os.RemoveAll(aside)
}

// catchUpModels brings the live read models to the head, so that there is
// something to compare with.
func catchUpModels(ctx context.Context, models *projections.ReadModels, log store.Log) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- models.Run(running) }() // waited for below
	err = models.Wait(ctx, head)
	stop()
	return errors.Join(err, <-done)
}
