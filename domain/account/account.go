// Package account decides about an account: what its new conversations start
// with, and which Messaging Services it has.
package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/duration"
	"github.com/parley-engine/parley/events"
)

// State is an account. The zero State does not exist.
type State struct {
	Account                 string
	FriendlyName            string
	Parent                  string // AC… that may act for this account
	DefaultService          string
	DefaultMessagingService string
	DefaultTimers           events.Timers
	MessagingServices       map[string]MessagingService
	Webhooks                events.WebhookConfiguration
	TokenHash, TokenSealed  string // of the auth token; empty: none is valid
}

// MessagingService carries messages to non-chat participants.
type MessagingService struct {
	FriendlyName string
	Senders      []string // none means any sender
}

// Exists reports whether the account was created.
func (s State) Exists() bool { return s.Account != "" }

// Knows returns the set of Messaging Services, as conversations check them.
func (s State) Knows() map[string]bool {
	known := make(map[string]bool, len(s.MessagingServices))
	for sid := range s.MessagingServices {
		known[sid] = true
	}
	return known
}

// Command is something somebody wants of one account. Fields without a JSON
// name are put there by the engine.
type Command interface {
	CommandType() string
}

// Create begins an account together with its default service. A Parent makes it
// a sub-account: the parent may act for it, its siblings may not.
type Create struct {
	At             time.Time `json:"-"`
	Account        string    `json:"-"`
	DefaultService string    `json:"-"`
	FriendlyName   string    `json:"friendly_name,omitempty" schema:"max=256"`
	Parent         string    `json:"parent,omitempty" schema:"sid=AC"`

	ParentExists bool `json:"-"`
	ParentIsSub  bool `json:"-"` // the parent is a sub-account itself
}

// Configure changes what is given (reference 1.9.1). "PT0S" removes a default timer.
type Configure struct {
	At                      time.Time `json:"-"`
	DefaultService          *string   `json:"default_service,omitempty" schema:"sid=IS"`
	DefaultMessagingService *string   `json:"default_messaging_service,omitempty" schema:"sid=MG"`
	DefaultInactiveTimer    *string   `json:"default_inactive_timer,omitempty"`
	DefaultClosedTimer      *string   `json:"default_closed_timer,omitempty"`

	MinInactiveTimer, MinClosedTimer time.Duration `json:"-"`
	ServiceOwned                     bool          `json:"-"` // the given service belongs to the account
}

