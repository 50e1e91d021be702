package events

import "time"

// These names and fields are stored for ever. Change them only by adding a
// field whose zero value means "as before", or by adding a new version with an
// upcast and a decision record.
//
// In every payload, At is the instant of the decision, by Parley's clock: timers
// run on it. DateCreated and DateUpdated are effective dates; they differ from
// At only when a client supplied them (reference 1.4).

// Conversation states (reference 2.1).
const (
	StateInitializing = "initializing"
	StateActive       = "active"
	StateInactive     = "inactive"
	StateClosed       = "closed"
)

// Reasons of a state change (reference 2.5).
const (
	ReasonAPI   = "API"
	ReasonTimer = "TIMER"
	ReasonEvent = "EVENT"
)

// Timers are ISO 8601 durations as the client wrote them; empty means no timer.
type Timers struct {
	Inactive string `json:"inactive,omitempty"`
	Closed   string `json:"closed,omitempty"`
}

// Email is a conversation's e-mail binding.
type Email struct {
	Address string `json:"address,omitempty"`
	Name    string `json:"name,omitempty"`
}

// ConversationCreated begins a conversation.
type ConversationCreated struct {
	Conversation     string    `json:"conversation"`
	Account          string    `json:"account"`
	Service          string    `json:"service"`
	FriendlyName     string    `json:"friendly_name,omitempty"`
	UniqueName       string    `json:"unique_name,omitempty"`
	Attributes       string    `json:"attributes,omitempty"`
	MessagingService string    `json:"messaging_service,omitempty"`
	State            string    `json:"state"`
	Timers           Timers    `json:"timers,omitzero"`
	Email            Email     `json:"email,omitzero"`
	CreatedBy        string    `json:"created_by"`
	Predecessor      string    `json:"predecessor,omitempty"` // the closed one that it goes on from
	DateCreated      time.Time `json:"date_created"`
	DateUpdated      time.Time `json:"date_updated"`
	At               time.Time `json:"at"`
}

// ConversationFriendlyNameChanged replaces the friendly name; empty clears it.
type ConversationFriendlyNameChanged struct {
	FriendlyName string    `json:"friendly_name"`
	DateUpdated  time.Time `json:"date_updated"`
	At           time.Time `json:"at"`
}

