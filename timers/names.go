package timers

import (
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"strings"
)

// key is a conversation's SID without its prefix, as bytes: 16 instead of the
// 50 that the text takes in memory.
type key [16]byte

const sidPrefix = "CH"

// names turns conversation ids into keys and back. An id that is not CH and 32
// lower-case hex digits gets a key made from two seeded hashes, so that nobody
// can choose an id to collide with another's, and is remembered as text.
type names struct {
	odd  map[key]string
	seed [2]maphash.Seed
}

func newNames() *names {
	return &names{odd: make(map[key]string), seed: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (n *names) key(conversation string) (k key) {
	if digits, ok := strings.CutPrefix(conversation, sidPrefix); ok && isLowerHex(digits) {
		_, _ = hex.Decode(k[:], []byte(digits)) // 32 hex digits always decode
		return k
	}
	for i, seed := range n.seed {
		binary.BigEndian.PutUint64(k[8*i:], maphash.String(seed, conversation))
	}
	n.odd[k] = conversation
	return k
}

func (n *names) name(k key) string {
	if odd, ok := n.odd[k]; ok {
		return odd
	}
	return sidPrefix + hex.EncodeToString(k[:])
}

// drop forgets the text of an odd id that has no entry any more.
func (n *names) drop(k key) {
	if len(n.odd) > 0 {
		delete(n.odd, k)
	}
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 2*len(key{})
}
