package events

import "time"

// These names and fields are stored for ever; see conversation.go.

// Types of push credentials and bindings (reference 1.9.15 and 1.9.16).
const (
	PushAPN      = "apn"
	PushGCM      = "gcm"
	PushFCM      = "fcm"
	PushTwilsock = "twilsock" // bindings only
)

// CredentialCreated begins a push credential. Sealed is its secrets, encrypted
// with a key that is not in the log.
type CredentialCreated struct {
	Credential   string    `json:"credential"` // CR…
	Account      string    `json:"account"`
	Type         string    `json:"type"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Sandbox      bool      `json:"sandbox,omitempty"`
	Sealed       string    `json:"sealed,omitempty"`
	At           time.Time `json:"at"`
}

// CredentialUpdated replaces what a credential is; without Sealed the secrets
// stay as they are.
type CredentialUpdated struct {
	Type         string    `json:"type"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Sandbox      bool      `json:"sandbox,omitempty"`
	Sealed       string    `json:"sealed,omitempty"`
	At           time.Time `json:"at"`
}

// CredentialRemoved ends a push credential.
type CredentialRemoved struct {
	At time.Time `json:"at"`
}

// BindingCreated registers a device of an identity for push messages.
type BindingCreated struct {
	Binding      string    `json:"binding_sid"` // BS…
	Account      string    `json:"account"`
	Service      string    `json:"service"`
	Identity     string    `json:"identity"`
	Credential   string    `json:"credential,omitempty"` // CR…
	Type         string    `json:"type"`
	Endpoint     string    `json:"endpoint"`
	MessageTypes []string  `json:"message_types,omitempty"`
	At           time.Time `json:"at"`
}

// BindingUpdated replaces what the device wants to hear of.
type BindingUpdated struct {
	Credential   string    `json:"credential,omitempty"`
	MessageTypes []string  `json:"message_types,omitempty"`
	At           time.Time `json:"at"`
}

// BindingRemoved forgets a device.
type BindingRemoved struct {
	At time.Time `json:"at"`
}

// Notification is one kind of push message of a service (reference 1.9.6).
type Notification struct {
	Enabled  bool   `json:"enabled,omitempty"`
	Template string `json:"template,omitempty"`
	Sound    string `json:"sound,omitempty"`
}

// MediaNotification is the push message for a message with media.
type MediaNotification struct {
	Enabled  bool   `json:"enabled,omitempty"`
	Template string `json:"template,omitempty"`
}

// Notifications is what a service pushes to devices.
type Notifications struct {
	LogEnabled              bool              `json:"log_enabled,omitempty"`
	NewMessage              Notification      `json:"new_message,omitzero"`
	BadgeCountEnabled       bool              `json:"badge_count_enabled,omitempty"`
	WithMedia               MediaNotification `json:"with_media,omitzero"`
	AddedToConversation     Notification      `json:"added_to_conversation,omitzero"`
	RemovedFromConversation Notification      `json:"removed_from_conversation,omitzero"`
}

// ServiceNotificationsConfigured replaces what a service pushes to devices.
type ServiceNotificationsConfigured struct {
	Notifications Notifications `json:"notifications"`
	At            time.Time     `json:"at"`
}

// EventType returns the stored name.
func (CredentialCreated) EventType() string { return "credential.created.v1" }

// EventType returns the stored name.
func (CredentialUpdated) EventType() string { return "credential.updated.v1" }

// EventType returns the stored name.
func (CredentialRemoved) EventType() string { return "credential.removed.v1" }

// EventType returns the stored name.
func (BindingCreated) EventType() string { return "binding.created.v1" }

// EventType returns the stored name.
func (BindingUpdated) EventType() string { return "binding.updated.v1" }

// EventType returns the stored name.
func (BindingRemoved) EventType() string { return "binding.removed.v1" }

// EventType returns the stored name.
func (ServiceNotificationsConfigured) EventType() string {
	return "service.notifications-configured.v1"
}
