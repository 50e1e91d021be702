// Package seal keeps secrets out of the log: what must be used again later is
// encrypted with a key that is not in the log.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrSealed says that a text cannot be opened: it was not sealed with this key,
// was changed since, or is no sealed text at all. Which of them is not told.
var ErrSealed = errors.New("seal: the secret cannot be opened")

const (
	// KeySize is the length of a key in bytes.
	KeySize = 32
	// MaxSecret is the length in bytes of the longest secret that is sealed.
	MaxSecret = 1 << 20

	version   = "v1." // names the algorithm; it is sealed too
	nonceSize = 12
)

// text is strict: a secret has one sealed text, not several that mean the same.
var text = base64.RawURLEncoding.Strict()

// Sealer encrypts and decrypts with AES-256-GCM. It is immutable and safe for
// concurrent use; only New makes a usable one.
//
// The nonce is synthetic, made of the secret itself with a second key, so that
// the same secret seals to the same text: a command that is repeated must be the
// same command. The price is that whoever reads the log sees which secrets are
// equal, and how long they are; he cannot try out guesses, for that needs the
// key. Two different secrets share a nonce only by a collision of 96 bits, which
// is to be expected after some 2^48 secrets.
type Sealer struct {
	aead  cipher.AEAD
	nonce []byte // the key that nonces are made with
}

// New returns the sealer of a key, which must be KeySize random bytes. The key is
// copied.
func New(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("seal: the key has %d bytes, not %d", len(key), KeySize)
	}
	encryption, err := hkdf.Key(sha256.New, key, nil, "parley seal v1 encryption", KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, key, nil, "parley seal v1 nonce", KeySize)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(encryption)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Sealer{aead: aead, nonce: nonce}, nil
}

// Seal encrypts a secret to a text of letters, digits and ".-_". The same secret
// and key give the same text. The error is that of a secret over MaxSecret.
func (s *Sealer) Seal(plaintext []byte) (string, error) {
	if len(plaintext) > MaxSecret {
		return "", fmt.Errorf("seal: a secret of %d bytes is over %d", len(plaintext), MaxSecret)
	}
	mac := hmac.New(sha256.New, s.nonce)
	mac.Write(plaintext) // never fails
	nonce := mac.Sum(nil)[:nonceSize:nonceSize]
	return version + text.EncodeToString(s.aead.Seal(nonce, nonce, plaintext, []byte(version))), nil
}

// Unseal returns the secret of a text that Seal made with the same key. Every
// error is ErrSealed.
func (s *Sealer) Unseal(sealed string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(sealed, version)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // which the decoder would skip
		return nil, ErrSealed
	}
	data, err := text.DecodeString(encoded)
	if err != nil || len(data) < nonceSize {
		return nil, ErrSealed
	}
	plaintext, err := s.aead.Open(nil, data[:nonceSize], data[nonceSize:], []byte(version))
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}
