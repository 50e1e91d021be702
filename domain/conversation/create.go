package conversation

import (
	"cmp"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

func create(s State, c Create) ([]events.Event, error) {
	if err := mayCreate(c); err != nil {
		return nil, err
	}
	if s.Exists() {
		return nil, domain.Refuse(domain.AlreadyExists, "conversation_exists", "sid", 20409,
			"Conversation %s exists or has existed", s.Conversation)
	}
	state, err := initialState(c.State)
	timers := c.timers()
	if err := cmp.Or(err, checkCreate(c), checkTimers(timers, c.Limits.WithDefaults())); err != nil {
		return nil, err
	}
	created := effective(c.DateCreated, c.At)
	return []events.Event{events.ConversationCreated{
		Conversation: c.Sid, Account: c.Account, Service: c.Service,
		FriendlyName: c.FriendlyName, UniqueName: c.UniqueName, Attributes: attributes(c.Attributes),
		MessagingService: c.messagingService(),
		State:            state,
		Timers:           stored(timers),
		Email:            c.Email,
		CreatedBy:        cmp.Or(c.CreatedBy, c.Caller.Identity, systemAuthor),
		Predecessor:      c.Predecessor,
		DateCreated:      created, DateUpdated: effective(c.DateUpdated, created), At: c.At,
	}}, nil
}

// messagingService is the command's; the account's stands in for none, but not
// where history is restored that had none.
func (c Create) messagingService() string {
	if c.Caller.Imports() {
		return c.MessagingService
	}
	return cmp.Or(c.MessagingService, c.DefaultMessagingService)
}

// timers are those of the command; the account's stand in for each that is not
// given, and only for those. What is imported has the given ones only: it was idle
// for long, and must not run into a timer it never had.
func (c Create) timers() events.Timers {
	switch {
	case c.Timers == nil && c.Caller.Imports():
		return events.Timers{}
	case c.Timers == nil:
		return c.DefaultTimers
	case c.Caller.Imports():
		return *c.Timers
	}
	return events.Timers{
		Inactive: cmp.Or(c.Timers.Inactive, c.DefaultTimers.Inactive),
		Closed:   cmp.Or(c.Timers.Closed, c.DefaultTimers.Closed),
	}
}

// mayCreate lets a user create a plain conversation; the rest is for the server.
func mayCreate(c Create) error {
	if !c.Caller.May(createConversation) {
		return denied("Permission %s is needed", createConversation)
	}
	switch {
	case c.CreatedBy != "" && !c.Caller.Imports():
		return importOnly("created_by", "say who created a conversation")
	case c.State != "":
		return serverOnly(c.Caller, "state", "set the state")
	case c.Timers != nil:
		return serverOnly(c.Caller, "timers", "set timers")
	case c.MessagingService != "":
		return serverOnly(c.Caller, "messaging_service", "attach a Messaging Service")
	case c.Predecessor != "":
		return serverOnly(c.Caller, "predecessor", "name a predecessor")
	case c.Email != events.Email{}:
		return serverOnly(c.Caller, "email", "set an e-mail binding")
	}
	return checkDates(c.Caller, c.DateCreated, c.DateUpdated)
}

func checkCreate(c Create) error {
	if c.MessagingService != "" {
		if err := checkMessagingService(c.MessagingService, c.MessagingServices); err != nil {
			return err
		}
	}
	return cmp.Or(
		checkSid("CH", c.Sid, "sid", 0),
		checkPredecessor(c.Predecessor, c.Sid),
		checkText(c.FriendlyName, "friendly_name", maxNameChars, 50003),
		checkUniqueName(c.UniqueName),
		checkText(c.CreatedBy, "created_by", maxNameChars, 0),
		c.checkAttributes(c.Attributes, maxConversationAttributes),
		checkEmail(c.Email),
	)
}

func initialState(text string) (string, error) {
	switch state := strings.ToLower(text); state {
	case "":
		return events.StateActive, nil
	case events.StateActive, events.StateInactive:
		return state, nil
	case events.StateClosed:
		return "", invalid("state_closed_at_creation", "state", 50384, "A conversation cannot be created closed")
	}
	return "", invalid("state_invalid", "state", 50378, "%.40q is not a state", text)
}

func checkMessagingService(sid string, known map[string]bool) error {
	switch {
	case sid == "":
		return invalid("messaging_service_missing", "messaging_service", 50340, "A Messaging Service cannot be taken away")
	case !domain.IsSID("MG", sid) || !known[sid]:
		return invalid("messaging_service_invalid", "messaging_service", 50341,
			"%.40q is not a Messaging Service of the account", sid)
	}
	return nil
}

func checkEmail(e events.Email) error {
	return cmp.Or(
		checkText(e.Address, "email.address", maxNameChars, 50407),
		checkEmailAddress(e.Address),
		checkText(e.Name, "email.name", maxNameChars, 50407),
		domain.CheckLine(e.Name, "email.name", 50407),
	)
}

func checkEmailAddress(address string) error {
	if address != "" && !domain.ValidEmail(address) {
		return invalid("address_invalid", "email.address", 50407, "%.300q is not an e-mail address", address)
	}
	return nil
}
