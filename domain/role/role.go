// Package role decides about roles: named sets of permissions, of type service
// (held by users) or conversation (held by participants).
package role

import (
	"fmt"
	"slices"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Permissions that exist, and the role types that may hold them (reference
// 7.2). inviteMember belonged to Programmable Chat and is refused by absence.
var permissions = map[string]struct{ service, conversation bool }{
	"addParticipant":               {true, true},
	"addNonChatParticipant":        {true, true},
	"createConversation":           {true, false},
	"deleteAnyMessage":             {true, true},
	"deleteOwnMessage":             {false, true},
	"deleteConversation":           {true, true},
	"editAnyMessage":               {true, true},
	"editAnyMessageAttributes":     {true, true},
	"editAnyParticipantAttributes": {true, true},
	"editAnyUserInfo":              {true, true},
	"editConversationAttributes":   {true, true},
	"editConversationName":         {true, true},
	"editNotificationLevel":        {true, true},
	"editOwnMessage":               {true, true},
	"editOwnMessageAttributes":     {true, true},
	"editOwnParticipantAttributes": {true, true},
	"editOwnUserInfo":              {true, true},
	"joinConversation":             {true, false},
	"leaveConversation":            {false, true},
	"readChannelMetadata":          {true, true},
	"removeParticipant":            {true, true},
	"sendMediaMessage":             {false, true},
	"sendMessage":                  {false, true},
}

// Has reports whether there is a permission of the name for roles of the type.
func Has(roleType, permission string) bool {
	p, known := permissions[permission]
	return known && (roleType == events.RoleService && p.service || roleType == events.RoleConversation && p.conversation)
}

// Default is one of the four roles every service begins with (reference 7.3).
type Default struct {
	Name        string
	Type        string
	Permissions []string
}

// Defaults returns the four roles of a new service: service admin, service
// user, channel admin, channel user.
func Defaults() [4]Default {
	return [4]Default{
		{"service admin", events.RoleService, []string{"addParticipant", "addNonChatParticipant", "createConversation",
			"deleteAnyMessage", "deleteConversation", "editAnyMessage", "editAnyMessageAttributes", "editAnyParticipantAttributes",
			"editAnyUserInfo", "editConversationAttributes", "editConversationName", "editOwnUserInfo", "joinConversation", "removeParticipant"}},
		{"service user", events.RoleService, []string{"createConversation", "joinConversation", "editOwnUserInfo"}},
		{"channel admin", events.RoleConversation, []string{"sendMessage", "sendMediaMessage", "leaveConversation", "editNotificationLevel",
			"deleteConversation", "removeParticipant", "editConversationName", "editConversationAttributes", "addParticipant",
			"addNonChatParticipant", "editAnyParticipantAttributes", "editOwnParticipantAttributes", "editAnyMessage",
			"editAnyMessageAttributes", "editOwnMessage", "editOwnMessageAttributes", "deleteAnyMessage", "deleteOwnMessage"}},
		{"channel user", events.RoleConversation, []string{"sendMessage", "sendMediaMessage", "leaveConversation", "editNotificationLevel",
			"editOwnParticipantAttributes", "editOwnMessage", "editOwnMessageAttributes", "deleteOwnMessage"}},
	}
}

// State is a role. The zero State does not exist.
type State struct {
	Role         string
	Account      string
	Service      string
	FriendlyName string
	Type         string
	Permissions  []string
	Removed      bool
}

// Exists reports whether the role was created and not removed.
func (s State) Exists() bool { return s.Role != "" && !s.Removed }

// Command is something somebody wants of one role.
type Command interface {
	CommandType() string
}

// Create begins a role.
type Create struct {
	At           time.Time `json:"-"`
	Import       bool      `json:"-"` // of foreign history: what it could do may be nothing here
	Account      string    `json:"-"`
	Service      string    `json:"-"`
	Sid          string    `json:"sid,omitempty" schema:"sid=RL"`
	FriendlyName string    `json:"friendly_name" schema:"required,max=64"`
	Type         string    `json:"type" schema:"required,enum=conversation|service"`
	Permissions  []string  `json:"permissions" schema:"required"`
}

// ReplacePermissions replaces the full set.
type ReplacePermissions struct {
	At          time.Time `json:"-"`
	Permissions []string  `json:"permissions" schema:"required"`
}

// Remove ends a role that nobody has.
type Remove struct {
	At    time.Time `json:"-"`
	InUse bool      `json:"-"` // somebody has it, or the service gives it by default
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "role.create" }

// CommandType returns the name on the wire.
func (ReplacePermissions) CommandType() string { return "role.replace-permissions" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "role.remove" }

// Decide turns a command into events, or refuses it with a *domain.Refusal.
func Decide(s State, c Command) ([]events.Event, error) {
	if create, ok := c.(Create); ok {
		return decideCreate(s, create)
	}
	if !s.Exists() {
		return nil, domain.Refuse(domain.NotFound, "role_not_found", "", 50100, "The role was not found")
	}
	switch c := c.(type) {
	case ReplacePermissions:
		if err := check(s.Type, c.Permissions); err != nil {
			return nil, err
		}
		if slices.Equal(s.Permissions, c.Permissions) {
			return nil, nil
		}
		return []events.Event{events.RolePermissionsReplaced{Permissions: slices.Clone(c.Permissions), At: c.At}}, nil
	case Remove:
		if c.InUse {
			return nil, domain.Refuse(domain.FailedPrecondition, "role_in_use", "", 20409, "The role is in use")
		}
		return []events.Event{events.RoleRemoved{At: c.At}}, nil
	default:
		panic(fmt.Sprintf("role: command %T", c))
	}
}

func decideCreate(s State, c Create) ([]events.Event, error) {
	if s.Role != "" {
		return nil, domain.Refuse(domain.AlreadyExists, "role_exists", "sid", 20409, "The role exists already")
	}
	if c.FriendlyName == "" {
		return nil, domain.Refuse(domain.InvalidArgument, "friendly_name_missing", "friendly_name", 50000, "A role needs a friendly name")
	}
	if err := domain.CheckLength(c.FriendlyName, 64, "friendly_name", 50003); err != nil {
		return nil, err
	}
	if c.Type != events.RoleConversation && c.Type != events.RoleService {
		return nil, domain.Refuse(domain.InvalidArgument, "role_type_invalid", "type", 50105, "A role is of type conversation or service")
	}
	if c.Import && len(c.Permissions) == 0 {
		c.Permissions = []string{}
	} else if err := check(c.Type, c.Permissions); err != nil {
		return nil, err
	}
	return []events.Event{events.RoleCreated{
		Role: c.Sid, Account: c.Account, Service: c.Service, FriendlyName: c.FriendlyName,
		Type: c.Type, Permissions: slices.Clone(c.Permissions), At: c.At,
	}}, nil
}

func check(roleType string, wanted []string) error {
	if len(wanted) == 0 {
		return domain.Refuse(domain.InvalidArgument, "permission_missing", "permissions", 50104, "A role needs at least one permission")
	}
	for i, name := range wanted {
		if !Has(roleType, name) {
			return domain.Refuse(domain.InvalidArgument, "permission_unknown", fmt.Sprintf("permissions[%d]", i), 50104,
				"%.64q is not a permission of a %s role", name, roleType)
		}
	}
	return nil
}

// Evolve is the next state. It owns its argument.
func Evolve(s State, e events.Event) State {
	switch e := e.(type) {
	case events.RoleCreated:
		s = State{Role: e.Role, Account: e.Account, Service: e.Service, FriendlyName: e.FriendlyName, Type: e.Type, Permissions: e.Permissions}
	case events.RolePermissionsReplaced:
		s.Permissions = e.Permissions
	case events.RoleRemoved:
		s.Removed = true
	case events.ReservationLost: // roles hold no reservations
	default:
		panic(fmt.Sprintf("role: event %T", e))
	}
	return s
}
