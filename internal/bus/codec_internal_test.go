package bus

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

func drawOutcome(t *rapid.T) engine.Outcome {
	text := rapid.String()
	o := engine.Outcome{
		CommandID: events.NameID(text.Draw(t, "id")), Aggregate: text.Draw(t, "aggregate"), Sid: text.Draw(t, "sid"),
		Revision: rapid.Int64().Draw(t, "revision"), Repeated: rapid.Bool().Draw(t, "repeated"),
		Position: events.Position{Commit: rapid.Uint64().Draw(t, "commit"), Prepare: rapid.Uint64().Draw(t, "prepare")},
		Events:   rapid.SliceOfN(text, 0, 3).Draw(t, "events"),
	}
	if rapid.Bool().Draw(t, "indexed") {
		index := rapid.Int64().Draw(t, "index")
		o.Index = &index
	}
	return o
}

func drawFailure(t *rapid.T) *engine.Failure {
	text := rapid.String()
	return &engine.Failure{
		Code: text.Draw(t, "code"), Kind: text.Draw(t, "kind"), Message: text.Draw(t, "message"), Field: text.Draw(t, "field"),
		Twilio: rapid.IntRange(0, 99999).Draw(t, "twilio"), Retryable: rapid.Bool().Draw(t, "retryable"),
		RetryAfter: time.Duration(rapid.IntRange(0, 100000).Draw(t, "ms")) * time.Millisecond,
	}
}

func TestRepliesAreThoseOfEncodingJSONAndComeBackUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawOutcome(t)
		r := Reply{OK: true, Outcome: &want}
		plain, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, string(plain), string(appendReply(nil, r)))
		got, err := parseReply(plain)
		require.NoError(t, err)
		require.Equal(t, want, got)

		failure := drawFailure(t)
		r = failed(failure)
		plain, err = json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, string(plain), string(appendReply(nil, r)))
		_, err = parseReply(plain)
		require.Equal(t, failure, err)
	})
}

func TestUnknownMembersOfARepliesAreIgnoredAndNonsenseIsNot(t *testing.T) {
	o, err := parseReply([]byte(`{"new":[1],"ok":true,"outcome":{"aggregate":"CH1","newer":{"a":1},"events":[]}}`))
	require.NoError(t, err)
	require.Equal(t, engine.Outcome{Aggregate: "CH1", Events: []string{}}, o)
	for _, bad := range []string{"", "[]", "{}", `{"ok":true}`, `{"outcome":null}`, `{"outcome":{"events":[1]}}`, `{"outcome":{"revision":"x"}}`, `{"error":5}`} {
		_, err := parseReply([]byte(bad))
		require.Error(t, err, bad)
	}
}
