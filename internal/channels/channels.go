// Package channels carries messages between conversations and the world outside: SMS,
// WhatsApp and whatever a carrier adapter speaks. It is two reactors. Out follows the
// log: each message goes to its recipients outside (reference 9.3). In has its own
// queue of what carriers handed over, messages and statuses: it is durable before the
// carrier is told so, and becomes commands from there (reference 9.1 and 9.2).
package channels

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/reactor/past"
	"github.com/parley-engine/parley/store"
)

// Adapter is a carrier under the name that configuration and paths have for it.
type Adapter struct {
	Name    string
	Carrier carrier.Carrier
	// Account is whose addresses it carries, AC…; nobody else's messages leave through it.
	// Empty: what comes in is for the default account, and whose Messaging Service is
	// routed to it may send.
	Account string
	own     bool // an account was named
}

// Config is what the channels stand on. Engine, Log, Streams, Out, In and Adapters are required.
type Config struct {
	Engine   *engine.Engine
	Log      store.LogReader
	Streams  store.StreamReader
	Out, In  *reactor.Queue
	Adapters []Adapter
	Routing  Routing
	// Account is the account of adapters that have none.
	Account string
	// Before lets webhooks change or refuse what comes from outside (reference 8.5);
	// nil: there are none. With a message, the command begins a conversation for it.
	Before func(ctx context.Context, c engine.Command, begins *carrier.Inbound) (engine.Command, error)
	// FileURL returns an address to fetch a file from, valid for hours; nil: files
	// cannot be sent.
	FileURL func(media, service string) string
	// Keep stores what an inbound message brings, as Fetcher.Keep does; nil: its files
	// are named in the message's attributes only.
	Keep func(ctx context.Context, m carrier.Media) (events.Media, string, error)
	// StatusURL returns where an adapter's gateway may send statuses; nil: nowhere.
	StatusURL func(adapter string) string
	// Mark and Shared are for logs that several processes share; see reactor.Options.
	// Owner is this process's name in Shared, the same after a restart.
	Mark     reactor.Mark
	Shared   Shared
	Owner    string
	Attempts int           // until a message, or what came in, is parked; 0: 60, which takes about four hours
	Patience time.Duration // with a carrier; 0: 30 s
	Logger   *slog.Logger
	Now      func() time.Time // nil: time.Now
	Observe  func(direction string, s reactor.State, took time.Duration)
}

// Routing says which adapter carries what.
type Routing struct {
	Services   map[string]string // MG… to the name of an adapter
	Default    string            // for Messaging Services that are not named
	Autocreate map[string]bool   // MG… whose senders begin conversations without an address configuration
}

// nobody is the target of what no adapter carries: it is parked, where people see it.
const nobody = "none"

// adapter returns the name of who carries the messages of a Messaging Service.
func (r Routing) adapter(messagingService string) string {
	return cmp.Or(r.Services[messagingService], r.Default, nobody)
}

// Channels is safe for concurrent use.
type Channels struct {
	Config
	adapters map[string]Adapter
	past     *past.Conversations
	out, in  *reactor.Reactor
}

// New returns channels; they do nothing before RunOut and RunIn.
func New(c Config) *Channels {
	c.Attempts = cmp.Or(c.Attempts, 60)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	v := &Channels{Config: c, adapters: map[string]Adapter{}, past: past.New(c.Streams, 0)}
	for _, a := range c.Adapters {
		a.own, a.Account = a.Account != "", cmp.Or(a.Account, c.Account)
		v.adapters[a.Name] = a
	}
	v.out = reactor.New(c.Out, store.Paced(c.Log, 20*time.Millisecond, nil), v.fanOut, v.send, &reactor.Options{
		Filter: store.Filter{Types: []string{events.MessageAdded{}.EventType()}}, Marked: true,
		Attempts: c.Attempts, Timeout: c.Patience, Mark: c.Mark, Logger: c.Logger, Observe: v.observed("out"),
	})
	v.in = reactor.New(c.In, c.Log, nil, v.receive, &reactor.Options{Attempts: c.Attempts, Logger: c.Logger, Observe: v.observed("in")})
	return v
}

func (v *Channels) observed(direction string) func(reactor.State, time.Duration) {
	return func(s reactor.State, took time.Duration) {
		if v.Observe != nil {
			v.Observe(direction, s, took)
		}
	}
}

// Prepare makes sure that every message from now on is sent; see reactor.Prepare.
func (v *Channels) Prepare(ctx context.Context) error { return v.out.Prepare(ctx) }

// Position returns how far the log's messages were looked at.
func (v *Channels) Position() events.Position { return v.out.Position() }

