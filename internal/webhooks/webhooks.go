// Package webhooks calls what an account, a service or a conversation wants called
// (reference section 8): after something has happened, because of its event in the
// log, and before, while the command waits.
//
// What happened is told by jobs of a reactor: Hooks.React says which an event leads to,
// Hooks.Do attempts one. They are told at least once, one after another for each
// conversation and URL. What is about to happen is asked by Hooks.Before, in the way of
// the command; it is not asked again.
//
// Every call is signed as Twilio signs it and as Standard Webhooks do, with the
// account's auth token at the moment of the call.
package webhooks

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor/past"
	"github.com/parley-engine/parley/store"
)

// Engine is what knows who listens, and to what calls are signed with.
type Engine interface {
	// Permits refuses a command that its actor may not ask for, and does nothing.
	Permits(ctx context.Context, c engine.Command) error
	// Webhooks returns the configuration of an account or service.
	Webhooks(ctx context.Context, account, service string) (events.WebhookConfiguration, error)
	// ConversationHooked reports whether a conversation has webhooks of its own.
	ConversationHooked(ctx context.Context, sid string) (bool, error)
	// AuthToken returns the token that an account's calls are signed with.
	AuthToken(ctx context.Context, account string) (string, error)
}

// Config is what hooks stand on. Engine and Log are required.
type Config struct {
	Engine Engine
	Log    store.StreamReader
	// Transport makes the connections, as guard.Guard.Transport does. Nil:
	// http.DefaultTransport, which connects to anything.
	Transport http.RoundTripper
	// Timeout bounds a call from its beginning to the end of the answer. Zero: five
	// seconds, as with Twilio.
	Timeout time.Duration
	// Asked, if not nil, hears of every pre-event: one of the constants below. It is
	// called concurrently.
	Asked  func(result string)
	Logger *slog.Logger     // nil: discard
	Now    func() time.Time // nil: time.Now
}

// What came of a pre-event.
const (
	Agreed  = "agreed"  // as it was, or changed
	Denied  = "refused" // the command is not done
	Unheard = "unheard" // the command is done though the webhook could not be asked
)

// DefaultTimeout is the usual Config.Timeout.
const DefaultTimeout = 5 * time.Second

// rememberedHooks bounds the conversations of which React remembers whether they may
// have webhooks.
const rememberedHooks = 1 << 16

// Hooks knows whom to call of what. React is for one caller at a time; everything else
// is safe for concurrent use. It starts no goroutine.
type Hooks struct {
	c      Config
	client *http.Client

	then *past.Conversations // at an event, for React
	now  *past.Conversations // for Before; apart, so that neither makes the other fold anew

	// hooked is whether conversations may have webhooks, for React, which sees them come
	// and go. The engine is asked once: where others write it has to fold the
	// conversation for that.
	hooked *simplelru.LRU[string, bool]
}

// New returns hooks.
func New(c Config) *Hooks {
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Asked == nil {
		c.Asked = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	hooked, err := simplelru.NewLRU[string, bool](rememberedHooks, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Hooks{
		c: c, hooked: hooked, then: past.New(c.Log, past.DefaultLimit/2), now: past.New(c.Log, past.DefaultLimit/2),
		client: &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Followed is what React wants to see of the log.
func Followed() store.Filter {
	return store.Filter{StreamPrefixes: []string{events.CategoryConversation + "-", events.CategoryUser + "-"}}
}
