package webhooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/internal/seal"
	"github.com/parley-engine/parley/internal/webhooks"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

const (
	testToken = "0123456789abcdef0123456789abcdef"
	hookURL   = "http://hook.example/all"
)

var (
	begun = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	api   = events.Actor{Kind: events.ActorAPI}
	alice = events.Actor{Kind: events.ActorUser, ID: "alice"}
)

// world is an engine on a log, and hooks that have seen what was written before.
type world struct {
	t       testing.TB
	log     *memstore.Store
	engine  *engine.Engine
	hooks   *webhooks.Hooks
	logged  bytes.Buffer
	account string
	service string
	seen    events.Position
	names   map[string]string // of SIDs in tests
	kinds   map[string]int
	count   int
	now     time.Time
}

func newWorld(t testing.TB, change ...func(*webhooks.Config)) *world {
	t.Helper()
	vault, err := seal.New([]byte(strings.Repeat("k", seal.KeySize)))
	require.NoError(t, err)
	w := &world{t: t, log: memstore.New(), account: domain.SID("AC", "test"), names: map[string]string{}, kinds: map[string]int{}, now: begun}
	w.engine = engine.New(w.log, &engine.Options{DefaultAccount: w.account, Vault: vault, Now: func() time.Time {
		w.now = w.now.Add(time.Second)
		return w.now
	}})
	w.must(w.account, account.Create{FriendlyName: "Test"})
	w.must(w.account, account.SetAuthToken{Secret: testToken})
	place, err := w.engine.Place(t.Context(), w.account, "")
	require.NoError(t, err)
	w.service = place.Service
	config := webhooks.Config{Engine: w.engine, Log: w.log, Logger: slog.New(slog.NewTextHandler(&w.logged, nil)), Now: func() time.Time { return begun }}
	for _, c := range change {
		c(&config)
	}
	w.hooks = webhooks.New(config)
	w.told()
	return w
}

type (
	ctx = context.Context
	seq = iter.Seq2[events.Recorded, error]
)

type fields = interface{ CommandType() string }

func (w *world) command(actor events.Actor, aggregate string, f fields) engine.Command {
	w.count++
	return engine.Command{
		ID: events.NameID(strconv.Itoa(w.count)), Type: f.CommandType(), Aggregate: aggregate, Account: w.account, Service: w.service,
		Actor: actor, Fields: f, Webhooks: true,
	}
}

func (w *world) must(aggregate string, f fields) engine.Outcome { return w.as(api, aggregate, f) }

func (w *world) as(actor events.Actor, aggregate string, f fields) engine.Outcome {
	w.t.Helper()
	return w.execute(w.command(actor, aggregate, f))
}

func (w *world) execute(c engine.Command) engine.Outcome {
	w.t.Helper()
	outcome, err := w.engine.Execute(w.t.Context(), c)
	require.NoError(w.t, err)
	return outcome
}

// job is a call as it waits in the queue.
type job struct {
	reactor.Job
	URL, Method, Account string
	Parameters           map[string]string
}

// told has the hooks see what is new in the log.
func (w *world) told() (list []job) {
	w.t.Helper()
	var batch []events.Recorded
	for r, err := range w.log.ReadAll(w.t.Context(), w.seen, store.Filter{}) {
		require.NoError(w.t, err)
		batch = append(batch, r)
	}
	for _, r := range batch {
		w.seen = r.Position
		if !webhooks.Followed().Match(r.Stream, r.Type) {
			continue
		}
		jobs, err := w.hooks.React(w.t.Context(), r)
		require.NoError(w.t, err)
		for _, j := range jobs {
			made := job{Job: j}
			require.NoError(w.t, json.Unmarshal(j.Data, &made))
			list = append(list, made)
		}
	}
	return list
}

// whats are what jobs tell, in their order.
func whats(jobs []job) (list []string) {
	for _, j := range jobs {
		list = append(list, j.What)
	}
	return list
}

// listen has the account told of everything.
func (w *world) listen(filters ...string) {
	w.t.Helper()
	url, method := hookURL, "POST"
	w.must(w.account, account.ConfigureWebhooks{PostWebhookURL: &url, Method: &method, Filters: filters})
}

func (w *world) conversation(f conversation.Create) string {
	w.t.Helper()
	return w.must("", f).Sid
}

var everything = []string{
	"onConversationAdded", "onConversationUpdated", "onConversationRemoved", "onConversationStateUpdated",
	"onMessageAdded", "onMessageUpdated", "onMessageRemoved", "onParticipantAdded", "onParticipantUpdated", "onParticipantRemoved",
	"onDeliveryUpdated", "onUserAdded", "onUserUpdated",
}

func at[T any](v T) *T { return &v }

func (w *world) do(j job) (reactor.Note, error) {
	return w.hooks.Do(context.Background(), reactor.Work{Job: j.Job})
}

func (w *world) head() events.Position {
	w.t.Helper()
	head, err := w.log.Head(w.t.Context())
	require.NoError(w.t, err)
	return head
}
