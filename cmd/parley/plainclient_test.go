package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// plain is a client that knows NATS and JSON and nothing of Parley, as one in
// another language would be.
type plain struct{ *nats.Conn }

func dial(t *testing.T, dir string, options ...nats.Option) plain {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(dir, "secrets", "bus-token"))
	require.NoError(t, err)
	var where struct{ NATS string }
	addresses, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(addresses, &where))
	conn, err := nats.Connect(where.NATS, append(options, nats.Token(strings.TrimSpace(string(token))))...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return plain{conn}
}

// answer is a reply as the contract describes it.
type answer struct {
	OK      bool
	Outcome struct {
		Sid      string
		Revision int
		Events   []string
		Repeated bool
	}
	Error struct {
		Code, Kind, Message, Field string
		Twilio                     int `json:"twilio_code"`
		Retryable                  bool
	}
}

func (p plain) request(t *testing.T, subject, body string) (a answer) {
	t.Helper()
	reply, err := p.Request(subject, []byte(body), patience)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(reply.Data, &a), string(reply.Data))
	return a
}

// A plain client puts everything into the body and gets a typed reply to
// whatever it sends; a refused command leaves no trace.
func TestPlainNATSClientGetsTypedReplies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error")
	client := dial(t, dir)
	const id = "7d8e0f7a-3c55-4f6e-9a52-0f2d7c1b4a01"
	made := client.request(t, "parley.call.new", `{"id":"`+id+`","command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, made.OK, made)
	require.Equal(t, []string{"conversation.created.v1"}, made.Outcome.Events)
	again := client.request(t, "parley.call.new", `{"id":"`+id+`","command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, again.Outcome.Repeated)
	require.Equal(t, made.Outcome.Sid, again.Outcome.Sid)

	before, _, _ := parley(t, "event", "list", "--data", dir)
	require.NotEmpty(t, before)
	for _, r := range refusedRequests(made.Outcome.Sid, id) {
		t.Run(r.name, func(t *testing.T) {
			a := client.request(t, "parley.call."+r.aggregate, r.body)
			require.False(t, a.OK)
			require.NotEmpty(t, a.Error.Message)
			require.Equal(t, [3]string{r.kind, r.code, r.field}, [3]string{a.Error.Kind, a.Error.Code, a.Error.Field}, a.Error.Message)
			require.False(t, a.Error.Retryable)
		})
	}
	after, _, _ := parley(t, "event", "list", "--data", dir)
	require.Equal(t, before, after, "a refused command left a trace")
}

type refused struct {
	name, aggregate, body string
	kind, code, field     string
}

func refusedRequests(ch, id string) []refused {
	long := strings.Repeat("x", 257)
	past := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	onto := func(data string) string { return `{"command":"conversation.update","data":` + data + `}` }
	return []refused{
		{"an unknown command", "new", `{"command":"conversation.frob","data":{}}`, "invalid_argument", "unknown_command", "command"},
		{"no command", "new", `{"data":{}}`, "invalid_argument", "envelope_field_missing", "command"},
		{"a command of the wrong type", "new", `{"command":7}`, "invalid_argument", "envelope_field_invalid", "command"},
		{"unreadable JSON", "new", `{"command":`, "invalid_argument", "body_unreadable", ""},
		{"JSON that is no object", "new", `["conversation.create"]`, "invalid_argument", "body_unreadable", ""},
		{"nothing", "new", ``, "invalid_argument", "body_unreadable", ""},
		{"an unknown envelope field", "new", `{"command":"conversation.create","when":"now"}`, "invalid_argument", "envelope_field_unknown", "when"},
		{"an envelope field twice", "new", `{"command":"conversation.create","command":"conversation.remove"}`, "invalid_argument", "envelope_field_repeated", "command"},
		{"data that is no object", "new", `{"command":"conversation.create","data":"x"}`, "invalid_argument", "envelope_field_invalid", "data"},
		{"an unknown field", "new", `{"command":"conversation.create","data":{"colour":"red"}}`, "invalid_argument", "unknown_field", "colour"},
		{"a field of the wrong type", "new", `{"command":"conversation.create","data":{"friendly_name":7}}`, "invalid_argument", "wrong_type", "friendly_name"},
		{"a missing SID", "new", onto(`{"friendly_name":"x"}`), "invalid_argument", "aggregate_missing", "aggregate"},
		{"a malformed SID", "CH12", onto(`{"friendly_name":"x"}`), "invalid_argument", "sid_malformed", "aggregate"},
		{"a SID of another kind", "US" + ch[2:], onto(`{"friendly_name":"x"}`), "invalid_argument", "sid_malformed", "aggregate"},
		{"a malformed SID in a field", ch, onto(`{"messaging_service":"MG1"}`), "invalid_argument", "sid_malformed", "messaging_service"},
		{"a malformed account", "new", `{"command":"conversation.create","account":"AC1"}`, "invalid_argument", "sid_malformed", "account"},
		{"an over-long field", ch, onto(`{"friendly_name":"` + long + `"}`), "invalid_argument", "friendly_name_too_long", "friendly_name"},
		{"a bad duration", ch, onto(`{"timers":{"inactive":"1 hour"}}`), "invalid_argument", "timer_invalid", "timers.inactive"},
		{"a duration of months", ch, onto(`{"timers":{"closed":"P1M"}}`), "invalid_argument", "timer_unit_invalid", "timers.closed"},
		{"a wrong revision", ch, `{"command":"conversation.update","expected_revision":7,"data":{"friendly_name":"x"}}`, "version_conflict", "version_conflict", "expected_revision"},
		{"a bad revision", ch, `{"command":"conversation.update","expected_revision":-7,"data":{}}`, "invalid_argument", "envelope_field_invalid", "expected_revision"},
		{"a duplicate id with another body", "new", `{"id":"` + id + `","command":"conversation.create","data":{"unique_name":"else"}}`, "idempotency_conflict", "idempotency_conflict", "id"},
		{"a malformed id", "new", `{"id":"7","command":"conversation.create"}`, "invalid_argument", "envelope_field_invalid", "id"},
		{"an expired deadline", ch, `{"command":"conversation.update","deadline":"` + past + `","data":{"friendly_name":"x"}}`, "expired", "expired", "deadline"},
		{"a malformed deadline", ch, `{"command":"conversation.update","deadline":"tomorrow"}`, "invalid_argument", "envelope_field_invalid", "deadline"},
		{"an unknown actor", ch, `{"command":"conversation.update","actor":{"kind":"martian"}}`, "invalid_argument", "envelope_field_invalid", "actor.kind"},
		{"a user who may not", ch, `{"command":"conversation.update","actor":{"kind":"user","id":"nobody"},"data":{"friendly_name":"x"}}`, "permission_denied", "not_a_participant", ""},
		{"a conversation that is not there", "CH00000000000000000000000000000000", onto(`{"friendly_name":"x"}`), "not_found", "not_found", ""},
		{"a body over the limit", "new", `{"command":"conversation.create","data":{"attributes":"` + strings.Repeat("x", 300<<10) + `"}}`, "payload_too_large", "body_too_large", ""},
		{"a command that is there already", "new", `{"command":"conversation.create","data":{"unique_name":"order"}}`, "already_exists", "unique_name_taken", "unique_name"},
	}
}

// The same over the durable door: the reply comes to the message's reply
// subject, and only what nobody can read becomes a dead letter.
func TestPlainNATSClientUsesTheDurableDoor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error")
	client := dial(t, dir)
	made := client.send(t, "new", `{"command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, made.OK, made)
	for i := range 3 {
		a := client.send(t, made.Outcome.Sid, fmt.Sprintf(`{"command":"conversation.add-message","data":{"body":"message %d"}}`, i))
		require.True(t, a.OK, a)
		require.Equal(t, i+1, a.Outcome.Revision)
	}
	a := client.send(t, made.Outcome.Sid, `{"command":"conversation.add-message","data":{"colour":"red"}}`)
	require.Equal(t, "colour", a.Error.Field)
	letters, _, _ := parley(t, "dlq", "list", "--data", dir)
	require.Empty(t, letters, "a refusal is an answer")
	a = client.send(t, made.Outcome.Sid, `{"command":`)
	require.Equal(t, "body_unreadable", a.Error.Code)
	letters, _, _ = parley(t, "dlq", "list", "--data", dir)
	require.Contains(t, letters, made.Outcome.Sid)
}

// send stores a command with a header for the reply, and waits for that.
func (p plain) send(t *testing.T, aggregate, body string) (a answer) {
	t.Helper()
	inbox := p.NewInbox()
	replies, err := p.SubscribeSync(inbox)
	require.NoError(t, err)
	m := nats.NewMsg("parley.commands." + aggregate)
	m.Data = []byte(body)
	m.Header.Set("Parley-Reply-To", inbox)
	stored, err := p.RequestMsg(m, patience)
	require.NoError(t, err)
	require.Contains(t, string(stored.Data), `"stream":"PARLEY_COMMANDS"`)
	reply, err := replies.NextMsg(patience)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(reply.Data, &a), string(reply.Data))
	return a
}