// AddMessagingService makes a Messaging Service and its senders known, or
// replaces its senders.
type AddMessagingService struct {
	At           time.Time `json:"-"`
	Sid          string    `json:"sid,omitempty" schema:"sid=MG"`
	FriendlyName string    `json:"friendly_name,omitempty" schema:"max=256"`
	Senders      []string  `json:"senders,omitempty"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "account.create" }

// CommandType returns the name on the wire.
func (Configure) CommandType() string { return "account.configure" }

// CommandType returns the name on the wire.
func (AddMessagingService) CommandType() string { return "account.add-messaging-service" }

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "account_not_found", "", 20404, "The requested account was not found")
	}
	switch c := c.(type) {
	case Configure:
		return decideConfigure(s, c)
	case AddMessagingService:
		return decideAddMessagingService(s, c)
	case SetAuthToken:
		return decideSetAuthToken(s, c)
	case ConfigureWebhooks:
		return decideConfigureWebhooks(s, c)
	default:
		panic(fmt.Sprintf("account: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.Exists() {
		return nil, domain.Refuse(domain.AlreadyExists, "account_exists", "", 20409, "The account exists already")
	}
	if err := domain.CheckLength(c.FriendlyName, 256, "friendly_name", 50003); err != nil {
		return nil, err
	}
	if err := checkParent(c); err != nil {
		return nil, err
	}
	return []events.Event{
		events.AccountCreated{Account: c.Account, FriendlyName: c.FriendlyName, Parent: c.Parent, At: c.At},
		events.AccountConfigured{DefaultService: c.DefaultService, At: c.At},
	}, nil
}

func decideConfigure(s State, c Configure) ([]events.Event, error) {
	next := events.AccountConfigured{
		DefaultService: s.DefaultService, DefaultMessagingService: s.DefaultMessagingService,
		DefaultTimers: s.DefaultTimers, At: c.At,
	}
	if c.DefaultService != nil {
		if !c.ServiceOwned {
			return nil, domain.Refuse(domain.NotFound, "service_not_found", "default_service", 50050, "The service was not found")
		}
		next.DefaultService = *c.DefaultService
	}
	if c.DefaultMessagingService != nil {
		if _, known := s.MessagingServices[*c.DefaultMessagingService]; !known && *c.DefaultMessagingService != "" {
			return nil, domain.Refuse(domain.InvalidArgument, "messaging_service_invalid", "default_messaging_service", 50341, "The Messaging Service is not one of the account's")
		}
		next.DefaultMessagingService = *c.DefaultMessagingService
	}
	if err := configureTimers(&next.DefaultTimers, c); err != nil {
		return nil, err
	}
	if next.DefaultService == s.DefaultService && next.DefaultMessagingService == s.DefaultMessagingService && next.DefaultTimers == s.DefaultTimers {
		return nil, nil
	}
	return []events.Event{next}, nil
}

func configureTimers(t *events.Timers, c Configure) error {
	if c.DefaultInactiveTimer != nil {
		text, err := timer(*c.DefaultInactiveTimer, c.MinInactiveTimer, "default_inactive_timer", 50379, 50375)
		if err != nil {
			return err
		}
		t.Inactive = text
	}
	if c.DefaultClosedTimer != nil {
		text, err := timer(*c.DefaultClosedTimer, c.MinClosedTimer, "default_closed_timer", 50380, 50376)
		if err != nil {
			return err
		}
		t.Closed = text
	}
	return nil
}

// timer returns the text to store: none for a duration of zero.
func timer(text string, least time.Duration, field string, malformed, tooShort int) (string, error) {
	d, err := duration.Parse(text)
	switch {
	case errors.Is(err, duration.ErrUnit):
		return "", domain.Refuse(domain.InvalidArgument, "timer_unit_invalid", field, malformed, "%s: only days and smaller units are allowed", field)
	case err != nil:
		return "", domain.Refuse(domain.InvalidArgument, "timer_invalid", field, malformed, "%s: %v", field, err)
	case d.Length() == 0:
		return "", nil
	case d.Length() < least:
		return "", domain.Refuse(domain.InvalidArgument, "timer_too_short", field, tooShort, "%s is shorter than %v", field, least)
	}
	return text, nil
}

func decideAddMessagingService(s State, c AddMessagingService) ([]events.Event, error) {
	if err := domain.CheckLength(c.FriendlyName, 256, "friendly_name", 50003); err != nil {
		return nil, err
	}
	for i, sender := range c.Senders {
		if len(sender) > 256 || !domain.PlainAddress(strings.ReplaceAll(sender, " ", "")) || sender != strings.TrimSpace(sender) { // a name may have spaces in it
			return nil, domain.Refuse(domain.InvalidArgument, "sender_invalid", fmt.Sprintf("senders[%d]", i), 50408, "A sender is an address or a name of 1 to 256 printable characters")
		}
	}
	if have, known := s.MessagingServices[c.Sid]; known && have.FriendlyName == c.FriendlyName && slices.Equal(have.Senders, c.Senders) {
		return nil, nil
	}
	return []events.Event{events.MessagingServiceAdded{
		MessagingService: c.Sid, FriendlyName: c.FriendlyName, Senders: slices.Clone(c.Senders), At: c.At,
	}}, nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.AccountCreated:
		s.Account, s.FriendlyName, s.Parent = e.Account, e.FriendlyName, e.Parent
	case events.AccountConfigured:
		s.DefaultService, s.DefaultMessagingService, s.DefaultTimers = e.DefaultService, e.DefaultMessagingService, e.DefaultTimers
	case events.MessagingServiceAdded:
		if s.MessagingServices == nil {
			s.MessagingServices = map[string]MessagingService{}
		}
		s.MessagingServices[e.MessagingService] = MessagingService{FriendlyName: e.FriendlyName, Senders: e.Senders}
	case events.AccountAuthTokenSet:
		s.TokenHash, s.TokenSealed = e.Hash, e.Sealed
	case events.AccountWebhooksConfigured:
		s.Webhooks = e.Webhooks
	case events.ReservationLost: // accounts hold no reservations
	case events.LogLossAccepted: // nothing of the account changes
	default:
		panic(fmt.Sprintf("account: event %T", e))
	}
	return s
}
