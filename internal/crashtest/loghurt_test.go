package crashtest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
)

// The log is hurt where the checks of today look: its write-ahead log anywhere, whose pages
// have checksums, and what makes a page of log.db a page. What is changed within an event's
// data in log.db is NOT found yet: SQLite has no checksum there, and events get theirs with
// the log's next format; so no bits are flipped there.

const (
	pageSize   = 4096
	pageHeader = 8 // bytes of kind, rows and free room that every page begins with
)

// logTold is what was done to the log, and how that was told.
type logTold struct {
	wal, pages int // how often the write-ahead log and a page were hurt
	refused    int // starts that were refused
	verified   int // what the start let pass and store verify told
	unharmed   int // nothing was missing
	accepted   int // losses that were accepted
	commands   int // acknowledged commands that were lost with them
}

// hurtLog hurts the log of the stopped server, in every odd round its write-ahead log, and
// in every fourth one a page. It reports whether it has started the server again.
func (c *crash) hurtLog(n int) (started bool) {
	c.t.Helper()
	if n%2 == 0 && n%4 != 2 {
		return false
	}
	time.Sleep(200 * time.Millisecond) // who was answered has noted it
	c.follow(c.history)
	if n%2 == 0 {
		c.hurtPage()
		return false
	}
	return c.hurtWAL()
}

// hurtWAL cuts the write-ahead log, flips bits in it, or takes it away. Either all is there,
// or the start is refused and leaves everything as it is; then the files are brought back,
// or it goes on without what it says is lost.
func (c *crash) hurtWAL() (started bool) {
	c.t.Helper()
	wal := c.program.log() + "-wal"
	whole, err := os.ReadFile(wal)
	if errors.Is(err, fs.ErrNotExist) || len(whole) == 0 {
		return false
	}
	require.NoError(c.t, err)
	database, err := os.ReadFile(c.program.log())
	require.NoError(c.t, err)
	hurt := c.spoil(whole)
	if hurt == nil {
		require.NoError(c.t, os.Remove(wal))
	} else {
		require.NoError(c.t, os.WriteFile(wal, hurt, 0o600))
	}
	c.log.wal++
	refusal := c.program.attempt()
	if refusal == "" {
		c.log.unharmed++
		c.history = newHistory() // all of it is read again
		return true
	}
	c.log.refused++
	end := lostEnd.FindStringSubmatch(refusal)
	if end != nil {
		left, err := os.ReadFile(wal)
		require.True(c.t, err == nil || hurt == nil, "%v", err)
		require.True(c.t, bytes.Equal(hurt, left), "the refusal has changed the write-ahead log")
		if c.random.IntN(2) == 0 && c.accept(end[1]) {
			return true
		}
	}
	require.NoError(c.t, errors.Join(os.WriteFile(c.program.log(), database, 0o600), os.WriteFile(wal, whole, 0o600), ignore(os.Remove(c.program.log()+"-shm"))))
	return false
}

// spoil returns what is left of a write-ahead log; nil: nothing.
func (c *crash) spoil(whole []byte) []byte {
	at := c.random.IntN(len(whole))
	switch c.random.IntN(5) {
	case 0:
		return nil
	case 1:
		return whole[:at]
	case 2: // only the end: what was acknowledged last
		return whole[:len(whole)-1-c.random.IntN(min(len(whole), 3*pageSize))]
	}
	hurt := bytes.Clone(whole)
	for range 1 + c.random.IntN(5) {
		hurt[at+c.random.IntN(min(len(hurt)-at, pageSize))] ^= byte(1 << c.random.IntN(8))
	}
	return hurt
}

var lostEnd = regexp.MustCompile(`the log has lost its end: it ends at position (\d+(?:/\d+)?),`)

// accept has the server go on with a log that has lost its end, and takes out of the ledger
// what stood behind that. It reports false when the log cannot be opened, which was told.
func (c *crash) accept(end string) bool {
	c.t.Helper()
	position, err := events.ParsePosition(end)
	require.NoError(c.t, err)
	if refusal := c.program.attempt("--accept-loss", "--reason", "bits were flipped"); refusal != "" {
		return false
	}
	lost := map[events.ID]bool{}
	for id, effect := range c.history.effects {
		lost[id] = effect.position.Compare(position) > 0
	}
	c.log.accepted++
	c.log.commands += c.ledger.forget(lost)
	c.history = newHistory()
	out, err := exec.CommandContext(c.t.Context(), c.program.binary, "event", "list", "--type", events.LogLossAccepted{}.EventType(), "--data", c.program.data).CombinedOutput()
	require.NoError(c.t, err, "%s", out)
	require.Contains(c.t, string(out), `"log_end":"`+end+`"`, "the log tells what was lost")
	return true
}

