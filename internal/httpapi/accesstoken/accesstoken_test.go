package accesstoken_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	twilio "github.com/twilio/twilio-go/client/jwt"

	"github.com/parley-engine/parley/internal/httpapi/accesstoken"
)

const (
	account = "AC00000000000000000000000000000001"
	apiKey  = "SK00000000000000000000000000000001"
	service = "IS00000000000000000000000000000001"
	secret  = "a secret of thirty-two letters.."
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func TestATokenOfTwiliosLibraryIsValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the library looks at the clock
		made := twilio.CreateAccessToken(twilio.AccessTokenParams{
			AccountSid: account, SigningKeySid: apiKey, Secret: secret, Identity: "alice", Ttl: 7200, Region: "us1",
			Grants: []twilio.BaseGrant{
				&twilio.ChatGrant{ServiceSid: service, PushCredentialSid: "CR00000000000000000000000000000001"},
				&twilio.VideoGrant{Room: "lobby"},
			},
		})
		token, err := made.ToJwt()
		require.NoError(t, err)
		expires := time.Now().Add(2 * time.Hour)

		claims, err := accesstoken.Verify(t.Context(), token, time.Now(), keys)
		require.NoError(t, err)
		require.True(t, claims.Expires.Equal(expires))
		claims.Expires = time.Time{}
		require.Equal(t, accesstoken.Claims{APIKey: apiKey, Account: account, Service: service, Identity: "alice"}, claims)

		_, err = accesstoken.Verify(t.Context(), token, expires.Add(-time.Nanosecond), keys)
		require.NoError(t, err)
		_, err = accesstoken.Verify(t.Context(), token, expires, keys)
		requireInvalid(t, err, token, "expired")
	})
}

func TestATokenWithoutAServiceMeansTheDefaultOne(t *testing.T) {
	claims, err := verify(t, sign(t, nil, with("grants", jwt.MapClaims{"identity": "alice", "chat": jwt.MapClaims{}})))
	require.NoError(t, err)
	require.Empty(t, claims.Service)
}

func TestATokenIsRefused(t *testing.T) {
	chat := jwt.MapClaims{"service_sid": service}
	for name, row := range map[string]struct {
		header map[string]any
		claims jwt.MapClaims
		reason string
	}{
		"without an end":              {nil, with("exp", nil), "no end"},
		"at its end":                  {nil, with("exp", now.Unix()), "expired"},
		"before its time":             {nil, with("nbf", now.Unix()+62), "not valid yet"},
		"made in the future":          {nil, with("iat", now.Unix()+62), "not valid yet"},
		"that lives long since iat":   {nil, with("iat", now.Unix()-1, "exp", now.Unix()+24*3600+60), "too long"},
		"that lives long since nbf":   {nil, with("iat", nil, "nbf", now.Unix()-1, "exp", now.Unix()+24*3600+60), "too long"},
		"that lives long from now":    {nil, with("iat", nil, "exp", now.Unix()+24*3600+61), "too long"},
		"that never ends":             {nil, with("exp", 1e300), "impossible time"},
		"from before 1970":            {nil, with("nbf", -1), "impossible time"},
		"whose end is a word":         {nil, with("exp", "tomorrow"), "malformed"},
		"of another account":          {nil, with("sub", "AC00000000000000000000000000000002"), "account"},
		"of no account":               {nil, with("sub", nil), "account"},
		"of an unknown key":           {nil, with("iss", "SK00000000000000000000000000000002"), "unknown"},
		"of a key without a secret":   {nil, with("iss", "SKempty"), "unknown"},
		"of no key":                   {nil, with("iss", nil), "no API key"},
		"without grants":              {nil, with("grants", nil), "no chat grant"},
		"without a chat grant":        {nil, with("grants", jwt.MapClaims{"identity": "alice"}), "no chat grant"},
		"with another grant":          {nil, with("grants", jwt.MapClaims{"identity": "alice", "video": chat}), "no chat grant"},
		"without an identity":         {nil, with("grants", jwt.MapClaims{"chat": chat}), "no identity"},
		"with a long identity":        {nil, with("grants", jwt.MapClaims{"identity": strings.Repeat("ä", 257), "chat": chat}), "identity is too long"},
		"with a broken identity":      {nil, with("grants", jwt.MapClaims{"identity": "a\ufffd", "chat": chat}), "UTF-8"},
		"with claims that are a list": {nil, with("grants", []int{1}), "malformed"},
		"without a content type":      {map[string]any{"cty": nil}, with(), "header"},
		"of another content type":     {map[string]any{"cty": "twilio-pkrv;v=1"}, with(), "header"},
		"of another type":             {map[string]any{"typ": []string{"JWT"}}, with(), "header"},
		"with a critical extension":   {map[string]any{"crit": []string{"b64"}}, with(), "header"},
	} {
		t.Run(name, func(t *testing.T) {
			token := sign(t, row.header, row.claims)
			_, err := verify(t, token)
			requireInvalid(t, err, token, row.reason)
		})
	}
}

