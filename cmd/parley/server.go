package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/blob"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/broker"
	"github.com/parley-engine/parley/internal/bus/lease"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/collector"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/snapshots"
	"github.com/parley-engine/parley/internal/webhooks"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/timers"
)

// server is everything a data folder has while somebody serves it. Parts are
// opened in the order of the fields and closed in the reverse order.
type server struct {
	settings settings
	folder   folder
	log      *slog.Logger
	registry *prometheus.Registry

	store     store.Log
	shared    bool             // others write to the log as well
	lostAt    *events.Position // where the log ended when it had lost its end; nil: it had not
	begun     events.Position  // the log's head when the server began
	writes    watchedLog
	broker    *broker.Server // nil: another one is used
	target    broker.Target
	conn      *nats.Conn
	leases    *lease.Leases // nil: this server is alone with its broker
	snapshots *snapshots.Store
	models    *projections.ReadModels
	engine    *engine.Engine
	index     *timers.Index
	scheduler *timers.Scheduler
	bus       *bus.Bus
	told      *reactor.Queue // calls of webhooks that are to be made, and were
	hooks     *webhooks.Hooks
	guarded   http.RoundTripper // for addresses that others name
	teller    *reactor.Reactor
	files     *blob.Store
	queues    []*reactor.Queue
	channels  *channels.Channels
	fresh     *rest.Freshness
	collector *collector.Collector
	tasks     tasks
	tracing   *tracing                           // nil: not wanted
	publisher atomic.Pointer[bus.EventPublisher] // nil: another node publishes, or it has not begun
	listener  net.Listener
	operated  net.Listener // for operators alone; nil: they use listener
	esdb      net.Listener // nil: not wanted
	http      *http.Server
	operator  *http.Server // of operated

	account   string
	simulated string        // MG…: what the first start set up on the simulated carrier, if it did
	stopping  chan struct{} // closed when the shutdown begins
	loaded    chan struct{} // closed when the due index has every running timer
}

