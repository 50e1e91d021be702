package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// sent is a command that a caller sent until it could send no more.
type sent struct {
	id       string
	answered bool // with ok
}

// press sends messages to a conversation, one after another, until the server
// is gone, and reports each. Every answer must be ok or say that it may be
// tried again.
func (p plain) press(sid string, report func(sent)) error {
	for {
		s := sent{id: uuid.NewString()}
		body := fmt.Sprintf(`{"id":%q,"command":"conversation.add-message","data":{"body":"x"}}`, s.id)
		reply, err := p.Request("parley.call."+sid, []byte(body), patience)
		if err != nil {
			report(s)
			return gone(err)
		}
		var a answer
		if err := json.Unmarshal(reply.Data, &a); err != nil {
			return err
		}
		if !a.OK && !a.Error.Retryable {
			return fmt.Errorf("%s: %s", a.Error.Code, a.Error.Message)
		}
		s.answered = a.OK
		report(s)
	}
}

// gone drops the errors of a server that left without taking the command.
func gone(err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrConnectionClosed) {
		return nil
	}
	return err
}

// A server that is told to stop under load finishes what it began and answers
// it: what is in the log was acknowledged, and the reverse.
func TestSIGTERMUnderLoadAnswersEveryCommandThatWasDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := serving(t, dir, "--log-level", "error")
	var mu sync.Mutex
	var all []sent
	enough := make(chan struct{})
	report := func(s sent) {
		mu.Lock()
		defer mu.Unlock()
		if all = append(all, s); len(all) == 300 {
			close(enough)
		}
	}
	const callers = 16
	ended := make(chan error, callers)
	for n := range callers {
		client := dial(t, dir, nats.NoReconnect())
		made := client.request(t, "parley.call.new", fmt.Sprintf(`{"command":"conversation.create","data":{"unique_name":"load %d"}}`, n))
		require.True(t, made.OK, made)
		go func() { ended <- client.press(made.Outcome.Sid, report) }() // received below
	}
	<-enough
	server.stop(t)
	for range callers {
		require.NoError(t, <-ended)
	}
	inLog := commandsInLog(t, dir, "conversation.message-added.v1")
	for _, s := range all {
		require.Equal(t, s.answered, inLog[s.id] == 1, "command %s: answered %v, in the log %d times", s.id, s.answered, inLog[s.id])
	}
}

// commandsInLog counts the events of a type by the command that made them.
func commandsInLog(t *testing.T, dir, eventType string) map[string]int {
	t.Helper()
	out, errOut, code := parley(t, "event", "list", "--type", eventType, "--data", dir, "-o", "jsonl")
	require.Equal(t, exitOK, code, errOut)
	found := map[string]int{}
	for line := range strings.Lines(out) {
		var e struct {
			Metadata struct {
				CommandID string `json:"command_id"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		found[e.Metadata.CommandID]++
	}
	return found
}

// An interrupted tail says where to go on; that is no failure.
func TestInterruptedTailSaysWhereToGoOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error")
	var told strings.Builder
	tail := exec.CommandContext(t.Context(), "parley", "event", "tail", "--after", "0", "--data", dir)
	tail.Stderr = &told
	lines, err := tail.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, tail.Start())
	reader := bufio.NewReader(lines)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"position":"1"`)
	require.NoError(t, tail.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, reader)
	require.NoError(t, err)
	require.NoError(t, tail.Wait())
	require.Regexp(t, `^go on with --after \d+\n$`, told.String())
}

// A command that waits for a server which hangs ends when it is interrupted,
// with the code that says so, and the check gives up by itself.
func TestInterruptedCommandEndsWith130(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serving(t, dir, "--log-level", "error").stop(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	hung := fmt.Sprintf(`{"http":"http://%s","nats":"nats://%[1]s"}`, listener.Addr())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "endpoints.json"), []byte(hung), 0o600))

	rebuild := exec.CommandContext(t.Context(), "parley", "projection", "rebuild", "main", "--data", dir)
	require.NoError(t, rebuild.Start())
	conn, err := listener.Accept() // it is waiting now
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, rebuild.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	require.ErrorAs(t, rebuild.Wait(), &exit)
	require.Equal(t, exitInterrupted, exit.ExitCode())

	out, _, code := parley(t, "check", "health", "--timeout", "50ms", "--data", dir)
	require.Equal(t, checkCritical, code)
	require.Contains(t, out, "does not answer")
}
