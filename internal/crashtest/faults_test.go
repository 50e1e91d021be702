package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// told is what was done to the files, and what the server said of it.
type told struct {
	hurts   int
	syncs   map[string]int // that failed, by file
	reports int
	posts   int // commands that are lost, as the server said before it took others
}

// hurt changes some bits of one of the broker's files, in every second round.
func (c *crash) hurt(n int) {
	if n%2 != 0 {
		return
	}
	c.t.Helper()
	var paths []string
	for _, glob := range []string{"bus/jetstream/*/streams/*/*", "bus/jetstream/*/streams/*/msgs/*", "bus/jetstream/*/streams/*/obs/*/*", "bus/progress"} {
		found, err := filepath.Glob(filepath.Join(c.program.data, filepath.FromSlash(glob)))
		require.NoError(c.t, err)
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				paths = append(paths, path)
			}
		}
	}
	if len(paths) == 0 {
		return // a restored folder has none
	}
	path := paths[c.random.IntN(len(paths))]
	content, err := os.ReadFile(path)
	require.NoError(c.t, err)
	for range 1 + c.random.IntN(5) {
		content[c.random.IntN(len(content))] ^= byte(1 << c.random.IntN(8))
	}
	require.NoError(c.t, os.WriteFile(path, content, 0o600))
	c.told.hurts++
}

var lostText = regexp.MustCompile(`: (\d+) acknowledged commands that were not done are lost`)

// hear reads what the server said of losses before it was ready.
func (c *crash) hear() {
	c.t.Helper()
	reports, err := filepath.Glob(filepath.Join(c.program.data, "bus", "damaged", "*", "report.txt"))
	require.NoError(c.t, err)
	c.told.reports, c.told.posts = len(reports), 0
	for _, path := range reports {
		text, err := os.ReadFile(path)
		require.NoError(c.t, err)
		for _, found := range lostText.FindAllStringSubmatch(string(text), -1) {
			n, err := strconv.Atoi(found[1])
			require.NoError(c.t, err)
			c.told.posts += n
		}
	}
}

// forgive takes posts out of a ledger that are lost, which shows by later ones that are
// done. They are no more than were told.
func (c *crash) forgive(l *ledger) {
	c.t.Helper()
	done := map[lane]int{} // the last post that was carried out
	for i, p := range l.posts {
		if _, is := c.history.effects[p.id]; is {
			done[lane{p.client, p.aggregate}] = i
		}
	}
	var left []post
	for i, p := range l.posts {
		if _, is := c.history.effects[p.id]; is || i > done[lane{p.client, p.aggregate}] {
			left = append(left, p)
		}
	}
	lost := len(l.posts) - len(left)
	require.LessOrEqual(c.t, lost, c.told.posts, "posts are lost, and that was not told")
	l.posts = left
}

// The files whose syncs fail, each once a round.
const (
	database = "log.db"
	ahead    = "log.db-wal"
	commands = "bus/jetstream/*/streams/PARLEY_COMMANDS/msgs/*.blk"
)

// failSyncs has a sync of each file fail. One of the write-ahead log or of the commands ends
// the server with an error. The log itself is synced when the server stops, and now and then;
// that this fails loses nothing, for the write-ahead log stays.
func (c *crash) failSyncs() {
	c.t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		c.t.Log("NOT RUN: failing syncs need strace: ", err)
		return
	}
	for _, glob := range []string{database, ahead, commands} {
		failed := c.failNextSync(strace, glob)
		if glob == database {
			require.NoError(c.t, c.program.running.Process.Signal(syscall.SIGTERM))
		}
		select {
		case <-c.program.ended:
		case <-time.After(30 * time.Second):
			require.FailNow(c.t, "the server goes on", glob)
		}
		happened := failed()
		if glob == database {
			c.program.stopped()
		} else {
			require.True(c.t, happened, "%s", c.program.said)
			c.program.failed()
		}
		if happened {
			c.told.syncs[glob]++
		}
		c.program.start()
	}
}

// failNextSync has the next sync of a file fail. What it returns ends that, and reports
// whether there was one.
func (c *crash) failNextSync(strace, glob string) (failed func() bool) {
	c.t.Helper()
	pid, trace := c.program.running.Process.Pid, filepath.Join(c.t.TempDir(), "trace")
	args := []string{"-f", "-q", "-o", trace, "-p", strconv.Itoa(pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=1"}
	paths, err := filepath.Glob(filepath.Join(c.program.data, filepath.FromSlash(glob)))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, paths, glob)
	for _, path := range paths {
		args = append(args, "-P", path)
	}
	tracer := exec.Command(strace, args...)
	require.NoError(c.t, tracer.Start())
	for deadline := time.Now().Add(10 * time.Second); !traced(pid); time.Sleep(time.Millisecond) {
		require.True(c.t, time.Now().Before(deadline), "strace does not attach")
	}
	return func() bool {
		_ = tracer.Process.Kill() // it may have ended with the server
		_ = tracer.Wait()
		text, err := os.ReadFile(trace)
		require.NoError(c.t, err)
		return strings.Contains(string(text), "INJECTED")
	}
}

// traced reports whether a process has a tracer, or is gone.
func traced(pid int) bool {
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "status"))
	if err != nil {
		return true
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(status), "TracerPid:\t0\n") {
			return false
		}
	}
	return true
}

// failed wants of a server that has ended that it did so with an error.
func (p *program) failed() {
	p.t.Helper()
	state := p.running.ProcessState.Sys().(syscall.WaitStatus)
	p.running = nil
	require.True(p.t, state.Exited(), "the server was killed")
	require.Equal(p.t, 1, state.ExitStatus(), "%s", p.said)
	require.Regexp(p.t, `(?m)^error: `, p.said.String())
	require.True(p.t, strings.Contains(p.said.String(), "failed") || strings.Contains(p.said.String(), "input/output"), fmt.Sprint(p.said))
}
