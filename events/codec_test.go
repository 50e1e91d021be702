package events_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

// Whatever bytes are in the log: no panic, and what can be read is written in a
// form that reads the same.
func FuzzDecode(f *testing.F) {
	for _, name := range append(events.Vocabulary().Types(), events.FormerTypes()...) {
		f.Add(name, []byte(readGolden(f, name).Data))
		f.Add(name, []byte(`{}`))
	}
	f.Add("conversation.created.v1", []byte(`null`))
	f.Add("conversation.participant-added.v1", []byte(`{"address":"whatsapp:"}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		e, err := events.Vocabulary().Decode(name, data)
		if err != nil {
			return
		}
		current, written, err := events.Vocabulary().Encode(e)
		require.NoError(t, err)
		again, err := events.Vocabulary().Decode(current, written)
		require.NoError(t, err)
		_, rewritten, err := events.Vocabulary().Encode(again)
		require.NoError(t, err)
		require.Equal(t, string(written), string(rewritten))
	})
}

func BenchmarkEncodeMessage(b *testing.B) {
	e, err := events.Vocabulary().Decode("conversation.message-added.v1", readGolden(b, "conversation.message-added.v1").Data)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := events.Vocabulary().Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	data := readGolden(b, "conversation.message-added.v1").Data
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Vocabulary().Decode("conversation.message-added.v1", data); err != nil {
			b.Fatal(err)
		}
	}
}
