package conversation

import (
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Command is something somebody wants of one conversation. Commands are data:
// the bus, HTTP and timers all produce them. Fields without a JSON name are put
// there by the engine.
type Command interface {
	CommandType() string
	caller() domain.Caller // who asks
}

// Issue is what the engine adds to every command.
type Issue struct {
	At     time.Time     // now, UTC
	Caller domain.Caller // who asks
	Limits Limits        // settings; the zero value means DefaultLimits
}

func (i Issue) caller() domain.Caller { return i.Caller }

func (c CreateWithParticipants) caller() domain.Caller { return c.Conversation.Caller }

// Create begins a conversation (reference 1.9.8).
type Create struct {
	Issue            `json:"-"`
	Sid              string         `json:"sid,omitempty" schema:"sid=CH"` // made from the command id when empty
	FriendlyName     string         `json:"friendly_name,omitempty" schema:"max=256"`
	UniqueName       string         `json:"unique_name,omitempty"`
	Attributes       string         `json:"attributes,omitempty"`
	MessagingService string         `json:"messaging_service,omitempty" schema:"sid=MG"`
	State            string         `json:"state,omitempty" schema:"enum=active|inactive"`
	Timers           *events.Timers `json:"timers,omitempty"`
	Email            events.Email   `json:"email,omitzero"`
	CreatedBy        string         `json:"created_by,omitempty" schema:"max=256"` // for an import; default: the caller's identity, else "system"
	Predecessor      string         `json:"predecessor,omitempty" schema:"sid=CH"` // the closed one that this goes on from
	DateCreated      time.Time      `json:"date_created,omitzero"`
	DateUpdated      time.Time      `json:"date_updated,omitzero"`

	Account                 string          `json:"-"`
	Service                 string          `json:"-"`
	DefaultMessagingService string          `json:"-"` // of the account, may be empty
	DefaultTimers           events.Timers   `json:"-"` // of the account
	MessagingServices       map[string]bool `json:"-"` // the account's, to check the given one
}

// Update changes what is given and leaves the rest (reference 1.9.8).
type Update struct {
	Issue            `json:"-"`
	FriendlyName     *string       `json:"friendly_name,omitempty" schema:"max=256"`
	UniqueName       *string       `json:"unique_name,omitempty"`
	Attributes       *string       `json:"attributes,omitempty"`
	MessagingService *string       `json:"messaging_service,omitempty" schema:"sid=MG"`
	State            *string       `json:"state,omitempty" schema:"enum=active|inactive|closed"`
	Timers           *TimersPatch  `json:"timers,omitempty"`
	Email            *events.Email `json:"email,omitempty"`
	NextIndex        *int64        `json:"next_index,omitempty"` // for an import: the next message has this index at least
	DateCreated      time.Time     `json:"date_created,omitzero"`
	DateUpdated      time.Time     `json:"date_updated,omitzero"`

	MessagingServices map[string]bool `json:"-"`
}

// TimersPatch changes the timers that are given; "PT0S" disables one.
type TimersPatch struct {
	Inactive *string `json:"inactive,omitempty"`
	Closed   *string `json:"closed,omitempty"`
}

// Remove ends the conversation and all it holds.
type Remove struct {
	Issue `json:"-"`
}

// CreateWithParticipants begins a conversation with people in it: all of it or
// nothing (reference 1.9.9).
type CreateWithParticipants struct {
	Conversation Create           `json:"conversation"`
	Participants []AddParticipant `json:"participants"`
}

// AddParticipant adds a person: by Identity (chat), by Address and ProxyAddress
// (SMS, WhatsApp, …), by Address alone (native group MMS), with a
// ProjectedAddress (reference 3.1).
type AddParticipant struct {
	Issue            `json:"-"`
	Sid              string    `json:"sid,omitempty" schema:"sid=MB"`
	Identity         string    `json:"identity,omitempty" schema:"max=256"`
	Address          string    `json:"address,omitempty" schema:"max=256"`
	ProxyAddress     string    `json:"proxy_address,omitempty" schema:"max=256"`
	ProjectedAddress string    `json:"projected_address,omitempty" schema:"max=256"`
	Level            string    `json:"level,omitempty" schema:"enum=to|cc"` // of an e-mail participant
	Name             string    `json:"name,omitempty" schema:"max=256"`     // of an e-mail participant
	Attributes       string    `json:"attributes,omitempty"`
	Role             string    `json:"role,omitempty" schema:"sid=RL"`
	DateCreated      time.Time `json:"date_created,omitzero"`
	DateUpdated      time.Time `json:"date_updated,omitzero"`

	ParticipantFacts `json:"-"`
}

// ParticipantFacts is what the engine looked up for a participant.
type ParticipantFacts struct {
	User              string   // US… of the identity
	DefaultRole       string   // the service's default conversation role
	CreatorRole       string   // the service's role for who created the conversation
	RoleType          string   // type of the given Role; empty when it does not exist in the service
	Senders           []string // addresses of the conversation's Messaging Service; nil means any
	GroupMMS          bool     // the account may use native group MMS
	OpenConversations int      // of the identity, this one not counted
}

// UpdateParticipant changes what is given (reference 1.9.10). The texts "null"
// for the two addresses remove them.
type UpdateParticipant struct {
	Issue             `json:"-"`
	Participant       string    `json:"participant" schema:"required"` // MB… or identity
	Identity          *string   `json:"identity,omitempty" schema:"max=256"`
	ProxyAddress      *string   `json:"proxy_address,omitempty" schema:"max=256"`
	ProjectedAddress  *string   `json:"projected_address,omitempty" schema:"max=256"`
	Attributes        *string   `json:"attributes,omitempty"`
	Role              *string   `json:"role,omitempty" schema:"sid=RL"`
	LastReadIndex     *int64    `json:"last_read_message_index,omitempty"`
	LastReadTimestamp time.Time `json:"last_read_timestamp,omitzero"`
	DateCreated       time.Time `json:"date_created,omitzero"`
	DateUpdated       time.Time `json:"date_updated,omitzero"`

	ParticipantFacts `json:"-"`
}

// RemoveParticipant takes a participant out; its messages stay.
type RemoveParticipant struct {
	Issue       `json:"-"`
	Participant string `json:"participant" schema:"required"` // MB… or identity
}

// AddMessage posts a message (reference 1.9.11).
type AddMessage struct {
	Issue            `json:"-"`
	Sid              string         `json:"sid,omitempty" schema:"sid=IM"`
	Author           string         `json:"author,omitempty" schema:"max=256"` // default: the caller's identity, else "system"
	Body             string         `json:"body,omitempty"`
	Media            []events.Media `json:"media,omitempty"`
	Attributes       string         `json:"attributes,omitempty"`
	Subject          string         `json:"subject,omitempty" schema:"max=256"`
	Content          string         `json:"content,omitempty" schema:"sid=HX"`
	ContentVariables string         `json:"content_variables,omitempty"`
	Index            *int64         `json:"index,omitempty"` // for an import, which leaves gaps; default: the next
	DateCreated      time.Time      `json:"date_created,omitzero"`
	DateUpdated      time.Time      `json:"date_updated,omitzero"`

	Uploaded map[string]Upload `json:"-"` // what is known of the media, by ME…
}

// Upload is what the engine knows of a media SID that was ever used. Without
// File it cannot be attached: it is gone, or somebody else's.
type Upload struct {
	File *events.Media
}

// EditMessage changes what is given.
type EditMessage struct {
	Issue       `json:"-"`
	Message     string    `json:"message" schema:"required,sid=IM"`
	Author      *string   `json:"author,omitempty" schema:"max=256"`
	Body        *string   `json:"body,omitempty"`
	Attributes  *string   `json:"attributes,omitempty"`
	Subject     *string   `json:"subject,omitempty" schema:"max=256"`
	DateCreated time.Time `json:"date_created,omitzero"`
	DateUpdated time.Time `json:"date_updated,omitzero"`
}

// RemoveMessage deletes a message; its index is never used again.
type RemoveMessage struct {
	Issue   `json:"-"`
	Message string `json:"message" schema:"required,sid=IM"`
}

// RecordDelivery reports what a channel said about one recipient's copy of a
// message. Reports may repeat and come in any order (reference 4.5).
type RecordDelivery struct {
	Issue          `json:"-"`
	Message        string `json:"message" schema:"required,sid=IM"`
	Participant    string `json:"participant" schema:"required"` // MB… or address
	ChannelMessage string `json:"channel_message,omitempty"`
	Status         string `json:"status" schema:"required,enum=queued|sent|delivered|read|failed|undelivered"`
	ErrorCode      int    `json:"error_code,omitempty"`
}

// MoveReadHorizon says how far a participant has read (reference section 5).
// Without Index the horizon is cleared; with Advance it never moves back.
type MoveReadHorizon struct {
	Issue       `json:"-"`
	Participant string    `json:"participant" schema:"required"` // MB… or identity
	Index       *int64    `json:"index,omitempty"`
	Advance     bool      `json:"advance,omitempty"`
	ReadAt      time.Time `json:"read_at,omitzero"` // default: now
}

// SetNotificationLevel mutes or unmutes the conversation for one user.
type SetNotificationLevel struct {
	Issue       `json:"-"`
	Participant string `json:"participant" schema:"required"` // MB… or identity
	Level       string `json:"level" schema:"required,enum=default|muted"`
}

// UpdateUserConversation changes how one user has the conversation (reference
// 1.9.19): what is given of both, or nothing.
type UpdateUserConversation struct {
	Issue             `json:"-"`
	Participant       string    `json:"participant" schema:"required"` // MB… or identity
	NotificationLevel *string   `json:"notification_level,omitempty" schema:"enum=default|muted"`
	LastReadIndex     *int64    `json:"last_read_message_index,omitempty"`
	ClearLastRead     bool      `json:"clear_last_read,omitempty"` // all is unread again
	LastReadTimestamp time.Time `json:"last_read_timestamp,omitzero"`
}

// AdvanceState is a timer that came up. The decider fires it only when a timer
// is really due at At, so a stale, late or repeated one does nothing.
type AdvanceState struct {
	Issue `json:"-"`
	Due   time.Time `json:"due"` // the instant the caller believes to be due; for the record
}

// LinkSuccessor says which conversation goes on from this one, which is closed. The
// first one that is named stays.
type LinkSuccessor struct {
	Issue     `json:"-"`
	Successor string `json:"successor" schema:"required,sid=CH"`
}

// FireTimer lets the timer that runs fire now instead of when it is due. An operator's.
type FireTimer struct {
	Issue  `json:"-"`
	Reason string `json:"reason" schema:"required"`
}

// PostponeTimer lets the timer that runs fire later: By longer, or at To; one of the two.
// An operator's.
type PostponeTimer struct {
	Issue  `json:"-"`
	By     string    `json:"by,omitempty"` // ISO 8601
	To     time.Time `json:"to,omitzero"`
	Reason string    `json:"reason" schema:"required"`
}

// CancelTimers takes the conversation's timers away: none runs, and later messages start
// none. An operator's.
type CancelTimers struct {
	Issue  `json:"-"`
	Reason string `json:"reason" schema:"required"`
}

// AddWebhook attaches a scoped webhook (reference 1.9.14).
type AddWebhook struct {
	Issue   `json:"-"`
	Sid     string         `json:"sid,omitempty" schema:"sid=WH"`
	Webhook events.Webhook `json:"webhook" schema:"required"`
}

// UpdateWebhook changes what is given of a scoped webhook.
type UpdateWebhook struct {
	Issue      `json:"-"`
	WebhookSid string   `json:"webhook_sid" schema:"required,sid=WH"`
	URL        *string  `json:"url,omitempty"`
	Method     *string  `json:"method,omitempty"`
	Filters    []string `json:"filters,omitempty"`
	Triggers   []string `json:"triggers,omitempty"`
	FlowSid    *string  `json:"flow_sid,omitempty"`
}

// RemoveWebhook detaches a scoped webhook.
type RemoveWebhook struct {
	Issue      `json:"-"`
	WebhookSid string `json:"webhook_sid" schema:"required,sid=WH"`
}

// CommandType returns the name on the wire.
func (Create) CommandType() string { return "conversation.create" }

// CommandType returns the name on the wire.
func (CreateWithParticipants) CommandType() string { return "conversation.create-with-participants" }

// CommandType returns the name on the wire.
func (Update) CommandType() string { return "conversation.update" }

// CommandType returns the name on the wire.
func (Remove) CommandType() string { return "conversation.remove" }

// CommandType returns the name on the wire.
func (AddParticipant) CommandType() string { return "conversation.add-participant" }

// CommandType returns the name on the wire.
func (UpdateParticipant) CommandType() string { return "conversation.update-participant" }

// CommandType returns the name on the wire.
func (RemoveParticipant) CommandType() string { return "conversation.remove-participant" }

// CommandType returns the name on the wire.
func (AddMessage) CommandType() string { return "conversation.add-message" }

// CommandType returns the name on the wire.
func (EditMessage) CommandType() string { return "conversation.edit-message" }

// CommandType returns the name on the wire.
func (RemoveMessage) CommandType() string { return "conversation.remove-message" }

// CommandType returns the name on the wire.
func (RecordDelivery) CommandType() string { return "conversation.record-delivery" }

// CommandType returns the name on the wire.
func (MoveReadHorizon) CommandType() string { return "conversation.move-read-horizon" }

// CommandType returns the name on the wire.
func (SetNotificationLevel) CommandType() string { return "conversation.set-notification-level" }

// CommandType returns the name on the wire.
func (UpdateUserConversation) CommandType() string { return "conversation.update-user-conversation" }

// CommandType returns the name on the wire.
func (AdvanceState) CommandType() string { return "conversation.advance-state" }

// CommandType returns the name on the wire.
func (LinkSuccessor) CommandType() string { return "conversation.link-successor" }

// CommandType returns the name on the wire.
func (FireTimer) CommandType() string { return "conversation.fire-timer" }

// CommandType returns the name on the wire.
func (PostponeTimer) CommandType() string { return "conversation.postpone-timer" }

// CommandType returns the name on the wire.
func (CancelTimers) CommandType() string { return "conversation.cancel-timers" }

// CommandType returns the name on the wire.
func (AddWebhook) CommandType() string { return "conversation.add-webhook" }

// CommandType returns the name on the wire.
func (UpdateWebhook) CommandType() string { return "conversation.update-webhook" }

// CommandType returns the name on the wire.
func (RemoveWebhook) CommandType() string { return "conversation.remove-webhook" }
