package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

func openLog(b *testing.B, path string) *sqlitestore.Store {
	b.Helper()
	log, err := sqlitestore.Open(path, nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, log.Close()) })
	return log
}

// talkOf is the conversation of a caller.
func talkOf(caller int) string { return fmt.Sprintf("CH%032x", caller) }

// letter is a command of about 300 bytes.
func letter(ch string) engine.Command {
	return engine.Command{
		Type: "conversation.add-message", Aggregate: ch,
		Body: json.RawMessage(`{"author":"ann","body":"` + strings.Repeat("hello ", 45) + `"}`),
	}
}

// openEngine returns an engine on a log in which there is an account and a
// conversation for each caller.
func openEngine(b *testing.B, log store.Log, callers int) *engine.Engine {
	b.Helper()
	e := engine.New(log, &engine.Options{DefaultAccount: account})
	_, err := e.Execute(b.Context(), engine.Command{ID: events.NameID("account"), Type: "account.create", Aggregate: account})
	require.NoError(b, err)
	for caller := range callers {
		_, err := e.Execute(b.Context(), engine.Command{Type: "conversation.create", Aggregate: talkOf(caller)})
		require.NoError(b, err)
	}
	return e
}

// together has callers do something over and over for a while and returns how
// long each time took.
func together(b *testing.B, callers int, length time.Duration, do func(ctx context.Context, caller int) error) []time.Duration {
	b.Helper()
	times := make([][]time.Duration, callers)
	end := time.Now().Add(length)
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for began := time.Now(); began.Before(end); began = time.Now() {
				if err := do(b.Context(), caller); err != nil {
					b.Error(err)
					return
				}
				times[caller] = append(times[caller], time.Since(began))
			}
		})
	}
	all.Wait()
	return slices.Concat(times...)
}

func middle[N int64 | float64 | time.Duration](values []N) N {
	slices.Sort(values)
	return values[len(values)/2]
}

// What the engine adds to the appends it makes, on the same log.
func BenchmarkExecuteAgainstBareAppends(b *testing.B) {
	const callers, turn = 64, 500 * time.Millisecond
	log := openLog(b, filepath.Join(b.TempDir(), "log.db"))
	e := openEngine(b, log, callers)
	_, data, err := events.Vocabulary().Encode(events.MessageAdded{Message: "IM" + strings.Repeat("0", 32), Body: strings.Repeat("hello ", 45), Author: "ann", At: time.Now()})
	require.NoError(b, err)
	metadata := events.Metadata{Occurred: time.Now(), Account: account, Service: account, Command: "conversation.add-message", CommandID: events.NameID("x"), CommandHash: strings.Repeat("0", 32)}
	heads := make([]store.Revision, callers)
	for i := range heads {
		heads[i] = store.NoStream
	}
	execute := func(ctx context.Context, caller int) error {
		_, err := e.Execute(ctx, letter(talkOf(caller)))
		return err
	}
	bare := func(ctx context.Context, caller int) error {
		id := events.NameID(fmt.Sprint(caller, heads[caller]))
		appended, err := log.Append(ctx, fmt.Sprint("bare-", caller), heads[caller],
			[]events.Proposed{{ID: id, Type: events.MessageAdded{}.EventType(), Data: data, Metadata: metadata}})
		heads[caller] = appended.Revision
		return err
	}
	for b.Loop() {
		together(b, callers, turn, execute)
		var ratios []float64
		var rate, bareRate int
		for range 5 {
			ofBare, ofEngine := len(together(b, callers, turn, bare)), len(together(b, callers, turn, execute))
			ratios = append(ratios, float64(ofEngine)/float64(ofBare))
			rate, bareRate = rate+ofEngine, bareRate+ofBare
		}
		fmt.Printf("ratio engine/bare appends, %d callers: %.2f target 0.50 (%.0f/s against %.0f/s)\n", callers, middle(ratios),
			float64(rate)/(5*turn).Seconds(), float64(bareRate)/(5*turn).Seconds())
	}
	b.ReportMetric(0, "ns/op")
}

// What one command costs the engine, with a log in memory.
func BenchmarkExecuteInMemory(b *testing.B) {
	e := openEngine(b, memstore.New(), 64)
	commands := make([]engine.Command, 64)
	for i := range commands {
		commands[i] = letter(talkOf(i))
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if _, err := e.Execute(b.Context(), commands[n%len(commands)]); err != nil {
			b.Fatal(err)
		}
	}
}
