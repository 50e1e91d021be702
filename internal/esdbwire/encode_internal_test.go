package esdbwire

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/parley-engine/parley/events"
)

// What is put together by hand is what the generated code makes.
func TestEventsByHandAreEventsOfTheStubs(t *testing.T) {
	for _, r := range []record{
		{},
		{
			id: events.NameID("x"), stream: "conversation-CH1 é", revision: 300, position: events.Position{Commit: 1 << 40, Prepare: 7},
			recorded: time.Unix(1_700_000_000, 123_456_700), kind: "a.b.v1", contentType: "application/json",
			metadata: []byte(`{"a":1}`), data: make([]byte, 1000),
		},
	} {
		for _, textID := range []bool{false, true} {
			e := &encoder{textID: textID}
			e.message(&record{stream: "what was there before", data: make([]byte, 2000)})
			var got streams.ReadResp
			require.NoError(t, proto.Unmarshal(e.message(&r), &got))
			want := &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
				Event:    recordedEvent(&r, textID),
				Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: r.position.Commit},
			}}}
			require.True(t, proto.Equal(want, &got), "%v\n%v", want, &got)
		}
	}
}
