// Package attempt tells of one HTTP request whether it may have left, which is
// what decides whether a message may be sent again.
package attempt

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Attempt watches one request on its way. It is safe for concurrent use.
type Attempt struct {
	asked, connected atomic.Bool // for a connection; to somebody
}

// Watch returns a context to do one request with. It works with transports that
// honour httptrace, as that of the standard library does; with others every
// failure but a failed dial counts as having left.
func Watch(ctx context.Context) (context.Context, *Attempt) {
	a := &Attempt{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { a.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { a.connected.Store(true) },
	}), a
}

// Left reports whether the request that failed with err may have reached the
// other side. Once there is a connection nobody can say how much of it did.
func (a *Attempt) Left(err error) bool {
	var dial *net.OpError
	switch {
	case a.connected.Load():
		return true
	case errors.As(err, &dial) && dial.Op == "dial":
		return false
	}
	return !a.asked.Load()
}

// longestWait bounds what a gateway may ask for.
const longestWait = 24 * time.Hour

// RetryAfter returns how long the answer asks to wait, a day at most; otherwise
// when it does not say so, or says nonsense (RFC 9110, 10.2.3).
func RetryAfter(h http.Header, now time.Time, otherwise time.Duration) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWait)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), longestWait)
	}
	return otherwise
}
