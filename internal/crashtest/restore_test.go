package crashtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
)

// saved is a backup, and what the clients had been told when it was begun.
type saved struct {
	file  string
	known *ledger // nil: none was made
}

// restoring backs the folder up in the middle of a run, under load, and goes back to that
// some rounds later: what was acknowledged before is there, what comes then is done, and
// what was acknowledged in between is not asked for. It is called while no server runs.
func (c *crash) restoring(n int) {
	if c.saved.known == nil || n != 2**rounds/3 {
		return
	}
	c.t.Helper()
	time.Sleep(200 * time.Millisecond) // who was answered has noted it
	require.NoError(c.t, os.Rename(c.program.data, c.program.data+".former"))
	c.program.run("backup", "restore", c.saved.file, "--data", c.program.data)
	c.history = newHistory()
	c.follow(c.history)
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	c.ledger.acks, c.ledger.refused, c.ledger.posts = c.saved.known.acks, c.saved.known.refused, nil
	for _, p := range c.saved.known.posts {
		if _, done := c.history.effects[p.id]; done { // the others were the broker's alone
			c.ledger.posts = append(c.ledger.posts, p)
		}
	}
	require.NoError(c.t, c.ledger.audit(c.history))
	c.restored = true
}

// backup makes one after a third of the rounds.
func (c *crash) backup(n int) {
	if *rounds < 3 || n != *rounds/3 {
		return
	}
	c.t.Helper()
	known := c.ledger.known()
	c.saved = saved{file: filepath.Join(c.t.TempDir(), "crash.backup"), known: known}
	c.program.run("backup", "create", "--data", c.program.data, "--out", c.saved.file)
	c.program.run("backup", "verify", c.saved.file)
}

// run runs the program to its end.
func (p *program) run(args ...string) {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), p.binary, args...).CombinedOutput()
	require.NoError(p.t, err, "%s", out)
}
