package access

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// Role is what a token is for.
type Role string

// The roles.
const (
	Commands   Role = "commands"   // send commands of one account, over both doors
	Events     Role = "events"     // read events of one account, live and durably
	Everything Role = "everything" // all of the broker: the server's own owner
)

// Roles are all roles.
var Roles = []Role{Commands, Events, Everything}

// actorKinds are what a token for commands may be allowed to act as. The others,
// timer and system, are the engine's own.
var actorKinds = []string{
	string(events.ActorAPI), string(events.ActorUser), string(events.ActorParticipant),
	string(events.ActorChannel), string(events.ActorImport),
}

// Token is what is known of a token, without its secret.
type Token struct {
	ID      string   `json:"id"`
	Name    string   `json:"name,omitempty"` // for people
	Roles   []Role   `json:"roles"`
	Account string   `json:"account,omitempty"` // AC…; empty for Everything
	Actors  []string `json:"actors,omitempty"`  // kinds of actors that its commands may name
	Hash    string   `json:"sha256"`            // of the token, hex

	Created   time.Time `json:"created"` // UTC
	CreatedBy string    `json:"created_by"`
	Revoked   time.Time `json:"revoked,omitzero"` // UTC; zero: it is valid
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// Has reports whether the token has the role.
func (t *Token) Has(r Role) bool { return slices.Contains(t.Roles, r) }

// Valid reports whether the token opens anything.
func (t *Token) Valid() bool { return t.Revoked.IsZero() }

// Restricted reports whether the token is held to an account.
func (t *Token) Restricted() bool { return !t.Has(Everything) }

// Matches compares a presented token in constant time.
func (t *Token) Matches(presented string) bool {
	return subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash(presented))) == 1
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// idForm is that of a token's id, which is part of subjects.
var idForm = regexp.MustCompile(`^bt[0-9a-f]{16}$`)

// IDOf is the id of the token that is presented, empty when it is none of ours.
func IDOf(presented string) string {
	id, _, ok := strings.Cut(presented, "_")
	if !ok || !idForm.MatchString(id) {
		return ""
	}
	return id
}

// New makes a token from what is wanted: Name, Roles, Account and Actors. The secret
// is returned once and not kept. Errors say what is wrong with the wish.
func New(wanted Token, by string, now time.Time) (t Token, secret string, err error) {
	if t, err = checked(wanted); err != nil {
		return Token{}, "", err
	}
	random := make([]byte, 8+16)
	_, _ = rand.Read(random) // never fails
	t.ID = "bt" + hex.EncodeToString(random[:8])
	secret = t.ID + "_" + hex.EncodeToString(random[8:])
	t.Hash, t.Created, t.CreatedBy = hash(secret), now.UTC().Truncate(time.Second), by
	return t, secret, nil
}

// maxName bounds a token's name, in bytes.
const maxName = 64

// checked puts what is wanted into the form in which it is kept.
func checked(t Token) (Token, error) {
	t.Roles, t.Actors = sortedSet(t.Roles), sortedSet(t.Actors)
	if len(t.Name) > maxName || strings.ToValidUTF8(t.Name, "") != t.Name || strings.ContainsFunc(t.Name, func(r rune) bool { return r < ' ' }) {
		return t, fmt.Errorf("the name must be at most %d bytes of text on one line", maxName)
	}
	if err := checkRoles(t); err != nil {
		return t, err
	}
	if t.Has(Commands) && len(t.Actors) == 0 {
		t.Actors = []string{string(events.ActorAPI)}
	}
	return t, checkActors(t)
}

func checkRoles(t Token) error {
	for _, r := range t.Roles {
		if !slices.Contains(Roles, r) {
			return fmt.Errorf("there is no role %.40q: commands, events or everything", r)
		}
	}
	switch {
	case len(t.Roles) == 0:
		return errors.New("a role is needed: commands, events or everything")
	case t.Has(Everything) && len(t.Roles) > 1:
		return errors.New("everything goes with no other role")
	case t.Has(Everything) && t.Account != "":
		return errors.New("everything is held to no account")
	case !t.Has(Everything) && !domain.IsSID("AC", t.Account):
		return fmt.Errorf("the account %.40q is not AC and 32 hex digits", t.Account)
	}
	return nil
}

func checkActors(t Token) error {
	if len(t.Actors) > 0 && !t.Has(Commands) {
		return errors.New("kinds of actors are for the role commands")
	}
	for _, kind := range t.Actors {
		if !slices.Contains(actorKinds, kind) {
			return fmt.Errorf("a token may not act as %.40q, only as %s", kind, strings.Join(actorKinds, ", "))
		}
	}
	return nil
}

func sortedSet[T cmp.Ordered](values []T) []T {
	values = slices.Clone(values)
	slices.Sort(values)
	return slices.Compact(values)
}
