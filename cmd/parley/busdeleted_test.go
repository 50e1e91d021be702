package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// Somebody with a token for everything deletes all there is on the broker, one after the
// other. The server goes on.
func TestAServerGoesOnWhateverIsDeletedOnItsBroker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := serving(t, dir, "--log-level", "error")
	client := dial(t, dir)
	made := client.request(t, "parley.call.new", `{"command":"conversation.create"}`)
	require.True(t, made.OK)
	const message = `{"command":"conversation.add-message","data":{"body":"hello"}}`
	require.True(t, client.send(t, made.Outcome.Sid, message).OK)
	js, err := jetstream.New(client.Conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "PARLEY_COMMANDS")
	require.NoError(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		require.NoError(t, js.DeleteConsumer(t.Context(), "PARLEY_COMMANDS", name))
	}
	require.True(t, client.send(t, made.Outcome.Sid, message).OK)
	for _, name := range []string{"PARLEY_COMMANDS", "PARLEY_EVENTS", "KV_PARLEY_CHECKPOINTS"} {
		require.NoError(t, js.DeleteStream(t.Context(), name))
	}
	require.True(t, client.request(t, "parley.call."+made.Outcome.Sid, message).OK, "calls need no stream")
	require.Eventually(t, func() bool {
		_, err := js.Publish(t.Context(), "parley.commands."+made.Outcome.Sid, []byte(message), jetstream.WithRetryAttempts(0))
		return err == nil
	}, patience, 10*time.Millisecond)
	require.True(t, client.send(t, made.Outcome.Sid, message).OK)
	require.Eventually(t, func() bool {
		events, err := js.Stream(t.Context(), "PARLEY_EVENTS")
		if err != nil {
			return false
		}
		last, err := events.GetLastMsgForSubject(t.Context(), "parley.events.*.conversation.message-added.v1."+made.Outcome.Sid)
		return err == nil && last.Header.Get("ce-sequence") == "00000000000000000005"
	}, patience, 10*time.Millisecond)
	code, err := p.end(syscall.SIGTERM)
	require.NoError(t, err)
	require.Zero(t, code, p.errOut.String())
	serving(t, dir, "--log-level", "error")
	require.True(t, dial(t, dir).send(t, made.Outcome.Sid, message).OK, "and so does the next start")
}
