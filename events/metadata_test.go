package events

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// reflected is the slow way that AppendMetadata must equal byte for byte.
func reflected(t require.TestingT, m Metadata) string {
	data, err := json.Marshal(storedMetadata{
		Occurred: m.Occurred.UTC(), Account: m.Account, Service: m.Service,
		ActorKind: m.Actor.Kind, ActorID: m.Actor.ID,
		Command: m.Command, CommandID: m.CommandID, CommandHash: m.CommandHash,
		Correlation: m.Correlation, Causation: m.Causation, Traceparent: m.Traceparent, Webhooks: m.Webhooks, Node: m.Node,
	})
	require.NoError(t, err)
	return string(data)
}

func anyMetadata(t *rapid.T, odd ...string) Metadata {
	text := func(label string) string {
		return rapid.OneOf(
			rapid.Just(""), rapid.StringMatching(`[a-zA-Z0-9 .:/_-]{1,20}`), rapid.String(),
			rapid.SampledFrom(append(odd, `"`, `\`, "<&>", "\x00", "\x7f", "\u2028", "ü", `"},{"`)),
		).Draw(t, label)
	}
	m := Metadata{
		Account: text("account"), Service: text("service"),
		Actor:   Actor{Kind: ActorKind(text("kind")), ID: text("actor")},
		Command: text("command"), CommandHash: text("hash"),
		Correlation: text("correlation"), Causation: text("causation"), Traceparent: text("traceparent"), Node: text("node"),
		Webhooks: rapid.Bool().Draw(t, "webhooks"),
	}
	if rapid.Bool().Draw(t, "has id") {
		m.CommandID = NameID(m.Command)
	}
	if seconds := rapid.Int64Range(0, 200_000_000_000).Draw(t, "occurred"); seconds > 0 {
		zone := time.FixedZone("", rapid.IntRange(-12, 12).Draw(t, "zone")*3600)
		m.Occurred = time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).In(zone)
	}
	return m
}

func TestMetadataIsWrittenAsReflectionWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMetadata(t, "\xff", "a\xc3")
		require.Equal(t, reflected(t, m), string(AppendMetadata(nil, m)))
	})
}

func TestMetadataSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMetadata(t)
		data, err := json.Marshal(m)
		require.NoError(t, err)
		var got Metadata
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, reflected(t, m), string(AppendMetadata(nil, got)))
		require.Equal(t, time.UTC, got.Occurred.Location())
	})
}

func TestMetadataAppendsBehindWhatIsThere(t *testing.T) {
	require.Equal(t, `x{}`, string(AppendMetadata([]byte("x"), Metadata{})))
}

// What Parley writes for ordinary values takes the short way.
func TestOrdinaryMetadataIsScanned(t *testing.T) {
	m := Metadata{
		Occurred: time.Unix(1, 5).UTC(), Account: "AC", Service: "IS", Actor: Actor{ActorUser, "ada"}, Command: "c",
		CommandID: NameID("c"), CommandHash: "h", Correlation: "x", Causation: "y", Traceparent: "z", Webhooks: true,
	}
	got, ok := scanMetadata(string(AppendMetadata(nil, m)))
	require.True(t, ok)
	require.Equal(t, m, got)
	got, ok = scanMetadata("{}")
	require.True(t, ok)
	require.Zero(t, got)
}

// Other writers space, order, escape and add as they like.
func TestForeignMetadataIsRead(t *testing.T) {
	want := Metadata{Account: "AC1", Actor: Actor{Kind: ActorUser, ID: "Grüße"}, Correlation: "c", Webhooks: true}
	for _, foreign := range []string{
		`{"account":"AC1","actor_kind":"user","actor_id":"Grüße","$correlationId":"c","webhooks":true}`,
		"{ \"webhooks\": true,\n\"$correlationId\":\"c\", \"actor_id\":\"Gr\\u00fc\\u00dfe\", \"actor_kind\":\"user\", \"account\":\"AC1\" }",
		`{"account":"AC1","actor_kind":"user","actor_id":"Grüße","$correlationId":"c","webhooks":true,"extra":{"a":[1]},"occurred":"0001-01-01T00:00:00Z"}`,
	} {
		got, err := ParseMetadata([]byte(foreign))
		require.NoError(t, err, foreign)
		require.Equal(t, want, got, foreign)
	}
	for _, bad := range []string{
		``, `{`, `[]`, `{"account":1}`, `{"occurred":"yesterday"}`, `{"command_id":"1"}`, `{"webhooks":"true"}`,
		`{"account":"a",}`, `{"account":"a"}x`, `{"account"}`, `{"account":"a" "b":"c"}`,
	} {
		_, err := ParseMetadata([]byte(bad))
		require.ErrorContains(t, err, "event metadata", bad)
	}
	var m Metadata
	require.Error(t, m.UnmarshalJSON([]byte(`{"account":1}`)))
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"occurred":"2026-01-02T03:04:05.6Z","account":"AC","webhooks":true}`))
	f.Add([]byte(`{"actor_id":"\u00fc","command_id":"2ed6657d-e927-568b-95e1-2665a8aea6a2","x":{}}`))
	f.Add([]byte(`{"occurred":"2026-01-02T03:04:05,6+01:00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err != nil || m.Occurred.Year() < 0 || m.Occurred.Year() > 9999 {
			return // such a year has no text form; a zone can still lead there
		}
		written := AppendMetadata(nil, m)
		require.Equal(t, reflected(t, m), string(written))
		again, err := ParseMetadata(written)
		require.NoError(t, err)
		require.Equal(t, m, again)

		var slow storedMetadata
		if json.Unmarshal(data, &slow) == nil { // the two ways agree
			require.True(t, slow.Occurred.Equal(m.Occurred))
			require.Equal(t, []any{slow.Account, slow.ActorID, slow.CommandID, slow.Webhooks}, []any{m.Account, m.Actor.ID, m.CommandID, m.Webhooks})
		}
	})
}

func BenchmarkAppendMetadata(b *testing.B) {
	m := Metadata{
		Occurred: time.Unix(1_800_000_000, 5).UTC(), Account: "AC0123456789abcdef0123456789abcdef",
		Service: "IS0123456789abcdef0123456789abcdef", Actor: Actor{ActorUser, "ada"},
		Command: "conversation.add-message", CommandID: NameID("c"), Correlation: "x",
	}
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendMetadata(buffer[:0], m)
	}
}

func BenchmarkParseMetadata(b *testing.B) {
	data := AppendMetadata(nil, Metadata{
		Occurred: time.Unix(1_800_000_000, 5).UTC(), Account: "AC0123456789abcdef0123456789abcdef",
		Actor: Actor{ActorUser, "ada"}, Command: "conversation.add-message", CommandID: NameID("c"),
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMetadata(data); err != nil {
			b.Fatal(err)
		}
	}
}
