package conversation

import (
	"cmp"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

func addParticipant(s State, c AddParticipant) ([]events.Event, error) {
	if err := cmp.Or(s.found(), s.mayAdd(c), s.permits(whileOpen)); err != nil {
		return nil, err
	}
	p := Participant{Sid: c.Sid, Identity: c.Identity, User: c.User, Binding: binding(c)}
	limits := c.limits()
	err := cmp.Or(
		checkSid("MB", c.Sid, "sid", 50431),
		s.checkUnused(c.Sid),
		checkShape(c),
		s.checkIdentity(p, c.ParticipantFacts, limits),
		s.checkBinding(p, c.ParticipantFacts, limits),
		c.checkAttributes(c.Attributes, maxPartAttributes),
		checkRole(c.Role, c.RoleType),
		s.checkRoom(p, limits),
	)
	if err != nil {
		return nil, err
	}
	created := effective(c.DateCreated, c.At)
	added := events.ParticipantAdded{
		Participant: c.Sid, Identity: p.Identity, User: p.User, Binding: p.Binding,
		Role: s.startingRole(c), Attributes: attributes(c.Attributes),
		DateCreated: created, DateUpdated: effective(c.DateUpdated, created), At: c.At,
	}
	return append([]events.Event{added}, s.wake(c.Issue)...), nil
}

// mayAdd tells joining from adding others; a user gives no roles and no dates.
func (s State) mayAdd(c AddParticipant) error {
	if c.Caller.Identity == "" {
		return nil
	}
	if c.Role != "" {
		return domain.Refuse(domain.PermissionDenied, "role_not_settable", "role", 50205, "A user cannot give roles")
	}
	if err := checkDates(c.Caller, c.DateCreated, c.DateUpdated); err != nil {
		return err
	}
	switch {
	case c.Identity == "" || binding(c) != events.Binding{}:
		return s.may(c.Caller, addNonChatPermission)
	case s.MayJoin(c.Caller, c.Identity):
		return nil
	case c.Identity == c.Caller.Identity && s.takesPart(c.Caller) == nil:
		return nil // he is in it: that is what he is told
	}
	return s.may(c.Caller, addParticipantPermission)
}

// startingRole is the role given, else the service's default for people in
// chat; who created the conversation joins with the creator's role. Others have
// no use for one (reference 3.4).
func (s State) startingRole(c AddParticipant) string {
	switch {
	case c.Role != "":
		return c.Role
	case c.Identity == "":
		return ""
	case c.Identity == s.CreatedBy:
		return cmp.Or(c.CreatorRole, c.DefaultRole)
	}
	return c.DefaultRole
}

func binding(c AddParticipant) events.Binding {
	if c.Address == "" && c.ProjectedAddress == "" {
		return events.Binding{}
	}
	return events.Binding{
		Type:    events.AddressType(c.Address + c.ProjectedAddress),
		Address: c.Address, ProxyAddress: c.ProxyAddress, ProjectedAddress: c.ProjectedAddress,
		Level: strings.ToLower(c.Level), Name: c.Name,
	}
}

// checkShape refuses combinations that are none of the kinds of reference 3.1.
func checkShape(c AddParticipant) error {
	switch {
	case c.Address != "" && c.ProjectedAddress != "":
		return invalid("binding_invalid", "projected_address", 50442, "A participant with an address has no projected address")
	case c.Identity != "" && (c.Address != "" || c.ProxyAddress != ""):
		return invalid("identity_not_allowed", "identity", 50211, "A participant with an address has no identity")
	case c.ProxyAddress != "" && c.Address == "":
		return invalid("address_missing", "address", 50411, "A proxy address needs an address")
	case c.Identity == "" && c.Address == "" && c.ProjectedAddress == "":
		return invalid("identity_missing", "identity", 50204, "A participant needs an identity or an address")
	}
	return checkEmailShape(c)
}

// checkEmailShape keeps what only e-mail has from others (50420).
func checkEmailShape(c AddParticipant) error {
	level := strings.ToLower(c.Level)
	switch {
	case c.Level == "" && c.Name == "":
		return nil
	case binding(c).Type != "email" && c.Level == "":
		return invalid("binding_not_email", "name", 50420, "Only an e-mail participant has a level and a name")
	case binding(c).Type != "email":
		return invalid("binding_not_email", "level", 50420, "Only an e-mail participant has a level and a name")
	case level != "" && level != "to" && level != "cc":
		return invalid("level_invalid", "level", 50420, "%.40q is neither to nor cc", c.Level)
	}
	return cmp.Or(checkText(c.Name, "name", maxNameChars, 50420), domain.CheckLine(c.Name, "name", 50420))
}

// checkIdentity refuses identities that are malformed or taken, and people who
// are in too many conversations. p may be present already.
func (s State) checkIdentity(p Participant, facts ParticipantFacts, l Limits) error {
	if p.Identity == "" {
		return nil
	}
	if sid, taken := s.Identities[p.Identity]; taken && sid != p.Sid {
		return domain.Refuse(domain.AlreadyExists, "participant_exists", "identity", 50433, "Participant already exists")
	}
	if facts.OpenConversations >= l.OpenConversations {
		return domain.Refuse(domain.QuotaExceeded, "too_many_conversations", "identity", 50214,
			"The identity is in %d conversations", facts.OpenConversations)
	}
	if err := domain.CheckIdentity(p.Identity, "identity"); err != nil {
		return err
	}
	return checkText(p.Identity, "identity", maxNameChars, 50207)
}

// checkUnused refuses a SID that is or was in use.
func (s State) checkUnused(sid string) error {
	if s.number(sid) > 0 {
		return domain.Refuse(domain.AlreadyExists, "participant_exists", "sid", 50433, "Participant %s exists or has existed", sid)
	}
	return nil
}

// checkRoom refuses a participant too many.
func (s State) checkRoom(p Participant, l Limits) error {
	if len(s.Participants) >= l.Participants {
		return domain.Refuse(domain.QuotaExceeded, "too_many_participants", "", 50417,
			"A conversation has at most %d participants", l.Participants)
	}
	if p.Identity == "" && s.nonChat() >= l.NonChatParticipants {
		return domain.Refuse(domain.QuotaExceeded, "too_many_non_chat_participants", "", 50422,
			"A conversation has at most %d participants outside chat", l.NonChatParticipants)
	}
	return nil
}

func (s State) nonChat() int { return len(s.Participants) - len(s.Identities) }

// checkRole refuses roles that do not exist or are not for conversations.
func checkRole(role, roleType string) error {
	switch {
	case role == "" || roleType == events.RoleConversation:
		return nil
	case roleType == "":
		return domain.Refuse(domain.NotFound, "role_not_found", "role", 50101, "Role %.40q was not found", role)
	}
	return invalid("role_type_invalid", "role", 50105, "Role %s is not a conversation role", role)
}

// checkNewRole is checkRole for a role that replaces another: none is none.
func checkNewRole(role *string, roleType string) error {
	if role != nil && *role == "" {
		return invalid("role_missing", "role", 50103, "The SID of the role is missing")
	}
	return checkRole(text(role), roleType)
}

func removeParticipant(s State, c RemoveParticipant) ([]events.Event, error) {
	if err := s.found(); err != nil {
		return nil, err
	}
	p, ok := s.Participant(c.Participant)
	leaving := ok && p.Identity == c.Caller.Identity
	err := cmp.Or(
		s.mayTouch(c.Caller, leaving, leaveConversation, removeParticipantPermission),
		s.permits(alsoClosed),
	)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, participantNotFound(c.Participant)
	}
	return []events.Event{events.ParticipantRemoved{Participant: p.Sid, At: c.At}}, nil
}

func participantNotFound(ref string) error {
	return domain.Refuse(domain.NotFound, "participant_not_found", "participant", 50432, "Participant %.300q was not found", ref)
}
