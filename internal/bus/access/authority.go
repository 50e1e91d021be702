package access

import (
	"errors"
	"slices"
	"strings"

	"github.com/parley-engine/parley/domain"
)

// Authority is what the sender of a command is held to. It comes from the connection:
// the broker writes it into the subject, see [Authority.Subject].
type Authority struct {
	Account string   // AC…
	Actors  []string // kinds of actors it may name, sorted
	Token   string   // its id
}

// MayActAs reports whether commands may name the kind of actor.
func (a *Authority) MayActAs(kind string) bool { return slices.Contains(a.Actors, kind) }

// confined is the first token, behind the door's prefix, of the subjects of tokens that
// are held to an account. No aggregate has the name.
const confined = "account"

// Subject is where the broker lets a command of the token through, without the prefix
// of the door: account.<AC…>.<kinds, joined by +>.<token>.<aggregate>.
func (a *Authority) Subject(aggregate string) string {
	return confined + "." + a.String() + "." + aggregate
}

// String is the authority without the aggregate, as a header carries it.
func (a *Authority) String() string {
	return a.Account + "." + strings.Join(a.Actors, "+") + "." + a.Token
}

// ErrAuthority says that a subject or header claims to hold an authority and does not.
var ErrAuthority = errors.New("the subject is of a token that is held to an account, and not of its form")

// FromSubject reads a subject without the prefix of the door. Nil without an error is a
// subject of who is held to nothing.
func FromSubject(rest string) (a *Authority, err error) {
	if !strings.HasPrefix(rest, confined+".") {
		return nil, nil
	}
	last := strings.LastIndexByte(rest, '.')
	return Parse(rest[min(len(confined)+1, last):last])
}

// Parse reads what String wrote.
func Parse(text string) (*Authority, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || !domain.IsSID("AC", parts[0]) || parts[1] == "" || !idForm.MatchString(parts[2]) {
		return nil, ErrAuthority
	}
	return &Authority{Account: parts[0], Actors: strings.Split(parts[1], "+"), Token: parts[2]}, nil
}

// authority is the token's.
func (t *Token) authority() *Authority {
	return &Authority{Account: t.Account, Actors: t.Actors, Token: t.ID}
}
