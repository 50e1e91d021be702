package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/timers"
)

// tick is how often an office sweeps. All instants of a month are multiples of
// it, so that messages and timers meet; cron's own tick of a second would make a
// month of two and a half million sweeps.
const tick = 15 * time.Second

// office is an engine with its timers, as a server has them, in a bubble of
// fake time.
type office struct {
	t     *testing.T
	log   *memstore.Store
	desk  *engine.Engine
	talks []string
	close func()
}

// open starts the engine and the timers. The due index is loaded with what each
// conversation waits for and follows the log from there.
func (o *office) open(run func(*timers.Scheduler, context.Context) error) {
	o.desk = engine.New(o.log, &engine.Options{DefaultAccount: account})
	index := timers.NewIndex()
	for _, ch := range o.talks {
		if due, _, ok := o.talk(ch).NextDue(); ok {
			index.File(ch, due)
		}
	}
	head, err := o.log.Head(o.t.Context())
	require.NoError(o.t, err)
	scheduler := timers.NewScheduler(index, o.desk.Advance, &timers.Options{Parallel: 4, Batch: 4})
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan error, 2)
	go func() { done <- run(scheduler, ctx) }()
	go func() { done <- follow(ctx, o.log, head, index) }()
	o.close = func() {
		cancel()
		require.NoError(o.t, <-done)
		require.NoError(o.t, <-done)
	}
}

