package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

const stream = "user-US1"

// names is a state: the friendly names a user has had.
type names = []string

func fold(state names, event events.Event, _ events.Recorded) names {
	return append(state[:len(state):len(state)], event.(events.UserFriendlyNameChanged).FriendlyName)
}

func named(t testing.TB, name string) store.Change {
	event := events.UserFriendlyNameChanged{FriendlyName: name}
	eventType, data, err := events.Vocabulary().Encode(event)
	require.NoError(t, err)
	return store.Change{Event: event, Proposed: events.Proposed{ID: events.NameID(name), Type: eventType, Data: data}}
}

func beginning() store.Folded[names] { return store.Folded[names]{Revision: store.NoStream} }

// add appends behind the writer's back.
func add(t testing.TB, log store.Appender, expected store.Revision, name string) {
	_, err := log.Append(t.Context(), stream, expected, []events.Proposed{named(t, name).Proposed})
	require.NoError(t, err)
}

func caughtUp(t testing.TB, log store.StreamReader) store.Folded[names] {
	at, err := store.CatchUp(t.Context(), log, stream, beginning(), fold)
	require.NoError(t, err)
	return at
}

// proxy is a log that does something before an append, fails appends on
// demand, leaves events out, and remembers where reads began.
type proxy struct {
	store.Log
	before         func(attempt int)
	failAt         int // the attempt that fails; 0 for none
	happened       bool
	hole           uint64 // a revision that reads leave out; 0 for none
	attempts       int
	appended, read []store.Revision
}

var errFault = errors.New("the disk made a noise")

func (p *proxy) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	p.attempts++
	p.appended = append(p.appended, expected)
	if p.before != nil {
		p.before(p.attempts)
	}
	if p.attempts != p.failAt {
		return p.Log.Append(ctx, stream, expected, batch)
	}
	if p.happened {
		if _, err := p.Log.Append(ctx, stream, expected, batch); err != nil {
			return store.Appended{}, err
		}
	}
	return store.Appended{}, errFault
}

func (p *proxy) ReadStream(ctx context.Context, stream string, from store.Revision, direction store.Direction) iter.Seq2[events.Recorded, error] {
	p.read = append(p.read, from)
	return func(yield func(events.Recorded, error) bool) {
		for recorded, err := range p.Log.ReadStream(ctx, stream, from, direction) {
			if p.hole > 0 && recorded.Revision == p.hole {
				continue
			}
			if !yield(recorded, err) {
				return
			}
		}
	}
}

func TestWithoutAConflictTheStateAfterTheAppendIsReturned(t *testing.T) {
	log := &proxy{Log: memstore.New()}
	at, _, err := store.Transact(t.Context(), log, stream, beginning(), fold, func(store.Folded[names]) ([]store.Change, error) {
		return []store.Change{named(t, "a"), named(t, "b")}, nil
	})
	require.NoError(t, err)
	require.Equal(t, names{"a", "b"}, at.State)
	require.Empty(t, log.read)
	require.Equal(t, caughtUp(t, log), at)
}

func TestAfterAConflictOnlyWhatIsNewIsFoldedAndTheDecisionIsMadeAgain(t *testing.T) {
	log := &proxy{Log: memstore.New()}
	add(t, log.Log, store.NoStream, "a")
	at := caughtUp(t, log.Log)
	log.before = func(attempt int) {
		if attempt == 1 {
			add(t, log.Log, 0, "b")
			add(t, log.Log, 1, "c")
		}
	}
	var decidedOn []names
	at, _, err := store.Transact(t.Context(), log, stream, at, fold, func(at store.Folded[names]) ([]store.Change, error) {
		decidedOn = append(decidedOn, at.State)
		return []store.Change{named(t, fmt.Sprint("after ", len(at.State)))}, nil
	})
	require.NoError(t, err)
	require.Equal(t, []names{{"a"}, {"a", "b", "c"}}, decidedOn)
	require.Equal(t, []store.Revision{1}, log.read, "from the first new event on, once")
	require.Equal(t, []store.Revision{0, 2}, log.appended)
	require.Equal(t, names{"a", "b", "c", "after 3"}, at.State)
	require.Equal(t, caughtUp(t, log.Log), at)
}

