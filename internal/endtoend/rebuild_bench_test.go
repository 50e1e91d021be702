package endtoend

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// rebuilt is how long the history is that BenchmarkRebuildUnderTraffic rebuilds.
var rebuilt = flag.Int("rebuild", 1_000_000, "events in BenchmarkRebuildUnderTraffic")

// rebuildRate bounds it, as an operator can.
var rebuildRate = flag.Int("rebuild-rate", 0, "events a second in BenchmarkRebuildUnderTraffic; 0 = as fast as it goes")

const (
	trafficRate  = 200              // commands a second, whatever they take
	quietTraffic = 10 * time.Second // to compare with
)

// A long history is rebuilt while commands come in at a steady rate. Each is timed from
// when it was due, so that one that waits for its turn counts as slow.
func BenchmarkRebuildUnderTraffic(b *testing.B) {
	dir := b.TempDir()
	log, err := sqlitestore.Open(filepath.Join(dir, "log.db"), nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close()) })
	writePast(b, log, *rebuilt)
	e := engine.New(log, &engine.Options{DefaultAccount: account})
	_, err = e.Execute(b.Context(), engine.Command{Type: "account.create", Aggregate: account})
	require.NoError(b, err)
	for caller := range mostCallers {
		_, err := e.Execute(b.Context(), engine.Command{Type: "conversation.create", Aggregate: conversationOf(caller)})
		require.NoError(b, err)
	}
	models, err := projections.Open(filepath.Join(dir, "read"), log, nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, models.Close()) })
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := models.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	defer group.Wait()
	defer cancel()
	head, err := log.Head(b.Context())
	require.NoError(b, err)
	require.NoError(b, models.Wait(b.Context(), head))
	b.ResetTimer()
	for range b.N {
		runtime.GC()
		measureRebuild(b, e, models)
	}
	b.ReportMetric(0, "ns/op")
}

func measureRebuild(b *testing.B, e *engine.Engine, models *projections.ReadModels) {
	b.Helper()
	quiet := traffic(b, e, func() { time.Sleep(quietTraffic) })
	var outcome projections.Rebuilt
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	busy := traffic(b, e, func() {
		var err error
		outcome, err = models.Rebuild(b.Context(), projections.RebuildOptions{Rate: *rebuildRate}, nil)
		require.NoError(b, err)
	})
	runtime.ReadMemStats(&after)
	require.True(b, outcome.Verified)
	slices.Sort(quiet)
	slices.Sort(busy)
	q, r := quantile(quiet, 0.99), quantile(busy, 0.99)
	fmt.Printf("ratio command p99 while rebuilding/quiet: %.2f target 2.00 (%s against %s; p50 %s against %s; %d events in %s, verified; memory of the process %d MiB)\n",
		float64(r)/float64(q), r, q, quantile(busy, 0.5), quantile(quiet, 0.5), outcome.Events, outcome.Took.Round(time.Millisecond), after.Sys>>20)
}

// traffic sends commands at a steady rate until done returns.
func traffic(b *testing.B, e *engine.Engine, done func()) (times []time.Duration) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	var mu sync.Mutex
	group.Go(func() {
		tick := time.NewTicker(time.Second / trafficRate)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			due := <-tick.C
			group.Go(func() {
				_, err := e.Execute(b.Context(), message(i%mostCallers))
				took := time.Since(due)
				mu.Lock()
				defer mu.Unlock()
				times = append(times, took)
				if err != nil {
					b.Error(err)
				}
			})
		}
	})
	done()
	cancel()
	group.Wait()
	return times
}

// writePast writes conversations of 200 events each, in long appends.
func writePast(b *testing.B, log store.Log, n int) {
	b.Helper()
	const each, writers = 200, 16
	next := make(chan int)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for i := range next {
				sid := fmt.Sprintf("CH%032x", 1<<40+i)
				_, err := log.Append(b.Context(), events.Stream(events.CategoryConversation, sid), store.NoStream, pastOf(b, sid, each))
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n / each {
		next <- i
	}
	close(next)
	group.Wait()
}

func pastOf(b *testing.B, sid string, n int) []events.Proposed {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	participant, message := "MB"+sid[2:], func(i int) string { return fmt.Sprintf("IM%s%08x", sid[10:], i) }
	batch := make([]events.Proposed, n)
	for i := range batch {
		var e events.Event
		at = at.Add(time.Minute)
		switch {
		case i == 0:
			e = events.ConversationCreated{Conversation: sid, Account: account, State: events.StateActive, DateCreated: at, DateUpdated: at, At: at}
		case i == 1:
			e = events.ParticipantAdded{Participant: participant, Identity: "ann", DateCreated: at, DateUpdated: at, At: at}
		case i%5 == 4:
			e = events.DeliveryUpdated{Receipt: fmt.Sprintf("DY%s%08x", sid[10:], i), Message: message(i - 1), Participant: participant, Status: "delivered", At: at}
		case i%10 == 5:
			e = events.ReadHorizonMoved{Participant: participant, Index: 0, ReadAt: at, At: at}
		default:
			e = events.MessageAdded{Message: message(i), Index: int64(i), Author: "ann", Body: "hello, is my order on its way?", DateCreated: at, DateUpdated: at, At: at}
		}
		eventType, data, err := events.Vocabulary().Encode(e)
		if err != nil {
			b.Error(err)
		}
		batch[i] = events.Proposed{ID: events.NameID(sid + fmt.Sprint(i)), Type: eventType, Data: data}
	}
	return batch
}
