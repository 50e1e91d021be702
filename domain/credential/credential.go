// Package credential decides about push credentials: what a push provider wants
// to see before it delivers to an account's devices. Their secrets are written
// and never shown again (reference 1.9.15).
package credential

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// maxSecret bounds each of the secrets, in bytes.
const maxSecret = 16 << 10

// State is a push credential. The zero State does not exist.
type State struct {
	Credential   string
	Account      string
	Type         string
	FriendlyName string
	Sandbox      bool
	Sealed       string // the secrets, encrypted
	Removed      bool
}

// Exists reports whether the credential was created and not removed.
func (s State) Exists() bool { return s.Credential != "" && !s.Removed }

// Secrets are what is only written. Which of them matter depends on the type.
type Secrets struct {
	Certificate string `json:"certificate,omitempty"`
	PrivateKey  string `json:"private_key,omitempty"`
	APIKey      string `json:"api_key,omitempty"`
	Secret      string `json:"secret,omitempty"`
}

// Command is something somebody wants of one credential. Fields without a JSON
// name are put there by the engine.
type Command interface {
	CommandType() string
}

// Create begins a credential.
type Create struct {
	At           time.Time `json:"-"`
	Account      string    `json:"-"`
	Sealed       string    `json:"-"`
	Sid          string    `json:"sid,omitempty" schema:"sid=CR"`
	Type         string    `json:"type" schema:"required,enum=apn|gcm|fcm"`
	FriendlyName string    `json:"friendly_name,omitempty" schema:"max=64"`
	Sandbox      bool      `json:"sandbox,omitempty"`
	Secrets      Secrets   `json:"secrets,omitzero"`
}

// Update changes what is given; of the secrets, those that are not empty.
type Update struct {
	At           time.Time `json:"-"`
	Sealed       string    `json:"-"` // all secrets after the change; empty when none is given
	Type         *string   `json:"type,omitempty" schema:"enum=apn|gcm|fcm"`
	FriendlyName *string   `json:"friendly_name,omitempty" schema:"max=64"`
	Sandbox      *bool     `json:"sandbox,omitempty"`
	Secrets      Secrets   `json:"secrets,omitzero"`
}

// Remove ends a credential.
type Remove struct {
	At time.Time `json:"-"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "credential.create" }

// CommandType returns the name on the wire.
func (Update) CommandType() string { return "credential.update" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "credential.remove" }

// Merge returns the secrets with those replaced that are given.
func (s Secrets) Merge(given Secrets) Secrets {
	return Secrets{
		Certificate: cmp.Or(given.Certificate, s.Certificate), PrivateKey: cmp.Or(given.PrivateKey, s.PrivateKey),
		APIKey: cmp.Or(given.APIKey, s.APIKey), Secret: cmp.Or(given.Secret, s.Secret),
	}
}

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "credential_not_found", "", 20404, "The credential was not found")
	}
	switch c := c.(type) {
	case Update:
		return decideUpdate(s, c)
	case Remove:
		return []events.Event{events.CredentialRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("credential: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.Credential != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "credential_exists", "sid", 20409, "The credential exists already")
	}
	c.Type = strings.ToLower(c.Type)
	if err := check(c.Type, c.FriendlyName, c.Secrets); err != nil {
		return nil, err
	}
	return []events.Event{events.CredentialCreated{
		Credential: c.Sid, Account: c.Account, Type: c.Type, FriendlyName: c.FriendlyName,
		Sandbox: c.Sandbox, Sealed: c.Sealed, At: c.At,
	}}, nil
}

func decideUpdate(s State, c Update) ([]events.Event, error) {
	next := events.CredentialUpdated{Type: s.Type, FriendlyName: s.FriendlyName, Sandbox: s.Sandbox, At: c.At}
	if c.Type != nil {
		next.Type = strings.ToLower(*c.Type)
	}
	if c.FriendlyName != nil {
		next.FriendlyName = *c.FriendlyName
	}
	if c.Sandbox != nil {
		next.Sandbox = *c.Sandbox
	}
	if c.Sealed != s.Sealed {
		next.Sealed = c.Sealed
	}
	if err := check(next.Type, next.FriendlyName, c.Secrets); err != nil {
		return nil, err
	}
	if next.Type == s.Type && next.FriendlyName == s.FriendlyName && next.Sandbox == s.Sandbox && next.Sealed == "" {
		return nil, nil
	}
	return []events.Event{next}, nil
}

func check(credentialType, friendlyName string, secrets Secrets) error {
	switch {
	case credentialType == "":
		return domain.Refuse(domain.InvalidArgument, "type_missing", "type", 20001, "A credential needs a type")
	case !slices.Contains([]string{events.PushAPN, events.PushGCM, events.PushFCM}, credentialType):
		return domain.Refuse(domain.InvalidArgument, "type_invalid", "type", 20422, "%.40q is none of apn, gcm, fcm", credentialType)
	}
	for _, s := range []struct{ text, field string }{
		{secrets.Certificate, "certificate"}, {secrets.PrivateKey, "private_key"}, {secrets.APIKey, "api_key"}, {secrets.Secret, "secret"},
	} {
		if len(s.text) > maxSecret {
			return domain.Refuse(domain.InvalidArgument, s.field+"_too_long", "secrets."+s.field, 20422, "%s is longer than %d bytes", s.field, maxSecret)
		}
	}
	return domain.CheckLength(friendlyName, 64, "friendly_name", 50003)
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.CredentialCreated:
		s = State{Credential: e.Credential, Account: e.Account, Type: e.Type, FriendlyName: e.FriendlyName, Sandbox: e.Sandbox, Sealed: e.Sealed}
	case events.CredentialUpdated:
		s.Type, s.FriendlyName, s.Sandbox = e.Type, e.FriendlyName, e.Sandbox
		s.Sealed = cmp.Or(e.Sealed, s.Sealed)
	case events.CredentialRemoved:
		s.Removed = true
	case events.ReservationLost: // credentials hold no reservations
	default:
		panic(fmt.Sprintf("credential: event %T", e))
	}
	return s
}
