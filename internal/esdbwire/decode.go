package esdbwire

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/parley-engine/parley/events"
)

// batchRequest is a BatchAppendReq whose events were taken apart by hand, for the same
// reason for which those that are read are put together by hand.
type batchRequest struct {
	rest   streams.BatchAppendReq // all but the events
	events []proposed
	failed error // what is wrong with one of them, for the answer to its batch
}

// Fields of event_store.client.streams.BatchAppendReq and what is in it.
const (
	batchProposed = 3

	proposedID       = 1
	proposedMetadata = 2
	proposedCustom   = 3
	proposedData     = 4
)

var errDamaged = errors.New("the message is damaged")

// decode reads a message. Its events point into b.
func (r *batchRequest) decode(b []byte) error {
	var rest []byte
	err := eachField(b, func(number protowire.Number, field, content []byte) error {
		if number != batchProposed || content == nil {
			rest = append(rest, field...)
			return nil
		}
		return r.add(content)
	})
	if err != nil {
		return err
	}
	return proto.Unmarshal(rest, &r.rest)
}

func (r *batchRequest) add(b []byte) error {
	p, err := decodeProposed(b)
	switch {
	case errors.Is(err, errDamaged):
		return err
	case r.failed == nil:
		r.events, r.failed = append(r.events, p), err
	}
	return nil
}

func decodeProposed(b []byte) (p proposed, err error) {
	var id events.ID
	var named, typed bool
	failed := errNoID
	err = eachContent(b, func(number protowire.Number, v []byte) (err error) {
		switch number {
		case proposedID:
			id, failed, err = decodeID(v)
		case proposedMetadata:
			err = p.decodeProperty(v, &named, &typed)
		case proposedCustom:
			p.metadata = v
		case proposedData:
			p.data = v
		}
		return err
	})
	switch p.id = id; {
	case err != nil:
		return p, err
	case !named || !typed:
		return p, errNoType
	}
	return p, failed
}

// eachField calls f with each field as it stands, and with what is in it if it is bytes,
// else nil.
func eachField(b []byte, f func(number protowire.Number, field, content []byte) error) error {
	for len(b) > 0 {
		number, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errDamaged
		}
		length := protowire.ConsumeFieldValue(number, kind, b[size:])
		if length < 0 {
			return errDamaged
		}
		field, value := b[:size+length], b[size:size+length]
		b = b[size+length:]
		var content []byte
		if kind == protowire.BytesType {
			content, _ = protowire.ConsumeBytes(value)
		}
		if err := f(number, field, content); err != nil {
			return err
		}
	}
	return nil
}

// eachContent calls f with what is in the fields that are bytes. A field of another kind
// is one that nobody knows, whatever its number.
func eachContent(b []byte, f func(number protowire.Number, content []byte) error) error {
	return eachField(b, func(number protowire.Number, _, content []byte) error {
		if content == nil {
			return nil
		}
		return f(number, content)
	})
}

// decodeProperty reads one of an event's properties.
func (p *proposed) decodeProperty(b []byte, named, typed *bool) error {
	var key, value []byte
	err := eachContent(b, func(number protowire.Number, v []byte) error {
		switch number {
		case 1:
			key = v
		case 2:
			value = v
		}
		return nil
	})
	if !utf8.Valid(key) || !utf8.Valid(value) {
		return errDamaged
	}
	switch string(key) {
	case "type":
		p.kind, *named = string(value), true
	case "content-type":
		if p.contentType, *typed = contentTypeJSON, true; string(value) != contentTypeJSON {
			p.contentType = string(value)
		}
	}
	return err
}

// decodeID reads an id in either form. What is wrong with one that is not damaged comes
// second.
func decodeID(b []byte) (id events.ID, failed, damaged error) {
	if id, ok := structuredID(b); ok {
		return id, nil, nil
	}
	var u shared.UUID
	if proto.Unmarshal(b, &u) != nil {
		return id, nil, errDamaged
	}
	id, failed = parseID(&u)
	return id, failed, nil
}

// structuredID reads an id of two numbers, as nearly all are.
func structuredID(b []byte) (id events.ID, ok bool) {
	number, kind, size := protowire.ConsumeTag(b)
	if size < 0 || number != 1 || kind != protowire.BytesType {
		return id, false
	}
	halves, length := protowire.ConsumeBytes(b[size:])
	if length < 0 || size+length != len(b) {
		return id, false
	}
	for len(halves) > 0 {
		number, kind, size := protowire.ConsumeTag(halves)
		if size < 0 || kind != protowire.VarintType || number > 2 {
			return id, false
		}
		n, length := protowire.ConsumeVarint(halves[size:])
		if length < 0 {
			return id, false
		}
		binary.BigEndian.PutUint64(id[8*(number-1):], n)
		halves = halves[size+length:]
	}
	return id, true
}
