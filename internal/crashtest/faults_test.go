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
	hurts, syncs int
	reports      int
	posts        int // commands that are lost, as the server said before it took others
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

// syncEvery is how many rounds there are to one in which a sync fails.
const syncEvery = 5

// failSync has one sync of the log or of a stream fail, in every fifth round, and reports
// whether the server ended of it.
func (c *crash) failSync(n int) bool {
	if n%syncEvery != 0 {
		return false
	}
	c.t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		c.t.Log("NOT RUN: failing syncs need strace: ", err)
		return false
	}
	targets := []string{"log.db-wal", "bus/jetstream/*/streams/PARLEY_COMMANDS/msgs/*.blk", "log.db"}
	glob := targets[n/syncEvery%len(targets)]
	args := []string{"-f", "-q", "-p", strconv.Itoa(c.program.running.Process.Pid), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=1"}
	paths, err := filepath.Glob(filepath.Join(c.program.data, filepath.FromSlash(glob)))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, paths, glob)
	for _, path := range paths {
		args = append(args, "-P", path)
	}
	tracer := exec.Command(strace, args...)
	require.NoError(c.t, tracer.Start())
	defer func() {
		_ = tracer.Process.Kill() // it may have ended with the server
		_ = tracer.Wait()
	}()
	select {
	case <-c.program.ended:
	case <-time.After(5 * time.Second): // the log itself is synced now and then, and needs no end
		c.t.Logf("round %d: no sync of %s ended the server", n, glob)
		return false
	}
	c.program.failed()
	c.told.syncs++
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