func TestConflictsWithoutEndAreGivenUp(t *testing.T) {
	log := &proxy{Log: memstore.New()}
	log.before = func(attempt int) { add(t, log.Log, store.Revision(attempt-2), fmt.Sprint("other ", attempt)) }
	decided := 0
	_, _, err := store.Transact(t.Context(), log, stream, beginning(), fold, func(store.Folded[names]) ([]store.Change, error) {
		decided++
		return []store.Change{named(t, "mine")}, nil
	})
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorContains(t, err, stream)
	require.Equal(t, store.MaxAttempts, decided)
	require.Equal(t, store.MaxAttempts, log.attempts)
	require.NotContains(t, caughtUp(t, log.Log).State, "mine")
}

func TestNothingDecidedIsNothingWritten(t *testing.T) {
	log := &proxy{Log: memstore.New()}
	add(t, log.Log, store.NoStream, "a")
	at := caughtUp(t, log.Log)
	refused := errors.New("refused")
	for _, want := range []error{nil, refused} {
		after, _, err := store.Transact(t.Context(), log, stream, at, fold, func(store.Folded[names]) ([]store.Change, error) { return nil, want })
		require.Equal(t, want, err, "as it is")
		require.Equal(t, at, after)
	}
	require.Zero(t, log.attempts)
	require.Empty(t, log.read)
	require.Equal(t, at, caughtUp(t, log.Log))
}

func TestAStreamWithAHoleIsRefused(t *testing.T) {
	log := &proxy{Log: memstore.New()}
	for i, name := range []string{"a", "b", "c", "d"} {
		add(t, log.Log, store.Revision(i-1), name)
	}
	log.hole = 2
	at, err := store.CatchUp(t.Context(), log, stream, beginning(), fold)
	require.EqualError(t, err, "read user-US1: log is damaged: revision 3 came in place of 2")
	require.Equal(t, names{"a", "b"}, at.State, "what came before the hole")

	_, _, err = store.Transact(t.Context(), log, stream, at, fold, func(store.Folded[names]) ([]store.Change, error) {
		return []store.Change{named(t, "e")}, nil
	})
	require.ErrorContains(t, err, "revision 3 came in place of 2")
	require.Equal(t, 1, log.attempts, "no decision on half a state")
	log.hole = 0
	require.Equal(t, names{"a", "b", "c", "d"}, caughtUp(t, log).State)
}

func TestAnAppendWhoseOutcomeIsUnknownIsReturnedAndFoundOutByTheSameAgain(t *testing.T) {
	for name, happened := range map[string]bool{"failed and did not happen": false, "failed but did": true} {
		t.Run(name, func(t *testing.T) {
			log := &proxy{Log: memstore.New(), failAt: 1, happened: happened}
			decided := 0
			decide := func(store.Folded[names]) ([]store.Change, error) {
				decided++
				return []store.Change{named(t, "a"), named(t, "b")}, nil
			}
			_, _, err := store.Transact(t.Context(), log, stream, beginning(), fold, decide)
			require.ErrorIs(t, err, errFault)
			require.ErrorContains(t, err, "append to "+stream)
			require.Equal(t, 1, decided, "nothing is tried again on its own")
			require.Equal(t, happened, len(caughtUp(t, log.Log).State) == 2)

			at, repeated, err := store.Transact(t.Context(), log, stream, beginning(), fold, decide)
			require.NoError(t, err)
			require.Equal(t, happened, repeated != nil)
			require.Equal(t, names{"a", "b"}, at.State)
			require.Equal(t, caughtUp(t, log.Log), at, "once")
		})
	}
}

func TestAStreamThatCannotBeReadIsAnErrorThatSaysWhere(t *testing.T) {
	log := memstore.New()
	add(t, log, store.NoStream, "a")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.CatchUp(cancelled, log, stream, beginning(), fold)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "read "+stream)

	_, err = log.Append(t.Context(), stream, 0, []events.Proposed{{ID: events.NameID("b"), Type: "future.thing.v1", Data: []byte("{}")}})
	require.NoError(t, err)
	_, err = store.CatchUp(t.Context(), log, stream, beginning(), fold)
	var unknown *events.UnknownTypeError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "revision 1")
}
