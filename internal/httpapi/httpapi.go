// Package httpapi is Parley's HTTP surface: health, readiness, metrics, the doors
// of operators, and, in package rest, what Twilio's helper libraries talk to. Everything under /admin needs the data folder's token.
//
// A handler is safe for concurrent use and starts no goroutines.
package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// Check is one condition of readiness. Problem is empty when it holds.
type Check struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"`
}

// Operate does something with a projection: rebuild, pause and so on; the options are
// JSON, or nothing. It reports steps as it goes, each a value that goes to the client as
// one line of JSON; an error is the last line.
type Operate func(ctx context.Context, projection, action string, options []byte, step func(any)) error

// Config is what the handler needs; all fields are required but REST and Log.
type Config struct {
	Ready   func() []Check
	Metrics http.Handler
	Operate Operate
	REST    http.Handler // everything under /v1/; nil: nothing
	// Channels is where gateways send what comes back, everything under /channels/; nil:
	// nothing.
	Channels http.Handler
	Token    string       // of /admin, as "Authorization: Bearer TOKEN"
	Log      *slog.Logger // nil discards
	// Apart says that Operations are answered at an address of their own: here there are
	// neither metrics nor /admin, and /readyz says only whether it is so.
	Apart bool
}

// New returns the handler of all paths, those of Operations among them unless they are
// apart.
func New(c Config) http.Handler {
	c.Log = logging(c.Log)
	mux := http.NewServeMux()
	if c.REST != nil {
		mux.Handle("/v1", c.REST) // or it would be redirected
		mux.Handle("/v1/", c.REST)
	}
	if c.Channels != nil {
		mux.Handle("/channels", c.Channels)
		mux.Handle("/channels/", c.Channels)
	}
	c.health(mux, !c.Apart)
	if !c.Apart {
		c.operations(mux)
	}
	return rest.Front(mux)
}

// Operations returns the handler of what is for operators alone: /metrics, /admin, and
// /healthz and /readyz with what is missing.
func Operations(c Config) http.Handler {
	c.Log = logging(c.Log)
	mux := http.NewServeMux()
	c.health(mux, true)
	c.operations(mux)
	return rest.Front(mux)
}

func logging(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

func (c Config) health(mux *http.ServeMux, details bool) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]bool{"ok": true}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { c.ready(w, details) })
}

func (c Config) operations(mux *http.ServeMux) {
	mux.Handle("GET /metrics", c.Metrics)
	mux.Handle("POST /admin/projections/{name}/{action}", c.admin(c.operate))
}

// ready is 200 when every check holds and 503 otherwise; with details it names them all.
func (c Config) ready(w http.ResponseWriter, details bool) {
	checks := c.Ready()
	status := http.StatusOK
	for _, check := range checks {
		if check.Problem != "" {
			status = http.StatusServiceUnavailable
		}
	}
	said := map[string]any{"ready": status == http.StatusOK}
	if details {
		said["checks"] = checks
	}
	answer(w, status, said)
}

func (c Config) admin(next http.HandlerFunc) http.Handler {
	want := sha256.Sum256([]byte(c.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(token))
		if c.Token == "" || !bearer || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="parley"`)
			answer(w, http.StatusUnauthorized, map[string]string{"error": "the data folder's admin token is needed"})
			return
		}
		next(w, r)
	})
}

// maxOptions bounds the options of an operation, in bytes.
const maxOptions = 64 << 10

// operate streams one JSON object a line: steps, then {"done":true} or
// {"error":"…"}. The status is 200 once it has begun, so the last line counts.
func (c Config) operate(w http.ResponseWriter, r *http.Request) {
	options, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOptions))
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": "options: " + err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	lines := json.NewEncoder(w)
	control := http.NewResponseController(w)
	step := func(value any) {
		if lines.Encode(value) == nil {
			_ = control.Flush() // a client that left is found out by the context
		}
	}
	projection, action := r.PathValue("name"), r.PathValue("action")
	if err := c.Operate(r.Context(), projection, action, options, step); err != nil {
		if r.Context().Err() == nil { // or nobody waits for it any more
			c.Log.Warn("not done", "projection", projection, "action", action, "err", err)
		}
		step(map[string]string{"error": err.Error()})
		return
	}
	step(map[string]bool{"done": true})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}
