package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/httpapi"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

func (v *server) openHTTP() (err error) {
	token, err := v.folder.secret("admin-token")
	if err != nil {
		return err
	}
	if v.listener, err = net.Listen("tcp", v.settings.http); err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if v.settings.tlsCert != "" {
		if _, err := tls.LoadX509KeyPair(v.settings.tlsCert, v.settings.tlsKey); err != nil {
			return fmt.Errorf("http: %w", err)
		}
	}
	surface, err := v.rest()
	if err != nil {
		return err
	}
	config := httpapi.Config{
		Ready:    v.checks,
		Metrics:  promhttp.HandlerFor(v.registry, promhttp.HandlerOpts{}),
		Operate:  v.operate,
		REST:     surface,
		Channels: v.channels.Handler(v.settings.publicURL, refuse),
		Token:    token,
		Log:      v.log,
		Apart:    v.settings.operations != "",
	}
	v.http = newHTTPServer(httpapi.New(config))
	if !config.Apart {
		return nil
	}
	if v.operated, err = net.Listen("tcp", v.settings.operations); err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	v.operator = newHTTPServer(httpapi.Operations(config))
	return nil
}

func newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
}

// refuse answers gateways as the port answers everybody.
func refuse(w http.ResponseWriter, status int, reason string) {
	rest.Refuse(w, rest.Malformed(status, reason))
}

func (v *server) runHTTP(ctx context.Context) error { return runServer(ctx, v.http, v.serve) }

func (v *server) runOperations(ctx context.Context) error {
	if v.operator == nil {
		<-ctx.Done()
		return nil
	}
	return runServer(ctx, v.operator, func() error { return v.operator.Serve(httpapi.Listener(v.operated)) })
}

// runServer serves until ctx ends.
func runServer(ctx context.Context, server *http.Server, serve func() error) error {
	served := make(chan error, 1)
	go func() { served <- serve() }() // waited for below
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			_ = server.Close() // whoever still reads had his second
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}

// maxLag is how old the oldest event not yet in the read models may be while
// the server calls itself ready.
const maxLag = 30 * time.Second

// checks are the conditions of readiness.
func (v *server) checks() []httpapi.Check {
	status := v.models.Status()
	return []httpapi.Check{
		{Name: "running", Problem: problem(isClosed(v.stopping), "stopping")},
		{Name: "log", Problem: v.writes.accepts()},
		{Name: "bus", Problem: cmp.Or(problem(!isClosed(v.bus.Ready()), "the doors are not open yet"), v.bus.Problem())},
		{Name: "broker", Problem: problem(v.conn.Status() != nats.CONNECTED, "not connected")},
		{Name: "timers", Problem: problem(!isClosed(v.loaded), "the due index is loading")},
		{Name: "projection", Problem: problem(status.Error != "", "stopped: "+status.Error)},
		{Name: "lag", Problem: problem(v.lag() > maxLag, "read models are behind")},
	}
}

func problem(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// head is where the log ends. Whoever scrapes or probes does not wait long for a log
// that is elsewhere.
func (v *server) head() (events.Position, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return v.store.Head(ctx)
}

// lag is how long the read models have been behind: zero when they are at the
// head, else the age of the newest event they have.
func (v *server) lag() time.Duration {
	head, err := v.head()
	status := v.models.Status()
	if err != nil || status.Position.Compare(head) >= 0 || status.LastRecorded.IsZero() {
		return 0
	}
	return time.Since(status.LastRecorded)
}

func newCommandMetrics(r prometheus.Registerer) func(commandType, result string, took time.Duration) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "parley_command_seconds", Help: "Time to execute a command, by type and result.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"command", "result"})
	r.MustRegister(seconds)
	return func(commandType, result string, took time.Duration) {
		seconds.WithLabelValues(commandType, result).Observe(took.Seconds())
	}
}

// quarantined counts the streams that are parked; -1 when that is not known.
func (v *server) quarantined() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	list, err := v.models.Quarantined(ctx)
	if err != nil {
		return -1
	}
	return float64(len(list))
}

// register adds the figures that are asked for when somebody scrapes.
func (v *server) register() {
	gauge := func(name, help string, value func() float64) {
		v.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func() float64) {
		v.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
	}
	gauge("parley_log_position", "Position of the last event of the log.", func() float64 {
		head, _ := v.head() // 0 when unknown
		return float64(head.Commit)
	})
	gauge("parley_projection_position", "Position the read models have reached.", func() float64 { return float64(v.models.Status().Position.Commit) })
	gauge("parley_projection_lag_seconds", "How long the read models have been behind the head.", func() float64 { return v.lag().Seconds() })
	gauge("parley_projection_running", "1 while the projection runs, 0 when it stopped.", func() float64 {
		if v.models.Status().Running {
			return 1
		}
		return 0
	})
	gauge("parley_projection_quarantined", "Streams that are parked for the read models because of an event that cannot be applied.", v.quarantined)
	v.registry.MustRegister(&observatory{server: v})
	gauge("parley_timers_filed", "Conversations with an entry in the due index.", func() float64 { return float64(v.scheduler.Stats().Filed) })
	gauge("parley_timers_backlog", "Conversations due and not yet looked at.", func() float64 { return float64(v.scheduler.Stats().Backlog) })
	gauge("parley_timers_late_seconds", "Lateness of the oldest instant of the last sweep.", func() float64 { return v.scheduler.Stats().Late.Seconds() })
	counter("parley_timers_fired_total", "Due instants that came up and were answered.", func() float64 { return float64(v.scheduler.Stats().Fired) })
	counter("parley_timers_failed_total", "Failed attempts to advance a conversation; each is tried again.", func() float64 { return float64(v.scheduler.Stats().Failed) })
}
