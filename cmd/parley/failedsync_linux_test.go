package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// failNext has the process's next call of these that is about the file fail, once.
func failNext(t *testing.T, p *process, calls, with, glob string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("NOT RUN: it needs strace, which makes a call of the system fail:", err)
	}
	paths, err := filepath.Glob(glob)
	require.NoError(t, err)
	require.NotEmpty(t, paths, glob)
	args := []string{"-f", "-q", "-p", strconv.Itoa(p.cmd.Process.Pid), "-e", "trace=" + calls, "-e", "inject=" + calls + ":error=" + with + ":when=1"}
	for _, path := range paths {
		args = append(args, "-P", path)
	}
	c := exec.Command(strace, args...)
	said, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended with the server
		_ = c.Wait()
	})
	require.NoError(t, eventually("strace has attached", func() (bool, error) { return traced(p.cmd.Process.Pid) }))
	go func() { _, _ = io.Copy(io.Discard, bufio.NewReader(said)) }() // until strace ends
}

// traced reports whether all threads of a process have a tracer.
func traced(pid int) (bool, error) {
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "status"))
	if err != nil {
		return false, err
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(status), "TracerPid:\t0\n") {
			return false, nil
		}
	}
	return true, nil
}

// A write or sync of a stream that fails closes it for the broker. The server is not ready
// any more and ends, as it does when the log fails; the next start has everything that was
// acknowledged.
func TestAFailedWriteOfTheCommandsEndsTheServer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ calls, with, stream, says string }{
		"a sync":           {"fsync,fdatasync", "EIO", "PARLEY_COMMANDS", "input/output error"},
		"a write":          {"write,pwrite64", "EIO", "PARLEY_COMMANDS", "input/output error"},
		"a full disk":      {"write,pwrite64", "ENOSPC", "PARLEY_COMMANDS", "no space left on device"},
		"the publisher's":  {"fsync,fdatasync", "EIO", "KV_PARLEY_CHECKPOINTS", "input/output error"},
		"of the published": {"write,pwrite64", "EIO", "PARLEY_EVENTS", "input/output error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireItEnds(t, fault.calls, fault.with, fault.stream, fault.says)
		})
	}
}

func requireItEnds(t *testing.T, calls, with, stream, says string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	server := serving(t, dir)
	client := dial(t, dir, nats.NoReconnect())
	made := client.request(t, "parley.call.new", `{"command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, made.OK, made)
	acknowledged := 0
	send := func(conn *nats.Conn) error {
		js, err := jetstream.New(conn)
		if err == nil {
			_, err = js.Publish(t.Context(), "parley.commands."+made.Outcome.Sid, []byte(`{"command":"conversation.add-message","data":{"body":"hello"}}`))
		}
		if err == nil {
			acknowledged++
		}
		return err
	}
	require.NoError(t, send(client.Conn))
	require.NoError(t, eventually("the stream is there", func() (bool, error) {
		paths, err := filepath.Glob(filepath.Join(dir, "bus/jetstream/*/streams", stream, "msgs/*.blk"))
		return len(paths) > 0, err
	}))
	failNext(t, server, calls, with, filepath.Join(dir, "bus/jetstream/*/streams", stream, "msgs/*.blk"))
	for !isClosed(server.ended) && acknowledged < 10_000 {
		if send(client.Conn) != nil {
			break
		}
	}
	<-server.ended
	require.Equal(t, exitFailure, server.cmd.ProcessState.ExitCode())
	require.Regexp(t, `(?m)^error: bus: the broker's disk failed; .*`+says, server.errOut.String())

	next := serving(t, dir)
	status, body := next.ask(t, http.MethodGet, "/readyz", nil)
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, eventually("all that was acknowledged is done", func() (bool, error) {
		out, _, _ := parley(t, "check", "backlog", "--data", dir)
		return strings.HasPrefix(out, "OK backlog: 0 "), nil
	}))
	out, _, _ := parley(t, "message", "list", "order", "--limit", "0", "--data", dir)
	require.GreaterOrEqual(t, strings.Count(out, "\n"), acknowledged)
	require.NoError(t, send(dial(t, dir).Conn), "the door is open again")
}
