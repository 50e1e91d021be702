package broker

import (
	"fmt"
	"strings"
)

// closes is what the server says when it closes a stream to everything new, until it is
// started again, because a write or a sync failed. It tells nobody else.
const closes = "critical write error"

// Failed has an error when a stream could not be written or synced. The server takes
// nothing more for it; whoever runs it ends it and starts again.
func (s *Server) Failed() <-chan error { return s.failed }

// watch keeps the first complaint that closes a stream. It is called with the server's
// locks held and does not wait.
func (c *complaints) watch(text string) {
	if !strings.Contains(strings.ToLower(text), closes) {
		return
	}
	c.fail(fmt.Errorf("the broker's disk failed; what it acknowledged is stored, nothing more is taken: %s", text))
}

// fail keeps the first reason to end the server.
func (c *complaints) fail(reason error) {
	select {
	case c.broken <- reason:
	default:
	}
}
