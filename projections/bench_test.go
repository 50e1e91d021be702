package projections_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// benchEvents is the length of the history of a benchmark.
const benchEvents = 300_000

// history is a log of a realistic mix, on disk, made once for all benchmarks:
// some thousand conversations, 60 % messages, 20 % receipts.
var history = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "parley-history-")
	return dir, err
})

func benchLog(b *testing.B) (store.Log, events.Position) {
	b.Helper()
	dir, err := history()
	require.NoError(b, err)
	log, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close()) })
	head, err := log.Head(b.Context())
	require.NoError(b, err)
	if head.IsZero() {
		head = writeHistory(b, log)
	}
	return log, head
}

func writeHistory(b *testing.B, log store.Log) events.Position {
	w := newWorld(7)
	w.rare, w.population = 200, 5000
	w.append(b, log, w.begin()...)
	// Appends of one stream must follow each other; 64 writers share the streams.
	const writers = 64
	queues := make([]chan record, writers)
	var group sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan record, 64)
		group.Go(func() { writeQueue(b, log, maps.Clone(w.revisions), queues[i]) })
	}
	for range benchEvents {
		r := w.step()
		queues[streamHash(r.stream)%writers] <- r
	}
	for _, q := range queues {
		close(q)
	}
	group.Wait()
	head, err := log.Head(b.Context())
	require.NoError(b, err)
	return head
}

func streamHash(s string) (n uint32) {
	for _, c := range []byte(s) {
		n = n*31 + uint32(c)
	}
	return n
}

func writeQueue(b *testing.B, log store.Log, revisions map[string]store.Revision, queue <-chan record) {
	w := newWorld(0)
	w.revisions = revisions
	for r := range queue {
		if b.Failed() {
			continue // so that the producer does not block
		}
		if _, err := w.write(log, r); err != nil {
			b.Error(err)
		}
	}
}

// The two are measured in turns and the best of each compared: what else the
// machine does meanwhile makes a turn slower, never faster.
func BenchmarkProjectionRebuildAgainstBulkInsert(b *testing.B) {
	log, head := benchLog(b)
	for b.Loop() {
		var rebuild, bulk []time.Duration
		var n int64
		var rows int
		for range 3 {
			rm := open(b, b.TempDir(), log, nil)
			rebuilt, err := rm.Rebuild(context.Background(), projections.RebuildOptions{}, nil)
			require.NoError(b, err)
			require.Equal(b, head, rebuilt.Position)
			var took time.Duration
			took, rows = projections.BulkInsertCopy(b, filepath.Join(b.TempDir(), "copy.db"), rm)
			n, rebuild, bulk = rebuilt.Events, append(rebuild, rebuilt.Took), append(bulk, took)
			require.NoError(b, rm.Close())
			runtime.GC()
		}
		r, i := slices.Min(rebuild), slices.Min(bulk)
		b.ReportMetric(float64(n)/r.Seconds(), "events/s")
		b.ReportMetric(float64(rows)/i.Seconds(), "bulk-rows/s")
		fmt.Printf("ratio rebuild/bulk insert %.2f target 0.80 (%d events, %d rows: %s against %s)\n",
			i.Seconds()/r.Seconds(), n, rows, r.Round(time.Millisecond), i.Round(time.Millisecond))
	}
}

func BenchmarkProjectionLiveApply(b *testing.B) {
	log, head := benchLog(b)
	for b.Loop() {
		rm := open(b, b.TempDir(), log, nil)
		began := time.Now()
		require.NoError(b, projections.FollowWithoutFilling(b.Context(), rm, head))
		took := time.Since(began)
		n := rm.Status().Events
		b.ReportMetric(float64(n)/took.Seconds(), "events/s")
		fmt.Printf("live apply %.0f events/s (%d events in %s)\n", float64(n)/took.Seconds(), n, took.Round(time.Millisecond))
	}
}

func BenchmarkProjectionWaitLag(b *testing.B) {
	log := memstore.New()
	rm := open(b, b.TempDir(), log, nil)
	stop := run(b, rm)
	w := newWorld(3)
	w.grow(b, log, 1000)
	var lags []time.Duration
	for b.Loop() {
		position := w.append(b, log, w.step())
		began := time.Now()
		require.NoError(b, rm.Wait(context.Background(), position))
		lags = append(lags, time.Since(began))
	}
	stop()
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds()), "p99-µs")
	fmt.Printf("wait lag p50 %s p99 %s target p99 1s (%d waits, one event each)\n",
		lags[len(lags)/2], lags[len(lags)*99/100], len(lags))
}
