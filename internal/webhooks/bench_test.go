package webhooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/webhooks"
	"github.com/parley-engine/parley/store"
)

const (
	benchTargets = 100
	benchHanging = 10
	benchCalls   = 60 // of each target
)

// BenchmarkHangingTargets calls a hundred targets of which ten never answer, and
// compares the rate of the other ninety with their rate when they are alone.
func BenchmarkHangingTargets(b *testing.B) {
	w := newWorld(b, inside, func(c *webhooks.Config) { c.Timeout = webhooks.DefaultTimeout })
	w.listen("onMessageAdded")
	ch := w.conversation(conversation.Create{})
	w.must(ch, conversation.AddMessage{Author: "alice", Body: "Hello"})
	call := w.told()[0]
	var alone, among time.Duration
	for range b.N {
		alone += w.deliver(b, call, 0)
		among += w.deliver(b, call, benchHanging)
	}
	calls := float64(b.N * benchCalls * (benchTargets - benchHanging))
	b.ReportMetric(calls/alone.Seconds(), "calls/s-alone")
	b.ReportMetric(calls/among.Seconds(), "calls/s-among-hanging")
	b.ReportMetric(alone.Seconds()/among.Seconds(), "ratio")
	fmt.Printf("\nratio webhooks, %d targets beside %d that hang, rate to their rate alone: %.2f target >= 0.90\n", benchTargets-benchHanging, benchHanging, alone.Seconds()/among.Seconds())
}

// deliver takes the time until the targets that answer have had all their calls.
func (w *world) deliver(b *testing.B, call job, hanging int) time.Duration {
	b.Helper()
	var answered atomic.Int64
	all := make(chan struct{})
	release := make(chan struct{})
	const wanted = benchCalls * (benchTargets - benchHanging)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hang") {
			<-release
			return
		}
		if answered.Add(1) == wanted {
			close(all)
		}
	}))
	queue, err := reactor.OpenQueue(filepath.Join(b.TempDir(), "webhooks.db"), reactor.Normal, nil)
	require.NoError(b, err)
	require.NoError(b, queue.Put(nil, benchJobs(b, call, server.URL, hanging)...))
	r := reactor.New(queue, w.log, nil, w.hooks.Do, &reactor.Options{Timeout: webhooks.DefaultTimeout + time.Second})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- r.Run(ctx) }()
	<-all
	took := time.Since(begun)
	close(release)
	stop()
	require.NoError(b, <-done)
	require.NoError(b, queue.Close())
	server.Close()
	return took
}

// benchJobs are each target's calls in turn; those that hang are among the first.
func benchJobs(b *testing.B, call job, base string, hanging int) (jobs []reactor.Job) {
	for n := range benchCalls {
		for i := range benchTargets - benchHanging + hanging {
			name := "hang"
			if i >= hanging {
				name = "answer"
			}
			j := call.Job
			j.Target = fmt.Sprintf("%s/%s/%d", base, name, i)
			j.Key, j.Order = fmt.Sprintf("%d %d", i, n), fmt.Sprint(n)
			var data map[string]any
			require.NoError(b, json.Unmarshal(j.Data, &data))
			data["url"] = j.Target
			var err error
			j.Data, err = json.Marshal(data)
			require.NoError(b, err)
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// BenchmarkReact is what an event costs, by whether anybody listens.
func BenchmarkReact(b *testing.B) {
	for name, filters := range map[string][]string{"nobody": {"onMessageRemoved"}, "account": {"onMessageAdded"}} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.listen(filters...)
			ch := w.conversation(conversation.Create{})
			for range 1000 {
				w.must(ch, conversation.AddMessage{Author: "alice", Body: "Hello"})
			}
			var history []events.Recorded
			for r, err := range w.log.ReadStream(b.Context(), events.Stream(events.CategoryConversation, ch), 0, store.Forwards) {
				require.NoError(b, err)
				history = append(history, r)
			}
			for i := 0; b.Loop(); i++ {
				_, err := w.hooks.React(b.Context(), history[i%len(history)])
				require.NoError(b, err)
			}
		})
	}
}
