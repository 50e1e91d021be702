// Package binding decides about push bindings: the devices on which an identity
// wants to hear of conversations. The same device of the same identity is the
// same binding, however often it registers (reference 1.9.16 and 6.2).
package binding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

const maxEndpoint = 4096 // bytes

// messageTypes are what a device can ask to hear of; all of them when it asks
// for none.
var messageTypes = []string{"new_message", "added_to_conversation", "removed_from_conversation"}

// State is a binding. The zero State does not exist.
type State struct {
	Binding      string
	Account      string
	Service      string
	Identity     string
	Credential   string
	Type         string
	Endpoint     string
	MessageTypes []string
	Removed      bool
}

// Exists reports whether the binding was created and not removed.
func (s State) Exists() bool { return s.Binding != "" && !s.Removed }

// Command is something somebody wants of one binding. Fields without a JSON name
// are put there by the engine.
type Command interface {
	CommandType() string
}

// Create registers a device, or says anew what it wants to hear of.
type Create struct {
	At               time.Time `json:"-"`
	Account          string    `json:"-"`
	Service          string    `json:"-"`
	Sid              string    `json:"-"` // of the device: see Sid
	CredentialExists bool      `json:"-"`
	Identity         string    `json:"identity" schema:"required,max=256"`
	Type             string    `json:"type" schema:"required,enum=apn|gcm|fcm|twilsock"`
	Endpoint         string    `json:"endpoint" schema:"required,max=4096"`
	Credential       string    `json:"credential,omitempty" schema:"sid=CR"`
	MessageTypes     []string  `json:"message_types,omitempty"`
}

// Remove forgets a device.
type Remove struct {
	At time.Time `json:"-"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "binding.create" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "binding.remove" }

// Sid returns the SID of a device of an identity in a service.
func Sid(service, identity, bindingType, endpoint string) string {
	return domain.SID("BS", strings.Join([]string{service, identity, strings.ToLower(bindingType), endpoint}, "\x00"))
}

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	switch c := c.(type) {
	case Create:
		return decideCreate(s, c)
	case Remove:
		if !s.Exists() {
			return nil, domain.Refuse(domain.NotFound, "binding_not_found", "", 20404, "The binding was not found")
		}
		return []events.Event{events.BindingRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("binding: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	c.Type = strings.ToLower(c.Type)
	if len(c.MessageTypes) == 0 {
		c.MessageTypes = messageTypes
	}
	if err := cmp.Or(check(c), checkMessageTypes(c.MessageTypes)); err != nil {
		return nil, err
	}
	switch {
	case !s.Exists():
		return []events.Event{events.BindingCreated{
			Binding: c.Sid, Account: c.Account, Service: c.Service, Identity: c.Identity, Credential: c.Credential,
			Type: c.Type, Endpoint: c.Endpoint, MessageTypes: slices.Clone(c.MessageTypes), At: c.At,
		}}, nil
	case s.Credential == c.Credential && slices.Equal(s.MessageTypes, c.MessageTypes):
		return nil, nil
	}
	return []events.Event{events.BindingUpdated{Credential: c.Credential, MessageTypes: slices.Clone(c.MessageTypes), At: c.At}}, nil
}

func check(c Create) error {
	switch {
	case c.Identity == "":
		return domain.Refuse(domain.InvalidArgument, "identity_missing", "identity", 50204, "A binding needs an identity")
	case !slices.Contains([]string{events.PushAPN, events.PushGCM, events.PushFCM, events.PushTwilsock}, c.Type):
		return domain.Refuse(domain.InvalidArgument, "binding_type_invalid", "type", 50209, "%.40q is none of apn, gcm, fcm, twilsock", c.Type)
	case len(c.Endpoint) > maxEndpoint || !domain.PlainAddress(c.Endpoint): // NUL would make the SID ambiguous
		return domain.Refuse(domain.InvalidArgument, "endpoint_invalid", "endpoint", 20422, "An endpoint has 1 to %d printable bytes without spaces", maxEndpoint)
	case c.Credential != "" && !c.CredentialExists:
		return domain.Refuse(domain.NotFound, "credential_not_found", "credential", 20404, "The credential was not found")
	}
	return domain.CheckLength(c.Identity, 256, "identity", 50207)
}

func checkMessageTypes(types []string) error {
	for i, name := range types {
		if !slices.Contains(messageTypes, name) || slices.Index(types, name) != i {
			return domain.Refuse(domain.InvalidArgument, "message_type_invalid", fmt.Sprintf("message_types[%d]", i), 20422,
				"%.40q is none of %s, or is named twice", name, strings.Join(messageTypes, ", "))
		}
	}
	return nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.BindingCreated:
		s = State{Binding: e.Binding, Account: e.Account, Service: e.Service, Identity: e.Identity, Credential: e.Credential,
			Type: e.Type, Endpoint: e.Endpoint, MessageTypes: e.MessageTypes}
	case events.BindingUpdated:
		s.Credential, s.MessageTypes = e.Credential, e.MessageTypes
	case events.BindingRemoved:
		s.Removed = true
	case events.ReservationLost: // bindings hold no reservations
	default:
		panic(fmt.Sprintf("binding: event %T", e))
	}
	return s
}