// ConversationUniqueNameChanged replaces the unique name; empty clears it.
type ConversationUniqueNameChanged struct {
	UniqueName  string    `json:"unique_name"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ConversationAttributesChanged replaces the attributes, a JSON text.
type ConversationAttributesChanged struct {
	Attributes  string    `json:"attributes"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ConversationMessagingServiceAttached names the Messaging Service that carries
// messages to non-chat participants.
type ConversationMessagingServiceAttached struct {
	MessagingService string    `json:"messaging_service"`
	DateUpdated      time.Time `json:"date_updated"`
	At               time.Time `json:"at"`
}

// ConversationEmailChanged replaces the e-mail binding.
type ConversationEmailChanged struct {
	Email       Email     `json:"email"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ConversationTimersConfigured replaces both timers.
type ConversationTimersConfigured struct {
	Timers      Timers    `json:"timers"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ConversationDatesSet restores effective dates, as an import does.
type ConversationDatesSet struct {
	DateCreated time.Time `json:"date_created"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ConversationIndexesReserved keeps indexes from being given: the next message has
// NextIndex at least. An import has it where the source had messages that are gone.
type ConversationIndexesReserved struct {
	NextIndex int64     `json:"next_index"`
	At        time.Time `json:"at"`
}

// ConversationStateChanged moves the conversation between states. From equals
// To when a client set the present state again: nothing moves, but the timers
// start anew (reference 2.2).
type ConversationStateChanged struct {
	From        string    `json:"from"`
	To          string    `json:"to"`
	Reason      string    `json:"reason"`
	Due         time.Time `json:"due,omitzero"` // the instant a timer was due; only with ReasonTimer
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// What an operator does to a running timer.
const (
	TimerFired     = "fired"     // now, instead of when it was due; a change of state follows
	TimerPostponed = "postponed" // to Due
	TimerCancelled = "cancelled" // both; their configuration without any follows
)

// TimerOperated says what an operator did to the timer that ran, and why.
type TimerOperated struct {
	Action      string    `json:"action"`
	Reason      string    `json:"operator_reason"` // the operator's words
	FormerDue   time.Time `json:"former_due"`      // the instant it was due
	Due         time.Time `json:"due,omitzero"`    // the instant it is due now; only when postponed
	Since       time.Time `json:"since,omitzero"`  // and what it counts from, so that it is
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ConversationSucceeded says which conversation goes on from a closed one: the next
// message of the same people began it.
type ConversationSucceeded struct {
	Successor string    `json:"successor"`
	At        time.Time `json:"at"`
}

// ConversationRemoved ends a conversation with all it holds.
type ConversationRemoved struct {
	At time.Time `json:"at"`
}

// Binding is how a participant is reached outside chat. The zero Binding is a
// plain chat participant.
type Binding struct {
	Type             string `json:"type,omitempty"` // sms, whatsapp, messenger, …
	Address          string `json:"address,omitempty"`
	ProxyAddress     string `json:"proxy_address,omitempty"`
	ProjectedAddress string `json:"projected_address,omitempty"`
	Level            string `json:"level,omitempty"` // of an e-mail participant: to or cc
	Name             string `json:"name,omitempty"`  // of an e-mail participant
}

// ParticipantAdded adds a participant. Version 2; version 1 had the binding's
// fields beside the identity.
type ParticipantAdded struct {
	Participant string    `json:"participant"`
	Identity    string    `json:"identity,omitempty"`
	User        string    `json:"user,omitempty"` // US… of the identity
	Binding     Binding   `json:"binding,omitzero"`
	Role        string    `json:"role,omitempty"`
	Attributes  string    `json:"attributes,omitempty"`
	DateCreated time.Time `json:"date_created"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ParticipantAttributesChanged replaces a participant's attributes.
type ParticipantAttributesChanged struct {
	Participant string    `json:"participant"`
	Attributes  string    `json:"attributes"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ParticipantRoleChanged gives a participant another conversation role.
type ParticipantRoleChanged struct {
	Participant string    `json:"participant"`
	Role        string    `json:"role"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ParticipantBindingChanged replaces identity and binding (reference 1.9.10:
// projected participants gain an identity, proxies are added and removed).
type ParticipantBindingChanged struct {
	Participant string    `json:"participant"`
	Identity    string    `json:"identity,omitempty"`
	User        string    `json:"user,omitempty"`
	Binding     Binding   `json:"binding"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ParticipantDatesSet restores effective dates.
type ParticipantDatesSet struct {
	Participant string    `json:"participant"`
	DateCreated time.Time `json:"date_created"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// ParticipantRemoved removes a participant; its messages stay.
type ParticipantRemoved struct {
	Participant string    `json:"participant"`
	At          time.Time `json:"at"`
}

// ReadHorizonMoved sets how far a participant has read. A negative Index means
// no horizon: nothing was ever read, or all was marked unread.
type ReadHorizonMoved struct {
	Participant string    `json:"participant"`
	Index       int64     `json:"index"`
	ReadAt      time.Time `json:"read_at,omitzero"`
	At          time.Time `json:"at"`
}

// NotificationLevelSet mutes or unmutes a conversation for one user.
type NotificationLevelSet struct {
	Participant string    `json:"participant"`
	Level       string    `json:"level"` // default or muted
	At          time.Time `json:"at"`
}

// Media is one attached file; the bytes live elsewhere.
type Media struct {
	Media       string `json:"media"` // ME…
	ContentType string `json:"content_type"`
	Filename    string `json:"filename,omitempty"`
	Size        int64  `json:"size"` // bytes
}

// MessageAdded adds a message. Recipients are the participants a delivery
// receipt can come from: every non-chat participant but the author.
type MessageAdded struct {
	Message          string    `json:"message"`
	Index            int64     `json:"index"`
	Author           string    `json:"author"`
	Participant      string    `json:"participant,omitempty"`
	Body             string    `json:"body,omitempty"`
	Media            []Media   `json:"media,omitempty"`
	Attributes       string    `json:"attributes,omitempty"`
	Subject          string    `json:"subject,omitempty"`
	Content          string    `json:"content,omitempty"` // HX…
	ContentVariables string    `json:"content_variables,omitempty"`
	Recipients       []string  `json:"recipients,omitempty"`
	DateCreated      time.Time `json:"date_created"`
	DateUpdated      time.Time `json:"date_updated"`
	At               time.Time `json:"at"`
}

// MessageBodyEdited replaces the text.
type MessageBodyEdited struct {
	Message     string    `json:"message"`
	Body        string    `json:"body"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// MessageAttributesChanged replaces the attributes.
type MessageAttributesChanged struct {
	Message     string    `json:"message"`
	Attributes  string    `json:"attributes"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// MessageAuthorChanged names another author.
type MessageAuthorChanged struct {
	Message     string    `json:"message"`
	Author      string    `json:"author"`
	Participant string    `json:"participant,omitempty"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// MessageSubjectChanged replaces the subject.
type MessageSubjectChanged struct {
	Message     string    `json:"message"`
	Subject     string    `json:"subject"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// MessageDatesSet restores effective dates.
type MessageDatesSet struct {
	Message     string    `json:"message"`
	DateCreated time.Time `json:"date_created"`
	DateUpdated time.Time `json:"date_updated"`
	At          time.Time `json:"at"`
}

// MessageRemoved deletes a message; its index is never used again.
type MessageRemoved struct {
	Message string    `json:"message"`
	At      time.Time `json:"at"`
}

// Delivery statuses (reference 4.5).
const (
	DeliveryQueued      = "queued"
	DeliverySent        = "sent"
	DeliveryDelivered   = "delivered"
	DeliveryRead        = "read"
	DeliveryFailed      = "failed"
	DeliveryUndelivered = "undelivered"
)

// DeliveryUpdated moves one receipt up the lattice of statuses. The first one
// of a receipt opens it.
type DeliveryUpdated struct {
	Receipt        string    `json:"receipt"` // DY…
	Message        string    `json:"message"`
	Participant    string    `json:"participant"`
	ChannelMessage string    `json:"channel_message,omitempty"` // SM…, MM…, WA…
	Status         string    `json:"status"`
	ErrorCode      int       `json:"error_code,omitempty"`
	Evidence       bool      `json:"evidence,omitempty"` // a later confirmation overruled failed or undelivered
	At             time.Time `json:"at"`
}

// Webhook is a conversation-scoped webhook's settings (reference 1.9.14).
type Webhook struct {
	Target      string   `json:"target"`
	URL         string   `json:"url,omitempty"`
	Method      string   `json:"method,omitempty"`
	Filters     []string `json:"filters,omitempty"`
	Triggers    []string `json:"triggers,omitempty"`
	FlowSid     string   `json:"flow_sid,omitempty"`
	ReplayAfter *int64   `json:"replay_after,omitempty"`
}

// WebhookAdded attaches a scoped webhook.
type WebhookAdded struct {
	WebhookSid string    `json:"webhook_sid"`
	Webhook    Webhook   `json:"webhook"`
	At         time.Time `json:"at"`
}

// WebhookUpdated replaces a scoped webhook's settings.
type WebhookUpdated struct {
	WebhookSid string    `json:"webhook_sid"`
	Webhook    Webhook   `json:"webhook"`
	At         time.Time `json:"at"`
}

// WebhookRemoved detaches a scoped webhook.
type WebhookRemoved struct {
	WebhookSid string    `json:"webhook_sid"`
	At         time.Time `json:"at"`
}

// EventType returns the stored name.
func (TimerOperated) EventType() string { return "conversation.timer-operated.v1" }

// EventType returns the stored name.
func (ConversationCreated) EventType() string { return "conversation.created.v1" }

// EventType returns the stored name.
func (ConversationFriendlyNameChanged) EventType() string {
	return "conversation.friendly-name-changed.v1"
}

// EventType returns the stored name.
func (ConversationUniqueNameChanged) EventType() string { return "conversation.unique-name-changed.v1" }

// EventType returns the stored name.
func (ConversationAttributesChanged) EventType() string { return "conversation.attributes-changed.v1" }

// EventType returns the stored name.
func (ConversationMessagingServiceAttached) EventType() string {
	return "conversation.messaging-service-attached.v1"
}

// EventType returns the stored name.
func (ConversationEmailChanged) EventType() string { return "conversation.email-changed.v1" }

// EventType returns the stored name.
func (ConversationTimersConfigured) EventType() string { return "conversation.timers-configured.v1" }

// EventType returns the stored name.
func (ConversationDatesSet) EventType() string { return "conversation.dates-set.v1" }

// EventType returns the stored name.
func (ConversationIndexesReserved) EventType() string { return "conversation.indexes-reserved.v1" }

// EventType returns the stored name.
func (ConversationStateChanged) EventType() string { return "conversation.state-changed.v1" }

// EventType returns the stored name.
func (ConversationSucceeded) EventType() string { return "conversation.succeeded.v1" }

// EventType returns the stored name.
func (ConversationRemoved) EventType() string { return "conversation.removed.v1" }

// EventType returns the stored name.
func (ParticipantAdded) EventType() string { return "conversation.participant-added.v2" }

// EventType returns the stored name.
func (ParticipantAttributesChanged) EventType() string {
	return "conversation.participant-attributes-changed.v1"
}

// EventType returns the stored name.
func (ParticipantRoleChanged) EventType() string { return "conversation.participant-role-changed.v1" }

// EventType returns the stored name.
func (ParticipantBindingChanged) EventType() string {
	return "conversation.participant-binding-changed.v1"
}

// EventType returns the stored name.
func (ParticipantDatesSet) EventType() string { return "conversation.participant-dates-set.v1" }

// EventType returns the stored name.
func (ParticipantRemoved) EventType() string { return "conversation.participant-removed.v1" }

// EventType returns the stored name.
func (ReadHorizonMoved) EventType() string { return "conversation.read-horizon-moved.v1" }

// EventType returns the stored name.
func (NotificationLevelSet) EventType() string { return "conversation.notification-level-set.v1" }

// EventType returns the stored name.
func (MessageAdded) EventType() string { return "conversation.message-added.v1" }

// EventType returns the stored name.
func (MessageBodyEdited) EventType() string { return "conversation.message-body-edited.v1" }

// EventType returns the stored name.
func (MessageAttributesChanged) EventType() string {
	return "conversation.message-attributes-changed.v1"
}

// EventType returns the stored name.
func (MessageAuthorChanged) EventType() string { return "conversation.message-author-changed.v1" }

// EventType returns the stored name.
func (MessageSubjectChanged) EventType() string { return "conversation.message-subject-changed.v1" }

// EventType returns the stored name.
func (MessageDatesSet) EventType() string { return "conversation.message-dates-set.v1" }

// EventType returns the stored name.
func (MessageRemoved) EventType() string { return "conversation.message-removed.v1" }

// EventType returns the stored name.
func (DeliveryUpdated) EventType() string { return "conversation.delivery-updated.v1" }

// EventType returns the stored name.
func (WebhookAdded) EventType() string { return "conversation.webhook-added.v1" }

// EventType returns the stored name.
func (WebhookUpdated) EventType() string { return "conversation.webhook-updated.v1" }

// EventType returns the stored name.
func (WebhookRemoved) EventType() string { return "conversation.webhook-removed.v1" }
