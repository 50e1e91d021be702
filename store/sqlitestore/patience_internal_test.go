package sqlitestore

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A group waits only for those who are expected, only for a while, and not when
// the store closes.
func TestAGroupWaitsForWhoIsExpected(t *testing.T) {
	late := &request{}
	for _, row := range []struct {
		name     string
		expected bool
		sent     time.Duration // when a request comes; 0: there already
		stopped  bool
		got      bool
		waited   time.Duration
	}{
		{"one that is there is taken at once", false, 0, false, true, 0},
		{"a lone writer never waits", false, time.Microsecond, false, false, 0},
		{"one that is expected is waited for", true, 300 * time.Microsecond, false, true, 300 * time.Microsecond},
		{"but not for ever", true, time.Hour, false, false, maxPatience},
		{"and not at the end", true, time.Hour, true, false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &writer{requests: make(chan *request, 1), stopping: make(chan struct{})}
				if row.stopped {
					close(w.stopping)
				}
				if row.sent == 0 {
					w.requests <- late
				} else {
					go func() { <-time.After(row.sent); w.requests <- late }()
				}
				begun := time.Now()
				got := w.next(row.expected, begun.Add(maxPatience))
				require.Equal(t, row.got, got == late)
				require.Equal(t, row.waited, time.Since(begun))
				<-time.After(2 * time.Hour) // until the last request has come
			})
		})
	}
}
