package service

import (
	"cmp"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Sizes of push texts before substitution, in characters.
const (
	maxTemplate = 512
	maxSound    = 256
)

// ConfigureWebhooks changes what is given (reference 1.9.7).
type ConfigureWebhooks struct {
	At             time.Time `json:"-"`
	Method         *string   `json:"method,omitempty"`
	Filters        []string  `json:"filters,omitempty"`
	PreWebhookURL  *string   `json:"pre_webhook_url,omitempty"`
	PostWebhookURL *string   `json:"post_webhook_url,omitempty"`
}

// NotificationPatch changes what is given of one kind of push message.
type NotificationPatch struct {
	Enabled  *bool   `json:"enabled,omitempty"`
	Template *string `json:"template,omitempty" schema:"max=512"`
	Sound    *string `json:"sound,omitempty" schema:"max=256"`
}

// MediaNotificationPatch changes what is given of the push message for media.
type MediaNotificationPatch struct {
	Enabled  *bool   `json:"enabled,omitempty"`
	Template *string `json:"template,omitempty" schema:"max=512"`
}

// ConfigureNotifications changes what is given (reference 1.9.6).
type ConfigureNotifications struct {
	At                      time.Time              `json:"-"`
	LogEnabled              *bool                  `json:"log_enabled,omitempty"`
	NewMessage              NotificationPatch      `json:"new_message,omitzero"`
	BadgeCountEnabled       *bool                  `json:"badge_count_enabled,omitempty"`
	WithMedia               MediaNotificationPatch `json:"with_media,omitzero"`
	AddedToConversation     NotificationPatch      `json:"added_to_conversation,omitzero"`
	RemovedFromConversation NotificationPatch      `json:"removed_from_conversation,omitzero"`
}

// CommandType returns the name on the wire.
func (ConfigureWebhooks) CommandType() string { return "service.configure-webhooks" }

// CommandType returns the name on the wire.
func (ConfigureNotifications) CommandType() string { return "service.configure-notifications" }

func decideConfigureWebhooks(s State, c ConfigureWebhooks) ([]events.Event, error) {
	patch := domain.WebhookPatch{Method: c.Method, PreWebhookURL: c.PreWebhookURL, PostWebhookURL: c.PostWebhookURL, Filters: c.Filters}
	next, err := patch.Apply(s.Webhooks)
	if err != nil || domain.SameWebhooks(s.Webhooks, next) {
		return nil, err
	}
	return []events.Event{events.ServiceWebhooksConfigured{Webhooks: next, At: c.At}}, nil
}

func decideConfigureNotifications(s State, c ConfigureNotifications) ([]events.Event, error) {
	next := s.Notifications
	set(&next.LogEnabled, c.LogEnabled)
	set(&next.BadgeCountEnabled, c.BadgeCountEnabled)
	set(&next.WithMedia.Enabled, c.WithMedia.Enabled)
	set(&next.WithMedia.Template, c.WithMedia.Template)
	c.NewMessage.apply(&next.NewMessage)
	c.AddedToConversation.apply(&next.AddedToConversation)
	c.RemovedFromConversation.apply(&next.RemovedFromConversation)
	err := cmp.Or(
		checkNotification(next.NewMessage, "new_message"),
		domain.CheckLength(next.WithMedia.Template, maxTemplate, "with_media.template", 50058),
		checkNotification(next.AddedToConversation, "added_to_conversation"),
		checkNotification(next.RemovedFromConversation, "removed_from_conversation"),
	)
	if err != nil || next == s.Notifications {
		return nil, err
	}
	return []events.Event{events.ServiceNotificationsConfigured{Notifications: next, At: c.At}}, nil
}

func (p NotificationPatch) apply(n *events.Notification) {
	set(&n.Enabled, p.Enabled)
	set(&n.Template, p.Template)
	set(&n.Sound, p.Sound)
}

func checkNotification(n events.Notification, field string) error {
	return cmp.Or(
		domain.CheckLength(n.Template, maxTemplate, field+".template", 50058),
		domain.CheckLength(n.Sound, maxSound, field+".sound", 50059),
	)
}

func set[T any](field, given *T) {
	if given != nil {
		*field = *given
	}
}
