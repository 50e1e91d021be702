package events

import "time"

// These names and fields are stored for ever; see conversation.go.

// AutoCreation says what becomes of a message to an address when no open
// conversation has the pair (reference 1.9.3).
type AutoCreation struct {
	Enabled        bool     `json:"enabled,omitempty"`
	Type           string   `json:"type,omitempty"`    // webhook, studio or default
	Service        string   `json:"service,omitempty"` // IS…; none means the account's default
	WebhookURL     string   `json:"webhook_url,omitempty"`
	WebhookMethod  string   `json:"webhook_method,omitempty"` // get or post
	WebhookFilters []string `json:"webhook_filters,omitempty"`
	StudioFlow     string   `json:"studio_flow,omitempty"` // FW…
	StudioRetries  int      `json:"studio_retries,omitempty"`
}

// AddressConfigurationCreated begins the configuration of one of the account's
// addresses.
type AddressConfigurationCreated struct {
	AddressConfiguration string       `json:"address_configuration"` // IG…
	Account              string       `json:"account"`
	Type                 string       `json:"type"`
	Address              string       `json:"address"`
	FriendlyName         string       `json:"friendly_name,omitempty"`
	Country              string       `json:"country,omitempty"` // ISO 3166-1 alpha-2
	AutoCreation         AutoCreation `json:"auto_creation,omitzero"`
	At                   time.Time    `json:"at"`
}

// AddressConfigurationUpdated replaces name and autocreation.
type AddressConfigurationUpdated struct {
	FriendlyName string       `json:"friendly_name,omitempty"`
	AutoCreation AutoCreation `json:"auto_creation,omitzero"`
	At           time.Time    `json:"at"`
}

// AddressConfigurationRemoved ends the configuration.
type AddressConfigurationRemoved struct {
	At time.Time `json:"at"`
}

// EventType returns the stored name.
func (AddressConfigurationCreated) EventType() string { return "address.created.v1" }

// EventType returns the stored name.
func (AddressConfigurationUpdated) EventType() string { return "address.updated.v1" }

// EventType returns the stored name.
func (AddressConfigurationRemoved) EventType() string { return "address.removed.v1" }