// forget takes commands out of a ledger and returns how many there were.
func (l *ledger) forget(lost map[events.ID]bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.acks) + len(l.posts)
	var acks []ack
	for _, a := range l.acks {
		if !lost[a.outcome.CommandID] {
			acks = append(acks, a)
		}
	}
	var posts []post
	for _, p := range l.posts {
		if !lost[p.id] {
			posts = append(posts, p)
		}
	}
	l.acks, l.posts = acks, posts
	return before - len(acks) - len(posts)
}

// hurtPage damages what makes a page of log.db one, in a copy of the folder. The start is
// refused, or store verify tells, or nothing that was acknowledged is missing.
func (c *crash) hurtPage() {
	c.t.Helper()
	other := *c.program
	other.data, other.nats = c.program.data+".hurt", "127.0.0.1:0"
	require.NoError(c.t, os.CopyFS(other.data, os.DirFS(c.program.data)))
	defer func() { require.NoError(c.t, os.RemoveAll(other.data)) }()
	content, err := os.ReadFile(other.log())
	require.NoError(c.t, err)
	what := c.spoilPage(&content)
	require.NoError(c.t, os.WriteFile(other.log(), content, 0o600))
	c.log.pages++
	if other.attempt() != "" {
		c.log.refused++
		return
	}
	other.kill()
	out, err := exec.CommandContext(c.t.Context(), other.binary, "store", "verify", "--data", other.data).CombinedOutput()
	if err != nil {
		require.Regexp(c.t, `(?m)^error: `, string(out))
		c.log.verified++
		return
	}
	whole, known := newHistory(), c.ledger.known()
	(&crash{t: c.t, program: &other}).follow(whole)
	require.NoError(c.t, known.auditAcks(whole), what)
	require.GreaterOrEqual(c.t, whole.events, c.history.events, what)
	c.log.unharmed++
}

// spoilPage cuts the file behind a page, clears one, or flips bits of its header.
func (c *crash) spoilPage(content *[]byte) (what string) {
	pages := len(*content) / pageSize
	page := c.random.IntN(pages)
	start := page * pageSize
	header := start
	if page == 0 {
		header += 100 // the file's own
	}
	switch c.random.IntN(4) {
	case 0:
		*content = (*content)[:start]
		return "cut at page " + strconv.Itoa(page+1)
	case 1:
		clear((*content)[start : start+pageSize])
		return "cleared page " + strconv.Itoa(page+1)
	}
	for range 1 + c.random.IntN(3) {
		(*content)[header+c.random.IntN(pageHeader)] ^= byte(1 << c.random.IntN(8))
	}
	return "header of page " + strconv.Itoa(page+1)
}

// damaged is how it is told that a log is not whole.
var damaged = regexp.MustCompile(`lost its end|damaged|malformed|not a Parley log`)

// attempt starts the server. It returns what the server said when it refused to start or to
// be ready, in a sentence and with no other trace of trouble; empty: it is ready.
func (p *program) attempt(args ...string) (refusal string) {
	p.t.Helper()
	p.spawn(args...)
	deadline := time.Now().Add(30 * time.Second)
	for !p.ready() {
		select {
		case <-p.ended:
			p.running = nil
			said := p.said.String()
			require.Regexp(p.t, `(?m)^error: `, said)
			require.Regexp(p.t, damaged, said)
			require.False(p.t, strings.Contains(said, "panic:") || strings.Contains(said, "goroutine "), "%s", said)
			return said
		case <-time.After(5 * time.Millisecond):
			if why := p.unready(); damaged.MatchString(why) {
				p.kill()
				return why
			}
			require.True(p.t, time.Now().Before(deadline), "the server neither gets ready nor refuses: %s", p.unready())
		}
	}
	return ""
}

func ignore(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
