package events

import "time"

// These names and fields are stored for ever; see conversation.go.

// AccountCreated begins an account.
type AccountCreated struct {
	Account      string    `json:"account"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Parent       string    `json:"parent,omitempty"` // AC… that may act for this one; empty: nobody else
	At           time.Time `json:"at"`
}

// AccountConfigured replaces what new conversations of the account start with
// (reference 1.9.1). Empty fields are unset.
type AccountConfigured struct {
	DefaultService          string    `json:"default_service,omitempty"`
	DefaultMessagingService string    `json:"default_messaging_service,omitempty"`
	DefaultTimers           Timers    `json:"default_timers,omitzero"`
	At                      time.Time `json:"at"`
}

// MessagingServiceAdded makes a Messaging Service and its senders known to the
// account. No senders means any sender.
type MessagingServiceAdded struct {
	MessagingService string    `json:"messaging_service"`
	FriendlyName     string    `json:"friendly_name,omitempty"`
	Senders          []string  `json:"senders,omitempty"`
	At               time.Time `json:"at"`
}

// LogLossAccepted says that an operator went on with a log that had lost its end: events
// that were acknowledged, and that somebody had seen, are in it no more. Nothing in this
// log is told by it but that.
type LogLossAccepted struct {
	LogEnd         string    `json:"log_end"`            // position of the last event that was left, as text; 0: none was
	Seen           string    `json:"seen"`               // position of the last event that had been seen
	SeenBy         []string  `json:"seen_by"`            // who had seen more than the log has
	Operator       string    `json:"operator,omitempty"` // user and host, as in ada@db1
	OperatorReason string    `json:"operator_reason"`
	Rescued        string    `json:"rescued,omitempty"` // file with the rows that only read models still had; empty: there were none
	At             time.Time `json:"at"`
}

// ServiceCreated begins a conversation service.
type ServiceCreated struct {
	Service      string    `json:"service"`
	Account      string    `json:"account"`
	FriendlyName string    `json:"friendly_name"`
	At           time.Time `json:"at"`
}

// ServiceConfigured replaces the service's default roles (reference 1.9.5).
type ServiceConfigured struct {
	CreatorRole         string    `json:"creator_role"`
	ConversationRole    string    `json:"conversation_role"`
	ServiceRole         string    `json:"service_role"`
	ReachabilityEnabled bool      `json:"reachability_enabled"`
	At                  time.Time `json:"at"`
}

// ServiceRemoved ends a service.
type ServiceRemoved struct {
	At time.Time `json:"at"`
}

// UserCreated begins a user.
type UserCreated struct {
	User         string    `json:"user"`
	Account      string    `json:"account"`
	Service      string    `json:"service"`
	Identity     string    `json:"identity"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Attributes   string    `json:"attributes,omitempty"`
	Role         string    `json:"role,omitempty"`
	At           time.Time `json:"at"`
}

// UserFriendlyNameChanged replaces a user's friendly name.
type UserFriendlyNameChanged struct {
	FriendlyName string    `json:"friendly_name"`
	At           time.Time `json:"at"`
}

// UserAttributesChanged replaces a user's attributes.
type UserAttributesChanged struct {
	Attributes string    `json:"attributes"`
	At         time.Time `json:"at"`
}

// UserRoleChanged gives a user another service role.
type UserRoleChanged struct {
	Role string    `json:"role"`
	At   time.Time `json:"at"`
}

// UserRemoved ends a user.
type UserRemoved struct {
	At time.Time `json:"at"`
}

// Role types (reference 7.1).
const (
	RoleConversation = "conversation"
	RoleService      = "service"
)

// RoleCreated begins a role.
type RoleCreated struct {
	Role         string    `json:"role"`
	Account      string    `json:"account"`
	Service      string    `json:"service"`
	FriendlyName string    `json:"friendly_name"`
	Type         string    `json:"type"`
	Permissions  []string  `json:"permissions"`
	At           time.Time `json:"at"`
}

// RolePermissionsReplaced replaces the full set of permissions.
type RolePermissionsReplaced struct {
	Permissions []string  `json:"permissions"`
	At          time.Time `json:"at"`
}

// RoleRemoved ends a role.
type RoleRemoved struct {
	At time.Time `json:"at"`
}

// ReservationClaimed names the holder of a value that must be unique across
// streams. A later claim takes over from an earlier one.
type ReservationClaimed struct {
	Kind   string    `json:"kind"`   // unique-name, identity, address-pair, group
	Holder string    `json:"holder"` // stream of the aggregate that holds the value
	Ref    string    `json:"ref"`    // SID of the part that holds it: CH…, MB…, US…
	At     time.Time `json:"at"`
}

// ReservationLost is the fence that a taker puts into the stream of a former
// holder, so that an append the holder had pending conflicts and is decided
// again. It can occur in any stream that may hold a reservation.
type ReservationLost struct {
	Reservation string    `json:"reservation"` // stream of the reservation
	Taker       string    `json:"taker"`       // stream of the aggregate that took it
	At          time.Time `json:"at"`
}

// EventType returns the stored name.
func (AccountCreated) EventType() string { return "account.created.v1" }

// EventType returns the stored name.
func (AccountConfigured) EventType() string { return "account.configured.v1" }

// EventType returns the stored name.
func (MessagingServiceAdded) EventType() string { return "account.messaging-service-added.v1" }

// EventType returns the stored name.
func (LogLossAccepted) EventType() string { return "account.log-loss-accepted.v1" }

// EventType returns the stored name.
func (ServiceCreated) EventType() string { return "service.created.v1" }

// EventType returns the stored name.
func (ServiceConfigured) EventType() string { return "service.configured.v1" }

// EventType returns the stored name.
func (ServiceRemoved) EventType() string { return "service.removed.v1" }

// EventType returns the stored name.
func (UserCreated) EventType() string { return "user.created.v1" }

// EventType returns the stored name.
func (UserFriendlyNameChanged) EventType() string { return "user.friendly-name-changed.v1" }

// EventType returns the stored name.
func (UserAttributesChanged) EventType() string { return "user.attributes-changed.v1" }

// EventType returns the stored name.
func (UserRoleChanged) EventType() string { return "user.role-changed.v1" }

// EventType returns the stored name.
func (UserRemoved) EventType() string { return "user.removed.v1" }

// EventType returns the stored name.
func (RoleCreated) EventType() string { return "role.created.v1" }

// EventType returns the stored name.
func (RolePermissionsReplaced) EventType() string { return "role.permissions-replaced.v1" }

// EventType returns the stored name.
func (RoleRemoved) EventType() string { return "role.removed.v1" }

// EventType returns the stored name.
func (ReservationClaimed) EventType() string { return "reservation.claimed.v1" }

// EventType returns the stored name.
func (ReservationLost) EventType() string { return "reservation.lost.v1" }
