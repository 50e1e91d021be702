package bus_test

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
)

// FuzzEnvelope sends any bytes through the call door: whatever they are, there
// is a well-formed reply.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", "null", `{"command":"conversation.create","data":{}}`,
		`{"command":"x","actor":{"kind":"user","id":"a"},"expected_revision":-1,"webhooks":true}`,
		`{"command":"x","id":"0bdbb0a3-52c9-4f0e-8a3e-90c1e2b3d4f5","deadline":"2026-01-02T03:04:05Z"}`,
		`{"\u0063ommand":"x"}`, `{"command":"x","data":{"a":[{"b":"}"}]}}`, "{\"a\":\"\\", `{"a":1e9,"b":[]}`,
	} {
		f.Add("", []byte(seed))
		f.Add("conversation.create", []byte(seed))
	}
	nc := connect(f, startBroker(f, f.TempDir()))
	startBus(f, nc, accept, nil)
	f.Fuzz(func(t *testing.T, command string, body []byte) {
		m := nats.NewMsg("parley.call.CH1")
		m.Data = body
		if command != "" {
			m.Header[bus.HeaderCommand] = []string{command}
		}
		reply, err := nc.RequestMsg(m, soon)
		require.NoError(t, err)
		var got bus.Reply
		require.NoError(t, json.Unmarshal(reply.Data, &got))
		require.Equal(t, got.OK, got.Outcome != nil)
		require.Equal(t, got.OK, got.Error == nil)
	})
}
