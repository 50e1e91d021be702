package esdbstore

import (
	"encoding/binary"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/parley-engine/parley/store"
)

// batchMessage is a BatchAppendReq whose events are put together by hand, as those
// that are read are taken apart. It is sent again as it is.
type batchMessage struct {
	head   *streams.BatchAppendReq // all but the events
	events []byte
}

// marshal puts the two together: a message is its fields, in any order.
func (m *batchMessage) marshal() (mem.BufferSlice, error) {
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 0, len(m.events)+256), m.head)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(append(b, m.events...))}, nil
}

// chunk bounds the bytes of one message of a batch.
const chunk = 512 << 10

// request is a batch as messages. They have no correlation yet.
func request(stream string, expected store.Revision, batch []store.Encoded) []*batchMessage {
	options := &streams.BatchAppendReq_Options{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
		DeadlineOption:   &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(serverDeadline)},
	}
	if expected == store.NoStream {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(expected)}
	}
	last := &batchMessage{head: &streams.BatchAppendReq{Options: options}}
	messages := []*batchMessage{last}
	for i := range batch {
		if len(last.events) > chunk {
			last = &batchMessage{head: &streams.BatchAppendReq{}}
			messages = append(messages, last)
		}
		last.events = appendProposed(last.events, &batch[i])
	}
	last.head.IsFinal = true
	return messages
}

// Fields of event_store.client.streams.BatchAppendReq and what is in it.
const (
	batchProposed = 3

	proposedID       = 1
	proposedMetadata = 2
	proposedCustom   = 3
	proposedData     = 4
)

// appendProposed appends an event as a field of a BatchAppendReq; the tests compare it
// with what the stubs make.
func appendProposed(b []byte, e *store.Encoded) []byte {
	var room [64]byte
	id := appendNumber(room[:0], 1, binary.BigEndian.Uint64(e.ID[:8]))
	id = appendNumber(id, 2, binary.BigEndian.Uint64(e.ID[8:]))
	structured := protowire.SizeTag(1) + protowire.SizeBytes(len(id))
	size := protowire.SizeTag(proposedID) + protowire.SizeBytes(structured) +
		sizeProperty("type", e.Type) + sizeProperty("content-type", contentTypeJSON) +
		protowire.SizeTag(proposedCustom) + protowire.SizeBytes(len(e.Metadata)) +
		protowire.SizeTag(proposedData) + protowire.SizeBytes(len(e.Data))
	b = protowire.AppendTag(b, batchProposed, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, proposedID, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(structured))
	b = protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), id)
	b = appendProperty(b, "type", e.Type)
	b = appendProperty(b, "content-type", contentTypeJSON)
	b = appendText(b, proposedCustom, e.Metadata)
	return appendText(b, proposedData, e.Data)
}

const contentTypeJSON = "application/json"

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendText(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendProperty(b []byte, key, value string) []byte {
	b = protowire.AppendTag(b, proposedMetadata, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizePair(key, value)))
	return appendText(appendText(b, 1, key), 2, value)
}

func sizePair(key, value string) int {
	return protowire.SizeTag(1) + protowire.SizeBytes(len(key)) + protowire.SizeTag(2) + protowire.SizeBytes(len(value))
}

func sizeProperty(key, value string) int {
	return protowire.SizeTag(proposedMetadata) + protowire.SizeBytes(sizePair(key, value))
}
