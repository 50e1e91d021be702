package engine_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/binding"
	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// unsealed are the secrets that the last event of an outcome has.
func unsealed(t *testing.T, o engine.Outcome) (s credential.Secrets) {
	t.Helper()
	var sealed string
	switch e := o.Decided[len(o.Decided)-1].(type) {
	case events.CredentialCreated:
		sealed = e.Sealed
	case events.CredentialUpdated:
		sealed = e.Sealed
	}
	plain, err := testVault.Unseal(sealed)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(plain, &s))
	return s
}

func TestACredentialKeepsTheSecretsThatAreNotReplaced(t *testing.T) {
	d := openDesk(t, withVault)
	created := d.must("credential.create", "", fields{"type": "apn", "secrets": fields{"certificate": "c", "private_key": "p"}})
	cr := created.Sid
	require.Equal(t, credential.Secrets{Certificate: "c", PrivateKey: "p"}, unsealed(t, created))

	updated := d.must("credential.update", cr, fields{"secrets": fields{"private_key": "p2", "secret": "s"}})
	require.Equal(t, credential.Secrets{Certificate: "c", PrivateKey: "p2", Secret: "s"}, unsealed(t, updated))
	require.Empty(t, d.must("credential.update", cr, fields{"secrets": fields{"secret": "s"}}).Events, "the same again")
	require.Empty(t, d.must("credential.update", cr, fields{"secrets": fields{"secret": ""}}).Events, "an empty one is not given")

	named := d.must("credential.update", cr, fields{"friendly_name": "app", "sandbox": true})
	require.Equal(t, []events.Event{events.CredentialUpdated{Type: "apn", FriendlyName: "app", Sandbox: true, At: d.clock()}}, named.Decided)
	d = newDesk(t, d.log, withVault) // after a restart
	updated = d.must("credential.update", cr, fields{"type": "fcm", "secrets": fields{"api_key": "a"}})
	require.Equal(t, credential.Secrets{Certificate: "c", PrivateKey: "p2", APIKey: "a", Secret: "s"}, unsealed(t, updated))

	d.must("credential.remove", cr, fields{})
	require.Equal(t, 20404, d.refused("credential_not_found", command(t, "credential.update", cr, fields{"secrets": fields{"secret": "x"}})).Twilio)
	d.refused("credential_exists", command(t, "credential.create", cr, fields{"type": "fcm"}))
}

// locked is a vault whose key was lost.
type locked struct{ vault }

func (locked) Unseal(string) ([]byte, error) { return nil, errors.New("the key was lost") }

func TestSecretsThatCannotBeReadAreNotOverwritten(t *testing.T) {
	with := openDesk(t, withVault)
	cr := with.must("credential.create", "", fields{"type": "apn", "secrets": fields{"certificate": "c"}}).Sid
	d := newDesk(t, with.log, func(o *engine.Options) { o.Vault = locked{testVault} })
	failure := d.refused("internal", command(t, "credential.update", cr, fields{"secrets": fields{"secret": "s"}}))
	require.NotContains(t, failure.Message, "key was lost", "details are for the log of the server")
	d.must("credential.update", cr, fields{"friendly_name": "app"})
	updated := with.must("credential.update", cr, fields{"secrets": fields{"secret": "s"}})
	require.Equal(t, credential.Secrets{Certificate: "c", Secret: "s"}, unsealed(t, updated))
}

func TestADeviceIsOneBindingHoweverOftenItRegisters(t *testing.T) {
	d := openDesk(t)
	cr := d.must("credential.create", "", fields{"type": "fcm"}).Sid
	device := fields{"identity": "alice", "type": "fcm", "endpoint": "token", "credential": cr}
	here, err := d.Place(t.Context(), account, "")
	require.NoError(t, err)
	sid := d.must("binding.create", "", device).Sid
	require.Equal(t, binding.Sid(here.Service, "alice", "fcm", "token"), sid)
	again := d.must("binding.create", "", device)
	require.Equal(t, sid, again.Sid)
	require.Empty(t, again.Events)
	require.Equal(t, sid, d.must("binding.create", sid, device).Sid, "its SID may be named")
	d.refused("sid_mismatch", command(t, "binding.create", domain.SID("BS", "other"), device))

	device["message_types"] = []string{"new_message"}
	require.Equal(t, []string{"binding.updated.v1"}, d.must("binding.create", "", device).Events)
	require.NotEqual(t, sid, d.must("binding.create", "", fields{"identity": "bob", "type": "fcm", "endpoint": "token"}).Sid)

	d.must("binding.remove", sid, fields{})
	require.Equal(t, 20404, d.refused("binding_not_found", command(t, "binding.remove", sid, fields{})).Twilio)
	require.Equal(t, []string{"binding.created.v1"}, d.must("binding.create", "", device).Events)
}

func TestABindingStaysInItsServiceAndAccount(t *testing.T) {
	d := openDesk(t)
	stranger := domain.SID("AC", "stranger")
	d.must("account.create", stranger, fields{})
	theirs := command(t, "credential.create", "", fields{"type": "fcm"})
	theirs.Account = stranger
	foreign, err := d.Execute(t.Context(), theirs)
	require.NoError(t, err)
	device := func(credential string) engine.Command {
		return command(t, "binding.create", "", fields{"identity": "alice", "type": "fcm", "endpoint": "token", "credential": credential})
	}
	gone := d.must("credential.create", "", fields{"type": "fcm"}).Sid
	d.must("credential.remove", gone, fields{})
	for _, sid := range []string{foreign.Sid, gone, domain.SID("CR", "absent")} {
		require.Equal(t, 20404, d.refused("credential_not_found", device(sid)).Twilio)
	}

	sid := d.must("binding.create", "", fields{"identity": "alice", "type": "fcm", "endpoint": "token"}).Sid
	other := d.must("service.create", "", fields{"friendly_name": "other"}).Sid
	remove := command(t, "binding.remove", sid, fields{})
	remove.Service = other
	d.refused("not_found", remove)
	remove.Account, remove.Service = stranger, ""
	d.refused("not_found", remove)

	elsewhere := device("")
	elsewhere.Service = other
	made, err := d.Execute(t.Context(), elsewhere)
	require.NoError(t, err)
	require.NotEqual(t, sid, made.Sid)
	d.must("service.remove", other, fields{})
	d.refused("not_found", elsewhere)
}
