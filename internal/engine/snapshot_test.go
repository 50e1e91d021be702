package engine_test

import (
	"context"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/snapshots"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// counting is a log that counts the events read from conversations.
type counting struct {
	store.Log
	read int
}

func (c *counting) ReadStream(ctx context.Context, stream string, from store.Revision, d store.Direction) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		for r, err := range c.Log.ReadStream(ctx, stream, from, d) {
			if strings.HasPrefix(stream, events.CategoryConversation) {
				c.read++
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func openSnapshots(t testing.TB, path string) *snapshots.Store {
	t.Helper()
	s, err := snapshots.Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// archive is a long conversation in a log, and a file of snapshots.
type archive struct {
	*desk
	log       *counting
	snapshots *snapshots.Store
	path      string
	ch        string
	stream    string
	early     engine.Outcome // its first message
	recent    engine.Command // its last command
}

const archived = 1200 // messages

func openArchive(t *testing.T) *archive {
	t.Helper()
	log := &counting{Log: memstore.New()}
	a := &archive{log: log, desk: newDesk(t, log), path: filepath.Join(t.TempDir(), "snapshots.db")}
	a.must("account.create", account, fields{})
	a.withMessaging()
	a.ch = a.must("conversation.create", "", fields{"timers": fields{"inactive": "PT1H"}}).Sid
	a.stream = events.Stream(events.CategoryConversation, a.ch)
	a.must("conversation.add-participant", a.ch, fields{"identity": "alice"})
	a.must("conversation.add-participant", a.ch, fields{"address": from, "proxy_address": proxy})
	a.early = a.must("conversation.add-message", a.ch, fields{"author": "alice", "body": "first"})
	for range archived {
		a.recent = command(t, "conversation.add-message", a.ch, fields{"author": "alice", "body": "x"})
		a.recent.ID = events.NameID(a.head().String())
		_, err := a.Execute(t.Context(), a.recent)
		require.NoError(t, err)
	}
	a.snapshots = openSnapshots(t, a.path)
	return a
}

// restart returns an engine that remembers nothing, and counts from here.
func (a *archive) restart(s engine.Snapshots) *engine.Engine {
	a.log.read = 0
	return engine.New(a.log, &engine.Options{DefaultAccount: account, Now: a.clock, Snapshots: s})
}

// probe asks an engine what depends on every part of the state. Nothing it asks
// writes, so it may be asked of engines with and without a snapshot.
func (a *archive) probe(e *engine.Engine) (answers []any) {
	for _, c := range []engine.Command{
		a.recent,
		command(a.t, "conversation.edit-message", a.ch, fields{"message": a.early.Sid, "body": "first"}),
		command(a.t, "conversation.add-message", a.ch, fields{"sid": a.early.Sid, "body": "x"}),
		command(a.t, "conversation.add-participant", a.ch, fields{"identity": "alice"}),
		command(a.t, "conversation.add-participant", a.ch, fields{"address": from, "proxy_address": proxy}),
		command(a.t, "conversation.update", a.ch, fields{"timers": fields{"inactive": "PT1S"}}),
		command(a.t, "conversation.move-read-horizon", a.ch, fields{"participant": "alice", "index": 5000}),
	} {
		if c.ID.IsZero() {
			c.ID = events.NameID(c.Type + string(c.Body))
		}
		outcome, err := e.Execute(a.t.Context(), c)
		answers = append(answers, outcome, engine.AsFailure(err))
	}
	next, ok, err := e.Advance(a.t.Context(), a.ch, time.Time{})
	return append(answers, next, ok, err)
}

func TestAFoldWithASnapshotEqualsTheFoldWithout(t *testing.T) {
	a := openArchive(t)
	head := a.head()
	without := a.probe(a.restart(nil))
	require.Greater(t, a.log.read, archived)
	require.Equal(t, without, a.probe(a.restart(a.snapshots)), "the one that leaves the snapshot behind")
	require.Greater(t, a.log.read, archived)
	require.Equal(t, without, a.probe(a.restart(a.snapshots)), "the one that finds it")
	require.Less(t, a.log.read, 10)
	require.Equal(t, head, a.head())

	a.must("conversation.edit-message", a.ch, fields{"message": a.early.Sid, "subject": "news"})
	a.must("conversation.add-participant", a.ch, fields{"identity": "bob"})
	without = a.probe(a.restart(nil))
	require.Equal(t, without, a.probe(a.restart(a.snapshots)), "with news behind the snapshot")
	require.Less(t, a.log.read, 20)
}

func TestASnapshotThatDoesNotFitIsIgnored(t *testing.T) {
	const other = `{"State":{"State":{"conversation":"CH","state":"closed"}},"Revision":1201,"Position":"9"}`
	for name, spoil := range map[string]func(a *archive, data string) (schema, spoiled string){
		"of another schema":   func(_ *archive, _ string) (string, string) { return "another", other },
		"cut off":             func(_ *archive, data string) (string, string) { return engine.ConversationSchema, data[:len(data)/2] },
		"empty":               func(*archive, string) (string, string) { return engine.ConversationSchema, "" },
		"an empty object":     func(*archive, string) (string, string) { return engine.ConversationSchema, "{}" },
		"of another position": func(*archive, string) (string, string) { return engine.ConversationSchema, other },
		"of another history": func(a *archive, data string) (string, string) {
			return engine.ConversationSchema, strings.ReplaceAll(data, a.recent.ID.String(), events.NameID("another").String())
		},
		"ahead of the log": func(_ *archive, data string) (string, string) {
			return engine.ConversationSchema, strings.Replace(data, `"Revision":1203`, `"Revision":4321`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := openArchive(t)
			without := a.probe(a.restart(a.snapshots))
			data, found := a.snapshots.Load(t.Context(), a.stream, engine.ConversationSchema)
			require.True(t, found)
			schema, spoiled := spoil(a, string(data))
			require.NotEqual(t, string(data), spoiled)
			a.snapshots.Save(t.Context(), a.stream, schema, []byte(spoiled))

			require.Equal(t, without, a.probe(a.restart(a.snapshots)))
			require.Greater(t, a.log.read, archived, "folded from the start")
			again, found := a.snapshots.Load(t.Context(), a.stream, engine.ConversationSchema)
			require.True(t, found)
			require.Equal(t, string(data), string(again), "and replaced by a good one")
		})
	}
}
