// Package service decides about conversation services: the room in which names,
// identities and roles are unique, and whose data is shared with no other.
package service

import (
	"fmt"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// State is a service. The zero State does not exist.
type State struct {
	Service             string
	Account             string
	FriendlyName        string
	CreatorRole         string
	ConversationRole    string
	ServiceRole         string
	ReachabilityEnabled bool
	Webhooks            events.WebhookConfiguration
	Notifications       events.Notifications
	Removed             bool
}

// Exists reports whether the service was created and not removed.
func (s State) Exists() bool { return s.Service != "" && !s.Removed }

// Command is something somebody wants of one service.
type Command interface {
	CommandType() string
}

// Create begins a service; its four default roles exist already, but for an import,
// which brings the roles of its own afterwards.
type Create struct {
	At               time.Time `json:"-"`
	Import           bool      `json:"-"`
	Account          string    `json:"-"`
	CreatorRole      string    `json:"-"`
	ConversationRole string    `json:"-"`
	ServiceRole      string    `json:"-"`
	Sid              string    `json:"sid,omitempty" schema:"sid=IS"`
	FriendlyName     string    `json:"friendly_name" schema:"required,max=256"`
}

// Configure changes what is given (reference 1.9.5).
type Configure struct {
	At                  time.Time         `json:"-"`
	RoleTypes           map[string]string `json:"-"` // of the given roles that exist in the service
	CreatorRole         *string           `json:"default_conversation_creator_role,omitempty" schema:"sid=RL"`
	ConversationRole    *string           `json:"default_conversation_role,omitempty" schema:"sid=RL"`
	ServiceRole         *string           `json:"default_chat_service_role,omitempty" schema:"sid=RL"`
	ReachabilityEnabled *bool             `json:"reachability_enabled,omitempty"`
}

// Remove ends a service and everything in it. The account's default service
// cannot go.
type Remove struct {
	At      time.Time `json:"-"`
	Default bool      `json:"-"` // it is the account's default service
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "service.create" }

// CommandType returns the name on the wire.
func (Configure) CommandType() string { return "service.configure" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "service.remove" }

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "service_not_found", "", 50050, "The service was not found")
	}
	switch c := c.(type) {
	case Configure:
		return decideConfigure(s, c)
	case ConfigureWebhooks:
		return decideConfigureWebhooks(s, c)
	case ConfigureNotifications:
		return decideConfigureNotifications(s, c)
	case Remove:
		if c.Default {
			return nil, domain.Refuse(domain.FailedPrecondition, "service_is_default", "", 20409, "The service is the account's default service")
		}
		return []events.Event{events.ServiceRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("service: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.Service != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "service_exists", "sid", 20409, "The service exists already")
	}
	if c.FriendlyName == "" {
		return nil, domain.Refuse(domain.InvalidArgument, "friendly_name_missing", "friendly_name", 50000, "A service needs a friendly name")
	}
	if err := domain.CheckLength(c.FriendlyName, 256, "friendly_name", 50003); err != nil {
		return nil, err
	}
	created := events.ServiceCreated{Service: c.Sid, Account: c.Account, FriendlyName: c.FriendlyName, At: c.At}
	if c.Import {
		return []events.Event{created}, nil
	}
	return []events.Event{
		created,
		events.ServiceConfigured{CreatorRole: c.CreatorRole, ConversationRole: c.ConversationRole, ServiceRole: c.ServiceRole, At: c.At},
	}, nil
}

func decideConfigure(s State, c Configure) ([]events.Event, error) {
	next := events.ServiceConfigured{
		CreatorRole: s.CreatorRole, ConversationRole: s.ConversationRole, ServiceRole: s.ServiceRole,
		ReachabilityEnabled: s.ReachabilityEnabled, At: c.At,
	}
	for _, r := range []struct {
		given    *string
		target   *string
		roleType string
		field    string
	}{
		{c.CreatorRole, &next.CreatorRole, events.RoleConversation, "default_conversation_creator_role"},
		{c.ConversationRole, &next.ConversationRole, events.RoleConversation, "default_conversation_role"},
		{c.ServiceRole, &next.ServiceRole, events.RoleService, "default_chat_service_role"},
	} {
		if r.given == nil {
			continue
		}
		if err := checkRole(c.RoleTypes[*r.given], r.roleType, r.field); err != nil {
			return nil, err
		}
		*r.target = *r.given
	}
	if c.ReachabilityEnabled != nil {
		next.ReachabilityEnabled = *c.ReachabilityEnabled
	}
	same := s.CreatorRole == next.CreatorRole && s.ConversationRole == next.ConversationRole &&
		s.ServiceRole == next.ServiceRole && s.ReachabilityEnabled == next.ReachabilityEnabled
	if same {
		return nil, nil
	}
	return []events.Event{next}, nil
}

func checkRole(have, want, field string) error {
	switch {
	case have == "" && want == events.RoleService:
		return domain.Refuse(domain.NotFound, "role_not_found", field, 50102, "The service role was not found")
	case have == "":
		return domain.Refuse(domain.NotFound, "role_not_found", field, 50101, "The conversation role was not found")
	case have != want:
		return domain.Refuse(domain.InvalidArgument, "role_type_invalid", field, 50105, "The role must be of type %s", want)
	}
	return nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.ServiceCreated:
		s.Service, s.Account, s.FriendlyName = e.Service, e.Account, e.FriendlyName
	case events.ServiceConfigured:
		s.CreatorRole, s.ConversationRole, s.ServiceRole = e.CreatorRole, e.ConversationRole, e.ServiceRole
		s.ReachabilityEnabled = e.ReachabilityEnabled
	case events.ServiceWebhooksConfigured:
		s.Webhooks = e.Webhooks
	case events.ServiceNotificationsConfigured:
		s.Notifications = e.Notifications
	case events.ServiceRemoved:
		s.Removed = true
	case events.ReservationLost: // services hold no reservations
	default:
		panic(fmt.Sprintf("service: event %T", e))
	}
	return s
}
