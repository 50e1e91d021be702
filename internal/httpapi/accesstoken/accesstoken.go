// Package accesstoken verifies the tokens that Twilio's server libraries make for
// chat clients: JSON Web Tokens signed with the secret of an API key, naming an
// account, a service and an identity.
package accesstoken

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MaxLength is the length in bytes of the longest token that is looked at.
	MaxLength = 8 << 10
	// MaxLife is how long a token may live, from its making to its end.
	MaxLife = 24 * time.Hour
	// MaxIdentity is the length in characters of the longest identity.
	MaxIdentity = 256
	// Leeway is how far the clock of whoever made a token may be ahead, and how
	// much longer than MaxLife it may live. A token ends at its end.
	Leeway = time.Minute
)

// ErrUnknownKey is what a Key returns of an API key that there is not, or no
// longer.
var ErrUnknownKey = errors.New("unknown API key")

// Key returns the account that an API key belongs to and the key's secret. Its
// argument is what the token says, before anything was verified. An error other
// than ErrUnknownKey says nothing about the token.
type Key = func(ctx context.Context, apiKeySid string) (account string, secret []byte, err error)

// InvalidError says why a token is refused. It never repeats the token or a part
// of it, so it may be logged and shown.
type InvalidError struct {
	Reason string
}

func (e *InvalidError) Error() string { return "invalid access token: " + e.Reason }

// Claims are what a valid token says.
type Claims struct {
	APIKey   string    // that signed it, SK…
	Account  string    // that the key belongs to, AC…
	Service  string    // IS…; empty means the account's default service
	Identity string    // of the client, never empty, at most MaxIdentity characters
	Expires  time.Time // in whole seconds; from then on the token is refused
}

// Verify returns what the token says if it is valid at the moment now. The error
// is an *InvalidError, or what key returned if that was not ErrUnknownKey. It is
// safe for concurrent use.
func Verify(ctx context.Context, token string, now time.Time, key Key) (Claims, error) {
	if len(token) > MaxLength {
		return Claims{}, &InvalidError{"it is too long"}
	}
	if strings.ContainsAny(token, "\r\n") { // which the decoder would skip
		return Claims{}, &InvalidError{"it is malformed"}
	}
	c, account, err := signed(ctx, token, key)
	if err != nil {
		return Claims{}, err
	}
	if reason := c.wrong(now, account); reason != "" {
		return Claims{}, &InvalidError{reason}
	}
	return Claims{
		APIKey:   c.Issuer,
		Account:  account,
		Service:  c.Grants.Chat.ServiceSID,
		Identity: c.Grants.Identity,
		Expires:  c.Expires.time(),
	}, nil
}

// parser looks at the signature only; what the claims must be is said in claims.go.
var parser = jwt.NewParser(
	jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
	jwt.WithStrictDecoding(),
	jwt.WithoutClaimsValidation(),
)

// signed returns the claims of a token that was signed with its API key, and the
// key's account.
func signed(ctx context.Context, token string, key Key) (*claims, string, error) {
	var c claims
	var account string
	var failure error // of the key, which must not be mistaken for one of the token
	t, err := parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		var secret []byte
		account, secret, failure = c.secret(ctx, t.Header, key)
		return secret, failure
	})
	switch {
	case errors.Is(failure, ErrUnknownKey):
		return nil, "", &InvalidError{"its API key is unknown"}
	case failure != nil:
		return nil, "", failure
	case err != nil:
		return nil, "", &InvalidError{reason(t, err)}
	}
	return &c, account, nil
}

// secret asks for the key that must have signed. Whoever has no secret or no
// account signs nothing: an empty secret is one that everybody knows.
func (c *claims) secret(ctx context.Context, header map[string]any, key Key) (string, []byte, error) {
	if header["typ"] != "JWT" || header["cty"] != "twilio-fpa;v=1" || header["crit"] != nil {
		return "", nil, &InvalidError{"its header is not that of an access token"}
	}
	if c.Issuer == "" {
		return "", nil, &InvalidError{"it names no API key"}
	}
	account, secret, err := key(ctx, c.Issuer)
	if err == nil && (account == "" || len(secret) == 0) {
		err = ErrUnknownKey
	}
	return account, secret, err
}

// reason is in our own words, because the parser's contain parts of the token.
func reason(t *jwt.Token, err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "it is malformed"
	case t == nil || t.Method != jwt.SigningMethodHS256:
		return "it is not signed with HS256"
	default:
		return "its signature is wrong"
	}
}
