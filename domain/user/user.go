// Package user decides about users: identities known to a service, with a
// service role. A chat participant's user is made on the fly.
package user

import (
	"cmp"
	"fmt"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// MaxAttributes bounds a user's attributes, in bytes (reference section 11).
const MaxAttributes = 4 << 10

// State is a user. The zero State does not exist.
type State struct {
	User         string
	Account      string
	Service      string
	Identity     string
	FriendlyName string
	Attributes   string
	Role         string
	Removed      bool
}

// Exists reports whether the user was created and not removed.
func (s State) Exists() bool { return s.User != "" && !s.Removed }

// Command is something somebody wants of one user.
type Command interface {
	CommandType() string
}

// Issue is what the engine adds to every command.
type Issue struct {
	At       time.Time
	Caller   domain.Caller
	RoleType string // type of the given role; empty when it does not exist in the service
}

// Create begins a user (reference 1.9.18).
type Create struct {
	Issue        `json:"-"`
	Account      string `json:"-"`
	Service      string `json:"-"`
	DefaultRole  string `json:"-"`
	Sid          string `json:"sid,omitempty" schema:"sid=US"`
	Identity     string `json:"identity" schema:"required,max=256"`
	FriendlyName string `json:"friendly_name,omitempty" schema:"max=256"`
	Attributes   string `json:"attributes,omitempty"`
	Role         string `json:"role,omitempty" schema:"sid=RL"`
}

// Update changes what is given.
type Update struct {
	Issue        `json:"-"`
	FriendlyName *string `json:"friendly_name,omitempty" schema:"max=256"`
	Attributes   *string `json:"attributes,omitempty"`
	Role         *string `json:"role,omitempty" schema:"sid=RL"`
}

// Remove ends a user.
type Remove struct {
	Issue `json:"-"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "user.create" }

// CommandType returns the name on the wire.
func (Update) CommandType() string { return "user.update" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "user.remove" }

// Taken refuses an identity that another user of the service has.
func Taken() *domain.Refusal {
	return domain.Refuse(domain.AlreadyExists, "user_exists", "identity", 50201, "User already exists")
}

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "user_not_found", "", 50200, "The user was not found")
	}
	switch c := c.(type) {
	case Update:
		return decideUpdate(s, c)
	case Remove:
		if c.Caller.Identity != "" {
			return nil, notAllowed("A user cannot remove users")
		}
		return []events.Event{events.UserRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("user: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.User != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "user_exists", "sid", 50201, "User already exists")
	}
	if c.Caller.Identity != "" {
		return nil, notAllowed("A user cannot create users")
	}
	if err := checkIdentity(c.Identity); err != nil {
		return nil, err
	}
	if err := checkInfo(c.Caller, c.FriendlyName, c.Attributes); err != nil {
		return nil, err
	}
	role := c.DefaultRole
	if c.Role != "" {
		if err := checkRole(c.RoleType); err != nil {
			return nil, err
		}
		role = c.Role
	}
	return []events.Event{events.UserCreated{
		User: c.Sid, Account: c.Account, Service: c.Service, Identity: c.Identity,
		FriendlyName: c.FriendlyName, Attributes: c.Attributes, Role: role, At: c.At,
	}}, nil
}

func checkIdentity(identity string) error {
	if identity == "" {
		return domain.Refuse(domain.InvalidArgument, "identity_missing", "identity", 50204, "A user needs an identity")
	}
	return cmp.Or(domain.CheckIdentity(identity, "identity"), domain.CheckLength(identity, 256, "identity", 50207))
}

func checkInfo(c domain.Caller, friendlyName, attributes string) error {
	if err := domain.CheckLength(friendlyName, 256, "friendly_name", 50003); err != nil {
		return err
	}
	if c.Imports() { // history is as long as it is
		return domain.CheckJSON(attributes, "attributes")
	}
	return domain.CheckAttributes(attributes, MaxAttributes, "attributes")
}

func checkRole(roleType string) error {
	switch roleType {
	case events.RoleService:
		return nil
	case "":
		return domain.Refuse(domain.NotFound, "role_not_found", "role", 50102, "The service role was not found")
	default:
		return domain.Refuse(domain.InvalidArgument, "role_type_invalid", "role", 50105, "A user's role must be of type service")
	}
}

func notAllowed(why string) *domain.Refusal {
	return domain.Refuse(domain.PermissionDenied, "permission_denied", "", 50107, "%s", why)
}

func decideUpdate(s State, c Update) ([]events.Event, error) {
	permission := "editAnyUserInfo"
	if c.Caller.Identity == s.Identity {
		permission = "editOwnUserInfo"
	}
	switch {
	case !c.Caller.May(permission):
		return nil, notAllowed("Permission " + permission + " is needed")
	case c.Role != nil && c.Caller.Identity != "":
		return nil, notAllowed("A user cannot give roles")
	}
	if err := checkInfo(c.Caller, text(c.FriendlyName), text(c.Attributes)); err != nil {
		return nil, err
	}
	var out []events.Event
	if c.FriendlyName != nil && *c.FriendlyName != s.FriendlyName {
		out = append(out, events.UserFriendlyNameChanged{FriendlyName: *c.FriendlyName, At: c.At})
	}
	if c.Attributes != nil && *c.Attributes != s.Attributes {
		out = append(out, events.UserAttributesChanged{Attributes: *c.Attributes, At: c.At})
	}
	if c.Role != nil && *c.Role != s.Role {
		if err := checkRole(c.RoleType); err != nil {
			return nil, err
		}
		out = append(out, events.UserRoleChanged{Role: *c.Role, At: c.At})
	}
	return out, nil
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.UserCreated:
		s = State{User: e.User, Account: e.Account, Service: e.Service, Identity: e.Identity,
			FriendlyName: e.FriendlyName, Attributes: e.Attributes, Role: e.Role}
	case events.UserFriendlyNameChanged:
		s.FriendlyName = e.FriendlyName
	case events.UserAttributesChanged:
		s.Attributes = e.Attributes
	case events.UserRoleChanged:
		s.Role = e.Role
	case events.UserRemoved:
		s.Removed = true
	case events.ReservationLost: // only moves the revision
	default:
		panic(fmt.Sprintf("user: event %T", e))
	}
	return s
}
