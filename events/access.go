package events

import "time"

// These names and fields are stored for ever; see conversation.go.
//
// Secrets never are: Hash tells whether a secret that is shown is the right one
// ("sha256$" and hex digits), Sealed is the secret itself, encrypted with a key
// that is not in the log, for what needs the secret and not a proof of it.

// AccountAuthTokenSet replaces the account's auth token. An empty Hash takes it
// away: no token is right until another one is set.
type AccountAuthTokenSet struct {
	Hash   string    `json:"hash,omitempty"`
	Sealed string    `json:"sealed,omitempty"`
	At     time.Time `json:"at"`
}

// WebhookConfiguration is what an account or a service tells whom (reference
// 1.9.2 and 1.9.7). Empty fields are unset.
type WebhookConfiguration struct {
	Method         string   `json:"method,omitempty"` // GET or POST
	Filters        []string `json:"filters,omitempty"`
	PreWebhookURL  string   `json:"pre_webhook_url,omitempty"`
	PostWebhookURL string   `json:"post_webhook_url,omitempty"`
	Target         string   `json:"target,omitempty"` // webhook or flex; accounts only
}

// AccountWebhooksConfigured replaces the account's webhook configuration.
type AccountWebhooksConfigured struct {
	Webhooks WebhookConfiguration `json:"webhooks"`
	At       time.Time            `json:"at"`
}

// ServiceWebhooksConfigured replaces the service's webhook configuration, which
// stands in for the account's.
type ServiceWebhooksConfigured struct {
	Webhooks WebhookConfiguration `json:"webhooks"`
	At       time.Time            `json:"at"`
}

// APIKeyCreated begins an API key: a second way to act for an account.
type APIKeyCreated struct {
	APIKey       string    `json:"api_key"` // SK…
	Account      string    `json:"account"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Hash         string    `json:"hash"`
	Sealed       string    `json:"sealed"`
	At           time.Time `json:"at"`
}

// APIKeySecretReplaced gives an API key another secret; the former is void.
type APIKeySecretReplaced struct {
	Hash   string    `json:"hash"`
	Sealed string    `json:"sealed"`
	At     time.Time `json:"at"`
}

// APIKeyRevoked ends an API key.
type APIKeyRevoked struct {
	At time.Time `json:"at"`
}

// EventType returns the stored name.
func (AccountAuthTokenSet) EventType() string { return "account.auth-token-set.v1" }

// EventType returns the stored name.
func (AccountWebhooksConfigured) EventType() string { return "account.webhooks-configured.v1" }

// EventType returns the stored name.
func (ServiceWebhooksConfigured) EventType() string { return "service.webhooks-configured.v1" }

// EventType returns the stored name.
func (APIKeyCreated) EventType() string { return "apikey.created.v1" }

// EventType returns the stored name.
func (APIKeySecretReplaced) EventType() string { return "apikey.secret-replaced.v1" }

// EventType returns the stored name.
func (APIKeyRevoked) EventType() string { return "apikey.revoked.v1" }
