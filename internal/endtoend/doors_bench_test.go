package endtoend

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus/bustest"
	"github.com/parley-engine/parley/internal/engine"
)

// sustained is how long the read models have to keep up.
var sustained = flag.Duration("sustain", 10*time.Second, "full rate of commands in BenchmarkReadModelsKeepUp")

const (
	mostCallers = 64
	turn        = 500 * time.Millisecond // of one side, then the other has its
	turns       = 5
)

// message is a command of about 300 bytes.
func message(caller int) engine.Command {
	return engine.Command{
		Type: "conversation.add-message", Aggregate: conversationOf(caller),
		Body: []byte(`{"author":"ann","body":"` + strings.Repeat("hello ", 45) + `"}`),
	}
}

func conversationOf(caller int) string { return fmt.Sprintf("CH%032x", caller) }

// start starts the serving process, with a conversation for each caller.
func start(b *testing.B, syncing string) *bustest.Caller {
	b.Helper()
	c := bustest.NewCaller(b, bustest.Start(b, serveVariable, syncing))
	create := c.Call(func(caller int) engine.Command {
		return engine.Command{Type: "conversation.create", Aggregate: conversationOf(caller)}
	})
	for caller := range mostCallers {
		require.NoError(b, create(b.Context(), caller))
	}
	return c
}

// The whole path of a command, from one process through the engine in another
// into a synced log and back, against a bare request between the same two.
func BenchmarkCallDoorEndToEnd(b *testing.B) {
	c := start(b, "lazy")
	compare(b, "call door/bare request-reply", 0.35, c.Call(message), c.BareCall(message))
}

// The same through the durable door, against a bare durable request. Both sync
// each command before it is acknowledged.
func BenchmarkSendDoorEndToEnd(b *testing.B) {
	c := start(b, "always")
	compare(b, "send door/bare durable request-reply", 0.6, c.Send(message), c.BareSend(message))
}

// compare gives both sides turns and prints the median of the ratios of their
// rates; the target is for most callers.
func compare(b *testing.B, name string, target float64, door, bare bustest.Request) {
	for _, callers := range []int{1, 16, mostCallers} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			for b.Loop() {
				run(b, callers, turn, bare) // warm up
				run(b, callers, turn, door)
				var ratios []float64
				var ofDoor, ofBare []time.Duration
				for range turns {
					bareTimes, doorTimes := run(b, callers, turn, bare), run(b, callers, turn, door)
					ratios = append(ratios, float64(len(doorTimes))/float64(len(bareTimes)))
					ofBare, ofDoor = append(ofBare, bareTimes...), append(ofDoor, doorTimes...)
				}
				slices.Sort(ratios)
				fmt.Printf("ratio %s, %d callers: %.2f target %.2f at %d (%s against %s)\n",
					name, callers, ratios[len(ratios)/2], target, mostCallers, told(ofDoor), told(ofBare))
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// told sums up times that were measured in all turns of one side.
func told(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("%.0f/s p50 %s p99 %s", float64(len(times))/(turns*turn).Seconds(),
		quantile(times, 0.5), quantile(times, 0.99))
}

// quantile of sorted times.
func quantile(times []time.Duration, q float64) time.Duration {
	return times[int(q*float64(len(times)-1))].Round(time.Microsecond)
}

// run lets the callers work and returns how long each request took.
func run(b *testing.B, callers int, length time.Duration, request bustest.Request) []time.Duration {
	b.Helper()
	times, errs := make([][]time.Duration, callers), make([]error, callers)
	end := time.Now().Add(length)
	ctx, cancel := context.WithDeadline(b.Context(), end.Add(time.Minute))
	defer cancel()
	var working sync.WaitGroup
	for caller := range callers {
		working.Go(func() {
			for began := time.Now(); began.Before(end) && errs[caller] == nil; began = time.Now() {
				errs[caller] = request(ctx, caller)
				times[caller] = append(times[caller], time.Since(began))
			}
		})
	}
	working.Wait()
	require.NoError(b, cmp.Or(errs...))
	return slices.Concat(times...)
}

// The read models follow the full rate of commands. A lag is the time from the
// end of a command to when a reader finds it.
func BenchmarkReadModelsKeepUp(b *testing.B) {
	path := filepath.Join(b.TempDir(), "lags.json")
	b.Setenv(lagVariable, path)
	var commands int
	b.Cleanup(func() { // after the serving process has ended
		var lags []time.Duration
		data, err := os.ReadFile(path)
		require.NoError(b, err)
		require.NoError(b, json.Unmarshal(data, &lags))
		slices.Sort(lags)
		p99 := quantile(lags, 0.99)
		fmt.Printf("ratio projection lag p99: %.3f s target 1 s (%.0f commands/s for %s, p50 %s, most %s, %d samples)\n",
			p99.Seconds(), float64(commands)/sustained.Seconds(), *sustained, quantile(lags, 0.5), quantile(lags, 1), len(lags))
	})
	c := start(b, "lazy")
	b.ResetTimer()
	for range b.N {
		commands = len(run(b, mostCallers, *sustained, c.Call(message)))
	}
	b.ReportMetric(0, "ns/op")
}
