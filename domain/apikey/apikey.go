// Package apikey decides about API keys: further ways to act for an account, each
// with a secret of its own that can be replaced and revoked without touching the
// others (reference 1.2).
package apikey

import (
	"cmp"
	"fmt"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// State is an API key. The zero State does not exist.
type State struct {
	APIKey       string
	Account      string
	FriendlyName string
	Hash         string // of the secret
	Sealed       string // the secret, encrypted
	Revoked      bool
}

// Exists reports whether the key was created and not revoked.
func (s State) Exists() bool { return s.APIKey != "" && !s.Revoked }

// Command is something somebody wants of one API key. Fields without a JSON name
// are put there by the engine.
type Command interface {
	CommandType() string
}

// Create begins an API key with a secret that its maker chose at random.
type Create struct {
	At           time.Time `json:"-"`
	Account      string    `json:"-"`
	Hash         string    `json:"-"`
	Sealed       string    `json:"-"`
	Sid          string    `json:"sid,omitempty" schema:"sid=SK"`
	FriendlyName string    `json:"friendly_name,omitempty" schema:"max=64"`
	Secret       string    `json:"secret" schema:"required,max=64"`
}

// ReplaceSecret gives the key another secret; the former is void at once.
type ReplaceSecret struct {
	At     time.Time `json:"-"`
	Hash   string    `json:"-"`
	Sealed string    `json:"-"`
	Secret string    `json:"secret" schema:"required,max=64"`
}

// Revoke ends the key.
type Revoke struct {
	At time.Time `json:"-"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "apikey.create" }

// CommandType returns the name on the wire.
func (ReplaceSecret) CommandType() string { return "apikey.replace-secret" }

// CommandType returns the name on the wire.
func (Revoke) CommandType() string { return "apikey.revoke" }

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "api_key_not_found", "", 20404, "The API key was not found")
	}
	switch c := c.(type) {
	case ReplaceSecret:
		if err := domain.CheckSecret(c.Secret, "secret"); err != nil || c.Hash == s.Hash {
			return nil, err
		}
		return []events.Event{events.APIKeySecretReplaced{Hash: c.Hash, Sealed: c.Sealed, At: c.At}}, nil
	case Revoke:
		return []events.Event{events.APIKeyRevoked{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("apikey: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.APIKey != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "api_key_exists", "sid", 20409, "The API key exists already")
	}
	err := cmp.Or(domain.CheckLength(c.FriendlyName, 64, "friendly_name", 50003), domain.CheckSecret(c.Secret, "secret"))
	if err != nil {
		return nil, err
	}
	return []events.Event{events.APIKeyCreated{
		APIKey: c.Sid, Account: c.Account, FriendlyName: c.FriendlyName, Hash: c.Hash, Sealed: c.Sealed, At: c.At,
	}}, nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.APIKeyCreated:
		s = State{APIKey: e.APIKey, Account: e.Account, FriendlyName: e.FriendlyName, Hash: e.Hash, Sealed: e.Sealed}
	case events.APIKeySecretReplaced:
		s.Hash, s.Sealed = e.Hash, e.Sealed
	case events.APIKeyRevoked:
		s.Revoked = true
	case events.ReservationLost: // API keys hold no reservations
	default:
		panic(fmt.Sprintf("apikey: event %T", e))
	}
	return s
}
