// Package domain holds what all aggregates share: how a command is refused, who
// issues one, and what SIDs look like. The aggregates themselves are the
// packages below it, all of one shape: state, commands, Decide, Evolve.
//
// Everything below this folder is silent: no clock, no randomness, no I/O, no
// context, no logger, no goroutine. Time and ids arrive in the command, so a
// decision replayed tomorrow is the same decision.
package domain

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/parley-engine/parley/events"
)

// Kind is the family of a refusal. Adapters map it to their own statuses.
type Kind string

// The families of refusals.
const (
	InvalidArgument    Kind = "invalid_argument"    // the command itself is wrong
	NotFound           Kind = "not_found"           // what it names does not exist
	AlreadyExists      Kind = "already_exists"      // what it would make exists
	FailedPrecondition Kind = "failed_precondition" // not in this state
	PermissionDenied   Kind = "permission_denied"   // not by this caller
	QuotaExceeded      Kind = "quota_exceeded"      // a limit is reached
)

// Refusal is the domain's no: nothing happened and nothing was written.
// Repeating the same command on the same state gets the same refusal.
type Refusal struct {
	Kind    Kind
	Code    string // stable, snake_case: conversation_closed
	Field   string // path of the offending field in the command, empty when it is none
	Twilio  int    // Twilio's code where one exists, else 0 (reference section 15)
	Message string // for people
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Refuse builds a Refusal.
func Refuse(kind Kind, code, field string, twilio int, format string, args ...any) *Refusal {
	return &Refusal{Kind: kind, Code: code, Field: field, Twilio: twilio, Message: fmt.Sprintf(format, args...)}
}

// Caller is who issues a command. A caller without Identity has full rights, as
// Twilio's account credentials have; one with an Identity is held to the union
// of the two permission sets (reference 7.1).
type Caller struct {
	Actor                   events.Actor
	Identity                string
	ServicePermissions      []string // of the user's service role
	ConversationPermissions []string // of the participant's conversation role
}

// May reports whether the caller holds the permission.
func (c Caller) May(permission string) bool {
	return c.Identity == "" ||
		slices.Contains(c.ServicePermissions, permission) ||
		slices.Contains(c.ConversationPermissions, permission)
}

// Imports reports whether the caller restores foreign history. What the source let
// grow beyond a limit is taken over as it is; nothing is added to it by default.
func (c Caller) Imports() bool { return c.Actor.Kind == events.ActorImport }

// SID returns prefix followed by 32 hex digits derived from name: the same name
// always has the same SID, which is what makes a repeated create harmless.
func SID(prefix, name string) string {
	id := events.NameID(prefix + ":" + name)
	return prefix + hex.EncodeToString(id[:])
}

// IsSID reports whether s is prefix followed by 32 hex digits, in either case
// (reference 1.3).
func IsSID(prefix, s string) bool {
	return len(s) == 34 && strings.HasPrefix(s, prefix) && isHex(s[2:])
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
