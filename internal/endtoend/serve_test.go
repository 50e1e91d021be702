package endtoend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/bustest"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// Environment of the serving process of a benchmark.
const (
	serveVariable   = "PARLEY_ENDTOEND_SERVE"   // lazy or always: syncing of durable commands
	lagVariable     = "PARLEY_ENDTOEND_LAG"     // file for the lags of the read models
	profileVariable = "PARLEY_ENDTOEND_PROFILE" // file for a CPU profile
)

func TestMain(m *testing.M) {
	if sync := os.Getenv(serveVariable); sync != "" {
		if err := serve(sync); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve is a server of a folder of its own: log on disk, engine, read models,
// events out, and both doors.
func serve(syncing string) (err error) {
	dir, err := os.MkdirTemp("", "parley-endtoend-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	stop, err := profile()
	if err != nil {
		return err
	}
	defer stop()
	log, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	models, err := projections.Open(filepath.Join(dir, "read"), log, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, models.Close()) }()
	interval := time.Duration(0)
	if syncing == "lazy" {
		interval = time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return models.Run(ctx) })
	p := &publishing{log: log, done: make(chan error, 1)}
	l := &lags{engine: engine.New(log, &engine.Options{DefaultAccount: account}), models: models}
	if _, err := l.engine.Execute(ctx, engine.Command{Type: "account.create", Aggregate: account}); err != nil {
		cancel()
		return errors.Join(err, group.Wait())
	}
	err = bustest.Serve(filepath.Join(dir, "bus"), interval, l.execute, ends{os.Stdin, p}, begins{os.Stdout, p})
	cancel()
	return errors.Join(err, group.Wait(), l.save())
}

// publishing brings events out: it begins when the broker's address is told, and
// ends before the broker does.
type publishing struct {
	log    *sqlitestore.Store
	nc     *nats.Conn
	cancel context.CancelFunc
	done   chan error
}

func (p *publishing) begin(url string) (err error) {
	if p.nc, err = nats.Connect(url); err != nil {
		return err
	}
	publisher, err := bus.NewEventPublisher(p.nc, p.log, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() { p.done <- publisher.Run(ctx) }()
	return nil
}

func (p *publishing) end() error {
	p.cancel()
	defer p.nc.Close()
	return <-p.done
}

// begins is where the broker's address is told to.
type begins struct {
	io.Writer
	*publishing
}

func (b begins) Write(line []byte) (int, error) {
	if err := b.begin(strings.TrimSpace(string(line))); err != nil {
		return 0, err
	}
	return b.Writer.Write(line)
}

// ends is what tells, by its end, that the benchmark is over.
type ends struct {
	io.Reader
	*publishing
}

func (e ends) Read(into []byte) (int, error) {
	n, err := e.Reader.Read(into)
	if err == nil {
		return n, nil
	}
	if ended := e.end(); ended != nil {
		return n, ended
	}
	return n, err // io.Copy knows io.EOF by its face
}

func profile() (stop func(), err error) {
	path := os.Getenv(profileVariable)
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, pprof.StartCPUProfile(f)
}

// lags samples how long after a command was acknowledged a reader finds it.
type lags struct {
	engine *engine.Engine
	models *projections.ReadModels
	last   atomic.Int64 // when the last sample was taken, Unix nanoseconds
	mu     sync.Mutex
	all    []time.Duration
}

const sampleEvery = 5 * time.Millisecond

func (l *lags) execute(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	outcome, err := l.engine.Execute(ctx, c)
	now := time.Now()
	if last := l.last.Load(); err == nil && now.UnixNano()-last > int64(sampleEvery) && l.last.CompareAndSwap(last, now.UnixNano()) {
		go l.sample(context.WithoutCancel(ctx), outcome.Position, now)
	}
	return outcome, err
}

func (l *lags) sample(ctx context.Context, position events.Position, acked time.Time) {
	if l.models.Wait(ctx, position) != nil {
		return // the process ends
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, time.Since(acked))
}

func (l *lags) save() error {
	path := os.Getenv(lagVariable)
	if path == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	data, err := json.Marshal(l.all)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}
