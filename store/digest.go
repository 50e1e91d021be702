package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/parley-engine/parley/events"
)

// Digest is a fingerprint of a log or its beginning: of streams, revisions, ids,
// types, metadata and payloads in the order of the log. Positions and recorded
// times are the backend's own and not part of it, so copies have the same. The
// zero value is ready to use. It is not safe for concurrent use.
type Digest struct {
	sum    hash.Hash
	buffer []byte
}

// Add takes the next event of the log.
func (d *Digest) Add(e *events.Recorded) {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	b := append(d.buffer[:0], e.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Revision)
	b = appendField(b, e.Stream)
	b = appendField(b, e.Type)
	metadata := events.AppendMetadata(nil, e.Metadata)
	b = appendField(b, string(metadata))
	b = appendField(b, string(e.Data))
	_, _ = d.sum.Write(b) // never fails
	d.buffer = b
}

func appendField(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// String is the SHA-256 of what was added so far, in hex.
func (d *Digest) String() string {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	return hex.EncodeToString(d.sum.Sum(nil))
}
