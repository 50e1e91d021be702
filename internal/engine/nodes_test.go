package engine_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// nodes are engines of several processes on one log.
func nodes(t *testing.T, names ...string) []*desk {
	t.Helper()
	log := memstore.New()
	var list []*desk
	for _, name := range names {
		list = append(list, newDesk(t, log, func(o *engine.Options) { o.Node = name }))
	}
	list[0].must("account.create", account, map[string]any{})
	return list
}

// hear tells the node of everything in the log.
func (d *desk) hear() {
	d.t.Helper()
	for recorded, err := range d.log.ReadAll(d.t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(d.t, err)
		d.Heard(recorded)
	}
}

func TestACommandThatAnotherNodeHasDoneIsAnsweredFromTheLog(t *testing.T) {
	n := nodes(t, "one", "two")
	ch := n[0].must("conversation.create", "", fields{}).Sid
	n[1].must("conversation.add-message", ch, fields{"author": "ann", "body": "both know this"})

	again := command(t, "conversation.add-message", ch, fields{"author": "ann", "body": "once"})
	again.ID = events.NameID("again")
	n[0].must("conversation.update", ch, fields{"friendly_name": "x"})
	n[1].must("conversation.update", ch, fields{"friendly_name": "y"}) // both are at this revision
	n[0].must("conversation.update", ch, fields{"friendly_name": "y"}) // nothing new: it has looked
	first, err := n[0].Execute(t.Context(), again)
	require.NoError(t, err)
	n[1].advance(time.Hour) // its own decision would differ
	second, err := n[1].Execute(t.Context(), again)
	require.NoError(t, err)
	require.True(t, second.Repeated)
	second.Repeated = false
	require.Equal(t, first, second)

	other := again
	other.Body = []byte(`{"author":"ann","body":"another"}`)
	n[1].refused("idempotency_conflict", other)

	third := n[1].must("conversation.add-message", ch, fields{"author": "ann", "body": "next"})
	require.Equal(t, int64(2), *third.Index)
	n[0].hear()
	require.Equal(t, int64(3), *n[0].must("conversation.add-message", ch, fields{"author": "ann", "body": "next"}).Index)
}

// What is refused, and what is nothing new, is so by the log and not by an old
// memory.
func TestNoNodeRefusesOnWhatItRemembers(t *testing.T) {
	n := nodes(t, "one", "two")
	ch := n[0].must("conversation.create", "", fields{}).Sid
	n[1].must("conversation.update", ch, fields{"friendly_name": "known here"})
	message := n[0].must("conversation.add-message", ch, fields{"author": "ann", "body": "helo"}).Sid
	edit := fields{"message": message, "body": "hello"}
	require.NotEmpty(t, n[1].must("conversation.edit-message", ch, edit).Events)
	require.Empty(t, n[0].must("conversation.edit-message", ch, edit).Events, "it is so already")

	n[0].must("conversation.update", ch, fields{"friendly_name": "a"})
	n[1].must("conversation.update", ch, fields{"friendly_name": "b"})
	require.Equal(t, []string{"conversation.friendly-name-changed.v1"}, n[0].must("conversation.update", ch, fields{"friendly_name": "a"}).Events)
}

// What a node knows of accounts, services and roles is as old as what it has
// heard, and no older.
func TestANodeHearsOfSettings(t *testing.T) {
	n := nodes(t, "one", "two")
	timer := func() string {
		created := n[1].must("conversation.create", "", fields{})
		return created.Decided[0].(events.ConversationCreated).Timers.Inactive
	}
	require.Empty(t, timer())
	n[0].must("account.configure", account, fields{"default_inactive_timer": "PT5M"})
	require.Empty(t, timer(), "not heard yet")
	n[1].hear()
	require.Equal(t, "PT5M", timer())
	n[1].must("account.configure", account, fields{"default_inactive_timer": "PT6M"})
	require.Equal(t, "PT6M", timer(), "its own needs no hearing")
	n[1].hear()
	require.Equal(t, "PT6M", timer())
}

