// Package rest is the REST surface that Twilio's helper libraries talk to: the 103
// operations of Twilio Conversations v1, in the account form and the service form,
// and Parley's additions to them.
//
// Every operation is a line of one table (table.go). A handler decodes the
// parameters, has the engine or a read model answer, and encodes; it decides
// nothing. The table also makes docs/openapi.yaml.
//
// A handler is safe for concurrent use and starts no goroutines.
package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/ratelimit"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
)

// Config is what the surface stands on. Engine, Models, Wait, Log and Fresh are
// required.
type Config struct {
	Engine *engine.Engine
	Models *projections.Queries
	// Wait returns when the read models have reached the position.
	Wait func(context.Context, events.Position) error
	// Stamp tells whether a conversation has changed in the read models. Nil: every
	// read is a query.
	Stamp func(conversation string) projections.Stamp
	// Log is where histories are read.
	Log store.StreamReader
	// Fresh knows what was written here last; the engine tells it.
	Fresh *Freshness
	// Files keeps uploaded media. Nil: no uploads.
	Files Files
	// URLKey signs the addresses of media; it must be kept secret.
	URLKey []byte
	// PublicURL is the address clients use, as in https://chat.example.com. Empty:
	// what the request says.
	PublicURL string
	// Actions limits writes; nil does not.
	Actions *ratelimit.Limiter
	// MaxMedia bounds an upload, in bytes. Zero: the domain's limit.
	MaxMedia int64
	// MaxWait bounds how long a request waits for the read models. Zero: the
	// constant of that name.
	MaxWait time.Duration
	// StrangerPatience is how long a body may take to arrive before it is known who
	// sends it. Zero: ten seconds.
	StrangerPatience time.Duration
	// Before is asked about commands that webhooks are to hear of before they are done:
	// it returns the command as it is to be done, or why not, the lack of a user's
	// permission included. Nil: nobody is asked.
	Before func(context.Context, engine.Command) (engine.Command, error)
	Logger *slog.Logger     // nil discards
	Now    func() time.Time // nil: time.Now
}

// Files keeps the bytes of media under their hash.
type Files interface {
	// Keep stores what the reader yields, durably, and returns its hash and size.
	Keep(ctx context.Context, r io.Reader, limit int64) (sha256 string, size int64, err error)
	// File opens what has the hash, for reading.
	File(sha256 string) (io.ReadSeekCloser, error)
}

// MaxWait is the bound of Config.MaxWait that is usual.
const MaxWait = 5 * time.Second

// api is the handler's working form of Config.
type api struct {
	Config
	mux   *http.ServeMux
	pages *pages
}

// New returns the handler of everything under /v1/.
func New(c Config) http.Handler {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxWait <= 0 {
		c.MaxWait = MaxWait
	}
	if c.StrangerPatience <= 0 {
		c.StrangerPatience = strangerPatience
	}
	a := &api{Config: c, mux: http.NewServeMux(), pages: newPages(c.Stamp)}
	for _, r := range table() {
		for _, pattern := range r.patterns() {
			a.mux.Handle(pattern.String(), a.handler(r, pattern.service))
		}
	}
	a.mux.Handle("/", unknown(a.mux))
	return a
}

// ServeHTTP adds what every answer has, and answers what is for no operation.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := a.Now()
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.StrangerPatience)) // not every connection has one
	}
	h := w.Header()
	h.Set("Twilio-Request-Id", requestID())
	if r.Header["Origin"] != nil {
		allowBrowsers(h)
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	recorder := &timed{ResponseWriter: w, begun: begun, now: a.Now}
	if p, refused := unfit(r); refused {
		writeProblem(recorder, p)
		return
	}
	a.mux.ServeHTTP(recorder, r)
}

// timed says how long it took just before the answer's head is sent.
type timed struct {
	http.ResponseWriter
	begun time.Time
	now   func() time.Time
	sent  bool
}

func (t *timed) WriteHeader(status int) {
	if !t.sent {
		t.sent = true
		t.Header().Set("Twilio-Request-Duration", seconds(t.now().Sub(t.begun)))
	}
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *timed) Unwrap() http.ResponseWriter { return t.ResponseWriter }
