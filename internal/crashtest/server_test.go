package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program is the real binary on one data folder.
type program struct {
	t       *testing.T
	binary  string
	data    string
	nats    string // host:port of the first start, used at every later one
	running *exec.Cmd
	ended   chan struct{} // closed when the process is gone
	said    *bytes.Buffer // what it wrote to stderr; read it only when ended is closed
	kills   int
}

func build(t *testing.T) *program {
	t.Helper()
	p := &program{t: t, binary: filepath.Join(t.TempDir(), "parley"), data: filepath.Join(t.TempDir(), "data"), nats: "127.0.0.1:0"}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.binary, "../../cmd/parley").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(func() {
		if p.running != nil {
			p.kill()
		}
	})
	return p
}

// spawn starts the server and does not wait for it.
func (p *program) spawn(args ...string) {
	p.t.Helper()
	c := exec.Command(p.binary, append([]string{"serve", "--data", p.data, "--nats", p.nats, "--log-level", "warn",
		"--min-inactive-timer", "1s", "--min-closed-timer", "1s", "--actions-per-second", "0"}, args...)...)
	p.said = &bytes.Buffer{}
	c.Stderr = p.said
	require.NoError(p.t, c.Start())
	p.running, p.ended = c, make(chan struct{})
	go func(ended chan struct{}) {
		_ = c.Wait() // killing it is the point
		close(ended)
	}(p.ended)
}

// start starts the server and waits until it calls itself ready.
func (p *program) start() {
	p.t.Helper()
	p.spawn()
	deadline := time.Now().Add(30 * time.Second)
	for !p.ready() {
		select {
		case <-p.ended:
			p.running = nil
			require.FailNow(p.t, "the server ended by itself", "%s", p.said)
		case <-time.After(5 * time.Millisecond):
			require.True(p.t, time.Now().Before(deadline), "the server does not get ready")
		}
	}
}

func (p *program) ready() bool { return p.unready() == "" }

// unready is what the server says when it is not ready.
func (p *program) unready() (why string) {
	var at struct {
		HTTP, NATS string
		PID        int
	}
	data, err := os.ReadFile(filepath.Join(p.data, "endpoints.json"))
	if err != nil || json.Unmarshal(data, &at) != nil || at.PID != p.running.Process.Pid {
		return "not yet, or of the one that was killed"
	}
	p.nats = strings.TrimPrefix(at.NATS, "nats://")
	response, err := http.Get(at.HTTP + "/readyz")
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return err.Error()
	}
	if response.StatusCode == http.StatusOK {
		return ""
	}
	return string(body)
}

// kill ends the server as a power cut would, but for the page cache.
func (p *program) kill() {
	p.t.Helper()
	_ = p.running.Process.Kill() // if it ended by itself, the next line knows
	<-p.ended
	state := p.running.ProcessState.Sys().(syscall.WaitStatus)
	p.running = nil
	p.kills++
	require.True(p.t, state.Signaled(), "the server ended by itself: %s", p.said)
}

// stop asks the server to end and wants it to end well.
func (p *program) stop() {
	p.t.Helper()
	require.NoError(p.t, p.running.Process.Signal(syscall.SIGTERM))
	<-p.ended
	p.stopped()
}

// stopped wants of a server that has ended that it was asked to, and did well.
func (p *program) stopped() {
	p.t.Helper()
	require.Zero(p.t, p.running.ProcessState.ExitCode(), "%s", p.said)
	p.running = nil
}

// rebuild has the read models built anew and wants no difference. After a loss that was
// accepted the server does so by itself, and takes no second one until it is done.
func (p *program) rebuild(ctx context.Context) {
	p.t.Helper()
	var out, told bytes.Buffer
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out.Reset()
		told.Reset()
		c := exec.CommandContext(ctx, p.binary, "projection", "rebuild", "main", "--data", p.data)
		c.Stdout, c.Stderr = &out, &told
		err := c.Run()
		if err == nil {
			break
		}
		running := strings.Contains(told.String(), "a rebuild is running already")
		require.True(p.t, running && time.Now().Before(deadline), "%v: %s", err, &told)
	}
	var rebuilt struct{ Verified bool }
	require.NoError(p.t, json.Unmarshal(out.Bytes(), &rebuilt))
	require.True(p.t, rebuilt.Verified, "%s", &out)
}

// letters returns what dead letters there are.
func (p *program) letters(ctx context.Context) string {
	p.t.Helper()
	out, err := exec.CommandContext(ctx, p.binary, "dlq", "list", "-o", "jsonl", "--data", p.data).Output()
	require.NoError(p.t, err)
	return strings.TrimSpace(string(out))
}

// token is what clients of the bus show.
func (p *program) token() string {
	p.t.Helper()
	token, err := os.ReadFile(filepath.Join(p.data, "secrets", "bus-token"))
	require.NoError(p.t, err)
	return strings.TrimSpace(string(token))
}

func (p *program) log() string { return filepath.Join(p.data, "log.db") }

func (p *program) url() string { return fmt.Sprintf("nats://%s", p.nats) }
