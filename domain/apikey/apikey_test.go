package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/apikey"
	"github.com/parley-engine/parley/events"
)

var (
	at      = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	sk, ac  = domain.SID("SK", "1"), domain.SID("AC", "1")
	good    = strings.Repeat("a1", 16)
	created = events.APIKeyCreated{APIKey: sk, Account: ac, FriendlyName: "backend", Hash: "h", Sealed: "s", At: at}
	missing = no{domain.NotFound, "api_key_not_found", "", 20404}
)

func TestDecide(t *testing.T) {
	create := apikey.Create{At: at, Account: ac, Sid: sk, FriendlyName: "backend", Hash: "h", Sealed: "s", Secret: good}
	named, weak := create, create
	named.FriendlyName, weak.Secret = strings.Repeat("x", 65), "guess"
	run(t, []row{
		{name: "a key is created", when: create, then: []events.Event{created}, again: no{domain.AlreadyExists, "api_key_exists", "sid", 20409}},
		{name: "a name has its limit", when: named, no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
		{name: "a secret cannot be guessed", when: weak, no: no{domain.InvalidArgument, "secret_invalid", "secret", 0}},
		{name: "the secret is replaced", given: []events.Event{created}, when: apikey.ReplaceSecret{At: at, Hash: "h2", Sealed: "s2", Secret: good},
			then: []events.Event{events.APIKeySecretReplaced{Hash: "h2", Sealed: "s2", At: at}}},
		{name: "by one that cannot be guessed", given: []events.Event{created}, when: apikey.ReplaceSecret{Secret: "guess"}, no: no{domain.InvalidArgument, "secret_invalid", "secret", 0}},
		{name: "the same secret changes nothing", given: []events.Event{created}, when: apikey.ReplaceSecret{Hash: "h", Secret: good}},
		{name: "a key is revoked", given: []events.Event{created}, when: apikey.Revoke{At: at}, then: []events.Event{events.APIKeyRevoked{At: at}}, again: missing},
		{name: "what is not there has no secret", when: apikey.ReplaceSecret{Secret: good}, no: missing},
		{name: "a revoked key gets none", given: []events.Event{created, events.APIKeyRevoked{At: at}}, when: apikey.ReplaceSecret{Secret: good}, no: missing},
	})
}
