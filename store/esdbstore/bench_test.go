package esdbstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/esdbstore"
)

const rounds = 5

// pair is a log and the same log over the protocol, in one process.
func pair(b *testing.B) (direct, wire store.Log) {
	direct = overSQLite(b, b.TempDir())
	url, end := serve(b, direct)
	wire, err := esdbstore.Open(b.Context(), url, &esdbstore.Options{Categories: events.Categories()})
	require.NoError(b, err)
	b.Cleanup(func() {
		require.NoError(b, wire.Close())
		end()
		require.NoError(b, direct.Close())
	})
	return direct, wire
}

// appends has writers append to streams of their own for a while, one to three
// events at a time, and returns the events a second.
func appends(b *testing.B, log store.Log, writers int, last time.Duration) float64 {
	data := []byte(`{"body":"` + strings.Repeat("x", 170) + `"}`)
	metadata := events.Metadata{Occurred: time.Now(), Account: "AC" + strings.Repeat("0", 32), Command: "conversation.add-message", CommandID: events.NameID("x")}
	counts, fails := make([]int, writers), make([]error, writers)
	var group sync.WaitGroup
	begun := time.Now()
	for w := range writers {
		group.Go(func() {
			stream, at := "conversation-"+uuid.NewString(), store.NoStream
			for i := 0; time.Since(begun) < last; i++ {
				batch := make([]events.Proposed, 1+i%3)
				for k := range batch {
					batch[k] = events.Proposed{ID: events.ID(uuid.New()), Type: "conversation.message-added.v1", Data: data, Metadata: metadata}
				}
				appended, err := log.Append(context.Background(), stream, at, batch)
				if err != nil {
					fails[w] = err
					return
				}
				at = appended.Revision
				counts[w] += len(batch)
			}
		})
	}
	group.Wait()
	total := 0
	for w := range writers {
		require.NoError(b, fails[w])
		total += counts[w]
	}
	return float64(total) / time.Since(begun).Seconds()
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkAppend64 compares appends over the protocol with appends to the very store
// behind it, in turns.
func BenchmarkAppend64(b *testing.B) {
	direct, wire := pair(b)
	var ratios, rates []float64
	for range rounds {
		bare := appends(b, direct, 64, 700*time.Millisecond)
		over := appends(b, wire, 64, 700*time.Millisecond)
		ratios, rates = append(ratios, over/bare), append(rates, over)
	}
	fmt.Printf("ratio %.2f target >= 0.50: append over EventStoreDB's protocol, 64 writers, rate to the store's behind it (%.0f events/s)\n", median(ratios), median(rates))
	b.ReportMetric(median(ratios), "ratio")
}

// BenchmarkCatchUp compares reading the whole log over the protocol with reading it
// directly, in turns.
func BenchmarkCatchUp(b *testing.B) {
	direct, wire := pair(b)
	for appends(b, direct, 64, 2*time.Second) < 1 {
		b.Fatal("nothing was written")
	}
	read := func(log store.Log) (time.Duration, int) {
		begun, n := time.Now(), 0
		for _, err := range log.ReadAll(b.Context(), events.Position{}, store.Filter{}) {
			require.NoError(b, err)
			n++
		}
		return time.Since(begun), n
	}
	var ratios, overheads []float64
	for range rounds {
		bare, n := read(direct)
		over, m := read(wire)
		require.Equal(b, n, m)
		ratios = append(ratios, float64(bare)/float64(over))
		overheads = append(overheads, float64((over-bare).Nanoseconds())/float64(n)/1000)
	}
	fmt.Printf("ratio %.2f target >= 0.40: catch-up read over EventStoreDB's protocol, rate to a direct read (%.1f us an event more)\n", median(ratios), median(overheads))
	b.ReportMetric(median(ratios), "ratio")
}
