package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/events"
)

var (
	at      = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	cr, ac  = domain.SID("CR", "1"), domain.SID("AC", "1")
	created = events.CredentialCreated{Credential: cr, Account: ac, Type: "apn", FriendlyName: "phones", Sandbox: true, Sealed: "s", At: at}
	missing = no{domain.NotFound, "credential_not_found", "", 20404}
)

func TestDecide(t *testing.T) {
	create := func(change func(*credential.Create)) credential.Command {
		c := credential.Create{At: at, Account: ac, Sid: cr, Type: "APN", FriendlyName: "phones", Sandbox: true, Sealed: "s"}
		change(&c)
		return c
	}
	update := func(change func(*credential.Update)) credential.Command {
		c := credential.Update{At: at, Sealed: "s"}
		change(&c)
		return c
	}
	given := []events.Event{created}
	run(t, []row{
		{name: "a credential is created, its type in any case", when: create(func(*credential.Create) {}), then: given,
			again: no{domain.AlreadyExists, "credential_exists", "sid", 20409}},
		{name: "it has a type", when: create(func(c *credential.Create) { c.Type = "" }), no: no{domain.InvalidArgument, "type_missing", "type", 20001}},
		{name: "one of three", when: create(func(c *credential.Create) { c.Type = "twilsock" }), no: no{domain.InvalidArgument, "type_invalid", "type", 20422}},
		{name: "a name has its limit", when: create(func(c *credential.Create) { c.FriendlyName = strings.Repeat("x", 65) }),
			no: no{domain.InvalidArgument, "friendly_name_too_long", "friendly_name", 50003}},
		{name: "so has a secret", when: create(func(c *credential.Create) { c.Secrets.PrivateKey = strings.Repeat("x", 16<<10+1) }),
			no: no{domain.InvalidArgument, "private_key_too_long", "secrets.private_key", 20422}},
		{name: "an update changes what is given", given: given, when: update(func(c *credential.Update) { c.Sandbox = new(false) }),
			then: []events.Event{events.CredentialUpdated{Type: "apn", FriendlyName: "phones", At: at}}},
		{name: "new secrets are kept", given: given, when: update(func(c *credential.Update) { c.Sealed = "s2" }),
			then: []events.Event{events.CredentialUpdated{Type: "apn", FriendlyName: "phones", Sandbox: true, Sealed: "s2", At: at}}},
		{name: "nothing new is nothing to do", given: given, when: update(func(c *credential.Update) { c.Type = new("APN") })},
		{name: "a type is one of three", given: given, when: update(func(c *credential.Update) { c.Type = new("x") }), no: no{domain.InvalidArgument, "type_invalid", "type", 20422}},
		{name: "a credential is removed", given: given, when: credential.Remove{At: at}, then: []events.Event{events.CredentialRemoved{At: at}}, again: missing},
		{name: "what is not there is not changed", when: update(func(*credential.Update) {}), no: missing},
	})
}

func TestSecretsAreReplacedOneByOne(t *testing.T) {
	have := credential.Secrets{Certificate: "c", PrivateKey: "p"}
	require.Equal(t, credential.Secrets{Certificate: "c", PrivateKey: "p2", APIKey: "a"}, have.Merge(credential.Secrets{PrivateKey: "p2", APIKey: "a"}))
	s := fold([]events.Event{created, events.CredentialUpdated{Type: "fcm", At: at}})
	require.Equal(t, "s", s.Sealed, "an update without secrets leaves them")
}
