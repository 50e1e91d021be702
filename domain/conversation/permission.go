package conversation

import (
	"cmp"
	"slices"

	"github.com/parley-engine/parley/domain"
)

// Permissions that a role can hold (reference 7.2).
const (
	addParticipantPermission     = "addParticipant"
	addNonChatPermission         = "addNonChatParticipant"
	createConversation           = "createConversation"
	deleteAnyMessage             = "deleteAnyMessage"
	deleteOwnMessage             = "deleteOwnMessage"
	deleteConversation           = "deleteConversation"
	editAnyMessage               = "editAnyMessage"
	editAnyMessageAttributes     = "editAnyMessageAttributes"
	editAnyParticipantAttributes = "editAnyParticipantAttributes"
	editConversationAttributes   = "editConversationAttributes"
	editConversationName         = "editConversationName"
	editNotificationLevel        = "editNotificationLevel"
	editOwnMessage               = "editOwnMessage"
	editOwnMessageAttributes     = "editOwnMessageAttributes"
	editOwnParticipantAttributes = "editOwnParticipantAttributes"
	joinConversation             = "joinConversation"
	leaveConversation            = "leaveConversation"
	removeParticipantPermission  = "removeParticipant"
	sendMediaMessage             = "sendMediaMessage"
	sendMessage                  = "sendMessage"
)

// reaching are the permissions of a service role that are about what others have or
// do: whoever holds one acts on every conversation of the service, whether he takes
// part in it or not.
var reaching = []string{
	addNonChatPermission, addParticipantPermission, deleteAnyMessage, deleteConversation, editAnyMessage, editAnyMessageAttributes,
	editAnyParticipantAttributes, editConversationAttributes, editConversationName, removeParticipantPermission,
}

// reaches reports whether the caller's service role reaches into conversations that
// he takes no part in.
func reaches(c domain.Caller) bool {
	return slices.ContainsFunc(c.ServicePermissions, func(p string) bool { return slices.Contains(reaching, p) })
}

// MayRead is the one rule about who sees a conversation and all that is in it: the
// account; whoever takes part; and whoever's service role reaches into every
// conversation (docs/decisions/0023-who-sees-a-conversation.md). A stranger is told the
// same, 50430, of a conversation that is not there: he learns nothing by asking.
func (s State) MayRead(c domain.Caller) error {
	if c.Identity == "" || reaches(c) {
		return s.found()
	}
	return cmp.Or(s.takesPart(c), s.found())
}

// mayAsk refuses a command of somebody who does not see the conversation: no refusal
// of his tells him more than that. Whoever made it may join it without seeing it yet.
func (s State) mayAsk(c Command) error {
	caller := c.caller()
	if caller.Identity == "" { // each command has its own word about what is not there
		return nil
	}
	if join, ok := c.(AddParticipant); ok && s.MayJoin(caller, join.Identity) {
		return nil
	}
	return s.MayRead(caller)
}

// MayJoin reports whether the caller may take part under the identity because he made
// the conversation. Conversations are private: everybody else is added by somebody who
// may. Whoever took part once and does not any more, left or was taken out, does not
// come back by himself.
func (s State) MayJoin(c domain.Caller, identity string) bool {
	return c.Identity != "" && c.Identity == identity && c.Identity == s.CreatedBy && c.Identity != systemAuthor &&
		!s.CreatorJoined && s.found() == nil && c.May(joinConversation)
}

// may refuses a caller who lacks the permission. A service role reaches into
// every conversation; a conversation role only counts for a participant.
func (s State) may(c domain.Caller, permission string) error {
	if c.Identity == "" || slices.Contains(c.ServicePermissions, permission) {
		return nil
	}
	if err := s.takesPart(c); err != nil {
		return err
	}
	if !slices.Contains(c.ConversationPermissions, permission) {
		return denied("Permission %s is needed", permission)
	}
	return nil
}

// mayTouch is may for things that have an owner. The owner lacks the right to his own, and
// is told so, though the one to anyone's would do.
func (s State) mayTouch(c domain.Caller, mine bool, own, anyones string) error {
	err := s.may(c, anyones)
	if err != nil && mine {
		return s.may(c, own)
	}
	return err
}

// Stranger is the refusal of a user who does not see a conversation.
func Stranger() *domain.Refusal {
	return domain.Refuse(domain.PermissionDenied, "not_a_participant", "", 50430,
		"The caller is not a participant of the conversation")
}

// takesPart refuses a user who is not a participant.
func (s State) takesPart(c domain.Caller) error {
	if _, ok := s.Identities[c.Identity]; c.Identity != "" && (!ok || s.found() != nil) {
		return Stranger()
	}
	return nil
}

// onlyHimself refuses a user who acts for another participant.
func (s State) onlyHimself(c domain.Caller, p Participant) error {
	if c.Identity != "" && p.Identity != c.Identity {
		return cmp.Or(s.takesPart(c), denied("Only the participant can do this"))
	}
	return nil
}

// serverOnly refuses every user: no permission covers it (reference 7.4).
func serverOnly(c domain.Caller, field, what string) error {
	if c.Identity == "" {
		return nil
	}
	return domain.Refuse(domain.PermissionDenied, "server_side_only", field, 50107, "A user cannot %s", what)
}

// importOnly refuses what only history that is restored can tell.
func importOnly(field, what string) error {
	return domain.Refuse(domain.PermissionDenied, "import_only", field, 0, "Only an import can %s", what)
}

func denied(format string, args ...any) error {
	return domain.Refuse(domain.PermissionDenied, "permission_denied", "", 50107, format, args...)
}
