package salvage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/minio/highwayhash"
)

// reader is how far a consumer is, as its file o.dat says. The file has no checksum.
type reader struct {
	FloorConsumer, FloorStream         uint64 // everything up to here is handled
	DeliveredConsumer, DeliveredStream uint64
}

const (
	readerMagic   = 22
	readerVersion = 2
)

// decodeReader reads o.dat; false: it cannot be one.
func decodeReader(b []byte) (r reader, ok bool) {
	if len(b) < 2 || b[0] != readerMagic || b[1] != readerVersion {
		return r, false
	}
	u := varints{rest: b[2:]}
	r = reader{FloorConsumer: u.next(), FloorStream: u.next(), DeliveredConsumer: u.next(), DeliveredStream: u.next()}
	if pending := u.next(); pending > 0 {
		u.signed()
		for range min(pending, uint64(len(b))) {
			u.next()
			u.next()
			u.signed()
		}
		u.bad = u.bad || pending > uint64(len(b))
	}
	again := u.next()
	for range min(again, uint64(len(b))) {
		u.next()
		u.next()
	}
	ok = !u.bad && again <= uint64(len(b)) && len(bytes.Trim(u.rest, "\x00")) == 0 &&
		r.FloorStream <= r.DeliveredStream && r.FloorConsumer <= r.DeliveredConsumer
	return r, ok
}

// encode writes an o.dat of a reader to whom nothing is on its way.
func (r reader) encode() []byte {
	b := []byte{readerMagic, readerVersion}
	for _, n := range []uint64{r.FloorConsumer, r.FloorStream, r.DeliveredConsumer, r.DeliveredStream, 0, 0} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

type varints struct {
	rest []byte
	bad  bool
}

func (v *varints) next() uint64 {
	n, size := binary.Uvarint(v.rest)
	v.skip(size)
	return n
}

func (v *varints) signed() int64 {
	n, size := binary.Varint(v.rest)
	v.skip(size)
	return n
}

func (v *varints) skip(size int) {
	if size <= 0 {
		v.bad, v.rest = true, nil
		return
	}
	v.rest = v.rest[size:]
}

// index is what the file index.db says of a stream.
type index struct {
	first, last uint64
	lastTime    int64 // Unix nanoseconds
}

// decodeIndex reads index.db; false: its checksum does not fit.
func decodeIndex(stream string, b []byte) (i index, ok bool) {
	if len(b) < 32 {
		return i, false
	}
	content, sum := b[:len(b)-sumSize], b[len(b)-sumSize:]
	key := sha256.Sum256([]byte(stream))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return i, false
	}
	_, _ = h.Write(content)
	if !bytes.Equal(h.Sum(nil), sum) {
		return i, false
	}
	u := varints{rest: content[2:]}
	u.next() // messages
	u.next() // bytes
	i.first = u.next()
	u.signed() // first time
	i.last = u.next()
	i.lastTime = u.signed()
	return i, !u.bad
}

// metaFits reports whether a meta.inf is the one that its meta.sum is of; key is the
// stream's name, or stream/consumer.
func metaFits(key string, meta, sum []byte) bool {
	k := sha256.Sum256([]byte(key))
	h, err := highwayhash.New64(k[:])
	if err != nil {
		return false
	}
	_, _ = h.Write(meta)
	return hex.EncodeToString(h.Sum(nil)) == string(sum)
}
