package projections

import (
	"time"

	"github.com/parley-engine/parley/events"
)

// The rows of the read models. JSON names are Twilio's where Twilio has the
// field. Instants are UTC with millisecond precision; a zero instant and an
// empty text mean "none". Rows belong to the receiver.

// Account is an account and what its new conversations start with.
type Account struct {
	id                         int64
	Sid                        string                      `json:"sid"`
	ParentSid                  string                      `json:"parent_sid,omitempty"` // of a subaccount
	FriendlyName               string                      `json:"friendly_name,omitempty"`
	DefaultChatServiceSid      string                      `json:"default_chat_service_sid,omitempty"`
	DefaultMessagingServiceSid string                      `json:"default_messaging_service_sid,omitempty"`
	DefaultInactiveTimer       string                      `json:"default_inactive_timer,omitempty"` // ISO 8601
	DefaultClosedTimer         string                      `json:"default_closed_timer,omitempty"`   // ISO 8601
	Webhooks                   events.WebhookConfiguration `json:"webhooks,omitzero"`                // zero = never configured
	DateCreated                time.Time                   `json:"date_created"`
	DateUpdated                time.Time                   `json:"date_updated"`
	LastRevision               uint64                      `json:"last_revision"`
	Position                   events.Position             `json:"position"`
}

// MessagingService is a Messaging Service of an account. No senders means any.
type MessagingService struct {
	id           int64
	Sid          string    `json:"sid"`
	AccountSid   string    `json:"account_sid"`
	FriendlyName string    `json:"friendly_name,omitempty"`
	Senders      []string  `json:"senders,omitempty"`
	DateCreated  time.Time `json:"date_created"`
	DateUpdated  time.Time `json:"date_updated"`
}

// Service is a conversation service and its configuration (reference 1.9.4 to
// 1.9.7).
type Service struct {
	id                                int64
	Sid                               string                      `json:"sid"`
	AccountSid                        string                      `json:"account_sid"`
	FriendlyName                      string                      `json:"friendly_name"`
	DefaultConversationCreatorRoleSid string                      `json:"default_conversation_creator_role_sid,omitempty"`
	DefaultConversationRoleSid        string                      `json:"default_conversation_role_sid,omitempty"`
	DefaultChatServiceRoleSid         string                      `json:"default_chat_service_role_sid,omitempty"`
	ReachabilityEnabled               bool                        `json:"reachability_enabled"`
	Webhooks                          events.WebhookConfiguration `json:"webhooks,omitzero"`      // zero = never configured
	Notifications                     events.Notifications        `json:"notifications,omitzero"` // zero = never configured
	DateRemoved                       time.Time                   `json:"date_removed,omitzero"`  // zero while the service is there
	DateCreated                       time.Time                   `json:"date_created"`
	DateUpdated                       time.Time                   `json:"date_updated"`
	LastRevision                      uint64                      `json:"last_revision"`
	Position                          events.Position             `json:"position"`
}

// User is a user of a service (reference 1.9.18).
type User struct {
	id             int64
	Sid            string          `json:"sid"`
	AccountSid     string          `json:"account_sid"`
	ChatServiceSid string          `json:"chat_service_sid"`
	Identity       string          `json:"identity"`
	FriendlyName   string          `json:"friendly_name,omitempty"`
	Attributes     string          `json:"attributes"` // JSON text
	RoleSid        string          `json:"role_sid,omitempty"`
	DateCreated    time.Time       `json:"date_created"`
	DateUpdated    time.Time       `json:"date_updated"`
	LastRevision   uint64          `json:"last_revision"`
	Position       events.Position `json:"position"`
}

// Role is a role of a service (reference 1.9.17).
type Role struct {
	id             int64
	Sid            string          `json:"sid"`
	AccountSid     string          `json:"account_sid"`
	ChatServiceSid string          `json:"chat_service_sid"`
	FriendlyName   string          `json:"friendly_name"`
	Type           string          `json:"type"`
	Permissions    []string        `json:"permissions"`
	DateCreated    time.Time       `json:"date_created"`
	DateUpdated    time.Time       `json:"date_updated"`
	LastRevision   uint64          `json:"last_revision"`
	Position       events.Position `json:"position"`
}

