package accesstoken

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// claims are those of a token that matter here, as they are written.
type claims struct {
	jwt.Claims `json:"-"` // never asked: the parser does not validate

	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	IssuedAt  *seconds `json:"iat"`
	NotBefore *seconds `json:"nbf"`
	Expires   *seconds `json:"exp"`
	Grants    struct {
		Identity string `json:"identity"`
		Chat     *struct {
			ServiceSID string `json:"service_sid"`
		} `json:"chat"`
	} `json:"grants"`
}

// seconds since 1970, with a fraction that is cut off. nil is a moment that was
// not given.
type seconds float64

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

func (s *seconds) time() time.Time { return time.Unix(int64(*s), 0) }

// wrong says what is wrong with a signed token at the moment now; empty if it is
// valid.
func (c *claims) wrong(now time.Time, account string) string {
	switch {
	case c.Subject != account:
		return "its account is not that of its API key"
	case c.Grants.Chat == nil:
		return "it has no chat grant"
	case c.Grants.Identity == "":
		return "it has no identity"
	// JSON's decoder puts U+FFFD in the place of what is no character, so two
	// broken identities might become one.
	case strings.ContainsRune(c.Grants.Identity, utf8.RuneError):
		return "its identity is not valid UTF-8"
	case utf8.RuneCountInString(c.Grants.Identity) > MaxIdentity:
		return "its identity is too long"
	default:
		return c.untimely(now)
	}
}

// untimely says why the token is not valid at the moment now.
func (c *claims) untimely(now time.Time) string {
	for _, moment := range []*seconds{c.IssuedAt, c.NotBefore, c.Expires} {
		if moment != nil && (*moment < 0 || *moment > lastSecond) {
			return "it has an impossible time"
		}
	}
	switch {
	case c.Expires == nil:
		return "it has no end"
	case !now.Before(c.Expires.time()):
		return "it has expired"
	case future(c.NotBefore, now) || future(c.IssuedAt, now):
		return "it is not valid yet"
	case c.Expires.time().Sub(c.begin(now)) > MaxLife+Leeway:
		return "it lives too long"
	default:
		return ""
	}
}

// future reports whether the moment is given and further ahead than clocks differ.
func future(moment *seconds, now time.Time) bool {
	return moment != nil && moment.time().After(now.Add(Leeway))
}

// begin is when the token's life began: when it was made, if it says so.
func (c *claims) begin(now time.Time) time.Time {
	switch {
	case c.IssuedAt != nil:
		return c.IssuedAt.time()
	case c.NotBefore != nil:
		return c.NotBefore.time()
	default:
		return now
	}
}
