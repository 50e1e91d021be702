package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// bench is a log, a queue file, and what was done.
type bench struct {
	t    *testing.T
	log  *memstore.Store
	path string

	mu   sync.Mutex
	did  []string
	fail map[string]int // by key: how many attempts fail
	hang map[string]bool
}

func newBench(t *testing.T) *bench {
	return &bench{t: t, log: memstore.New(), path: filepath.Join(t.TempDir(), "queue.db"), fail: map[string]int{}, hang: map[string]bool{}}
}

// happen appends events "TARGET ORDER NAME" to the log.
func (b *bench) happen(names ...string) {
	b.t.Helper()
	for _, name := range names {
		id := events.NameID(name)
		_, err := b.log.Append(b.t.Context(), "conversation-"+name, store.NoStream, []events.Proposed{{ID: id, Type: name, Data: []byte("{}")}})
		require.NoError(b.t, err)
	}
}

func (b *bench) react(_ context.Context, e events.Recorded) ([]reactor.Job, error) {
	var target, order, name string
	if _, err := fmt.Sscan(e.Type, &target, &order, &name); err != nil {
		return nil, nil //nolint:nilerr // not one of those that lead to something
	}
	return []reactor.Job{{Key: name, Target: target, Order: order, About: "CH1", What: "test", Data: []byte(name)}}, nil
}

var errRefused = errors.New("refused")

func (b *bench) do(ctx context.Context, w reactor.Work) (reactor.Note, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hang[w.Target] {
		b.mu.Unlock()
		<-ctx.Done()
		b.mu.Lock()
		return reactor.Note{}, ctx.Err()
	}
	if w.Interrupted {
		b.did = append(b.did, "interrupted")
	}
	if b.fail[w.Key] > 0 {
		b.fail[w.Key]--
		b.did = append(b.did, "-"+w.Key)
		return reactor.Note{}, errRefused
	}
	b.did = append(b.did, w.Key)
	return reactor.Note{Text: "ok"}, nil
}

// run works for a while, as one process would.
func (b *bench) run(d time.Duration, o *reactor.Options, during func(q *reactor.Queue)) {
	b.t.Helper()
	q, err := reactor.OpenQueue(b.path, reactor.Full, nil)
	require.NoError(b.t, err)
	r := reactor.New(q, b.log, b.react, b.do, o)
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	synctest.Wait()
	if during != nil {
		during(q)
	}
	time.Sleep(d)
	cancel()
	require.NoError(b.t, <-done)
	require.NoError(b.t, q.Close())
}

func (b *bench) done() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	did := b.did
	b.did = nil
	return did
}

func TestEventsLeadToJobsOnceOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.happen("a 1 before")
		b.run(time.Second, nil, func(*reactor.Queue) { b.happen("a 1 one", "a 1 two", "uninteresting", "b 2 three") })
		require.ElementsMatch(t, []string{"one", "two", "three"}, b.done(), "what was there before the first start leads to nothing")
		b.happen("a 1 four")
		b.run(time.Second, nil, nil)
		require.Equal(t, []string{"four"}, b.done())
		b.run(time.Minute, nil, nil)
		require.Empty(t, b.done())
	})
}

func TestJobsOfOneOrderWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fail["one"] = 3
		b.run(time.Minute, nil, func(*reactor.Queue) { b.happen("a 1 one", "a 1 two", "a 2 three", "a 1 four") })
		did := b.done()
		require.Len(t, did, 7)
		require.Equal(t, []string{"-one", "-one", "-one", "one", "two", "four"}, without(did, "three"))
		require.Less(t, indexOf(did, "three"), 4, "another order does not wait")
	})
}

func without(list []string, name string) (rest []string) {
	for _, s := range list {
		if s != name {
			rest = append(rest, s)
		}
	}
	return rest
}

func indexOf(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	return -1
}

func TestATargetThatHangsDelaysOnlyItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.hang["slow"] = true
		b.run(time.Second, &reactor.Options{Timeout: time.Minute}, func(*reactor.Queue) {
			for i := range 100 {
				b.happen(fmt.Sprintf("slow %d s%d", i, i), fmt.Sprintf("fast %d f%d", i, i))
			}
			time.Sleep(time.Millisecond)
			require.Len(t, b.done(), 100)
		})
	})
}