// Conversation is a conversation (reference 1.9.8). LastRevision and Position
// are those of the last event applied to it, or to anything it holds.
type Conversation struct {
	id                  int64
	Sid                 string          `json:"sid"`
	AccountSid          string          `json:"account_sid"`
	ChatServiceSid      string          `json:"chat_service_sid"`
	MessagingServiceSid string          `json:"messaging_service_sid,omitempty"`
	FriendlyName        string          `json:"friendly_name,omitempty"`
	UniqueName          string          `json:"unique_name,omitempty"`
	Attributes          string          `json:"attributes"` // JSON text
	State               string          `json:"state"`
	InactiveTimer       string          `json:"inactive_timer,omitempty"`     // ISO 8601, as the client wrote it
	ClosedTimer         string          `json:"closed_timer,omitempty"`       // ISO 8601, as the client wrote it
	InactiveAfter       time.Duration   `json:"-"`                            // of InactiveTimer; 0 = never
	ClosedAfter         time.Duration   `json:"-"`                            // of ClosedTimer; 0 = never
	TimerSince          time.Time       `json:"timer_since"`                  // the running timer counts from here
	LastActivityAt      time.Time       `json:"last_activity_at"`             // last message, new participant or state set by a client
	EnteredInactiveAt   time.Time       `json:"entered_inactive_at,omitzero"` // only while inactive
	EmailAddress        string          `json:"email_address,omitempty"`
	EmailName           string          `json:"email_name,omitempty"`
	CreatedBy           string          `json:"created_by"`
	Predecessor         string          `json:"predecessor_sid,omitempty"` // the closed one that it goes on from
	Successor           string          `json:"successor_sid,omitempty"`   // the one that goes on from it; only when closed
	LastMessageIndex    int64           `json:"last_message_index"`        // -1 before the first message
	DateCreated         time.Time       `json:"date_created"`
	DateUpdated         time.Time       `json:"date_updated"`
	LastRevision        uint64          `json:"last_revision"`
	Position            events.Position `json:"position"`
}

// DateInactive is the instant the conversation becomes inactive unless
// something happens; zero when it will not.
func (c Conversation) DateInactive() time.Time { return c.due().dateInactive() }

// DateClosed is the instant the conversation closes unless something happens;
// zero when it will not. With both timers the second clock starts when the
// first has run out (reference 2.4).
func (c Conversation) DateClosed() time.Time { return c.due().dateClosed() }

func (c Conversation) due() Due {
	return Due{State: c.State, Since: c.TimerSince, InactiveAfter: c.InactiveAfter, ClosedAfter: c.ClosedAfter}
}

// Binding is how a participant is reached outside chat; the zero Binding is a
// plain chat participant.
type Binding struct {
	Type             string `json:"type,omitempty"`
	Address          string `json:"address,omitempty"`
	ProxyAddress     string `json:"proxy_address,omitempty"`
	ProjectedAddress string `json:"projected_address,omitempty"`
	Level            string `json:"level,omitempty"` // of an e-mail participant: to or cc
	Name             string `json:"name,omitempty"`  // of an e-mail participant
}

// Participant is a participant (reference 1.9.10).
type Participant struct {
	id                   int64
	conversation         int64
	Sid                  string    `json:"sid"`
	AccountSid           string    `json:"account_sid"`
	ChatServiceSid       string    `json:"chat_service_sid"`
	ConversationSid      string    `json:"conversation_sid"`
	Identity             string    `json:"identity,omitempty"`
	UserSid              string    `json:"user_sid,omitempty"`
	RoleSid              string    `json:"role_sid,omitempty"`
	Attributes           string    `json:"attributes"` // JSON text
	MessagingBinding     Binding   `json:"messaging_binding,omitzero"`
	LastReadMessageIndex *int64    `json:"last_read_message_index"` // nil while there is no horizon
	LastReadTimestamp    time.Time `json:"last_read_timestamp,omitzero"`
	NotificationLevel    string    `json:"notification_level"` // default or muted
	Revision             uint64    `json:"-"`                  // of the conversation; 0 in lists across conversations
	DateCreated          time.Time `json:"date_created"`
	DateUpdated          time.Time `json:"date_updated"`
}