func TestClocksMayDifferByAMinute(t *testing.T) {
	for _, claims := range []jwt.MapClaims{
		with("nbf", now.Unix()+60, "iat", now.Unix()+60),
		with("exp", now.Unix()+24*3600+60),
		with("iat", nil, "exp", now.Unix()+24*3600+60),
		with("iat", now.Unix()-24*3600, "exp", now.Unix()+60),
	} {
		_, err := verify(t, sign(t, nil, claims))
		require.NoError(t, err)
	}
}

func TestAnIdentityMayHave256Characters(t *testing.T) {
	identity := strings.Repeat("ä", 256)
	claims, err := verify(t, sign(t, nil, with("grants", jwt.MapClaims{"identity": identity, "chat": jwt.MapClaims{}})))
	require.NoError(t, err)
	require.Equal(t, identity, claims.Identity)
}

// JSON's decoder would accept both and make the same identity of them.
func TestWhatIsNotACharacterIsRefused(t *testing.T) {
	for _, identity := range []string{"alice\xff", `alice\ud800`} {
		payload := strings.Replace(encoded(t, with()), "alice", identity, 1)
		token := signText(t, `{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`, payload)
		_, err := verify(t, token)
		requireInvalid(t, err, token, "UTF-8")
	}
}

func TestOnlyHS256IsAccepted(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for method, key := range map[jwt.SigningMethod]any{
		jwt.SigningMethodNone:  jwt.UnsafeAllowNoneSignatureType,
		jwt.SigningMethodHS384: []byte(secret),
		jwt.SigningMethodHS512: []byte(secret),
		jwt.SigningMethodRS256: private,
	} {
		made := jwt.NewWithClaims(method, with())
		made.Header["cty"] = "twilio-fpa;v=1"
		token, err := made.SignedString(key)
		require.NoError(t, err)
		_, err = verify(t, token)
		requireInvalid(t, err, token, "HS256")
	}
	for _, header := range []string{`{"alg":"nOnE","typ":"JWT"}`, `{"typ":"JWT"}`, `{"alg":1}`, `{"alg":"hs256","cty":"twilio-fpa;v=1"}`} {
		token := signText(t, header, encoded(t, with()))
		_, err = verify(t, token)
		requireInvalid(t, err, token, "HS256")
	}
}

func TestAnotherSecretOrAChangeIsRefused(t *testing.T) {
	token := sign(t, nil, with())
	foreign, err := accesstoken.Verify(t.Context(), token, now, func(context.Context, string) (string, []byte, error) {
		return account, []byte("another"), nil
	})
	require.Zero(t, foreign)
	requireInvalid(t, err, token, "signature")

	for i := range len(token) {
		_, err := verify(t, token[:i]+"\n"+token[i:])
		requireInvalid(t, err, token, "it")
		for _, c := range []byte("A_.=\n") {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				_, err := verify(t, changed)
				requireInvalid(t, err, changed, "it")
			}
		}
	}
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	for _, token := range []string{"", ".", "..", "...", "a.b.c", "null", "bnVsbA.bnVsbA.", sign(t, nil, with()) + ".", strings.Repeat(".", 8192)} {
		_, err := verify(t, token)
		var invalid *accesstoken.InvalidError
		require.ErrorAs(t, err, &invalid)
	}
	token := signText(t, `{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`, `null`)
	_, err := verify(t, token)
	requireInvalid(t, err, token, "no API key")
}

func TestALongTokenIsNotLookedAt(t *testing.T) {
	token := sign(t, nil, with("jti", strings.Repeat("x", 8192)))
	_, err := accesstoken.Verify(t.Context(), token, now, func(context.Context, string) (string, []byte, error) {
		t.Fatal("asked for the key")
		return "", nil, nil
	})
	requireInvalid(t, err, token, "too long")
}

