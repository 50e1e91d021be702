package salvage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"regexp"

	"github.com/minio/highwayhash"
)

// A record is length(4) sequence(8) time(8) subject's length(2) subject [header's
// length(4) header] body checksum(8), little endian. The checksum is of sequence, time,
// subject, header and body, and not of the lengths: those are checked by what they lead to.
const (
	headSize     = 22
	sumSize      = 8
	smallest     = headSize + sumSize
	largest      = 32 << 20 // the server's limit
	hasHeader    = 1 << 31  // of the length
	erased       = 1 << 63  // of the sequence: a message that was deleted
	tombstone    = 1 << 62  // of the sequence: notes that another message was deleted
	sequenceBits = tombstone - 1
)

// record is one that is whole.
type record struct {
	raw      []byte
	sequence uint64 // without its bits
	at       int64  // when it was stored, Unix nanoseconds
	kind     recordKind
	subject  []byte
	header   []byte
	mended   bool // a length was set right
}

type recordKind int

const (
	message recordKind = iota
	deletion
	gone
)

// damage is a part of a block that has no whole records.
type damage struct{ from, to int }

// blockHash is what the records of a block are checked with.
func blockHash(stream string, index int) (hash.Hash, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	return highwayhash.New64(key[:])
}

// walk splits a block into the records that are whole, mended ones among them, and the
// rest.
func walk(block []byte, sum hash.Hash) (whole []record, bad []damage) {
	for at := 0; at < len(block); {
		r, ok := parse(block[at:], sum)
		if ok {
			whole = append(whole, r)
			at += len(r.raw)
			continue
		}
		next := resync(block, at, sum)
		if r, ok := stretched(block[at:next], sum); ok {
			r.mended = true
			whole = append(whole, r)
		} else {
			bad = append(bad, damage{at, next})
		}
		at = next
	}
	return whole, bad
}

// parse reads the record at the beginning.
func parse(b []byte, sum hash.Hash) (r record, ok bool) {
	if len(b) < smallest {
		return r, false
	}
	length := binary.LittleEndian.Uint32(b)
	size := int(length &^ hasHeader)
	subjectSize := int(binary.LittleEndian.Uint16(b[20:]))
	before := subjectSize
	if length&hasHeader != 0 {
		before += 4
	}
	if size < smallest || size > largest || size > len(b) || headSize+before+sumSize > size {
		return r, false
	}
	raw := b[:size:size]
	body := raw[headSize : size-sumSize]
	sum.Reset()
	_, _ = sum.Write(raw[4:20])
	_, _ = sum.Write(body[:subjectSize])
	_, _ = sum.Write(body[before:])
	if !bytes.Equal(sum.Sum(nil), raw[size-sumSize:]) {
		return r, false
	}
	r.classify(raw, subjectSize)
	return r, length&hasHeader == 0 || r.mendHeader(subjectSize)
}

func (r *record) classify(raw []byte, subjectSize int) {
	sequence := binary.LittleEndian.Uint64(raw[4:])
	r.raw, r.sequence, r.subject = raw, sequence&sequenceBits, raw[headSize:headSize+subjectSize]
	r.at = int64(binary.LittleEndian.Uint64(raw[12:]))
	switch {
	case sequence&erased != 0 || sequence == 0:
		r.kind = gone
	case sequence&tombstone != 0:
		r.kind = deletion
	}
}

// endOfHeader is what a header ends with, and has nowhere else.
var endOfHeader = []byte("\r\n\r\n")

// mendHeader sets the header's length, which no checksum covers, to where it ends; false:
// nowhere.
func (r *record) mendHeader(subjectSize int) bool {
	at := headSize + subjectSize
	rest := r.raw[at+4 : len(r.raw)-sumSize]
	end := bytes.Index(rest, endOfHeader)
	if end < 0 {
		return r.kind == gone // random bytes
	}
	size := end + len(endOfHeader)
	r.header = rest[:size]
	if int(binary.LittleEndian.Uint32(r.raw[at:])) != size {
		r.raw, r.mended = bytes.Clone(r.raw), true
		binary.LittleEndian.PutUint32(r.raw[at:], uint32(size))
	}
	return true
}

