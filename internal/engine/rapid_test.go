package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/snapshots"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/storetest"
)

var (
	morning    = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	background = context.Background() // of what outlives a test
)

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// beginning is a log in which one of four conversations is long enough to leave
// snapshots; the others are new.
var beginning = sync.OnceValue(func() (b struct {
	log   []events.Recorded
	talks []string
}) {
	log := memstore.New()
	log.Now = func() time.Time { return morning }
	e := engine.New(log, &engine.Options{DefaultAccount: account, Now: log.Now})
	must := func(commandType, aggregate, body string) string {
		outcome, err := e.Execute(background, engine.Command{
			ID: events.NameID(commandType + aggregate + body), Type: commandType, Aggregate: aggregate, Body: []byte(body),
		})
		if err != nil {
			panic(err)
		}
		return outcome.Sid
	}
	must("account.create", account, `{}`)
	numbers := must("account.add-messaging-service", account, `{"friendly_name":"numbers"}`)
	must("account.configure", account, `{"default_messaging_service":"`+numbers+`"}`)
	for n := range 4 {
		b.talks = append(b.talks, must("conversation.create", "", fmt.Sprintf(`{"friendly_name":"%d"}`, n)))
	}
	for n := range 1010 {
		must("conversation.add-message", b.talks[0], fmt.Sprintf(`{"body":"%d"}`, n))
	}
	for r, err := range log.ReadAll(background, events.Position{}, store.Filter{}) {
		if err != nil {
			panic(err)
		}
		b.log = append(b.log, r)
	}
	return b
})

// machine gives the same commands to two engines: one that keeps every state it
// has folded, and one that forgets, restarts and reads snapshots.
type machine struct {
	now                time.Time
	plain, tried       *engine.Engine
	plainLog, triedLog *memstore.Store
	snapshots          *snapshots.Store
	cache              int
	talks, messages    []string
	participants       []string
	count              int
	done               []engine.Command // with an effect, in order
	outcomes           map[events.ID]engine.Outcome
}

func (m *machine) clock() time.Time { return m.now }

// copyOf is a log with the beginning in it.
func (m *machine) copyOf(t require.TestingT, recorded []events.Recorded) *memstore.Store {
	log := memstore.New()
	log.Now = m.clock
	for _, r := range recorded {
		_, err := log.Append(background, r.Stream, store.Revision(r.Revision)-1,
			[]events.Proposed{{ID: r.ID, Type: r.Type, Data: r.Data, Metadata: r.Metadata}})
		require.NoError(t, err)
	}
	return log
}

func (m *machine) restart(t *rapid.T) {
	if m.cache = rapid.SampledFrom([]int{1, 40, 3000}).Draw(t, "cache"); m.cache == 3000 {
		m.spoil()
	}
	m.tried = engine.New(m.triedLog, &engine.Options{DefaultAccount: account, Now: m.clock, CacheEntries: m.cache, Snapshots: m.snapshots})
}

// spoil takes the snapshot of the long conversation away.
func (m *machine) spoil() {
	m.snapshots.Save(background, events.Stream(events.CategoryConversation, m.talks[0]), engine.ConversationSchema, []byte("spoiled"))
}

func (m *machine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
}

