package export

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/parley-engine/parley/events"
)

// record is a row on its way to its tables.
type record struct {
	Row
	stored string // type that the event was written as; Type is today's once anonymised
}

// table is the type whose typed table a record of the type goes to; empty: none, as the
// type is not one of Parley's.
func table(eventType string) string {
	current := events.CurrentType(eventType)
	if _, known := events.Vocabulary().Zero(current); !known {
		return ""
	}
	return current
}

// numbers and texts are a record in the order in which it is packed.
func (r *record) numbers() []*uint64 { return []*uint64{&r.Position, &r.PositionPrepare, &r.Revision} }

func (r *record) instants() []*time.Time { return []*time.Time{&r.RecordedAt, &r.OccurredAt} }

func (r *record) texts() []*string {
	return []*string{
		&r.EventID, &r.Type, &r.stored, &r.Category, &r.Aggregate, &r.AccountSid, &r.ChatServiceSid, &r.ActorKind, &r.ActorID,
		&r.Command, &r.CommandID, &r.CorrelationID, &r.CausationID, &r.Data,
	}
}

// pack appends a record to b.
func (r *record) pack(b []byte) []byte {
	for _, n := range r.numbers() {
		b = binary.AppendUvarint(b, *n)
	}
	for _, t := range r.instants() {
		b = binary.AppendVarint(b, t.UnixMicro())
	}
	for _, text := range r.texts() {
		b = binary.AppendUvarint(b, uint64(len(*text)))
		b = append(b, *text...)
	}
	return b
}

var errPacked = errors.New("rows on their way are damaged")

// unpack reads what pack wrote.
func unpack(b []byte) (r record, err error) {
	for _, n := range r.numbers() {
		v, size := binary.Uvarint(b)
		if size <= 0 {
			return r, errPacked
		}
		*n, b = v, b[size:]
	}
	for _, t := range r.instants() {
		v, size := binary.Varint(b)
		if size <= 0 {
			return r, errPacked
		}
		*t, b = time.UnixMicro(v).UTC(), b[size:]
	}
	rest := string(b) // all texts share it
	for _, text := range r.texts() {
		length, size := binary.Uvarint(b)
		if size <= 0 || uint64(len(b)-size) < length {
			return r, errPacked
		}
		end := size + int(length) // is not more than there is
		*text, rest, b = rest[size:end], rest[end:], b[end:]
	}
	return r, nil
}
