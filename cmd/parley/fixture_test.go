package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

// recordedTalk is a conversation of one message, as a log has it.
func recordedTalk(t *testing.T) *fixture {
	t.Helper()
	const sid = "CH00000000000000000000000000000001"
	now := time.Now().UTC()
	f := &fixture{Format: fixtureFormat, Conversation: sid}
	for i, e := range []events.Event{
		events.ConversationCreated{Conversation: sid, State: events.StateActive, CreatedBy: "api", At: now, DateCreated: now, DateUpdated: now},
		events.MessageAdded{Message: "IM00000000000000000000000000000001", Author: "ada", Body: "hello", At: now, DateCreated: now, DateUpdated: now},
	} {
		kind, data, err := events.Vocabulary().Encode(e)
		require.NoError(t, err)
		f.Events = append(f.Events, fixtureEvent{
			ID: events.NameID(fmt.Sprint(i)), Type: kind, Position: events.At(uint64(i + 1)), Recorded: now, Metadata: json.RawMessage("{}"), Data: data,
		})
	}
	var err error
	f.Expect, err = f.fold(t.Context())
	require.NoError(t, err)
	return f
}

// written is a fixture in a file, with its digest.
func written(t *testing.T, f *fixture) string {
	t.Helper()
	var err error
	f.SHA256, err = f.sum()
	require.NoError(t, err)
	text, err := json.MarshalIndent(f, "", " ")
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "f.json")
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}

func TestAFixtureThatComesOutDifferently(t *testing.T) {
	out, errOut, code := parley(t, "replay", "verify", written(t, recordedTalk(t)))
	require.Equal(t, exitOK, code, errOut)
	require.Contains(t, out, "2 events come to the same 2 rows")

	for name, row := range map[string]struct {
		change func(f *fixture)
		code   int
		says   string
	}{
		"a field":          {func(f *fixture) { f.Expect[0].Values["state"] = "closed" }, exitDifference, `"field":"state","from":"closed","to":"active"`},
		"a row that came":  {func(f *fixture) { f.Expect = f.Expect[:1] }, exitDifference, `"kind":"message"`},
		"a row that went":  {func(f *fixture) { f.Expect[1].Sid = "IM2" }, exitDifference, `"sid":"IM2"`},
		"an unknown event": {func(f *fixture) { f.Events[1].Type = "conversation.sung.v1" }, exitFailure, "event 1 of the fixture"},
		"another stream's": {func(f *fixture) { f.Events[1].Type, f.Events[1].Data = "user.removed.v1", json.RawMessage(`{}`) }, exitFailure, "event 1 of the fixture"},
		"another format":   {func(f *fixture) { f.Format = 2 }, exitFailure, "has format 2; this version reads 1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := recordedTalk(t)
			row.change(f)
			out, errOut, code := parley(t, "replay", "verify", written(t, f))
			require.Equal(t, row.code, code, out+errOut)
			require.Contains(t, out+errOut, row.says)
		})
	}
}
