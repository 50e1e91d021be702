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

// failNextSync has the process's next sync of the file fail, once.
func failNextSync(t *testing.T, p *process, glob string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("NOT RUN: it needs strace, which makes a sync fail:", err)
	}
	paths, err := filepath.Glob(glob)
	require.NoError(t, err)
	require.NotEmpty(t, paths, glob)
	args := []string{"-f", "-q", "-p", strconv.Itoa(p.cmd.Process.Pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=1"}
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

// A sync of the commands' stream that fails closes the broker's stream. The server is not
// ready any more and ends, as it does when the log fails; the next start has everything
// that was acknowledged.
func TestAFailedSyncOfTheCommandsEndsTheServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	server := serving(t, dir)
	client := dial(t, dir, nats.NoReconnect())
	made := client.request(t, "parley.call.new", `{"command":"conversation.create","data":{"unique_name":"order"}}`)
	require.True(t, made.OK, made)
	js, err := jetstream.New(client.Conn)
	require.NoError(t, err)
	send := func() error {
		_, err := js.Publish(t.Context(), "parley.commands."+made.Outcome.Sid, []byte(`{"command":"conversation.add-message","data":{"body":"hello"}}`))
		return err
	}
	acknowledged := 0
	for range 3 {
		require.NoError(t, send())
		acknowledged++
	}
	failNextSync(t, server, filepath.Join(dir, "bus/jetstream/*/streams/PARLEY_COMMANDS/msgs/*.blk"))
	for range 100 {
		if send() != nil {
			break
		}
		acknowledged++
	}
	<-server.ended
	require.Equal(t, exitFailure, server.cmd.ProcessState.ExitCode())
	require.Regexp(t, `(?m)^error: bus: the broker's disk failed; .*input/output error`, server.errOut.String())

	next := serving(t, dir)
	status, body := next.ask(t, http.MethodGet, "/readyz", nil)
	require.Equal(t, http.StatusOK, status, body)
	require.NoError(t, eventually("all that was acknowledged is done", func() (bool, error) {
		out, _, _ := parley(t, "message", "list", "order", "--data", dir)
		return strings.Count(out, "\n") >= acknowledged, nil
	}))
	client = dial(t, dir)
	if js, err = jetstream.New(client.Conn); err == nil {
		err = send()
	}
	require.NoError(t, err, "the door is open again")
}
