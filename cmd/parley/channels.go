package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/setup"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/webhooks"
)

// Files of the queues.
const (
	queueOut = "channels-out.db" // what is sent
	queueIn  = "channels-in.db"  // what carriers handed over
)

// fileLife is how long a carrier can fetch a file that it was given the address of.
const fileLife = 4 * time.Hour

func (f folder) queue(name string) string { return f.path("reactors", name) }

// openQueue opens a queue that closes with the server.
func (v *server) openQueue(name string, sync reactor.Sync) (*reactor.Queue, error) {
	if err := os.MkdirAll(v.folder.path("reactors"), 0o700); err != nil {
		return nil, err
	}
	q, err := reactor.OpenQueue(v.folder.queue(name), sync, nil)
	if err == nil {
		v.queues = append(v.queues, q)
	}
	return q, err
}

// openChannels opens the adapters and their queues.
func (v *server) openChannels(ctx context.Context) error {
	file, err := setup.Read(v.settings.channels)
	if err != nil {
		return fmt.Errorf("--channels: %w", err)
	}
	token, err := v.folder.secret("admin-token")
	if err != nil {
		return err
	}
	adapters, err := file.Open(setup.Surroundings{Token: token, Logger: v.log})
	if err != nil {
		return fmt.Errorf("--channels: %w", err)
	}
	out, err := v.openQueue(queueOut, reactor.Normal)
	if err != nil {
		return err
	}
	in, err := v.openQueue(queueIn, reactor.Full)
	if err != nil {
		return err
	}
	fileURL, err := v.fileURL()
	if err != nil {
		return err
	}
	mark, err := v.positionMark("channels")
	if err != nil {
		return err
	}
	shared, owner, err := v.sharedSending(ctx, in)
	if err != nil {
		return err
	}
	v.channels = channels.New(channels.Config{
		Engine: v.engine, Log: v.followed(), Streams: v.store, Out: out, In: in, Adapters: adapters, Routing: file.Routing(), Account: v.account,
		FileURL: fileURL, StatusURL: v.statusURL, Before: v.beforeChannel, Keep: v.fetcher().Keep, Mark: mark, Shared: shared, Owner: owner, Logger: v.log,
		Observe: carrierMetrics(v.registry),
	})
	return v.channels.Prepare(ctx)
}

// beforeChannel lets webhooks change or refuse what comes from outside; with a message,
// that it begins a conversation.
func (v *server) beforeChannel(ctx context.Context, c engine.Command, begins *carrier.Inbound) (engine.Command, error) {
	if begins == nil {
		return v.hooks.Before(ctx, c)
	}
	return v.hooks.BeforeArrival(ctx, c, webhooks.Arrival{Body: begins.Body, Binding: events.Binding{
		Type: events.AddressType(begins.From), Address: begins.From, ProxyAddress: begins.To[0],
	}})
}

// sharedSending is what nodes know of each other's sending, and this one's name in it,
// which its queue keeps; nil: this one is alone.
func (v *server) sharedSending(ctx context.Context, in *reactor.Queue) (channels.Shared, string, error) {
	if v.leases == nil {
		return nil, "", nil
	}
	const key = "owner"
	owner, err := in.Link(key)
	if err == nil && owner == "" {
		owner = uuid.NewString()
	}
	if err == nil { // also again, so that it is not forgotten
		err = in.Put(map[string]string{key: owner})
	}
	if err != nil {
		return nil, "", err
	}
	shared, err := bus.OpenShared(ctx, v.conn)
	return shared, owner, err
}

// carrierMetrics counts attempts to send, and to make something of what came.
func carrierMetrics(r prometheus.Registerer) func(direction string, s reactor.State, took time.Duration) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_channel_attempts_total", Help: "Attempts to send messages (out) and to take in what carriers handed over (in), by what came of them: done, pending (again later) or parked.",
	}, []string{"direction", "result"})
	r.MustRegister(attempts)
	for _, direction := range []string{"out", "in"} {
		for _, s := range []reactor.State{reactor.Done, reactor.Pending, reactor.Parked} {
			attempts.WithLabelValues(direction, string(s)) // so that it is there before the first one
		}
	}
	return func(direction string, s reactor.State, _ time.Duration) {
		attempts.WithLabelValues(direction, string(s)).Inc()
	}
}

// fetcher gets the files of messages from outside, but from no addresses that webhooks
// may not call either.
func (v *server) fetcher() channels.Fetcher {
	return channels.Fetcher{
		Client: &http.Client{Transport: v.guarded, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Put:    files{v.files}.Keep, Limit: v.settings.maxMedia,
	}
}

// fileURL makes addresses of files that carriers can fetch.
func (v *server) fileURL() (func(media, service string) string, error) {
	key, err := v.folder.random("media-key", 32)
	if err != nil {
		return nil, err
	}
	urlKey, err := hex.DecodeString(key)
	return func(media, service string) string {
		return rest.FileURL(urlKey, v.public()+"/v1", service, media, time.Now().Add(fileLife))
	}, err
}

// public is the address that others reach the server at.
func (v *server) public() string {
	if v.settings.publicURL != "" {
		return v.settings.publicURL
	}
	return v.settings.scheme() + v.listener.Addr().String()
}

// statusURL is where a gateway may send statuses: nowhere, if it cannot reach us.
func (v *server) statusURL(adapter string) string {
	if v.settings.publicURL == "" {
		return ""
	}
	return v.public() + "/channels/" + adapter + "/" + carrier.KindStatus
}

// settleArrivals lets what gateways have just answered get into the log: other nodes see
// there that it was sent.
func (v *server) settleArrivals(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := v.channels.Idle(ctx); err != nil {
		v.log.Warn("what carriers handed over waits for the next start", "err", err)
	}
}

// takeReports takes what carriers hand over by NATS.
func (v *server) takeReports(ctx context.Context) error {
	return bus.ServeReports(ctx, v.conn, v.takeReport, v.log)
}

func (v *server) takeReport(ctx context.Context, adapter, kind string, data []byte) error {
	if kind != carrier.KindInbound && kind != carrier.KindStatus {
		return &engine.Failure{Kind: "not_found", Code: "unknown_kind", Message: "a report is inbound or status"}
	}
	report, err := carrier.ReadReport(kind, data)
	if err == nil {
		err = v.channels.Take(ctx, adapter, report)
	}
	var malformed *carrier.Malformed
	switch {
	case errors.As(err, &malformed):
		return &engine.Failure{Kind: "invalid_argument", Code: "report_invalid", Message: malformed.Reason}
	case errors.Is(err, channels.ErrUnknownAdapter):
		return &engine.Failure{Kind: "not_found", Code: "unknown_adapter", Message: err.Error()}
	}
	return err
}