// openServer opens the parts. What was opened before a failure is closed again.
func openServer(ctx context.Context, s settings, log *slog.Logger) (_ *server, err error) {
	v := &server{settings: s, folder: folder(s.data), log: log, registry: prometheus.NewRegistry(),
		stopping: make(chan struct{}), loaded: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	v.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := v.folder.claim(v.settings.store.URL != ""); err != nil {
		return nil, err
	}
	if v.tracing, err = newTracing(ctx); err != nil {
		return nil, err
	}
	if err := v.openLog(ctx); err != nil {
		return nil, err
	}
	if err := v.tellMissing(ctx); err != nil {
		return nil, err
	}
	if err := v.openBroker(ctx); err != nil {
		return nil, err
	}
	if err := v.openModels(); err != nil {
		return nil, err
	}
	if err := v.openEngine(ctx); err != nil {
		return nil, err
	}
	if err := v.openBus(ctx); err != nil {
		return nil, err
	}
	if err := v.openChannels(ctx); err != nil {
		return nil, err
	}
	if err := v.openHooks(ctx); err != nil {
		return nil, err
	}
	if err := v.openHTTP(); err != nil {
		return nil, err
	}
	if err := v.openESDB(); err != nil {
		return nil, err
	}
	v.register()
	return v, nil
}

func (v *server) openLog(ctx context.Context) (err error) {
	if err := v.folder.belongTo(v.settings.store); err != nil {
		return err
	}
	if err := v.openStore(ctx); err != nil {
		return err
	}
	at, err := v.folder.remote()
	if err != nil {
		return err
	}
	if v.shared = at != nil; v.shared {
		if err := v.folder.joins(ctx, v.store); err != nil {
			return err
		}
	}
	if err := v.folder.checkQueues(); err != nil {
		return err
	}
	v.writes = watchedLog{Log: v.store, failed: make(chan error, 1)}
	if err := v.folder.furnish(); err != nil {
		return err
	}
	return v.folder.tighten(v.log) // also one that this start has begun
}

func (v *server) openModels() (err error) {
	if v.snapshots, err = snapshots.Open(v.folder.path("snapshots.db"), v.log); err != nil {
		return err
	}
	v.models, err = projections.Open(v.folder.read(), v.followed(), &projections.Options{Logger: v.log, KeepFormer: v.settings.keepFormer, OnPoison: projections.Poison(v.settings.onPoison), Applied: v.tracing.applied()})
	return err
}

// openStore opens the log. One that has lost its end it opens only if that is accepted.
func (v *server) openStore(ctx context.Context) (err error) {
	if !v.settings.acceptLoss {
		v.store, err = v.folder.openLog(ctx, v.log)
		return err
	}
	v.log.Warn("--accept-loss is for one start: leave it out of the next")
	v.store, v.lostAt, err = v.folder.openLosing(ctx, accepting{reason: v.settings.lossReason, logger: v.log})
	return err
}

func (v *server) openEngine(ctx context.Context) (err error) {
	if v.account, err = v.folder.account(ctx, v.store); err != nil {
		return err
	}
	if v.files, err = blob.Open(cmp.Or(v.settings.media, v.folder.media())); err != nil {
		return err
	}
	if err := v.folder.checkIdentity(ctx, v.store, v.account); err != nil {
		return err
	}
	vault, err := v.folder.vault()
	if err != nil {
		return err
	}
	head, err := v.store.Head(ctx)
	if err != nil {
		return err
	}
	v.begun, v.fresh = head, rest.NewFreshness(head)
	v.engine = engine.New(v.tracing.log(v.writes), v.engineOptions(vault))
	if v.simulated, err = bootstrap(ctx, v.engine, v.account, v.settings.channels == ""); err != nil {
		return err
	}
	if err := v.folder.firstAuthToken(ctx, v.engine, v.account); err != nil {
		return err
	}
	v.collector = collector.New(collector.Config{
		Models: v.models.Queries, Execute: v.engine.Execute, CatchUp: v.catchUp, Sweep: v.sweep, Logger: v.log,
	})
	v.index = timers.NewIndex()
	v.scheduler = timers.NewScheduler(v.index, v.engine.Advance, &timers.Options{Logger: v.log})
	return nil
}

func (v *server) engineOptions(vault engine.Vault) *engine.Options {
	observed := newCommandMetrics(v.registry)
	return &engine.Options{
		DefaultAccount: v.account,
		GroupMMS:       v.settings.groupMMS,
		Limits:         conversation.Limits{MinInactiveTimer: v.settings.minInactive, MinClosedTimer: v.settings.minClosed},
		Snapshots:      v.snapshots,
		Vault:          vault,
		Wrote:          v.fresh.Wrote,
		Node:           v.nodeName(),
		Memberships:    v.memberships,
		RoleInUse:      v.roleInUse,
		Observe:        observed,
		OpenConversations: func(ctx context.Context, service, identity string) (int, error) {
			return v.models.OpenConversations(ctx, service, identity, conversation.DefaultLimits.OpenConversations)
		},
	}
}

// openBroker comes before anything is appended, because the broker has seen the log as
// well.
func (v *server) openBroker(ctx context.Context) error {
	if err := v.connect(); err != nil {
		return err
	}
	if err := v.openLeases(ctx); err != nil {
		return err
	}
	return v.checkMarks(ctx)
}

func (v *server) openBus(context.Context) error {
	options := bus.Options{ActFor: v.engine.ActFor, Owner: v.engine.Owner, Logger: v.log, Registerer: v.registry, Patience: v.settings.patience * 4 / 5}
	if v.leases != nil {
		options.Share = v.leases.Share
	}
	var err error
	v.bus, err = bus.New(v.conn, v.tracing.execute(v.engine.Execute), &options)
	return err
}

// announce says where the server listens, to people and to programs.
func (v *server) announce(out io.Writer) error {
	e := endpoints{HTTP: v.settings.scheme() + v.listener.Addr().String(), NATS: v.target.URL, PID: os.Getpid(), Cert: v.settings.tlsCert}
	how := "token in " + v.folder.path("secrets", "bus-token")
	if v.broker == nil {
		e.External, e.TokenFile, e.Creds, e.CA = true, v.settings.brokerTokenFile, v.target.Creds, v.target.CA
		how = "node " + v.settings.node
	}
	if v.esdb != nil {
		e.ESDB = v.esdbURL()
	}
	if v.operated != nil {
		e.Operations = "http://" + v.operated.Addr().String()
	}
	if err := v.folder.announce(e); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "http  %s\nrest  %s/v1 (account %s, auth token in %s)\nnats  %s (%s)\n",
		e.HTTP, e.HTTP, v.account, v.folder.path("secrets", authToken), e.NATS, how)
	if err == nil && v.operated != nil {
		_, err = fmt.Fprintf(out, "oper  %s (metrics, readiness, administration)\n", e.Operations)
	}
	if err == nil && v.simulated != "" {
		_, err = fmt.Fprintf(out, "sms   simulated: Messaging Service %s, the account's default, takes any number and reaches nobody (see --channels)\n", v.simulated)
	}
	if err == nil && v.esdb != nil {
		_, err = fmt.Fprintf(out, "esdb  %s (%s)\n", e.ESDB, v.esdbUser())
	}
	return err
}

