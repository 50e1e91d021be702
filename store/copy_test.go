package store_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// written is a log of n appends to a few streams, as drawn.
func written(t *rapid.T, n int) store.Log {
	log := memstore.New()
	next := map[string]store.Revision{}
	for i := range n {
		stream := fmt.Sprintf("user-US%d", rapid.IntRange(0, 4).Draw(t, "stream"))
		batch := make([]events.Proposed, rapid.IntRange(1, 4).Draw(t, "events"))
		for k := range batch {
			eventType, data, err := events.Vocabulary().Encode(events.UserFriendlyNameChanged{FriendlyName: rapid.String().Draw(t, "name")})
			require.NoError(t, err)
			batch[k] = events.Proposed{ID: events.EventID(events.NameID(fmt.Sprint(i)), k), Type: eventType, Data: data, Metadata: events.Metadata{Account: rapid.String().Draw(t, "account")}}
		}
		at, known := next[stream]
		if !known {
			at = store.NoStream
		}
		appended, err := log.Append(context.Background(), stream, at, batch)
		require.NoError(t, err)
		next[stream] = appended.Revision
	}
	return log
}

// contents are a log without what is its backend's own.
func contents(t require.TestingT, log store.LogReader) (list []events.Recorded) {
	for e, err := range log.ReadAll(context.Background(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		e.Position, e.Recorded = events.Position{}, time.Time{}
		list = append(list, e)
	}
	return list
}

// cut is a log whose appends fail after a while, some of them having happened.
type cut struct {
	store.Log
	left     int
	happened bool
}

func (c *cut) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if c.left--; c.left >= 0 {
		return c.Log.Append(ctx, stream, expected, batch)
	}
	if c.happened {
		_, _ = c.Log.Append(ctx, stream, expected, batch)
	}
	return store.Appended{}, errFault
}

func TestACopyIsTheSameHoweverOftenItIsCutShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := written(t, rapid.IntRange(0, 12).Draw(t, "appends")), memstore.New()
		for cuts := 0; ; cuts++ {
			limited := &cut{Log: to, left: rapid.IntRange(0, 5).Draw(t, "until"), happened: rapid.Bool().Draw(t, "happened")}
			if cuts > 20 {
				limited.left = 1000
			}
			copied, err := store.Copy(context.Background(), from, limited, store.CopyOptions{Resume: cuts > 0})
			if err != nil {
				require.ErrorIs(t, err, errFault)
				continue
			}
			require.Equal(t, contents(t, from), contents(t, to))
			of, err := store.Verify(context.Background(), from, nil)
			require.NoError(t, err)
			require.Equal(t, copied.Digest, of.Digest)
			require.Equal(t, copied.Events, of.Events)
			require.Empty(t, of.Problems)
			return
		}
	})
}

func TestACopyThatGoesOnTakesWhatIsNew(t *testing.T) {
	from, to := memstore.New(), memstore.New()
	add(t, from, store.NoStream, "a")
	first, err := store.Copy(t.Context(), from, to, store.CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, first.Copied)
	add(t, from, 0, "b")
	_, err = store.Copy(t.Context(), from, to, store.CopyOptions{})
	require.ErrorIs(t, err, store.ErrNotEmpty)
	var looked []int
	second, err := store.Copy(t.Context(), from, to, store.CopyOptions{Resume: true, Progress: func(n int) { looked = append(looked, n) }})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, looked)
	require.Equal(t, []int{2, 1}, []int{second.Events, second.Copied})
	require.NotEqual(t, first.Digest, second.Digest)
}

func TestACopyIntoSomethingElseIsRefused(t *testing.T) {
	from := memstore.New()
	add(t, from, store.NoStream, "a")
	add(t, from, 0, "b")
	for name, prepare := range map[string]func(to store.Log){
		"another beginning": func(to store.Log) { add(t, to, store.NoStream, "x") },
		"another end":       func(to store.Log) { add(t, to, store.NoStream, "a"); add(t, to, 0, "x") },
		"more":              func(to store.Log) { add(t, to, store.NoStream, "a"); add(t, to, 0, "b"); add(t, to, 1, "c") },
	} {
		t.Run(name, func(t *testing.T) {
			to := memstore.New()
			prepare(to)
			before := contents(t, to)
			_, err := store.Copy(t.Context(), from, to, store.CopyOptions{Resume: true})
			require.ErrorIs(t, err, store.ErrDiffers)
			require.Equal(t, before, contents(t, to), "nothing was written")
		})
	}
}

// unsound is a log whose events are changed on the way out.
type unsound struct {
	store.LogReader
	change func(i int, e *events.Recorded)
}

func (u unsound) ReadAll(ctx context.Context, after events.Position, filter store.Filter) iter.Seq2[events.Recorded, error] {
	return func(yield func(events.Recorded, error) bool) {
		i := 0
		for e, err := range u.LogReader.ReadAll(ctx, after, filter) {
			u.change(i, &e)
			if i++; !yield(e, err) {
				return
			}
		}
	}
}

func TestVerifyFindsWhatNoSoundLogHas(t *testing.T) {
	log := memstore.New()
	for i, name := range []string{"a", "b", "c"} {
		add(t, log, store.Revision(i-1), name)
	}
	sound, err := store.Verify(t.Context(), log, nil)
	require.NoError(t, err)
	require.Equal(t, []any{3, 1, []store.Problem{}, events.At(3)}, []any{sound.Events, sound.Streams, sound.Problems, sound.Head})
	for what, change := range map[string]func(e *events.Recorded){
		"its position is not behind 2, that of the event before":                 func(e *events.Recorded) { e.Position = events.At(2) },
		"it was recorded before the event before":                                func(e *events.Recorded) { e.Recorded = e.Recorded.AddDate(-1, 0, 0) },
		"its revision is 3 in place of 2":                                        func(e *events.Recorded) { e.Revision = 3 },
		"its id " + events.NameID("a").String() + " is also in stream " + stream: func(e *events.Recorded) { e.ID = events.NameID("a") },
		"unknown event type":                                                     func(e *events.Recorded) { e.Type = "future.thing.v9" },
		"user.friendly-name-changed.v1":                                          func(e *events.Recorded) { e.Data = []byte(`{"friendly_name":`) },
	} {
		report, err := store.Verify(t.Context(), unsound{log, func(i int, e *events.Recorded) {
			if i == 2 {
				change(e)
			}
		}}, nil)
		require.NoError(t, err)
		require.Len(t, report.Problems, 1, what)
		require.Contains(t, report.Problems[0].What, what)
	}
	many, err := store.Verify(t.Context(), unsound{log, func(_ int, e *events.Recorded) { e.Type = "x" }}, nil)
	require.NoError(t, err)
	require.Len(t, many.Problems, 3)
	require.NotEqual(t, sound.Digest, many.Digest)
}
