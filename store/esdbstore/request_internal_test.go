package esdbstore

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// A batch that was put together by hand is the one that the stubs would make.
func TestABatchIsAsTheStubsHaveIt(t *testing.T) {
	var want []*streams.BatchAppendReq_ProposedMessage
	var batch []store.Encoded
	for _, size := range []int{0, 1, 127, 128, 300, 20_000, chunk} {
		e := store.Encoded{
			ID: events.NameID(strings.Repeat("n", size)), Type: "t" + strings.Repeat("é", size%100), Metadata: strings.Repeat("m", size), Data: strings.Repeat("d", size),
		}
		batch = append(batch, e)
		want = append(want, &streams.BatchAppendReq_ProposedMessage{
			Id: structured(e.ID), Metadata: map[string]string{"type": e.Type, "content-type": contentTypeJSON},
			CustomMetadata: []byte(e.Metadata), Data: []byte(e.Data),
		})
	}
	messages := request("conversation-CH1", 7, batch)
	require.Len(t, messages, 1, "all but the last are less than a chunk")
	messages = request("conversation-CH1", 7, append(batch, batch...))
	require.Len(t, messages, 2)
	var got streams.BatchAppendReq
	for _, m := range messages {
		m.head.CorrelationId = structured(events.NameID("one"))
		b, err := m.marshal()
		require.NoError(t, err)
		require.NoError(t, proto.UnmarshalOptions{Merge: true}.Unmarshal(b.Materialize(), &got))
	}
	require.True(t, got.IsFinal)
	require.Equal(t, uint64(7), got.Options.GetStreamPosition())
	require.Len(t, got.ProposedMessages, 2*len(want))
	for i, one := range got.ProposedMessages {
		require.True(t, proto.Equal(want[i%len(want)], one), "event %d", i)
	}
}