// command gives both a new command and wants the same answer of both.
func (m *machine) command(t *rapid.T) {
	c := m.draw(t)
	m.count++
	c.ID = events.NameID(fmt.Sprint("command ", m.count))
	want, wantErr := m.plain.Execute(background, c)
	got, gotErr := m.tried.Execute(background, c)
	require.Equal(t, text(wantErr), text(gotErr), "%s %s", c.Type, c.Body)
	require.Equal(t, want, got, "%s %s", c.Type, c.Body)
	if wantErr == nil && len(want.Events) > 0 {
		m.done = append(m.done, c)
		m.outcomes[c.ID] = want
		m.remember(c, want)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (m *machine) remember(c engine.Command, o engine.Outcome) {
	switch c.Type {
	case "conversation.create":
		m.talks = append(m.talks, o.Sid)
	case "conversation.add-message":
		m.messages = append(m.messages, o.Sid)
	case "conversation.add-participant":
		m.participants = append(m.participants, o.Sid)
	}
}

// draw makes a command that may well be refused.
func (m *machine) draw(t *rapid.T) engine.Command {
	small := func(name string) int { return rapid.IntRange(0, 4).Draw(t, name) }
	one := func(name string, of []string) string {
		return rapid.SampledFrom(append([]string{"alice"}, of...)).Draw(t, name)
	}
	kinds := map[string]func() fields{
		"create": func() fields {
			return fields{"unique_name": []string{"", "a", "b", "c", "d"}[small("name")], "timers": fields{"inactive": "PT5M", "closed": "PT20M"}}
		},
		"update": func() fields {
			return []fields{{"state": "closed"}, {"state": "active"}, {"unique_name": "a"}, {"friendly_name": "x"}, {"timers": fields{"closed": "PT10M"}}}[small("change")]
		},
		"remove":             func() fields { return fields{} },
		"add-message":        func() fields { return fields{"author": one("author", nil), "body": fmt.Sprint(small("body"))} },
		"edit-message":       func() fields { return fields{"message": one("message", m.messages), "body": fmt.Sprint(small("body"))} },
		"remove-message":     func() fields { return fields{"message": one("message", m.messages)} },
		"add-participant":    func() fields { return m.drawParticipant(t) },
		"remove-participant": func() fields { return fields{"participant": one("participant", m.participants)} },
		"record-delivery": func() fields {
			return fields{"message": one("message", m.messages), "participant": one("participant", m.participants),
				"status": []string{"queued", "sent", "delivered", "read", "failed"}[small("status")]}
		},
		"move-read-horizon": func() fields {
			return fields{"participant": one("participant", m.participants), "index": small("index")}
		},
	}
	kind := rapid.SampledFrom([]string{"create", "update", "remove", "add-message", "add-message", "add-message", "edit-message", "remove-message",
		"add-participant", "add-participant", "remove-participant", "record-delivery", "move-read-horizon"}).Draw(t, "kind")
	c := engine.Command{Type: "conversation." + kind, Body: mustJSON(kinds[kind]())}
	if kind != "create" {
		c.Aggregate = rapid.SampledFrom(m.talks).Draw(t, "conversation")
	}
	if rapid.IntRange(0, 5).Draw(t, "as") == 0 {
		c.Actor = events.Actor{Kind: events.ActorUser, ID: rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user")}
	}
	return c
}

func (m *machine) drawParticipant(t *rapid.T) fields {
	if rapid.Bool().Draw(t, "chat") {
		return fields{"identity": rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "identity")}
	}
	return fields{"address": fmt.Sprintf("+1555010%d", rapid.IntRange(0, 2).Draw(t, "number")), "proxy_address": proxy}
}

// repeat sends one of the last commands again: it gets its first outcome and
// leaves no trace, and with another body it is refused.
func (m *machine) repeat(t *rapid.T) {
	if len(m.done) == 0 {
		return
	}
	c := m.done[len(m.done)-1-rapid.IntRange(0, min(30, len(m.done)-1)).Draw(t, "back")]
	head := len(m.all(t, m.triedLog))
	outcome, err := m.tried.Execute(background, c)
	require.NoError(t, err)
	require.True(t, outcome.Repeated)
	outcome.Repeated = false
	require.Equal(t, m.outcomes[c.ID], outcome)
	c.Actor = events.Actor{Kind: events.ActorImport}
	_, err = m.tried.Execute(background, c)
	require.Equal(t, "idempotency_conflict", engine.AsFailure(err).Code)
	require.Len(t, m.all(t, m.triedLog), head)
}

// advance has both look at the timers of a conversation.
func (m *machine) advance(t *rapid.T) {
	ch := rapid.SampledFrom(m.talks).Draw(t, "conversation")
	next, ok, err := m.plain.Advance(background, ch, m.now)
	require.NoError(t, err)
	gotNext, gotOK, err := m.tried.Advance(background, ch, m.now)
	require.NoError(t, err)
	require.Equal(t, ok, gotOK)
	require.True(t, next.Equal(gotNext))
	due, _, running := m.fold(t, ch).NextDue()
	require.Equal(t, running, ok)
	require.True(t, due.Equal(next), "%s, folded anew %s", next, due)
}

func (m *machine) fold(t *rapid.T, ch string) (s conversation.State) {
	for r, err := range m.triedLog.ReadStream(background, events.Stream(events.CategoryConversation, ch), 0, store.Forwards) {
		require.NoError(t, err)
		e, err := events.Vocabulary().Decode(r.Type, r.Data)
		require.NoError(t, err)
		s = conversation.Evolve(s, e)
	}
	return s
}

func (m *machine) all(t *rapid.T, log *memstore.Store) (all []events.Recorded) {
	for r, err := range log.ReadAll(background, events.At(uint64(len(beginning().log))), store.Filter{}) {
		require.NoError(t, err)
		all = append(all, r)
	}
	return all
}

// Whatever is cached, forgotten, snapshotted or folded anew: answers and log are
// those of an engine that never forgets, and a repeated command is done once.
func TestRandomCommandsOnAnEngineThatForgets(t *testing.T) {
	kept := openSnapshots(t, filepath.Join(t.TempDir(), "snapshots.db"))
	rapid.Check(t, func(r *rapid.T) {
		m := &machine{now: morning, snapshots: kept, talks: append([]string(nil), beginning().talks...), outcomes: map[events.ID]engine.Outcome{}}
		m.plainLog, m.triedLog = m.copyOf(r, beginning().log), m.copyOf(r, beginning().log)
		m.spoil()
		m.plain = engine.New(m.plainLog, &engine.Options{DefaultAccount: account, Now: m.clock})
		m.restart(r)
		r.Repeat(map[string]func(*rapid.T){
			"command": m.command, "another command": m.command, "a third command": m.command,
			"repeat": m.repeat, "restart": m.restart, "wait": m.wait, "advance": m.advance,
		})
		require.Equal(r, m.all(r, m.plainLog), m.all(r, m.triedLog))
		storetest.CheckLog(t, m.triedLog, events.At(uint64(len(beginning().log))))
	})
}