// Message is a message (reference 1.9.11). Deleted messages have no row.
type Message struct {
	id               int64
	conversation     int64
	Sid              string         `json:"sid"`
	AccountSid       string         `json:"account_sid"`
	ChatServiceSid   string         `json:"chat_service_sid"`
	ConversationSid  string         `json:"conversation_sid"`
	Index            int64          `json:"index"`
	Author           string         `json:"author"`
	ParticipantSid   string         `json:"participant_sid,omitempty"`
	Body             string         `json:"body,omitempty"`
	Media            []events.Media `json:"media,omitempty"`
	Attributes       string         `json:"attributes"` // JSON text
	Subject          string         `json:"subject,omitempty"`
	ContentSid       string         `json:"content_sid,omitempty"`
	ContentVariables string         `json:"content_variables,omitempty"`
	Delivery         *Delivery      `json:"delivery"` // nil when nobody can send a receipt
	DateCreated      time.Time      `json:"date_created"`
	DateUpdated      time.Time      `json:"date_updated"`

	Revision uint64 `json:"-"` // of the conversation

	recipients int64
}

// Delivery sums up the receipts of a message (reference 4.6). Total is the
// number of recipients that can send one. Each status says whether all, some or
// none of them have reached it: read counts as delivered, delivered and
// undelivered as sent.
type Delivery struct {
	Total       int64 `json:"total"`
	Sent        Share `json:"sent"`
	Delivered   Share `json:"delivered"`
	Read        Share `json:"read"`
	Failed      Share `json:"failed"`
	Undelivered Share `json:"undelivered"`
}

// Share is all, some or none.
type Share string

// The shares.
const (
	All  Share = "all"
	Some Share = "some"
	None Share = "none"
)

func share(n, total int64) Share {
	switch {
	case n <= 0:
		return None
	case n >= total:
		return All
	default:
		return Some
	}
}

// Receipt is a delivery receipt (reference 1.9.12).
type Receipt struct {
	id                int64
	message           int64
	Sid               string    `json:"sid"`
	AccountSid        string    `json:"account_sid"`
	ChatServiceSid    string    `json:"chat_service_sid"`
	ConversationSid   string    `json:"conversation_sid"`
	MessageSid        string    `json:"message_sid"`
	ParticipantSid    string    `json:"participant_sid"`
	ChannelMessageSid string    `json:"channel_message_sid,omitempty"`
	Status            string    `json:"status"`
	ErrorCode         int64     `json:"error_code"`
	Revision          uint64    `json:"-"` // of the conversation
	DateCreated       time.Time `json:"date_created"`
	DateUpdated       time.Time `json:"date_updated"`
}

// Webhook is a conversation-scoped webhook (reference 1.9.14).
type Webhook struct {
	id              int64
	conversation    int64
	Sid             string         `json:"sid"`
	AccountSid      string         `json:"account_sid"`
	ChatServiceSid  string         `json:"chat_service_sid"`
	ConversationSid string         `json:"conversation_sid"`
	Target          string         `json:"target"`
	Configuration   events.Webhook `json:"configuration"`
	Revision        uint64         `json:"-"` // of the conversation
	DateCreated     time.Time      `json:"date_created"`
	DateUpdated     time.Time      `json:"date_updated"`
}

// ParticipantConversation is a participant with its conversation (reference
// 1.9.20).
type ParticipantConversation struct {
	Participant  Participant  `json:"participant"`
	Conversation Conversation `json:"conversation"`
}

// UserConversation is a conversation as one of its users sees it (reference
// 1.9.19). UnreadMessagesCount is nil while there is no read horizon and at
// most [MaxUnread]. LastMessage is nil while there is none.
type UserConversation struct {
	Participant         Participant  `json:"participant"`
	Conversation        Conversation `json:"conversation"`
	UserSid             string       `json:"user_sid"`
	UnreadMessagesCount *int64       `json:"unread_messages_count"`
	LastMessage         *Message     `json:"last_message"`
}

// MaxUnread bounds UnreadMessagesCount (reference section 5).
const MaxUnread = 1000