// run works until the context ends or a part fails, then stops the parts in
// this order: bus (commands in flight finish), channels (attempts under way finish),
// rebuilds and drift check, engine, timers, read models and event publisher (they reach
// the head first), webhooks (calls under way end, what was not told is told after the
// next start), EventStoreDB's clients, HTTP.
// close follows.
func (v *server) run(ctx context.Context) error {
	group, failed := errgroup.WithContext(ctx)
	begun := func(name string, part func(context.Context) error) (stop func()) {
		// The part's context is its own: it ends when its turn comes.
		partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		group.Go(func() error {
			defer close(done)
			if err := part(partCtx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
		return func() { cancel(); <-done }
	}
	stopHTTP := begun("http", v.runHTTP)
	stopOperations := begun("operations", v.runOperations)
	stopESDB := begun("esdb", v.runESDB)
	stopWatch := begun("log", v.writes.awaitFailure)
	stopBroker := begun("bus", v.awaitBroker)
	stopModels := begun("read models", v.runModels)
	stopHearing := begun("other nodes", v.hear)
	stopFollow := begun("timers", v.followTimers)
	stopTimers := begun("timers", v.alone("timers", v.runTimers))
	stopPublisher := begun("event publisher", v.alone("events", v.publishEvents))
	stopOut := begun("channels out", v.alone("channels", v.channels.RunOut))
	stopIn := begun("channels in", v.channels.RunIn)
	stopReports := begun("reports of carriers", v.takeReports)
	stopHooks := begun("webhooks", v.alone("webhooks", v.teller.Run))
	stopCollector := begun("collector", v.alone("collector", v.collector.Run))
	stopTasks := begun("tasks", v.runTasks)
	stopDrift := begun("drift check", v.watchDrift)
	stopTokens := begun("bus tokens", v.followTokens)
	stopBus := begun("bus", v.bus.Run)

	<-failed.Done()
	close(v.stopping)
	v.log.Info("stopping")
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.settings.patience)
	defer cancel()
	stopBus()
	stopTokens()
	stopReports()
	stopOut()
	v.settleArrivals(patience)
	stopIn()
	stopTasks()
	stopDrift()
	stopCollector()
	drained := v.engine.Drain(patience)
	stopTimers()
	stopFollow()
	stopHearing()
	v.settle(patience)
	stopPublisher()
	stopHooks()
	stopModels()
	stopBroker()
	stopWatch()
	stopESDB()
	stopHTTP()
	stopOperations()
	return errors.Join(group.Wait(), drained)
}

// settle lets followers reach the head. That they do not is no error: they go
// on from where they were at the next start.
func (v *server) settle(ctx context.Context) {
	head, err := v.store.Head(ctx)
	if err == nil {
		err = v.models.Wait(ctx, head)
	}
	if err != nil {
		v.log.Warn("read models did not reach the head", "err", err)
	}
}

// runModels keeps the server up when the projection stops: commands do not need
// it, readiness tells, and the next start tries again.
func (v *server) runModels(ctx context.Context) error {
	if err := v.models.Run(ctx); err != nil {
		v.log.Error("projection stopped", "err", err)
		<-ctx.Done()
	}
	return nil
}

// followTimers fills the due index from the read model, so that a start folds no
// log, and keeps it in step with the log from there.
func (v *server) followTimers(ctx context.Context) error {
	position, err := v.models.DueRows(ctx, func(d projections.Due) bool {
		v.index.File(d.ConversationSid, d.Next())
		return true
	})
	if err != nil {
		return unlessDone(ctx, err)
	}
	close(v.loaded)
	news := store.Paced(v.followed(), 100*time.Millisecond, nil) // well before the next tick
	for batch, err := range store.Subscribe(ctx, news, position, store.Filter{Types: timers.Followed()}) {
		if err != nil {
			return unlessDone(ctx, err)
		}
		for _, recorded := range batch.Events {
			if err := v.index.Apply(recorded); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *server) runTimers(ctx context.Context) error {
	select {
	case <-v.loaded:
		return v.scheduler.Run(ctx)
	case <-ctx.Done():
		return nil
	}
}

// unlessDone drops the error that only says that we were told to stop.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// close closes what is open, last first.
func (v *server) close() error {
	var errs []error
	if v.listener != nil {
		_ = v.listener.Close() // closed already when the server ran
	}
	if v.operated != nil {
		_ = v.operated.Close() // likewise
	}
	if v.esdb != nil {
		_ = v.esdb.Close() // likewise
	}
	for _, q := range slices.Backward(v.queues) {
		errs = append(errs, q.Close())
	}
	if v.models != nil {
		errs = append(errs, v.models.Close())
	}
	errs = append(errs, v.tracing.close())
	if v.snapshots != nil {
		errs = append(errs, v.snapshots.Close())
	}
	if v.conn != nil {
		v.conn.Close()
	}
	if v.broker != nil {
		v.broker.Stop()
	}
	if v.store != nil {
		// Only who had the log may remove the announcement: a server that was
		// refused because another one runs must leave that one's alone.
		if err := os.Remove(v.folder.endpoints()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, v.store.Close())
	}
	return errors.Join(errs...)
}
