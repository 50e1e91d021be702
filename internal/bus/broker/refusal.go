package broker

import (
	"strings"
	"sync"
	"time"
)

// refusalsLogged bounds the lines a second about what clients did: they write them.
const refusalsLogged = 10

// ofClient recognises complaints about a client. They begin with its address and have
// text of its own in them, which may look like anything.
func ofClient(text string) bool { return strings.Contains(text, " - cid:") }

// refusals are logged, but no more than so many a second.
type refusals struct {
	mu     sync.Mutex
	second time.Time
	lines  int
	left   int // out since the last line
}

// next reports whether one more may be logged, and how many were not before it.
func (r *refusals) next(now time.Time) (left int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now = now.Truncate(time.Second); !now.Equal(r.second) {
		r.second, r.lines = now, 0
	}
	if r.lines >= refusalsLogged {
		r.left++
		return 0, false
	}
	r.lines++
	left, r.left = r.left, 0
	return left, true
}

func (c *complaints) refused(text string) {
	left, ok := c.refusals.next(time.Now())
	if ok {
		c.log.Warn("a bus client was refused", "detail", text, "not_logged_before", left)
	}
}
