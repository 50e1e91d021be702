package esdbwire

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
)

// drawn is a batch as some client may send it.
func drawn(t *rapid.T) *streams.BatchAppendReq {
	m := &streams.BatchAppendReq{IsFinal: rapid.Bool().Draw(t, "final")}
	if rapid.Bool().Draw(t, "options") {
		m.CorrelationId = idOf(events.NameID("c"), false)
		m.Options = &streams.BatchAppendReq_Options{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}}
	}
	for range rapid.IntRange(0, 3).Draw(t, "events") {
		e := &streams.BatchAppendReq_ProposedMessage{
			CustomMetadata: rapid.SliceOf(rapid.Byte()).Draw(t, "metadata"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), Metadata: map[string]string{},
		}
		for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"type", "content-type", "else"}), rapid.ID).Draw(t, "keys") {
			e.Metadata[key] = rapid.SampledFrom([]string{"", contentTypeJSON, "placed", "é"}).Draw(t, "value")
		}
		id := events.ID(uuid.NewSHA1(uuid.Nil, rapid.SliceOfN(rapid.Byte(), 1, 2).Draw(t, "id")))
		e.Id = rapid.SampledFrom([]*shared.UUID{
			nil, {}, idOf(id, false), idOf(id, true), idOf(events.ID{}, false), {Value: &shared.UUID_String_{String_: "none"}},
		}).Draw(t, "form")
		m.ProposedMessages = append(m.ProposedMessages, e)
	}
	return m
}

// A batch that was taken apart by hand is the one that the stubs would make.
func TestABatchIsReadAsTheStubsReadIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		b, err := proto.Marshal(m)
		require.NoError(t, err)
		var got batchRequest
		require.NoError(t, codec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got))
		for i, e := range m.ProposedMessages {
			want, err := proposedOf(&streams.AppendReq_ProposedMessage{Id: e.Id, Metadata: e.Metadata, CustomMetadata: e.CustomMetadata, Data: e.Data})
			if err != nil {
				require.EqualError(t, got.failed, err.Error())
				break
			}
			one := got.events[i]
			require.Equal(t, []any{want.id, want.kind, want.contentType}, []any{one.id, one.kind, one.contentType})
			require.Equal(t, string(want.metadata)+"|"+string(want.data), string(one.metadata)+"|"+string(one.data))
		}
		m.ProposedMessages = nil
		require.True(t, proto.Equal(m, &got.rest))
	})
}

// A number that is known, on a field of another kind, is a field that nobody knows.
func TestAFieldOfAnotherKindIsPassedOver(t *testing.T) {
	b, err := proto.Marshal(&streams.BatchAppendReq_ProposedMessage{
		Id: idOf(events.NameID("x"), false), Metadata: map[string]string{"type": "a", "content-type": "b"}, Data: []byte("{}"), CustomMetadata: []byte("m"),
	})
	require.NoError(t, err)
	for number := range protowire.Number(proposedData) {
		b = protowire.AppendVarint(protowire.AppendTag(b, number+1, protowire.VarintType), 7)
	}
	one, err := decodeProposed(b)
	require.NoError(t, err)
	require.Equal(t, []any{events.NameID("x"), "a", "m", "{}"}, []any{one.id, one.kind, string(one.metadata), string(one.data)})
}

// Damage is an error, never a panic, and what the stubs accept is accepted.
func FuzzBatch(f *testing.F) {
	b, err := proto.Marshal(&streams.BatchAppendReq{ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{
		{Id: idOf(events.NameID("x"), false), Metadata: map[string]string{"type": "a", "content-type": "b"}, Data: []byte("{}")},
	}})
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var ours batchRequest
		failed := ours.decode(b)
		var theirs streams.BatchAppendReq
		if proto.Unmarshal(b, &theirs) != nil {
			return
		}
		require.NoError(t, failed)
		if ours.failed == nil {
			require.Len(t, ours.events, len(theirs.ProposedMessages))
		}
	})
}
