package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that a test waits for.
const patience = 30 * time.Second

// eventually asks until the answer is yes. An error ends the asking.
func eventually(what string, yes func() (bool, error)) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for {
		done, err := yes()
		if err != nil || done {
			return err
		}
		select {
		case <-pause.C:
		case <-deadline.C:
			return fmt.Errorf("gave up waiting: %s", what)
		}
	}
}

// process is a server in a process of its own: this very program.
type process struct {
	cmd         *exec.Cmd
	folder      folder
	out, errOut bytes.Buffer  // to be read when it has ended
	ended       chan struct{} // closed then
	err         error         // of Wait
}

// startProcess starts a server on free ports and returns when it is ready.
func startProcess(dir string, environment []string, flags ...string) (*process, error) {
	p := &process{folder: folder(dir), ended: make(chan struct{})}
	p.cmd = exec.Command("parley", append([]string{"serve", "--data", dir}, flags...)...)
	p.cmd.Env = environment
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errOut
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	return p, eventually("the server gets ready", p.ready)
}

func (p *process) ready() (bool, error) {
	if isClosed(p.ended) {
		return false, errors.Join(p.err, fmt.Errorf("the server ended: %s", p.errOut.String()))
	}
	e, err := p.folder.running()
	if err != nil || e.PID != p.cmd.Process.Pid {
		return false, nil //nolint:nilerr // not yet
	}
	found, err := checkHealth(context.Background(), p.folder)
	return err == nil && found.value == 0, nil
}

// end sends the signal and returns the exit code, -1 after a death by signal.
func (p *process) end(s os.Signal) (int, error) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("the server goes on after %v", s)
	}
}

// serving starts a server for a test, which kills it in the end at the latest.
func serving(t *testing.T, dir string, flags ...string) *process {
	t.Helper()
	p, err := startProcess(dir, nil, flags...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if _, err := p.end(os.Kill); err != nil {
			t.Error(err)
		}
	})
	return p
}

// stop ends the server the polite way.
func (p *process) stop(t *testing.T) {
	t.Helper()
	code, err := p.end(syscall.SIGTERM)
	require.NoError(t, err)
	require.Equal(t, exitOK, code, p.errOut.String())
}

// parley runs this program to its end.
func parley(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	var o, e strings.Builder
	c := exec.CommandContext(t.Context(), "parley", args...)
	c.Stdout, c.Stderr = &o, &e
	if err := c.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}
