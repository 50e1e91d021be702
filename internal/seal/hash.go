package seal

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

const hashed = "sha256$" // names the algorithm

// Hash returns what is kept of a secret that need only be recognised: the
// algorithm's name, a dollar sign and the digest in lower-case hex.
//
// The secret must be random with at least 128 bits, as generated tokens are. Then
// nobody finds it by guessing, and a fast hash without salt is right: it is
// computed for every request. A password that somebody chose needs another one.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hashed + hex.EncodeToString(sum[:])
}

// Matches reports whether hash is that of the secret, in a time that does not
// tell how much of it is right. An empty hash matches nothing, and nothing
// matches an empty secret.
func Matches(hash, secret string) bool {
	if hash == "" || secret == "" {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(hash), []byte(Hash(secret))) == 1
}
