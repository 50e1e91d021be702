package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/apikey"
	"github.com/parley-engine/parley/events"
)

var (
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	sk = domain.SID("SK", "one")

	secret = strings.Repeat("s3", 16)

	created  = []events.Event{events.APIKeyCreated{APIKey: sk, Account: ac, FriendlyName: "CI", Hash: "hash", Sealed: "sealed", At: at}}
	replaced = append(created[:1:1], events.APIKeySecretReplaced{Hash: "hash2", Sealed: "sealed2", At: at})
	revoked  = append(created[:1:1], events.APIKeyRevoked{At: at})
)

func create(name, secret string) apikey.Create {
	return apikey.Create{At: at, Account: ac, Sid: sk, FriendlyName: name, Secret: secret, Hash: "hash", Sealed: "sealed"}
}

var (
	missing       = no{domain.NotFound, "api_key_not_found", "", 20404}
	secretInvalid = no{domain.InvalidArgument, "secret_invalid", "secret", 0}
)

func TestCreate(t *testing.T) {
	exists := no{domain.AlreadyExists, "api_key_exists", "sid", 20409}
	longest := strings.Repeat("é", 64)
	run(t, []row{
		{name: "a new key", when: create("CI", secret), then: created, again: exists},
		{name: "the longest name", when: create(longest, secret), then: []events.Event{
			events.APIKeyCreated{APIKey: sk, Account: ac, FriendlyName: longest, Hash: "hash", Sealed: "sealed", At: at},
		}, again: exists},
		{name: "a key that is there", given: created, when: create("CI", secret), no: exists},
		{name: "a key that was revoked does not come back", given: revoked, when: create("CI", secret), no: exists},
		{name: "a name over 64 characters", when: create(longest+"x", secret), no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
		{name: "no secret", when: create("CI", ""), no: secretInvalid},
		{name: "a secret that is too short", when: create("CI", secret[1:]), no: secretInvalid},
		{name: "a secret that is too long", when: create("CI", strings.Repeat("x", 65)), no: secretInvalid},
		{name: "a secret with a colon", when: create("CI", secret+":"), no: secretInvalid},
	})
}

func TestReplaceSecret(t *testing.T) {
	replace := func(secret, hash, sealed string) apikey.ReplaceSecret {
		return apikey.ReplaceSecret{At: at, Secret: secret, Hash: hash, Sealed: sealed}
	}
	run(t, []row{
		{name: "another one", given: created, when: replace(secret, "hash2", "sealed2"), then: replaced[1:]},
		{name: "the same, sealed in another way", given: created, when: replace(secret, "hash", "other")},
		{name: "the first one again", given: replaced, when: replace(secret, "hash", "sealed"), then: []events.Event{events.APIKeySecretReplaced{Hash: "hash", Sealed: "sealed", At: at}}},
		{name: "none", given: created, when: replace("", "hash2", "sealed2"), no: secretInvalid},
		{name: "too short", given: created, when: replace("x", "hash2", "sealed2"), no: secretInvalid},
		{name: "of a key that is not there", when: replace(secret, "hash2", "sealed2"), no: missing},
		{name: "of a key that was revoked", given: revoked, when: replace(secret, "hash2", "sealed2"), no: missing},
	})
	s := fold(replaced)
	require.Equal(t, apikey.State{APIKey: sk, Account: ac, FriendlyName: "CI", Hash: "hash2", Sealed: "sealed2"}, s)
}

func TestRevoke(t *testing.T) {
	run(t, []row{
		{name: "a key", given: created, when: apikey.Revoke{At: at}, then: revoked[1:], again: missing},
		{name: "a key with another secret", given: replaced, when: apikey.Revoke{At: at}, then: revoked[1:], again: missing},
		{name: "a key that is not there", when: apikey.Revoke{At: at}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(revoked).Exists())
	require.False(t, apikey.State{}.Exists())
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "apikey.create", apikey.Create{}.CommandType())
	require.Equal(t, "apikey.replace-secret", apikey.ReplaceSecret{}.CommandType())
	require.Equal(t, "apikey.revoke", apikey.Revoke{}.CommandType())
}
