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

// takesPart refuses a user who is not a participant.
func (s State) takesPart(c domain.Caller) error {
	if _, ok := s.Identities[c.Identity]; !ok && c.Identity != "" {
		return domain.Refuse(domain.PermissionDenied, "not_a_participant", "", 50430,
			"The caller is not a participant of the conversation")
	}
	return nil
}

// MayRead refuses a user who is not a participant: all conversations are private.
func (s State) MayRead(c domain.Caller) error { return s.takesPart(c) }

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
