package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/sqlitestore"
)

const (
	flatCallers = 16
	flatTurn    = time.Second
	flatTurns   = 3
	flatTarget  = " target <= 1.50"
	patience    = 60 * time.Second // for filling a log
)

// fill gives a conversation many messages, past the engine.
func fill(b *testing.B, log store.Log, ch string, messages int) {
	b.Helper()
	stream := events.Stream(events.CategoryConversation, ch)
	at := store.Revision(0) // created
	for from := 0; from < messages; from += store.MaxBatch {
		batch := make([]events.Proposed, 0, store.MaxBatch)
		for n := from; n < min(from+store.MaxBatch, messages); n++ {
			command := events.NameID(fmt.Sprint(ch, n))
			batch = append(batch, proposedBy(b, command, events.MessageAdded{
				Message: domain.SID("IM", command.String()), Index: int64(n), Author: "ann", Body: "hello", Attributes: "{}",
				DateCreated: morning, DateUpdated: morning, At: morning,
			}))
		}
		appended, err := log.Append(b.Context(), stream, at, batch)
		require.NoError(b, err)
		at = appended.Revision
	}
}

func proposedBy(b *testing.B, command events.ID, e events.Event) events.Proposed {
	b.Helper()
	eventType, data, err := events.Vocabulary().Encode(e)
	require.NoError(b, err)
	return events.Proposed{ID: events.EventID(command, 0), Type: eventType, Data: data, Metadata: events.Metadata{
		Occurred: morning, Account: account, Actor: events.Actor{Kind: events.ActorImport}, Command: "import", CommandID: command,
	}}
}

