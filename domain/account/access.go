package account

import (
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// SetAuthToken replaces the auth token; the former is void at once. Without a
// Secret the account has none until another one is set.
type SetAuthToken struct {
	At     time.Time `json:"-"`
	Hash   string    `json:"-"`
	Sealed string    `json:"-"`
	Secret string    `json:"secret,omitempty" schema:"max=64"`
}

// ConfigureWebhooks changes what is given (reference 1.9.2).
type ConfigureWebhooks struct {
	At             time.Time `json:"-"`
	Method         *string   `json:"method,omitempty"`
	Filters        []string  `json:"filters,omitempty"`
	PreWebhookURL  *string   `json:"pre_webhook_url,omitempty"`
	PostWebhookURL *string   `json:"post_webhook_url,omitempty"`
	Target         *string   `json:"target,omitempty"`
}

// CommandType returns the name on the wire.
func (SetAuthToken) CommandType() string { return "account.set-auth-token" }

// CommandType returns the name on the wire.
func (ConfigureWebhooks) CommandType() string { return "account.configure-webhooks" }

// checkParent lets accounts have sub-accounts, and sub-accounts none.
func checkParent(c Create) error {
	switch {
	case c.Parent == "":
		return nil
	case !c.ParentExists || c.Parent == c.Account:
		return domain.Refuse(domain.NotFound, "parent_not_found", "parent", 20404, "The parent account was not found")
	case c.ParentIsSub:
		return domain.Refuse(domain.FailedPrecondition, "parent_is_subaccount", "parent", 20409, "A sub-account has no sub-accounts")
	}
	return nil
}

func decideSetAuthToken(s State, c SetAuthToken) ([]events.Event, error) {
	if c.Secret != "" {
		if err := domain.CheckSecret(c.Secret, "secret"); err != nil {
			return nil, err
		}
	}
	if s.TokenHash == c.Hash {
		return nil, nil
	}
	return []events.Event{events.AccountAuthTokenSet{Hash: c.Hash, Sealed: c.Sealed, At: c.At}}, nil
}

func decideConfigureWebhooks(s State, c ConfigureWebhooks) ([]events.Event, error) {
	patch := domain.WebhookPatch{Method: c.Method, PreWebhookURL: c.PreWebhookURL, PostWebhookURL: c.PostWebhookURL, Target: c.Target, Filters: c.Filters}
	next, err := patch.Apply(s.Webhooks)
	if err != nil || domain.SameWebhooks(s.Webhooks, next) {
		return nil, err
	}
	return []events.Event{events.AccountWebhooksConfigured{Webhooks: next, At: c.At}}, nil
}