func TestUsedUpAttemptsParkAndPeopleDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fail["one"], b.fail["two"] = 3, 100
		b.run(time.Hour, &reactor.Options{Attempts: 3}, func(q *reactor.Queue) {
			b.happen("a 1 one", "a 1 two", "a 1 three")
			time.Sleep(time.Minute)
			require.Equal(t, []string{"-one", "-one", "-one", "-two", "-two", "-two", "three"}, b.done())
			parked, err := q.Entries(reactor.Selection{State: reactor.Parked})
			require.NoError(t, err)
			require.Len(t, parked, 2)
			require.Equal(t, "refused", parked[0].Note)
			attempts, err := q.Attempts(parked[1].Seq)
			require.NoError(t, err)
			require.Len(t, attempts, 3)
			require.Equal(t, "refused", attempts[2].Problem)

			n, err := q.Retry(reactor.Selection{Seqs: []int64{parked[1].Seq}})
			require.NoError(t, err)
			require.Equal(t, 1, n)
			_, err = q.Discard(reactor.Selection{Seqs: []int64{parked[0].Seq}}, "not wanted")
			require.NoError(t, err)
			time.Sleep(2 * time.Second)
			require.Equal(t, []string{"one"}, b.done())
			_, err = q.Discard(reactor.Selection{Seqs: []int64{parked[1].Seq}}, "too late")
			require.ErrorIs(t, err, reactor.ErrNotInState)
			counts, err := q.Counts()
			require.NoError(t, err)
			require.Equal(t, map[reactor.State]int{reactor.Done: 2, reactor.Discarded: 1}, counts)
		})
	})
}

func TestDiscardingTheFirstLetsTheNextHaveItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.fail["one"] = 1000
		b.run(10*time.Second, nil, func(q *reactor.Queue) {
			b.happen("a 1 one", "a 1 two")
			time.Sleep(10 * time.Second)
			_, err := q.Discard(reactor.Selection{State: reactor.Pending, About: "CH1"}, "both")
			require.NoError(t, err)
			b.happen("a 1 three")
		})
		did := b.done()
		require.Equal(t, "three", did[len(did)-1])
		require.NotContains(t, did, "two")
	})
}

func TestACutOffAttemptIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		q, err := reactor.OpenQueue(b.path, reactor.Full, nil)
		require.NoError(t, err)
		require.NoError(t, q.Put(map[string]string{"link": "value"}, reactor.Job{Key: "k", Target: "a", Order: "1", Data: []byte{}}, reactor.Job{Key: "k", Target: "b", Order: "2", Data: []byte{}}))
		require.NoError(t, q.Begun("k"))
		require.NoError(t, q.Close())
		b.run(time.Second, &reactor.Options{Marked: true}, nil)
		require.Equal(t, []string{"interrupted", "k"}, b.done(), "the same key is one job")
		b.run(time.Second, &reactor.Options{Marked: true}, func(q *reactor.Queue) {
			value, err := q.Link("link")
			require.NoError(t, err)
			require.Equal(t, "value", value)
		})
	})
}

func TestALogThatEndsBeforeTheCursorLeadsToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run(time.Second, nil, func(*reactor.Queue) { b.happen("a 1 one", "a 1 two", "a 1 three") })
		require.Len(t, b.done(), 3)
		b.log = memstore.New()
		b.happen("a 1 other")
		b.run(time.Second, nil, func(*reactor.Queue) { b.happen("a 1 new") })
		require.Equal(t, []string{"new"}, b.done())
	})
}

func TestWhatIsDoneIsForgottenAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.run(time.Second, nil, func(q *reactor.Queue) {
			b.happen("a 1 one")
			require.NoError(t, q.Put(map[string]string{"link one": "value"}))
		})
		b.run(15*time.Minute, &reactor.Options{Keep: time.Minute}, func(q *reactor.Queue) {
			time.Sleep(11 * time.Minute)
			entries, err := q.Entries(reactor.Selection{})
			require.NoError(t, err)
			require.Empty(t, entries)
			value, err := q.Link("link one")
			require.NoError(t, err)
			require.Empty(t, value)
		})
	})
}

// mark is what processes share.
type mark struct {
	mu sync.Mutex
	at events.Position
}

func (m *mark) Load(context.Context) (events.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at, nil
}

func (m *mark) Save(_ context.Context, at events.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
	return nil
}

func TestAnotherProcessGoesOnFromWhatIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, shared := newBench(t), &mark{}
		o := &reactor.Options{Mark: shared, Timeout: time.Second}
		b.hang["a"] = true
		b.run(5*time.Second, o, func(*reactor.Queue) {
			b.happen("b 1 one")
			time.Sleep(2 * time.Second)
			b.happen("a 2 two", "b 1 three")
		})
		require.Equal(t, []string{"one", "three"}, b.done())
		b.hang["a"] = false
		b.path = filepath.Join(t.TempDir(), "other.db")
		b.run(5*time.Second, o, nil)
		require.Equal(t, []string{"two", "three"}, sorted(b.done()), "one is settled; three came behind what was not")
	})
}

func sorted(list []string) []string {
	if len(list) == 2 && list[0] == "three" {
		list[0], list[1] = list[1], list[0]
	}
	return list
}