// crowd adds conversations from one number to another, past the engine, for as
// long as patience lasts, and returns how many there are then.
func crowd(b *testing.B, log store.Log, from, to int) int {
	b.Helper()
	template := created(b, log)
	deadline := time.Now().Add(patience)
	var next atomic.Int64
	next.Store(int64(from))
	var all sync.WaitGroup
	for range 1024 { // a commit takes as many as wait
		all.Go(func() {
			for time.Now().Before(deadline) {
				n := int(next.Add(1)) - 1
				if n >= to {
					return
				}
				e := template
				e.Conversation = talkOf(n)
				p := proposedBy(b, events.NameID(fmt.Sprint("crowd ", n)), e)
				if _, err := log.Append(b.Context(), events.Stream(events.CategoryConversation, e.Conversation), store.NoStream, []events.Proposed{p}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return min(int(next.Load()), to)
}

// created is how conversations begin in this log.
func created(b *testing.B, log store.Log) events.ConversationCreated {
	b.Helper()
	for r, err := range log.ReadStream(b.Context(), events.Stream(events.CategoryConversation, talkOf(0)), 0, store.Forwards) {
		require.NoError(b, err)
		e, err := events.Vocabulary().Decode(r.Type, r.Data)
		require.NoError(b, err)
		return e.(events.ConversationCreated)
	}
	panic("there is no conversation")
}

// saying has each caller post to conversations of its choice.
func saying(e *engine.Engine, choose func(caller int) string) func(context.Context, int) error {
	return func(ctx context.Context, caller int) error {
		_, err := e.Execute(ctx, letter(choose(caller)))
		return err
	}
}

// flat gives a small and a large side turns and prints the ratio of the medians.
func flat(b *testing.B, name, target string, small, large func(context.Context, int) error) {
	b.Helper()
	together(b, flatCallers, flatTurn, small) // warm up
	together(b, flatCallers, flatTurn, large)
	var ofSmall, ofLarge []time.Duration
	for range flatTurns {
		ofSmall = append(ofSmall, together(b, flatCallers, flatTurn, small)...)
		ofLarge = append(ofLarge, together(b, flatCallers, flatTurn, large)...)
	}
	s, l := middle(ofSmall), middle(ofLarge)
	fmt.Printf("ratio %s: %.2f%s (p50 %s and p99 %s against %s and %s, %d callers)\n", name, l.Seconds()/s.Seconds(), target,
		l.Round(time.Microsecond), ofLarge[len(ofLarge)*99/100].Round(time.Microsecond),
		s.Round(time.Microsecond), ofSmall[len(ofSmall)*99/100].Round(time.Microsecond), flatCallers)
}

// A command on a long conversation costs what it costs on a short one: on disk,
// and with the disk left out, where the difference would show.
func BenchmarkLongConversation(b *testing.B) {
	const messages = 100_000
	for b.Loop() {
		log := openLog(b, filepath.Join(b.TempDir(), "log.db"))
		e := openEngine(b, log, 2*flatCallers)
		for caller := range flatCallers {
			fill(b, log, talkOf(caller), 10)
		}
		fill(b, log, talkOf(flatCallers), messages)
		e = engine.New(log, &engine.Options{DefaultAccount: account})
		began := time.Now()
		_, err := e.Execute(b.Context(), letter(talkOf(flatCallers)))
		require.NoError(b, err)
		fmt.Printf("first command on a conversation with %d messages, no snapshot: %s\n", messages, time.Since(began).Round(time.Millisecond))

		alone := func(ch string) func(context.Context, int) error { return saying(e, func(int) string { return ch }) }
		flat(b, fmt.Sprintf("latency with %d messages/with 10", messages), flatTarget, alone(talkOf(0)), alone(talkOf(flatCallers)))
		deciding := func(ch string) func(context.Context, int) error {
			repeated := letter(ch)
			repeated.ID = events.NameID("again " + ch)
			return func(ctx context.Context, _ int) error {
				_, err := e.Execute(ctx, repeated)
				return err
			}
		}
		flat(b, fmt.Sprintf("repeated command, which writes nothing, with %d messages/with 10", messages), flatTarget, deciding(talkOf(0)), deciding(talkOf(flatCallers)))
	}
	b.ReportMetric(0, "ns/op")
}

// A command costs the same in a log of many conversations as in one of few, and
// so does a start.
func BenchmarkManyConversations(b *testing.B) {
	const few, many = 1000, 1_000_000
	for b.Loop() {
		paths := []string{filepath.Join(b.TempDir(), "few.db"), filepath.Join(b.TempDir(), "many.db")}
		logs := make([]*sqlitestore.Store, 2)
		counts := []int{few, many}
		for i, path := range paths {
			log, err := sqlitestore.Open(path, nil)
			require.NoError(b, err)
			openEngine(b, log, flatCallers)
			began := time.Now()
			counts[i] = crowd(b, log, flatCallers, counts[i])
			fmt.Printf("a log of %d conversations was filled in %s\n", counts[i], time.Since(began).Round(time.Second))
			require.NoError(b, log.Close())
			logs[i] = startUp(b, path, counts[i])
		}
		hot, cold := make([]func(context.Context, int) error, 2), make([]func(context.Context, int) error, 2)
		for i, log := range logs {
			e := engine.New(log, &engine.Options{DefaultAccount: account})
			hot[i] = saying(e, func(caller int) string { return talkOf(caller*few/flatCallers + rand.IntN(few/flatCallers)) })
			cold[i] = saying(e, func(int) string { return talkOf(rand.IntN(counts[i])) })
		}
		flat(b, fmt.Sprintf("latency in a log of %d conversations/of %d, 1000 of them busy", counts[1], counts[0]), flatTarget, hot[0], hot[1])
		flat(b, fmt.Sprintf("latency in a log of %d conversations/of %d, each for the first time", counts[1], counts[0]), "", cold[0], cold[1])
		for _, log := range logs {
			require.NoError(b, log.Close())
		}
	}
	b.ReportMetric(0, "ns/op")
}

// startUp opens a log and an engine and has the first command done.
func startUp(b *testing.B, path string, conversations int) *sqlitestore.Store {
	b.Helper()
	began := time.Now()
	log, err := sqlitestore.Open(path, nil)
	require.NoError(b, err)
	opened := time.Since(began)
	e := engine.New(log, &engine.Options{DefaultAccount: account})
	_, err = e.Execute(b.Context(), letter(talkOf(conversations/2)))
	require.NoError(b, err)
	fmt.Printf("a log of %d conversations opens in %s; the first command is done after %s\n",
		conversations, opened.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	return log
}