// follow keeps the index in step with the log until the context ends.
func follow(ctx context.Context, log store.LogReader, after events.Position, index *timers.Index) error {
	for batch, err := range store.Subscribe(ctx, log, after, store.Filter{Types: timers.Followed()}) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, recorded := range batch.Events {
			if err := index.Apply(recorded); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep runs a scheduler by hand.
func sweep(s *timers.Scheduler, ctx context.Context) error { //nolint:revive // in the order of a method expression
	for {
		select {
		case <-time.After(tick):
			s.Sweep(ctx, time.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

func (o *office) do(commandType, aggregate string, f fields) (engine.Outcome, error) {
	return o.desk.Execute(o.t.Context(), command(o.t, commandType, aggregate, f))
}

// begin creates a conversation with timers of whole seconds.
func (o *office) begin(inactive, closed time.Duration) {
	texts := fields{}
	for name, d := range map[string]time.Duration{"inactive": inactive, "closed": closed} {
		if d > 0 {
			texts[name] = fmt.Sprintf("PT%dS", int(d.Seconds()))
		}
	}
	outcome, err := o.do("conversation.create", "", fields{"timers": texts})
	require.NoError(o.t, err)
	o.talks = append(o.talks, outcome.Sid)
}

// say posts a message; a conversation that has closed refuses it.
func (o *office) say(ch string) {
	if _, err := o.do("conversation.add-message", ch, fields{"body": "x"}); err != nil {
		require.Equal(o.t, 50377, engine.AsFailure(err).Twilio)
	}
}

// talk folds a conversation.
func (o *office) talk(ch string) conversation.State {
	none := store.Folded[conversation.State]{Revision: store.NoStream}
	at, err := store.CatchUp(o.t.Context(), o.log, events.Stream(events.CategoryConversation, ch), none,
		func(s conversation.State, e events.Event, _ events.Recorded) conversation.State {
			return conversation.Evolve(s, e)
		})
	require.NoError(o.t, err)
	return at.State
}

// work is traffic until the instant: conversations begin, people talk, and one
// message in three falls on the very instant at which a timer is due.
func (o *office) work(chance *rand.Rand, until time.Time) {
	for time.Now().Before(until) {
		time.Sleep(time.Duration(1+chance.IntN(120)) * tick)
		if len(o.talks) < 20 || chance.IntN(8) == 0 {
			o.begin(time.Duration(chance.IntN(3)*(4+chance.IntN(7_000)))*tick, time.Duration(chance.IntN(3)*(40+chance.IntN(20_000)))*tick)
			continue
		}
		ch := o.talks[max(0, len(o.talks)-1-chance.IntN(60))]
		if due, _, ok := o.talk(ch).NextDue(); ok && due.After(time.Now()) && due.Before(time.Now().Add(time.Hour)) {
			time.Sleep(time.Until(due)) // the tick wakes up in the same instant
		}
		o.say(ch)
	}
}

// fired is a transition made by a timer.
type fired struct {
	stream   string
	due, at  time.Time
	position events.Position
}

// firings reads the whole log and holds every timer to its instant: it was the
// one that was due in that conversation, nothing had fired for it before, and
// it had come.
func (o *office) firings() (all []fired) {
	talks := map[string]conversation.State{}
	for r, err := range o.log.ReadAll(o.t.Context(), events.Position{}, store.Filter{StreamPrefixes: []string{events.CategoryConversation}}) {
		require.NoError(o.t, err)
		e, err := events.Vocabulary().Decode(r.Type, r.Data)
		require.NoError(o.t, err)
		if changed, ok := e.(events.ConversationStateChanged); ok && changed.Reason == events.ReasonTimer {
			due, to, running := talks[r.Stream].NextDue()
			require.True(o.t, running)
			require.Equal(o.t, to, changed.To)
			require.True(o.t, due.Equal(changed.Due), "%s, not %s", changed.Due, due)
			require.True(o.t, due.Equal(r.Metadata.Occurred), "the instant it was due is when it occurred")
			require.False(o.t, r.Recorded.Before(due), "early")
			require.Equal(o.t, events.ActorTimer, r.Metadata.Actor.Kind)
			all = append(all, fired{r.Stream, due, r.Recorded, r.Position})
		}
		talks[r.Stream] = conversation.Evolve(talks[r.Stream], e)
	}
	return all
}

// none of the conversations has a timer that should have fired before.
func (o *office) requireNothingOverdue() {
	for _, ch := range o.talks {
		if due, _, ok := o.talk(ch).NextDue(); ok {
			require.True(o.t, due.After(time.Now().Add(-tick)), "%s was due at %s, now is %s", ch, due, time.Now())
		}
	}
}

// A month of the real engine under the real scheduler, with three days in the
// middle in which neither runs.
func TestAMonthOfTrafficWithThreeDaysOfDowntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, log: memstore.New()}
		began, day := time.Now(), 24*time.Hour
		o.open(sweep)
		_, err := o.do("account.create", account, fields{})
		require.NoError(t, err)
		chance := rand.New(rand.NewPCG(3, 4))
		o.work(chance, began.Add(12*day))
		o.requireNothingOverdue()
		o.close()
		closed := time.Now()
		time.Sleep(3 * day)
		o.open(sweep)
		opened := time.Now()
		time.Sleep(tick)
		synctest.Wait()
		o.requireNothingOverdue()
		o.work(chance, began.Add(30*day))
		o.close()

		var overdue []fired // the first step of each conversation
		late := map[string]bool{}
		all := o.firings()
		for _, f := range all {
			if f.due.Before(closed) || f.at.After(opened.Add(tick)) {
				require.LessOrEqual(t, f.at.Sub(f.due), tick, "late: %+v", f)
			} else if !late[f.stream] {
				late[f.stream] = true
				overdue = append(overdue, f)
			}
		}
		for i := range overdue { // four at once are taken, and nothing overtakes them
			require.False(t, i >= 4 && overdue[i].due.Before(overdue[i-4].due), "%+v", overdue)
		}
		head, err := o.log.Head(t.Context())
		require.NoError(t, err)
		t.Logf("%d events, %d firings, %d of them overdue", head.Commit, len(all), len(overdue))
		require.Greater(t, head.Commit, uint64(3000))
		require.Greater(t, len(all), 500)
		require.Greater(t, len(overdue), 20)
	})
}

// A message and a timer in the same instant, many times over: either the message
// was first and puts the timer off, or it wakes the conversation up again. The
// log says which, and both are consistent; either way the next firing is one
// whole interval after the message.
func TestMessagesRacingTimersInTheSameInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, log: memstore.New()}
		o.open((*timers.Scheduler).Run)
		_, err := o.do("account.create", account, fields{})
		require.NoError(t, err)
		for range 50 {
			o.begin(time.Hour, 0)
		}
		for range 20 {
			time.Sleep(time.Hour)
			for _, ch := range o.talks {
				o.say(ch)
			}
		}
		said := time.Now()
		time.Sleep(time.Hour + time.Second)
		o.close()
		last := map[string]time.Time{}
		for _, f := range o.firings() {
			last[f.stream] = f.due
		}
		require.Len(t, last, 50)
		for _, due := range last {
			require.True(t, due.Equal(said.Add(time.Hour)), "%s, said at %s", due, said)
		}
	})
}