// RunOut sends, and listens to carriers that fetch what comes back themselves, until
// ctx ends. Of processes that share a log one at a time does it.
func (v *Channels) RunOut(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.out.Run(ctx) })
	for _, a := range v.adapters {
		if l, ok := a.Carrier.(carrier.Listener); ok {
			group.Go(func() error { return l.Listen(ctx, v.taker(a)) })
		}
	}
	return group.Wait()
}

// Idle waits until nothing of what carriers handed over is to be done now, or ctx ends.
func (v *Channels) Idle(ctx context.Context) error { return v.In.Idle(ctx) }

// RunIn works on what carriers handed over, until ctx ends.
func (v *Channels) RunIn(ctx context.Context) error { return v.in.Run(ctx) }

// ErrUnknownAdapter says that no adapter has the name.
var ErrUnknownAdapter = errors.New("there is no such adapter")

// Take keeps what an adapter's carrier handed over. It is durable when it returns nil.
func (v *Channels) Take(ctx context.Context, adapter string, r carrier.Report) error {
	a, ok := v.adapters[adapter]
	if !ok {
		return ErrUnknownAdapter
	}
	return v.taker(a)(ctx, r)
}

func (v *Channels) taker(a Adapter) func(context.Context, carrier.Report) error {
	return func(_ context.Context, r carrier.Report) error { return v.takeAll(a, r) }
}

// takeAll keeps reports, all of them or none.
func (v *Channels) takeAll(a Adapter, reports ...carrier.Report) error {
	jobs := make([]reactor.Job, 0, len(reports))
	for _, r := range reports {
		job, err := arrival(a, r)
		if err != nil {
			return err
		}
		job.After = r.After
		jobs = append(jobs, job)
	}
	return v.in.Put(nil, jobs...)
}

// maxReport bounds what a carrier may send in one request, in bytes.
const maxReport = 256 << 10

// Handler answers gateways: POST and GET /channels/{adapter}/inbound and …/status. The
// address that signatures are made over is public and the path; empty: as requested.
// What is not taken is answered by refuse, in the words of the port it came in at.
func (v *Channels) Handler(public string, refuse func(w http.ResponseWriter, status int, reason string)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/channels/{adapter}/{kind}", func(w http.ResponseWriter, r *http.Request) {
		if status, err := v.answer(w, r, public); err != nil {
			if status >= http.StatusInternalServerError {
				v.Logger.Error("a carrier's report was not taken", "adapter", r.PathValue("adapter"), "err", err)
			}
			refuse(w, status, err.Error())
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, errNothingHere.Error()) })
	return mux
}

var errNothingHere = errors.New("nothing is received here")

func (v *Channels) answer(w http.ResponseWriter, r *http.Request, public string) (status int, err error) {
	a, known := v.adapters[r.PathValue("adapter")]
	receiver, ok := a.Carrier.(carrier.Receiver)
	kind := r.PathValue("kind")
	switch {
	case !known || !ok || kind != carrier.KindInbound && kind != carrier.KindStatus:
		return http.StatusNotFound, errNothingHere
	case r.Method != http.MethodPost && r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET, POST")
		return http.StatusMethodNotAllowed, errors.New("POST or GET")
	}
	request, err := readRequest(w, r, kind, public)
	if err != nil {
		return http.StatusRequestEntityTooLarge, err
	}
	reports, answer, err := receiver.Receive(request)
	if err != nil {
		return statusOf(err), err
	}
	if err := v.takeAll(a, reports...); err != nil {
		return statusOf(err), err
	}
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	}
	w.WriteHeader(cmp.Or(answer.Status, http.StatusNoContent))
	_, _ = w.Write(answer.Body) // the gateway may have left
	return 0, nil
}

func statusOf(err error) int {
	var malformed *carrier.Malformed
	switch {
	case errors.Is(err, carrier.ErrForbidden):
		return http.StatusForbidden
	case errors.As(err, &malformed):
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}

// refused makes domain's and engine's answers final, and everything else passing.
func refused(err error) error {
	if f := engine.AsFailure(err); f != nil && !f.Retryable && f.Kind != engine.KindInternal {
		return &reactor.Stop{Reason: err}
	}
	return err
}

// command is what an adapter's carrier makes happen.
func (v *Channels) command(a Adapter, id, aggregate, service string, occurred time.Time, fields interface{ CommandType() string }) engine.Command {
	return engine.Command{
		ID: events.NameID(fmt.Sprintf("channel %s %s", a.Name, id)), Type: fields.CommandType(), Aggregate: aggregate,
		Account: a.Account, Service: service, Fields: fields, Occurred: occurred, Webhooks: true,
		Actor: events.Actor{Kind: events.ActorChannel, ID: a.Name},
	}
}
