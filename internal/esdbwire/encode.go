package esdbwire

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	_ "google.golang.org/grpc/encoding/proto" // registers the codec that ours wraps
)

// codec is the ordinary one, but for events that are read, and those of batches: these
// are put together and taken apart by hand, because a log is read by the million.
type codec struct{}

var ordinary = encoding.GetCodecV2("proto")

// encoded is a ReadResp as it goes over the wire.
type encoded []byte

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	e, ok := v.(encoded)
	if !ok {
		return ordinary.Marshal(v)
	}
	return mem.BufferSlice{mem.Copy(e, mem.DefaultBufferPool())}, nil
}

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	if r, ok := v.(*batchRequest); ok {
		return r.decode(data.Materialize())
	}
	return ordinary.Unmarshal(data, v)
}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// encoder puts events together in buffers that it uses again. What it returns holds
// until the next call.
type encoder struct {
	textID       bool
	event, outer []byte
}

// Fields of event_store.client.streams.ReadResp and what is in it.
const (
	respEvent = 1

	readEvent  = 1
	readCommit = 3

	eventID         = 1
	eventStream     = 2
	eventRevision   = 3
	eventPrepare    = 4
	eventCommit     = 5
	eventProperties = 6
	eventMetadata   = 7
	eventData       = 8
)

// message is a ReadResp with an event; the tests compare it with what the stubs make.
func (e *encoder) message(r *record) encoded {
	e.event = e.recorded(e.event[:0], r)
	size := protowire.SizeTag(readEvent) + protowire.SizeBytes(len(e.event)) + protowire.SizeTag(readCommit) + protowire.SizeVarint(r.position.Commit)
	b := protowire.AppendTag(e.outer[:0], respEvent, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendBytes(b, readEvent, e.event)
	e.outer = appendNumber(b, readCommit, r.position.Commit)
	return e.outer
}

// recorded is an event as clients read it. Times are in ticks of 100 ns.
func (e *encoder) recorded(b []byte, r *record) []byte {
	b = e.id(b, r)
	b = protowire.AppendTag(b, eventStream, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(3)+protowire.SizeBytes(len(r.stream))))
	b = appendText(b, 3, r.stream)
	b = appendNumber(b, eventRevision, r.revision)
	b = appendNumber(b, eventPrepare, r.position.Prepare)
	b = appendNumber(b, eventCommit, r.position.Commit)
	b = appendProperty(b, "type", r.kind)
	b = appendProperty(b, "content-type", r.contentType)
	var digits [20]byte
	b = appendProperty(b, "created", string(strconv.AppendInt(digits[:0], r.recorded.UnixNano()/100, 10)))
	b = appendBytes(b, eventMetadata, r.metadata)
	return appendBytes(b, eventData, r.data)
}

func (e *encoder) id(b []byte, r *record) []byte {
	if e.textID {
		text := r.id.String()
		b = protowire.AppendTag(b, eventID, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(protowire.SizeTag(2)+protowire.SizeBytes(len(text))))
		return appendText(b, 2, text)
	}
	var halves [2 * (1 + binary.MaxVarintLen64)]byte
	structured := appendNumber(halves[:0], 1, binary.BigEndian.Uint64(r.id[:8]))
	structured = appendNumber(structured, 2, binary.BigEndian.Uint64(r.id[8:]))
	b = protowire.AppendTag(b, eventID, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(structured))))
	return appendBytes(b, 1, structured)
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendText(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendProperty(b []byte, key, value string) []byte {
	b = protowire.AppendTag(b, eventProperties, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(key))+protowire.SizeTag(2)+protowire.SizeBytes(len(value))))
	return appendText(appendText(b, 1, key), 2, value)
}