// stretched is a record of which nothing is wrong but its length, or the length of its
// subject: it fills all of b.
func stretched(b []byte, sum hash.Hash) (r record, ok bool) {
	if len(b) < smallest || len(b) > largest {
		return r, false
	}
	b = bytes.Clone(b)
	for _, bit := range []uint32{0, hasHeader} {
		binary.LittleEndian.PutUint32(b, uint32(len(b))|bit)
		if r, ok = parse(b, sum); ok {
			return r, true
		}
		if r, ok = withSubject(b, sum); ok {
			return r, true
		}
	}
	return r, false
}

// withSubject tries all lengths of a subject: where there is a header, only the right one
// makes the checksum fit.
func withSubject(b []byte, sum hash.Hash) (r record, ok bool) {
	const longest = 512
	b = bytes.Clone(b)
	for n := range min(longest, len(b)-smallest) {
		if headSize+n+4 <= len(b) && bytes.HasPrefix(b[headSize+n+4:], []byte("NATS/1.0")) {
			binary.LittleEndian.PutUint16(b[20:], uint16(n))
			if r, ok = parse(b, sum); ok {
				return r, true
			}
		}
	}
	return r, false
}

// resync is where, behind a record that is not whole, the next whole one begins; the
// block's end when there is none.
func resync(block []byte, at int, sum hash.Hash) int {
	for next := at + 1; next+smallest <= len(block); next++ {
		if !plausible(block[next:]) {
			continue
		}
		if _, ok := parse(block[next:], sum); ok {
			return next
		}
	}
	return len(block)
}

// plausible spares most offsets the checksum.
func plausible(b []byte) bool {
	length := binary.LittleEndian.Uint32(b)
	size, subjectSize := int(length&^hasHeader), int(binary.LittleEndian.Uint16(b[20:]))
	if size < smallest || size > len(b) || size > largest || headSize+subjectSize+sumSize > size {
		return false
	}
	if subjectSize == 0 {
		return size == smallest || length&hasHeader == 0 && binary.LittleEndian.Uint64(b[4:])&erased != 0
	}
	for _, c := range b[headSize : headSize+min(subjectSize, 8)] {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Where a message has no header, subject and body are one run of bytes to the checksum. The
// subject of a command that is for an aggregate of ours tells where it ends.
var aggregateSubject = regexp.MustCompile(`^parley\.commands\.(new|[A-Z]{2}[0-9a-f]{32})$`)
var runOfCommand = regexp.MustCompile(`^(parley\.commands\.(?:new|[A-Z]{2}[0-9a-f]{32}))[ \t\r\n]*\{`)

// mendSubject sets the length of a command's subject, which no checksum covers, to where
// it ends, when that can be told.
func (r *record) mendSubject() {
	if r.kind != message || r.header != nil || aggregateSubject.Match(r.subject) {
		return
	}
	found := runOfCommand.FindSubmatch(r.raw[headSize : len(r.raw)-sumSize])
	if found == nil {
		return
	}
	r.raw, r.mended = bytes.Clone(r.raw), true
	binary.LittleEndian.PutUint16(r.raw[20:], uint16(len(found[1])))
	r.subject = r.raw[headSize : headSize+len(found[1])]
}

// newTombstone makes a block's record that says how far sequences were given.
func newTombstone(sequence uint64, at int64, sum hash.Hash) []byte {
	raw := make([]byte, headSize, smallest)
	binary.LittleEndian.PutUint32(raw, smallest)
	binary.LittleEndian.PutUint64(raw[4:], sequence|tombstone)
	binary.LittleEndian.PutUint64(raw[12:], uint64(at))
	sum.Reset()
	_, _ = sum.Write(raw[4:20])
	return sum.Sum(raw)
}
