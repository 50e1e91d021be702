package events

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// ID is a UUID (RFC 9562). The zero ID means "none" and prints as the nil UUID.
type ID [16]byte

// namespace separates Parley's name-based ids from everybody else's.
var namespace = ID{0x6f, 0x1c, 0x1f, 0x5e, 0x0c, 0x55, 0x4c, 0x0e, 0x9a, 0x52, 0x70, 0x61, 0x72, 0x6c, 0x65, 0x79}

// NameID returns the UUIDv5 of name: the same name always has the same id.
func NameID(name string) ID { return nameID(namespace, []byte(name)) }

// EventID returns the id of the index-th event (0-based) that a command
// produced. It is deterministic, so a repeated append is recognised by every
// store.
func EventID(command ID, index int) ID {
	return nameID(command, binary.BigEndian.AppendUint32(nil, uint32(index)))
}

func nameID(space ID, name []byte) ID {
	h := sha1.New()
	h.Write(space[:])
	h.Write(name)
	var id ID
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the 36-character text form, in either case.
func ParseID(s string) (ID, error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("not a UUID: %.40q", s)
	}
	var compact [32]byte
	n := copy(compact[:], s[0:8])
	n += copy(compact[n:], s[9:13])
	n += copy(compact[n:], s[14:18])
	n += copy(compact[n:], s[19:23])
	copy(compact[n:], s[24:36])
	var id ID
	if _, err := hex.Decode(id[:], compact[:]); err != nil {
		return ID{}, fmt.Errorf("not a UUID: %.40q", s)
	}
	return id, nil
}

// IsZero reports whether the id is absent.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the lower-case 36-character form.
func (id ID) String() string {
	var b [36]byte
	id.encode(b[:])
	return string(b[:])
}

// MarshalText and UnmarshalText make an ID a JSON string.
func (id ID) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	id.encode(b)
	return b, nil
}

// UnmarshalText is ParseID for encoders.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

func (id ID) encode(b []byte) {
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
}