func TestAFailureToFindTheKeyIsNoFaultOfTheToken(t *testing.T) {
	broken := errors.New("the read model is not there")
	type contextKey struct{}
	ctx := context.WithValue(t.Context(), contextKey{}, "passed on")
	_, err := accesstoken.Verify(ctx, sign(t, nil, with()), now, func(ctx context.Context, sid string) (string, []byte, error) {
		require.Equal(t, apiKey, sid)
		require.Equal(t, "passed on", ctx.Value(contextKey{}))
		return "", nil, broken
	})
	require.Equal(t, broken, err)
}

func FuzzVerify(f *testing.F) {
	for _, claims := range []jwt.MapClaims{with(), with("exp", 1e300), with("grants", nil), with("iss", nil)} {
		f.Add(sign(f, nil, claims))
	}
	f.Add("")
	f.Add("a.b.c")
	f.Add(signText(f, `{"alg":"none","typ":"JWT","cty":"twilio-fpa;v=1"}`, encoded(f, with())))
	good := sign(f, nil, with())
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := accesstoken.Verify(t.Context(), token, now, keys)
		if err != nil {
			requireInvalid(t, err, token, "it")
			require.Zero(t, claims)
			return
		}
		require.Equal(t, good, token, "nobody but who has the secret makes a token")
	})
}

// FuzzClaims has somebody who holds a key say what he likes.
func FuzzClaims(f *testing.F) {
	f.Add(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`, encoded(f, with()))
	f.Add(`{"alg":"HS256","typ":"JWT","cty":"twilio-fpa;v=1"}`, encoded(f, with("exp", 1e300, "iat", nil)))
	f.Add(`{"alg":"HS512"}`, `{"exp":null}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		token := signText(t, header, payload)
		claims, err := accesstoken.Verify(t.Context(), token, now, keys)
		if err != nil {
			requireInvalid(t, err, token, "it")
			return
		}
		require.Equal(t, apiKey, claims.APIKey)
		require.Equal(t, account, claims.Account)
		require.NotEmpty(t, claims.Identity)
		require.True(t, claims.Expires.After(now))
		require.False(t, claims.Expires.After(now.Add(24*time.Hour+2*time.Minute)))
	})
}

// keys knows one key, and one that has no secret.
func keys(_ context.Context, sid string) (string, []byte, error) {
	switch sid {
	case apiKey:
		return account, []byte(secret), nil
	case "SKempty":
		return account, nil, nil
	default:
		return "", nil, accesstoken.ErrUnknownKey
	}
}

// with returns good claims with others in the place of some; nil leaves one out.
func with(pairs ...any) jwt.MapClaims {
	claims := jwt.MapClaims{
		"jti": apiKey + "-1", "iss": apiKey, "sub": account, "iat": now.Unix(), "exp": now.Unix() + 3600,
		"grants": jwt.MapClaims{"identity": "alice", "chat": jwt.MapClaims{"service_sid": service}},
	}
	for ; len(pairs) > 0; pairs = pairs[2:] {
		claims[pairs[0].(string)] = pairs[1]
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	}
	return claims
}

func sign(t testing.TB, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	made := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	made.Header["cty"] = "twilio-fpa;v=1"
	maps.Copy(made.Header, header)
	key := secret
	if claims["iss"] == "SKempty" {
		key = ""
	}
	token, err := made.SignedString([]byte(key))
	require.NoError(t, err)
	return token
}

// signText signs any header and payload with HS256, whatever they say.
func signText(t testing.TB, header, payload string) string {
	t.Helper()
	made := jwt.New(jwt.SigningMethodHS256)
	text := made.EncodeSegment([]byte(header)) + "." + made.EncodeSegment([]byte(payload))
	signature, err := made.Method.Sign(text, []byte(secret))
	require.NoError(t, err)
	return text + "." + made.EncodeSegment(signature)
}

// encoded returns the claims as JSON.
func encoded(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	return string(text)
}

func verify(t *testing.T, token string) (accesstoken.Claims, error) {
	return accesstoken.Verify(t.Context(), token, now, keys)
}

// requireInvalid also sees to it that the token is not told.
func requireInvalid(t *testing.T, err error, token, reason string) {
	t.Helper()
	var invalid *accesstoken.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Contains(t, invalid.Reason, reason)
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 16 {
			require.NotContains(t, err.Error(), part)
		}
	}
}
