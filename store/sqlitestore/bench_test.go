//go:build linux

package sqlitestore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// appender is what the benchmark drives: the store or the yardstick.
type appender func(stream string, expected store.Revision, batch []events.Proposed) error

// load is what came of a load.
type load struct {
	rate     float64 // events per second
	cpu      float64 // microseconds per event, the whole process
	p50, p99 time.Duration
}

func (l load) String() string {
	return fmt.Sprintf("%.0f/s, CPU %.1f us, p50 %s, p99 %s", l.rate, l.cpu, l.p50.Round(time.Microsecond), l.p99.Round(time.Microsecond))
}

// payload makes data and metadata of an event 400 bytes long together.
func payload() (data []byte, metadata events.Metadata) {
	metadata = events.Metadata{
		Occurred: time.Now(), Account: "AC" + strings.Repeat("0", 32), Actor: events.Actor{Kind: events.ActorUser, ID: "alice"},
		Command: "conversation.add-message", CommandID: events.NameID("x"),
	}
	rest := 400 - len(events.AppendMetadata(nil, metadata))
	return fmt.Appendf(nil, `{"body":"%s"}`, strings.Repeat("x", rest-11)), metadata
}

// work has writers append to streams of their own for a while, one to three
// events at a time.
type work struct {
	writers int
	streams []string
	heads   []store.Revision // of the streams, kept from one run to the next
	last    time.Duration
}

func newWork(writers, streams int, last time.Duration) *work {
	w := &work{writers: writers, last: last, streams: make([]string, streams), heads: make([]store.Revision, streams)}
	for i := range w.streams {
		id := events.NameID(fmt.Sprint(i))
		w.streams[i] = fmt.Sprintf("conversation-CH%x", id[:])
		w.heads[i] = store.NoStream
	}
	return w
}

func (w *work) run(b *testing.B, f appender) load {
	var group sync.WaitGroup
	latencies := make([][]time.Duration, w.writers)
	counts := make([]int, w.writers)
	failures := make([]error, w.writers)
	before, started := cpuTime(b), time.Now()
	for n := range w.writers {
		group.Go(func() { latencies[n], counts[n], failures[n] = w.write(n, f) })
	}
	group.Wait()
	elapsed, cpu := time.Since(started), cpuTime(b)-before
	for _, err := range failures {
		require.NoError(b, err)
	}
	all := slices.Concat(latencies...)
	slices.Sort(all)
	total := 0
	for _, n := range counts {
		total += n
	}
	return load{
		rate: float64(total) / elapsed.Seconds(), cpu: float64(cpu.Microseconds()) / float64(total),
		p50: all[len(all)/2], p99: all[len(all)*99/100],
	}
}

func (w *work) write(n int, f appender) (latencies []time.Duration, count int, err error) {
	random := rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano())))
	data, metadata := payload()
	share := len(w.streams) / w.writers
	for i, end := 0, time.Now().Add(w.last); time.Now().Before(end); i++ {
		s := n*share + random.IntN(share)
		batch := make([]events.Proposed, 1+i%3)
		for k := range batch {
			batch[k] = events.Proposed{ID: randomID(random), Type: "conversation.message-added.v1", Data: data, Metadata: metadata}
		}
		started := time.Now()
		if err := f(w.streams[s], w.heads[s], batch); err != nil {
			return latencies, count, err
		}
		latencies = append(latencies, time.Since(started))
		w.heads[s] += store.Revision(len(batch))
		count += len(batch)
	}
	return latencies, count, nil
}

