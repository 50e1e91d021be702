package timers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/timers"
)

const million = 1_000_000

// full is an index over a million conversations due in the coming 30 days.
func full(b *testing.B) *timers.Index {
	b.Helper()
	x := timers.NewIndex()
	for i := range million {
		x.File(randomSid(i), noon.Add(randomWait()))
	}
	return x
}

func randomWait() time.Duration { return time.Second + rand.N(30*24*time.Hour) }

// randomSid spreads the bits as real SIDs do.
func randomSid(n int) string {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	return fmt.Sprintf("CH%016x%016x", r.Uint64(), r.Uint64())
}

func report(b *testing.B, name string, value float64, unit string, target float64) {
	b.Helper()
	fmt.Printf("ratio %s: %.4g %s, %.4g of the target of %.4g\n", name, value, unit, value/target, target)
}

// BenchmarkMessage is what a message costs the index.
func BenchmarkMessage(b *testing.B) {
	x := timers.NewIndex()
	data, err := json.Marshal(events.MessageAdded{Body: "hello"})
	if err != nil {
		b.Fatal(err)
	}
	message := events.Recorded{
		Type: events.MessageAdded{}.EventType(), Stream: events.Stream(events.CategoryConversation, sid(1)), Data: data,
	}
	for b.Loop() {
		if err := x.Apply(message); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFileAndForget inserts into an index of a million, and removes again.
func BenchmarkFileAndForget(b *testing.B) {
	x := full(b)
	ids := make([]string, 1<<12)
	for i := range ids {
		ids[i] = randomSid(million + i)
	}
	n := 0
	for b.Loop() {
		id := ids[n%len(ids)]
		x.File(id, noon.Add(randomWait()))
		x.Forget(id)
		n++
	}
}

// BenchmarkIdleSweep sweeps a million conversations with nothing due.
func BenchmarkIdleSweep(b *testing.B) {
	s := timers.NewScheduler(full(b), func(context.Context, string, time.Time) (time.Time, bool, error) {
		b.Error("nothing is due")
		return time.Time{}, false, nil
	}, nil)
	for b.Loop() {
		s.Sweep(b.Context(), noon)
	}
	if b.N > 1 {
		report(b, "idle sweep over 1 000 000 conversations", float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ms", 1)
	}
}

// BenchmarkTake takes one due entry out of a million and files it again.
func BenchmarkTake(b *testing.B) {
	x := full(b)
	var taken []timers.Entry
	for b.Loop() {
		taken = x.Take(taken[:0], noon.Add(365*24*time.Hour), 1)
		x.File(taken[0].Conversation, taken[0].Due.Add(30*24*time.Hour))
	}
}

// BenchmarkSweepOfDue sweeps entries that all are due and re-filed.
func BenchmarkSweepOfDue(b *testing.B) {
	x := full(b)
	s := timers.NewScheduler(x, func(_ context.Context, _ string, due time.Time) (time.Time, bool, error) {
		return due.Add(30 * 24 * time.Hour), true, nil
	}, nil)
	now := noon
	for b.Loop() {
		now = now.Add(time.Hour) // some 1 400 entries
		s.Sweep(b.Context(), now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(s.Stats().Fired), "ns/entry")
}

// BenchmarkMemory weighs the index.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := liveBytes()
		x := full(b)
		each := float64(liveBytes()-before) / million
		runtime.KeepAlive(x)
		b.ReportMetric(each, "B/conversation")
		report(b, "memory of the due index", each, "B per conversation", 64)
	}
}

func liveBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
