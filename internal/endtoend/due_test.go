package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/projections"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

var account = domain.SID("AC", "endtoend")

// past is a random history, written by the real engine.
type past struct {
	t      *testing.T
	log    *memstore.Store
	engine *engine.Engine
	random *rand.Rand
	now    time.Time
	talks  []string
}

func (p *past) clock() time.Time { return p.now }

// do sends a command; many are refused, which is fine.
func (p *past) do(commandType, aggregate string, fields map[string]any) string {
	body, err := json.Marshal(fields)
	require.NoError(p.t, err)
	outcome, err := p.engine.Execute(p.t.Context(), engine.Command{Type: commandType, Aggregate: aggregate, Body: body})
	require.NotEqual(p.t, engine.KindInternal, kind(err), "%v", err)
	return outcome.Sid
}

func kind(err error) string {
	if failure := engine.AsFailure(err); failure != nil {
		return failure.Kind
	}
	return ""
}

func (p *past) timers() map[string]string {
	texts := []string{"", "PT0S", "PT1M", "PT90S", "PT10M", "PT1H30M", "P1D", "P1DT2H3M4S", "P30D"}
	return map[string]string{"inactive": texts[p.random.IntN(len(texts))], "closed": texts[p.random.IntN(len(texts))]}
}

func (p *past) step() {
	p.now = p.now.Add(time.Duration(p.random.ExpFloat64() * float64(5*time.Minute)))
	if len(p.talks) < 3 || p.random.IntN(12) == 0 {
		state := []string{"active", "inactive"}[p.random.IntN(2)]
		if sid := p.do("conversation.create", "", map[string]any{"timers": p.timers(), "state": state}); sid != "" {
			p.talks = append(p.talks, sid)
		}
		return
	}
	ch := p.talks[p.random.IntN(len(p.talks))]
	switch p.random.IntN(8) {
	case 0:
		p.do("conversation.update", ch, map[string]any{"timers": p.timers()})
	case 1:
		p.do("conversation.update", ch, map[string]any{"state": []string{"active", "inactive", "closed"}[p.random.IntN(3)]})
	case 2:
		p.do("conversation.add-participant", ch, map[string]any{"identity": fmt.Sprint("person ", p.random.IntN(9))})
	case 3:
		if p.random.IntN(5) == 0 {
			p.do("conversation.remove", ch, map[string]any{})
		}
	case 4, 5:
		_, _, err := p.engine.Advance(p.t.Context(), ch, p.now)
		require.NoError(p.t, err)
	default:
		p.do("conversation.add-message", ch, map[string]any{"body": "x"})
	}
}

// fold is the state of a conversation as the engine has it.
func (p *past) fold(ch string) conversation.State {
	at, err := store.CatchUp(p.t.Context(), p.log, events.Stream(events.CategoryConversation, ch),
		store.Folded[conversation.State]{Revision: store.NoStream},
		func(s conversation.State, e events.Event, _ events.Recorded) conversation.State {
			return conversation.Evolve(s, e)
		})
	require.NoError(p.t, err)
	return at.State
}

// The read model tells timers at a start when each conversation is next due; the
// engine decides when it is. Two rooms that must not share code, so they are
// held against each other.
func TestTheReadModelAndTheEngineAgreeOnWhatIsDueNext(t *testing.T) {
	const seeds, steps = 40, 150
	waiting := 0
	for seed := range uint64(seeds) {
		p := &past{t: t, log: memstore.New(), random: rand.New(rand.NewPCG(seed, 5)), now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
		p.log.Now = p.clock
		p.engine = engine.New(p.log, &engine.Options{DefaultAccount: account, Now: p.clock})
		p.do("account.create", account, map[string]any{})
		for range steps {
			p.step()
		}
		rows := dueRows(t, p.log)
		for _, ch := range p.talks {
			due, _, running := p.fold(ch).NextDue()
			row, has := rows[ch]
			require.Equal(t, running, has, "seed %d, %s", seed, ch)
			// Rows hold milliseconds. A look too early is asked again, one too late
			// would be a late timer.
			require.True(t, due.Truncate(time.Millisecond).Equal(row), "seed %d, %s: %s by the engine, %s by the read model", seed, ch, due, row)
			if running {
				waiting++
			}
		}
	}
	require.Greater(t, waiting, seeds, "histories in which something waits")
}

// dueRows builds the read models of a log and returns what is due when.
func dueRows(t *testing.T, log store.Log) map[string]time.Time {
	t.Helper()
	models, err := projections.Open(t.TempDir(), log, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- models.Run(ctx) }()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, models.Wait(t.Context(), head))
	rows := map[string]time.Time{}
	_, err = models.DueRows(t.Context(), func(d projections.Due) bool {
		if next := d.Next(); !next.IsZero() {
			rows[d.ConversationSid] = next
		}
		return true
	})
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, models.Close())
	return rows
}