// Many nodes, the same commands, in any order: each is done once, everywhere with
// the same outcome, and the log is sound.
func TestNodesDoEachCommandOnce(t *testing.T) {
	n := nodes(t, "one", "two", "three")
	ch := n[0].must("conversation.create", "", fields{}).Sid
	const commands = 60
	outcomes := make([][]engine.Outcome, len(n))
	var group sync.WaitGroup
	for i, node := range n {
		outcomes[i] = make([]engine.Outcome, commands)
		group.Go(func() {
			for k := range commands {
				c := engine.Command{ID: events.NameID(fmt.Sprint("command ", k)), Type: "conversation.add-message", Aggregate: ch, Body: fmt.Appendf(nil, `{"author":"ann","body":"%d"}`, k)}
				for {
					outcome, err := node.Execute(t.Context(), c)
					if failure := engine.AsFailure(err); failure != nil && failure.Retryable {
						continue
					}
					if err != nil {
						t.Error(err)
					}
					outcome.Repeated = false
					outcomes[i][k] = outcome
					break
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, outcomes[0], outcomes[1])
	require.Equal(t, outcomes[0], outcomes[2])
	require.Equal(t, commands, n[0].all()["conversation.message-added.v1"])
}

// Whatever a node has heard when a timer is looked at, it answers what the log says: an
// entry is dropped for good when the answer is that there is none.
func TestATimerIsLookedAtAsTheLogHasIt(t *testing.T) {
	timers := fields{"timers": fields{"inactive": "PT1M", "closed": "PT1H"}}
	steps := map[string]func(n []*desk, ch string){
		"the other reopens it": func(n []*desk, ch string) {
			n[1].must("conversation.add-message", ch, fields{"author": "ann", "body": "x"})
		},
		"the other sets a timer": func(n []*desk, ch string) {
			n[1].must("conversation.update", ch, fields{"timers": fields{"inactive": "PT2M"}})
		},
		"the other takes it away": func(n []*desk, ch string) {
			n[1].must("conversation.update", ch, fields{"timers": fields{"inactive": "PT0S", "closed": "PT0S"}})
		},
		"the other closes it":       func(n []*desk, ch string) { n[1].must("conversation.update", ch, fields{"state": "closed"}) },
		"the other makes it active": func(n []*desk, ch string) { n[1].must("conversation.update", ch, fields{"state": "active"}) },
	}
	for first := range steps {
		for second := range steps {
			for _, hears := range []string{"", "between", "after"} {
				n := nodes(t, "one", "two")
				ch := n[0].must("conversation.create", "", timers).Sid
				n[0].advance(2 * time.Minute)
				n[1].advance(2 * time.Minute)
				_, _, err := n[0].Advance(t.Context(), ch, n[0].clock())
				require.NoError(t, err)
				for i, step := range []string{first, second} {
					if i == 1 && (first == "the other closes it" || hears == "between") {
						n[0].hear()
					}
					if first != "the other closes it" || i == 0 {
						steps[step](n, ch)
					}
				}
				if hears == "after" {
					n[0].hear()
				}
				got, ok, err := n[0].Advance(t.Context(), ch, n[0].clock())
				require.NoError(t, err)
				fresh := newDesk(t, n[0].log, func(o *engine.Options) { o.Node, o.Now = "three", n[0].clock })
				want, running, err := fresh.Advance(t.Context(), ch, n[0].clock())
				require.NoError(t, err)
				require.Equal(t, []any{want, running}, []any{got, ok}, "%s, then %s, hears %s", first, second, hears)
			}
		}
	}
}

// What others write is read on from what a node knows, not from the beginning.
func TestANodeReadsOnFromWhatItKnows(t *testing.T) {
	n := nodes(t, "one", "two")
	log := &counting{Log: n[0].log}
	reader := newDesk(t, log, func(o *engine.Options) { o.Node = "three" })
	ch := n[0].must("conversation.create", "", fields{}).Sid
	say := func(d *desk) { d.must("conversation.add-message", ch, fields{"author": "ann", "body": "x"}) }
	for range 200 {
		say(n[0])
	}
	say(reader)
	for range 20 {
		say(n[0])
		reader.hear()
		before := log.read
		say(reader)
		require.LessOrEqual(t, log.read-before, 3, "events read for one command")
	}
}
