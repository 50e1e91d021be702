package projections

import (
	"time"

	"github.com/parley-engine/parley/events"
)

// APIKey is a second way to act for an account. Its secret is in no row.
type APIKey struct {
	id           int64
	Sid          string          `json:"sid"`
	AccountSid   string          `json:"account_sid"`
	FriendlyName string          `json:"friendly_name,omitempty"`
	DateCreated  time.Time       `json:"date_created"`
	DateUpdated  time.Time       `json:"date_updated"`
	LastRevision uint64          `json:"last_revision"`
	Position     events.Position `json:"position"`
}

// Credential is a push credential of an account (reference 1.9.15). Its secrets
// are in no row.
type Credential struct {
	id           int64
	Sid          string          `json:"sid"`
	AccountSid   string          `json:"account_sid"`
	FriendlyName string          `json:"friendly_name,omitempty"`
	Type         string          `json:"type"`
	Sandbox      bool            `json:"sandbox"`
	DateCreated  time.Time       `json:"date_created"`
	DateUpdated  time.Time       `json:"date_updated"`
	LastRevision uint64          `json:"last_revision"`
	Position     events.Position `json:"position"`
}

// PushBinding is a device of an identity that push messages go to (reference
// 1.9.16). A [Binding] is something else: a participant's address.
type PushBinding struct {
	id             int64
	Sid            string          `json:"sid"`
	AccountSid     string          `json:"account_sid"`
	ChatServiceSid string          `json:"chat_service_sid"`
	CredentialSid  string          `json:"credential_sid,omitempty"`
	Endpoint       string          `json:"endpoint"`
	Identity       string          `json:"identity"`
	BindingType    string          `json:"binding_type"`
	MessageTypes   []string        `json:"message_types"`
	DateCreated    time.Time       `json:"date_created"`
	DateUpdated    time.Time       `json:"date_updated"`
	LastRevision   uint64          `json:"last_revision"`
	Position       events.Position `json:"position"`
}

// AddressConfiguration is what an account wants done with messages to one of
// its addresses (reference 1.9.3).
type AddressConfiguration struct {
	id             int64
	Sid            string              `json:"sid"`
	AccountSid     string              `json:"account_sid"`
	Type           string              `json:"type"`
	Address        string              `json:"address"`
	FriendlyName   string              `json:"friendly_name,omitempty"`
	AddressCountry string              `json:"address_country,omitempty"` // ISO 3166-1 alpha-2
	AutoCreation   events.AutoCreation `json:"auto_creation,omitzero"`
	DateCreated    time.Time           `json:"date_created"`
	DateUpdated    time.Time           `json:"date_updated"`
	LastRevision   uint64              `json:"last_revision"`
	Position       events.Position     `json:"position"`
}

// Media is a file that was uploaded; the bytes are elsewhere. ConversationSid
// and MessageSid are empty until a message has the file, and stay when that
// message is removed. LastRevision and Position are those of the file's own last
// event, which the message is not.
type Media struct {
	id              int64
	message         int64           // row id of the message; 0 until there is one
	Sid             string          `json:"sid"`
	AccountSid      string          `json:"account_sid"`
	ChatServiceSid  string          `json:"chat_service_sid"`
	ContentType     string          `json:"content_type"`
	Filename        string          `json:"filename,omitempty"`
	Size            int64           `json:"size"`   // bytes
	SHA256          string          `json:"sha256"` // of the bytes, hex
	Author          string          `json:"author,omitempty"`
	ConversationSid string          `json:"conversation_sid,omitempty"`
	MessageSid      string          `json:"message_sid,omitempty"`
	DateCreated     time.Time       `json:"date_created"`
	DateUpdated     time.Time       `json:"date_updated"`
	LastRevision    uint64          `json:"last_revision"`
	Position        events.Position `json:"position"`
}
