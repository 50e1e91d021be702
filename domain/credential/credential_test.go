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
	at = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ac = domain.SID("AC", "one")
	cr = domain.SID("CR", "one")

	created = []events.Event{events.CredentialCreated{Credential: cr, Account: ac, Type: "fcm", FriendlyName: "app", Sealed: "sealed", At: at}}
	removed = append(created[:1:1], events.CredentialRemoved{At: at})
	missing = no{domain.NotFound, "credential_not_found", "", 20404}
)

func ptr[T any](v T) *T { return &v }

func invalid(code, field string, twilio int) no {
	return no{domain.InvalidArgument, code, field, twilio}
}

func TestCreate(t *testing.T) {
	create := func(change func(*credential.Create)) credential.Create {
		c := credential.Create{At: at, Account: ac, Sid: cr, Type: "fcm", FriendlyName: "app", Sealed: "sealed"}
		change(&c)
		return c
	}
	ofType := func(text string) credential.Create { return create(func(c *credential.Create) { c.Type = text }) }
	with := func(secrets credential.Secrets) credential.Create {
		return create(func(c *credential.Create) { c.Secrets = secrets })
	}
	exists := no{domain.AlreadyExists, "credential_exists", "sid", 20409}
	longest, long := strings.Repeat("x", 16<<10), strings.Repeat("x", 16<<10+1)
	run(t, []row{
		{name: "a new credential", when: ofType("fcm"), then: created, again: exists},
		{name: "a type in any case", when: ofType("FCM"), then: created, again: exists},
		{name: "for the sandbox, without secrets", when: create(func(c *credential.Create) { c.Type, c.Sandbox, c.Sealed = "apn", true, "" }),
			then: []events.Event{events.CredentialCreated{Credential: cr, Account: ac, Type: "apn", FriendlyName: "app", Sandbox: true, At: at}}, again: exists},
		{name: "the longest secrets, which are not in the event", when: with(credential.Secrets{Certificate: longest, PrivateKey: longest, APIKey: longest, Secret: longest}), then: created, again: exists},
		{name: "a credential that is there", given: created, when: ofType("gcm"), no: exists},
		{name: "a credential that was removed does not come back", given: removed, when: ofType("fcm"), no: exists},
		{name: "no type", when: ofType(""), no: invalid("type_missing", "type", 20001)},
		{name: "a type of bindings only", when: ofType("twilsock"), no: invalid("type_invalid", "type", 20422)},
		{name: "a name over 64 characters", when: create(func(c *credential.Create) { c.FriendlyName = strings.Repeat("é", 65) }), no: invalid("friendly_name_too_long", "friendly_name", 50003)},
		{name: "a long certificate", when: with(credential.Secrets{Certificate: long}), no: invalid("certificate_too_long", "secrets.certificate", 20422)},
		{name: "a long private key", when: with(credential.Secrets{PrivateKey: long}), no: invalid("private_key_too_long", "secrets.private_key", 20422)},
		{name: "a long API key", when: with(credential.Secrets{APIKey: long}), no: invalid("api_key_too_long", "secrets.api_key", 20422)},
		{name: "a long secret", when: with(credential.Secrets{Secret: long}), no: invalid("secret_too_long", "secrets.secret", 20422)},
	})
}

func TestUpdate(t *testing.T) {
	// update is an Update with the secrets that the credential has, as the engine fills it in.
	update := func(change func(*credential.Update)) credential.Update {
		c := credential.Update{At: at, Sealed: "sealed"}
		change(&c)
		return c
	}
	updated := func(e events.CredentialUpdated) []events.Event {
		e.At = at
		return []events.Event{e}
	}
	run(t, []row{
		{name: "nothing given, nothing done", given: created, when: update(func(*credential.Update) {})},
		{name: "no secrets at all leave them as they are", given: created, when: credential.Update{At: at}},
		{name: "the same again", given: created, when: update(func(c *credential.Update) {
			c.Type, c.FriendlyName, c.Sandbox, c.Secrets.Secret = ptr("Fcm"), ptr("app"), ptr(false), "sealed to the same"
		})},
		{name: "a name", given: created, when: update(func(c *credential.Update) { c.FriendlyName = ptr("") }), then: updated(events.CredentialUpdated{Type: "fcm"})},
		{name: "another type", given: created, when: update(func(c *credential.Update) { c.Type = ptr("APN") }), then: updated(events.CredentialUpdated{Type: "apn", FriendlyName: "app"})},
		{name: "the sandbox", given: created, when: update(func(c *credential.Update) { c.Sandbox = ptr(true) }), then: updated(events.CredentialUpdated{Type: "fcm", FriendlyName: "app", Sandbox: true})},
		{name: "other secrets", given: created, when: update(func(c *credential.Update) { c.Sealed = "sealed2" }), then: updated(events.CredentialUpdated{Type: "fcm", FriendlyName: "app", Sealed: "sealed2"})},
		{name: "no type any more", given: created, when: update(func(c *credential.Update) { c.Type = ptr("") }), no: invalid("type_missing", "type", 20001)},
		{name: "a type of nothing", given: created, when: update(func(c *credential.Update) { c.Type = ptr("x") }), no: invalid("type_invalid", "type", 20422)},
		{name: "a name over 64 characters", given: created, when: update(func(c *credential.Update) { c.FriendlyName = ptr(strings.Repeat("x", 65)) }), no: invalid("friendly_name_too_long", "friendly_name", 50003)},
		{name: "a long secret", given: created, when: update(func(c *credential.Update) { c.Secrets.Secret = strings.Repeat("x", 16<<10+1) }), no: invalid("secret_too_long", "secrets.secret", 20422)},
		{name: "a credential that is not there", when: credential.Update{At: at}, no: missing},
		{name: "a credential that was removed", given: removed, when: credential.Update{At: at}, no: missing},
	})
	s := fold(append(created[:1:1], events.CredentialUpdated{Type: "apn", Sandbox: true}))
	require.Equal(t, credential.State{Credential: cr, Account: ac, Type: "apn", Sandbox: true, Sealed: "sealed"}, s, "secrets stay when none are given")
	require.Equal(t, "sealed2", fold(append(created[:1:1], events.CredentialUpdated{Type: "apn", Sealed: "sealed2"})).Sealed)
}

func TestRemove(t *testing.T) {
	run(t, []row{
		{name: "a credential", given: created, when: credential.Remove{At: at}, then: removed[1:], again: missing},
		{name: "a credential that is not there", when: credential.Remove{At: at}, no: missing},
	})
	require.True(t, fold(created).Exists())
	require.False(t, fold(removed).Exists())
}

func TestMergeReplacesWhatIsGiven(t *testing.T) {
	have := credential.Secrets{Certificate: "c", PrivateKey: "p", APIKey: "a", Secret: "s"}
	require.Equal(t, have, have.Merge(credential.Secrets{}))
	require.Equal(t, have, credential.Secrets{}.Merge(have))
	require.Equal(t, credential.Secrets{Certificate: "c2", PrivateKey: "p", APIKey: "a", Secret: "s2"}, have.Merge(credential.Secrets{Certificate: "c2", Secret: "s2"}))
	require.Equal(t, credential.Secrets{Certificate: "c", PrivateKey: "p2", APIKey: "a2", Secret: "s"}, have.Merge(credential.Secrets{PrivateKey: "p2", APIKey: "a2"}))
}

func TestCommandsHaveNames(t *testing.T) {
	require.Equal(t, "credential.create", credential.Create{}.CommandType())
	require.Equal(t, "credential.update", credential.Update{}.CommandType())
	require.Equal(t, "credential.remove", credential.Remove{}.CommandType())
}
