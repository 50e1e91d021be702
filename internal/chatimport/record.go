package chatimport

import (
	"fmt"
	"time"

	"github.com/parley-engine/parley/domain"
)

// The resources of Chat v2, as far as something is done with them.

type chatService struct {
	Sid          string    `json:"sid"`
	FriendlyName string    `json:"friendly_name"`
	DateCreated  time.Time `json:"date_created"`

	ServiceRole         string `json:"default_service_role_sid"`
	ChannelRole         string `json:"default_channel_role_sid"`
	CreatorRole         string `json:"default_channel_creator_role_sid"`
	ReachabilityEnabled bool   `json:"reachability_enabled"`

	PreWebhookURL  string            `json:"pre_webhook_url"`
	PostWebhookURL string            `json:"post_webhook_url"`
	WebhookMethod  string            `json:"webhook_method"`
	WebhookFilters []string          `json:"webhook_filters"`
	Notifications  chatNotifications `json:"notifications"`

	ReadStatusEnabled   *bool          `json:"read_status_enabled"`
	TypingIndicator     int            `json:"typing_indicator_timeout"`
	ConsumptionInterval int            `json:"consumption_report_interval"`
	PreRetries          int            `json:"pre_webhook_retry_count"`
	PostRetries         int            `json:"post_webhook_retry_count"`
	Limits              map[string]any `json:"limits"`
	Media               map[string]any `json:"media"`
}

type chatNotifications struct {
	LogEnabled         bool             `json:"log_enabled"`
	NewMessage         chatNotification `json:"new_message"`
	AddedToChannel     chatNotification `json:"added_to_channel"`
	RemovedFromChannel chatNotification `json:"removed_from_channel"`
	InvitedToChannel   chatNotification `json:"invited_to_channel"`
}

type chatNotification struct {
	Enabled    bool   `json:"enabled"`
	Template   string `json:"template"`
	Sound      string `json:"sound"`
	BadgeCount bool   `json:"badge_count_enabled"`
}

type chatRole struct {
	Sid          string    `json:"sid"`
	Service      string    `json:"service_sid"`
	FriendlyName string    `json:"friendly_name"`
	Type         string    `json:"type"` // deployment or channel
	Permissions  []string  `json:"permissions"`
	DateCreated  time.Time `json:"date_created"`
}

type chatUser struct {
	Sid          string    `json:"sid"`
	Service      string    `json:"service_sid"`
	Identity     string    `json:"identity"`
	FriendlyName string    `json:"friendly_name"`
	Attributes   string    `json:"attributes"`
	Role         string    `json:"role_sid"`
	DateCreated  time.Time `json:"date_created"`
	Channels     *int      `json:"joined_channels_count"`
}

type chatChannel struct {
	Sid           string    `json:"sid"`
	Service       string    `json:"service_sid"`
	FriendlyName  string    `json:"friendly_name"`
	UniqueName    string    `json:"unique_name"`
	Attributes    string    `json:"attributes"`
	Type          string    `json:"type"` // public or private
	CreatedBy     string    `json:"created_by"`
	DateCreated   time.Time `json:"date_created"`
	DateUpdated   time.Time `json:"date_updated"`
	MembersCount  *int64    `json:"members_count"`
	MessagesCount int64     `json:"messages_count"`
}

type chatMember struct {
	Sid         string    `json:"sid"`
	Channel     string    `json:"channel_sid"`
	Identity    string    `json:"identity"`
	Role        string    `json:"role_sid"`
	Attributes  string    `json:"attributes"`
	DateCreated time.Time `json:"date_created"`
	DateUpdated time.Time `json:"date_updated"`
	ReadIndex   *int64    `json:"last_consumed_message_index"`
	ReadAt      time.Time `json:"last_consumption_timestamp"`
}

type chatMessage struct {
	Sid         string     `json:"sid"`
	Channel     string     `json:"channel_sid"`
	Index       *int64     `json:"index"`
	From        string     `json:"from"`
	Body        string     `json:"body"`
	Attributes  string     `json:"attributes"`
	Media       *chatMedia `json:"media"`
	DateCreated time.Time  `json:"date_created"`
	DateUpdated time.Time  `json:"date_updated"`
}

type chatMedia struct {
	Sid         string `json:"sid"`
	ContentType string `json:"content_type"`
	Filename    string `json:"filename"`
	Size        int64  `json:"size"`
}

type chatInvite struct {
	Sid      string `json:"sid"`
	Identity string `json:"identity"`
}

type chatUserChannel struct {
	Channel string `json:"channel_sid"`
	Member  string `json:"member_sid"`
	Status  string `json:"status"` // joined, invited or notParticipating
	Level   string `json:"notification_level"`
	Unread  *int64 `json:"unread_messages_count"`
}

// within is what a record says of the list it is in.
type within struct{ name, value, want string }

// sound refuses a record that is not what its list should have: a foreign SID would
// take it to a stream of somebody else's.
func sound(i Item, prefix, sid string, created time.Time, of within) error {
	switch {
	case !domain.IsSID(prefix, sid):
		return fmt.Errorf("%s: sid %.40q is not %s and 32 hex digits", i.At(), sid, prefix)
	case of.value != "" && of.value != of.want:
		return fmt.Errorf("%s: %s has the %s %.40q in a list of %s", i.At(), sid, of.name, of.value, of.want)
	case created.IsZero():
		return fmt.Errorf("%s: %s has no date_created", i.At(), sid)
	}
	return nil
}
