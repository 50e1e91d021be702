package engine_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/credential"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
)

// vault seals with a nonce that follows from the secret, so that the same secret
// seals to the same text.
type vault struct{ key [32]byte }

func (v vault) cipher() cipher.AEAD {
	block, err := aes.NewCipher(v.key[:])
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

func (v vault) Seal(plaintext []byte) (string, error) {
	mac := hmac.New(sha256.New, v.key[:])
	mac.Write(plaintext)
	nonce := mac.Sum(nil)[:v.cipher().NonceSize()]
	return base64.StdEncoding.EncodeToString(v.cipher().Seal(nonce, nonce, plaintext, nil)), nil
}

func (v vault) Unseal(sealed string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < v.cipher().NonceSize() {
		return nil, errors.New("not sealed here")
	}
	return v.cipher().Open(nil, raw[:v.cipher().NonceSize()], raw[v.cipher().NonceSize():], nil)
}

var testVault = vault{key: [32]byte{1, 2, 3}}

func withVault(o *engine.Options) { o.Vault = testVault }

// secretOf is a secret that a caller might choose.
func secretOf(name string) string {
	return (name + strings.Repeat("x", 40))[:40]
}

// requireNowhere requires that no byte of the log is part of one of the secrets,
// neither in an event nor in what is known about it.
func (d *desk) requireNowhere(secrets ...string) {
	d.t.Helper()
	for recorded, err := range d.log.ReadAll(d.t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(d.t, err)
		for what, data := range map[string][]byte{
			"data": recorded.Data, "metadata": events.AppendMetadata(nil, recorded.Metadata), "name": []byte(recorded.Stream + " " + recorded.Type),
		} {
			for _, secret := range secrets {
				for form, text := range map[string]string{
					"plain": secret, "base64": base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)*4/3-2],
				} {
					require.False(d.t, bytes.Contains(data, []byte(text)), "%s: a secret is in the %s of %s, %s", recorded.Stream, what, recorded.Type, form)
				}
			}
		}
	}
}

func TestSecretsAreNowhereInTheLog(t *testing.T) {
	d := openDesk(t, withVault)
	var secrets []string
	secret := func(name string) string {
		secrets = append(secrets, secretOf(name))
		return secretOf(name)
	}
	key := d.must("apikey.create", "", fields{"friendly_name": "CI", "secret": secret("first")}).Sid
	d.must("apikey.replace-secret", key, fields{"secret": secret("second")})
	d.must("account.set-auth-token", account, fields{"secret": secret("third")})
	cr := d.must("credential.create", "", fields{"type": "apn", "secrets": credential.Secrets{
		Certificate: secret("certificate"), PrivateKey: secret("key"), APIKey: secret("api"), Secret: secret("fcm"),
	}}).Sid
	d.must("credential.update", cr, fields{"secrets": fields{"secret": secret("newer")}})
	for _, c := range []engine.Command{
		command(t, "apikey.create", "", fields{"secret": secret("refused") + ":"}),
		command(t, "apikey.replace-secret", key, fields{"secret": secret("refused2"), "account": account}),
	} {
		_, err := d.Execute(t.Context(), c)
		require.Error(t, err)
		for _, s := range secrets {
			require.NotContains(t, err.Error(), s)
		}
	}
	d.requireNowhere(secrets...)
}

func TestWithoutAVaultNoSecretIsTaken(t *testing.T) {
	with := openDesk(t, withVault)
	key := with.must("apikey.create", "", fields{"secret": secretOf("old")}).Sid
	cr := with.must("credential.create", "", fields{"type": "fcm", "secrets": fields{"secret": "old"}}).Sid
	with.must("account.set-auth-token", account, fields{"secret": secretOf("token")})

	d := newDesk(t, with.log)
	for _, c := range []engine.Command{
		command(t, "apikey.create", "", fields{"secret": secretOf("new")}),
		command(t, "apikey.replace-secret", key, fields{"secret": secretOf("new")}),
		command(t, "account.set-auth-token", account, fields{"secret": secretOf("new")}),
		command(t, "credential.create", "", fields{"type": "fcm", "secrets": fields{"secret": "new"}}),
		command(t, "credential.update", cr, fields{"secrets": fields{"secret": "new"}}),
	} {
		d.refused("no_vault", c)
	}
	_, _, ok, err := d.APIKeySecret(t.Context(), key)
	require.NoError(t, err)
	require.False(t, ok)

	// What brings none is done, and what is hashed is recognised.
	d.must("credential.create", "", fields{"type": "fcm"})
	d.must("credential.update", cr, fields{"friendly_name": "app"})
	acting, err := d.Authenticate(t.Context(), key, secretOf("old"))
	require.NoError(t, err)
	require.Equal(t, account, acting)
	d.must("account.set-auth-token", account, fields{})
	d.must("apikey.revoke", key, fields{})
}