func randomID(random *rand.Rand) (id events.ID) {
	binary.LittleEndian.PutUint64(id[:8], random.Uint64())
	binary.LittleEndian.PutUint64(id[8:], random.Uint64())
	return id
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func appendTo(s *sqlitestore.Store) appender {
	return func(stream string, expected store.Revision, batch []events.Proposed) error {
		_, err := s.Append(context.Background(), stream, expected, batch)
		return err
	}
}

// turns is how often yardstick and store take turns, so that both get the same
// machine; what is reported are medians.
const turns = 5

func alternate(b *testing.B, writers int) (bare, ours []load) {
	y, err := newYardstick(b.TempDir())
	require.NoError(b, err)
	s := open(b, filepath.Join(b.TempDir(), "log.db"), nil)
	bareWork, ourWork := newWork(writers, 10_000, 700*time.Millisecond), newWork(writers, 10_000, 700*time.Millisecond)
	for range turns {
		bare = append(bare, bareWork.run(b, y.append))
		ours = append(ours, ourWork.run(b, appendTo(s)))
	}
	require.NoError(b, y.close())
	require.NoError(b, s.Close())
	return bare, ours
}

// median returns the median over the turns of what f makes of each.
func median(f func(turn int) float64) float64 {
	var values [turns]float64
	for i := range values {
		values[i] = f(i)
	}
	slices.Sort(values[:])
	return values[turns/2]
}

func benchmarkAppend(b *testing.B, writers int, target float64) {
	for b.Loop() {
		bare, ours := alternate(b, writers)
		for i := range turns {
			b.Logf("yardstick %s; store %s", bare[i], ours[i])
		}
		ratio := median(func(i int) float64 { return ours[i].rate / bare[i].rate })
		tail := median(func(i int) float64 { return float64(ours[i].p99) / float64(bare[i].p99) })
		cpu := median(func(i int) float64 { return ours[i].cpu })
		rate := median(func(i int) float64 { return ours[i].rate })
		p50 := median(func(i int) float64 { return float64(ours[i].p50.Microseconds()) })
		p99 := median(func(i int) float64 { return float64(ours[i].p99.Microseconds()) })
		fmt.Printf("ratio %.2f target >= %.2f: append, %d writers, rate to the yardstick's (%.0f events/s)\n", ratio, target, writers, rate)
		fmt.Printf("ratio %.2f target <= 3: append, %d writers, p99 to the yardstick's (p50 %.0f us, p99 %.0f us)\n", tail, writers, p50, p99)
		if writers > 1 {
			fmt.Printf("ratio %.2f target <= 1: append, %d writers, CPU per event to 12 us (%.1f us, the load's own included)\n", cpu/12, writers, cpu)
		}
		b.ReportMetric(ratio, "ratio")
		b.ReportMetric(tail, "p99-ratio")
		b.ReportMetric(cpu, "cpu-us/event")
		b.ReportMetric(rate, "events/s")
	}
}

func BenchmarkStoreAppend1(b *testing.B)  { benchmarkAppend(b, 1, 0.40) }
func BenchmarkStoreAppend64(b *testing.B) { benchmarkAppend(b, 64, 0.30) }

// BenchmarkStoreManyStreams compares appends to a thousand streams with appends
// to a million that all exist, in turns.
func BenchmarkStoreManyStreams(b *testing.B) {
	for b.Loop() {
		few, fewWork := withStreams(b, 1000)
		many, manyWork := withStreams(b, 1_000_000)
		var fews, manys [turns]load
		for i := range turns {
			fews[i], manys[i] = fewWork.run(b, appendTo(few)), manyWork.run(b, appendTo(many))
			b.Logf("1000 streams: %s; 1 000 000: %s", fews[i], manys[i])
		}
		require.NoError(b, few.Close())
		require.NoError(b, many.Close())
		ratio := median(func(i int) float64 { return manys[i].rate / fews[i].rate })
		rate := median(func(i int) float64 { return manys[i].rate })
		fmt.Printf("ratio %.2f target >= 0.67: append, 64 writers, rate with 1 000 000 streams to 1 000 (%.0f events/s)\n", ratio, rate)
		b.ReportMetric(ratio, "ratio")
	}
}

// withStreams returns a log in which each of the streams has an event.
func withStreams(b *testing.B, n int) (*sqlitestore.Store, *work) {
	s := open(b, filepath.Join(b.TempDir(), "log.db"), nil)
	w := newWork(64, n, 1200*time.Millisecond)
	scatter(b, s, w.streams, 1)
	clear(w.heads)
	return s, w
}

// BenchmarkStoreRead reads streams of 100 events that lie scattered over the
// log, and the whole log.
func BenchmarkStoreRead(b *testing.B) {
	for b.Loop() {
		s := open(b, filepath.Join(b.TempDir(), "log.db"), nil)
		const streams, each = 4000, 100
		w := newWork(1, streams, 0)
		scatter(b, s, w.streams, each)
		tails := readStreams(b, s, w.streams)
		require.NoError(b, s.Close())
		s = open(b, s.Path(), nil)
		indexed := readStreams(b, s, w.streams)
		started, n := time.Now(), 0
		for range s.ReadAll(b.Context(), start, store.Filter{}) {
			n++
		}
		scan := float64(n) / time.Since(started).Seconds()
		require.Equal(b, streams*each, n)
		require.NoError(b, s.Close())
		fmt.Printf("ratio %.2f target < 1: stream of 100 events, p50 to 0.6 ms (%s), all from the index\n", indexed.Seconds()/0.6e-3, indexed)
		fmt.Printf("ratio %.2f target < 1: stream of 100 events, p50 to 0.6 ms (%s), the newest in memory\n", tails.Seconds()/0.6e-3, tails)
		fmt.Printf("ratio %.2f target >= 1: scan of the whole log to 1 M events/s, decoded (%.2f M/s)\n", scan/1e6, scan/1e6)
		b.ReportMetric(float64(indexed.Microseconds()), "us/stream")
		b.ReportMetric(scan, "scan-events/s")
	}
}

// scatter appends one event to every stream in turn.
func scatter(b *testing.B, s *sqlitestore.Store, streams []string, each int) {
	data, metadata := payload()
	const writers = 256
	var group sync.WaitGroup
	failures := make([]error, writers)
	for n := range writers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for i := range each {
				for k := n; k < len(streams); k += writers {
					batch := []events.Proposed{{ID: randomID(random), Type: "conversation.message-added.v1", Data: data, Metadata: metadata}}
					if _, err := s.Append(context.Background(), streams[k], store.Revision(i-1), batch); err != nil {
						failures[n] = err
						return
					}
				}
			}
		})
	}
	group.Wait()
	for _, err := range failures {
		require.NoError(b, err)
	}
}

// readStreams returns the median time to read one of the streams.
func readStreams(b *testing.B, s *sqlitestore.Store, streams []string) time.Duration {
	var times []time.Duration
	random := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		started := time.Now()
		n := 0
		for _, err := range s.ReadStream(b.Context(), streams[random.IntN(len(streams))], 0, store.Forwards) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		times = append(times, time.Since(started))
		require.Equal(b, 100, n)
	}
	slices.Sort(times)
	return times[len(times)/2]
}
