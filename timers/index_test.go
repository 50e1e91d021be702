package timers_test

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/timers"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEntriesComeUpInDueOrderAndNotBefore(t *testing.T) {
	x := timers.NewIndex()
	x.File(sid(3), noon.Add(3*time.Second))
	x.File(sid(1), noon.Add(1*time.Second))
	x.File(sid(2), noon.Add(2*time.Second))

	require.Empty(t, x.Take(nil, noon.Add(time.Second-1), 10))
	require.Equal(t, []timers.Entry{{sid(1), noon.Add(time.Second)}, {sid(2), noon.Add(2 * time.Second)}},
		x.Take(nil, noon.Add(2*time.Second), 10))
	require.Equal(t, 1, x.Len())
}

func TestTheEarlierInstantWins(t *testing.T) {
	x := timers.NewIndex()
	x.File(sid(1), noon.Add(time.Hour))
	x.File(sid(1), noon.Add(2*time.Hour))
	x.File(sid(1), noon)
	require.Equal(t, 1, x.Backlog(noon.Add(3*time.Hour)))
	require.Equal(t, []timers.Entry{{sid(1), noon}}, x.Take(nil, noon.Add(3*time.Hour), 10))
	require.Empty(t, x.Take(nil, noon.Add(3*time.Hour), 10), "one entry per conversation")
}

func TestForgottenConversationsDoNotComeUp(t *testing.T) {
	x := timers.NewIndex()
	x.File(sid(1), noon)
	x.File(sid(2), noon)
	x.Forget(sid(1))
	x.Forget(sid(7))
	require.Equal(t, 1, x.Backlog(noon))
	require.Equal(t, []timers.Entry{{sid(2), noon}}, x.Take(nil, noon, 10))
}

func TestFarAwayInstantsAreKept(t *testing.T) {
	x := timers.NewIndex()
	x.File(sid(1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	x.File(sid(2), time.Time{})
	require.Equal(t, []timers.Entry{{sid(2), time.Time{}}}, x.Take(nil, noon, 10))
	require.Equal(t, 1, x.Len())
	end := x.Take(nil, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 10)
	require.Equal(t, []timers.Entry{{sid(1), time.Unix(0, math.MaxInt64).UTC()}}, end)
}

func TestIdsThatAreNotCanonicalKeepTheirSpelling(t *testing.T) {
	x := timers.NewIndex()
	lower := "CH" + strings.Repeat("ab", 16)
	ids := []string{lower, strings.ToUpper(lower), "CHx", "", "CH" + strings.Repeat("ab", 17), "ch" + lower[2:]}
	for i, id := range ids {
		x.File(id, noon.Add(time.Duration(i)))
	}
	var got []string
	for _, e := range x.Take(nil, noon.Add(time.Hour), 100) {
		got = append(got, e.Conversation)
	}
	require.Equal(t, ids, got)

	x.File("CHx", noon)
	x.Forget("CHx")
	require.Empty(t, x.Take(nil, noon, 1))
}

func TestLoadFilesEveryRowAndStopsAtAnError(t *testing.T) {
	broken := errors.New("disk on fire")
	x := timers.NewIndex()
	err := x.Load(func(yield func(timers.Entry, error) bool) {
		_ = yield(timers.Entry{Conversation: sid(1), Due: noon}, nil) &&
			yield(timers.Entry{Conversation: sid(2), Due: noon}, nil) &&
			yield(timers.Entry{}, broken) &&
			yield(timers.Entry{Conversation: sid(3), Due: noon}, nil)
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, 2, x.Len())
}

func TestPlacesAreUsedAgain(t *testing.T) {
	x := timers.NewIndex()
	for i := range 200_000 {
		x.File(sid(i), noon.Add(-time.Duration(i)))
		if i >= 10 {
			x.Forget(sid(i - 10))
		}
	}
	require.Equal(t, 10, x.Len())
	require.Equal(t, 11, timers.Slots(x))
	require.Len(t, x.Take(nil, noon, 100), 10)
}

func TestFollowingTheLogFilesLooksAndForgetsTheClosed(t *testing.T) {
	timed := events.Timers{Inactive: "PT1M"}
	for name, test := range map[string]struct {
		history []events.Event
		want    int
	}{
		"created with a timer":            {[]events.Event{events.ConversationCreated{Timers: timed}}, 1},
		"created without":                 {[]events.Event{events.ConversationCreated{}}, 0},
		"timers configured later":         {[]events.Event{events.ConversationCreated{}, events.ConversationTimersConfigured{Timers: timed}}, 1},
		"timers taken away":               {[]events.Event{events.ConversationCreated{Timers: timed}, events.ConversationTimersConfigured{}}, 0},
		"state changed":                   {[]events.Event{events.ConversationStateChanged{To: events.StateInactive}}, 1},
		"closed":                          {[]events.Event{events.ConversationCreated{Timers: timed}, events.ConversationStateChanged{To: events.StateClosed}}, 0},
		"removed":                         {[]events.Event{events.ConversationCreated{Timers: timed}, events.ConversationRemoved{}}, 0},
		"a message moves nothing":         {[]events.Event{events.ConversationCreated{}, events.MessageAdded{}}, 0},
		"nor does a receipt or a horizon": {[]events.Event{events.DeliveryUpdated{}, events.ReadHorizonMoved{}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			x := timers.NewIndex()
			for i, e := range test.history {
				require.NoError(t, x.Apply(recorded(sid(1), uint64(i+1), e)))
			}
			require.Len(t, x.Take(nil, noon, 10), test.want)
		})
	}
}

func TestAnUnreadablePayloadIsAnErrorNotASkip(t *testing.T) {
	bad := recorded(sid(1), 9, events.ConversationTimersConfigured{})
	bad.Data = []byte(`{"timers":`)
	require.ErrorContains(t, timers.NewIndex().Apply(bad), "position 9")
}

// Every event that states or timers hang on is followed: a new one that carries
// timers, or a new version of an old one, must not be forgotten here.
func TestFollowedTypesAreTheRegistrys(t *testing.T) {
	for _, name := range timers.Followed() {
		require.Contains(t, events.Vocabulary().Types(), name)
	}
	for _, former := range events.FormerTypes() {
		for _, name := range timers.Followed() {
			require.NotEqual(t, strings.TrimRight(former, "0123456789"), strings.TrimRight(name, "0123456789"),
				"follow the former version too")
		}
	}
}

// The index against a sorted list.
func TestIndexEqualsANaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := timers.NewIndex(), make(map[string]int64)
		anySid := rapid.Map(rapid.IntRange(0, 30), sid)
		t.Repeat(map[string]func(*rapid.T){
			"file": func(t *rapid.T) {
				id, due := anySid.Draw(t, "id"), rapid.Int64Range(0, 60).Draw(t, "due")
				if noted, ok := model[id]; !ok || due < noted {
					model[id] = due
				}
				x.File(id, noon.Add(time.Duration(due)))
			},
			"forget": func(t *rapid.T) {
				id := anySid.Draw(t, "id")
				delete(model, id)
				x.Forget(id)
			},
			"take": func(t *rapid.T) {
				now, limit := rapid.Int64Range(0, 60).Draw(t, "now"), rapid.IntRange(0, 5).Draw(t, "limit")
				require.Equal(t, modelTake(model, now, limit), x.Take(nil, noon.Add(time.Duration(now)), limit))
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), x.Len())
				require.Equal(t, len(modelDue(model, 30)), x.Backlog(noon.Add(30)))
			},
		})
	})
}

func modelDue(model map[string]int64, now int64) []timers.Entry {
	var due []timers.Entry
	for id, at := range model {
		if at <= now {
			due = append(due, timers.Entry{Conversation: id, Due: noon.Add(time.Duration(at))})
		}
	}
	slices.SortFunc(due, func(a, b timers.Entry) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Conversation, b.Conversation))
	})
	return due
}

func modelTake(model map[string]int64, now int64, limit int) []timers.Entry {
	due := modelDue(model, now)
	due = due[:min(limit, len(due))]
	for _, e := range due {
		delete(model, e.Conversation)
	}
	if len(due) == 0 {
		return nil
	}
	return due
}

// Writers, takers and forgetters at once: every conversation comes up once.
func TestConcurrentUseTakesEachEntryOnce(t *testing.T) {
	const writers, each = 4, 2000
	x := timers.NewIndex()
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[string]int)
	take := func() {
		for _, e := range x.Take(nil, noon.Add(time.Hour), 64) {
			mu.Lock()
			seen[e.Conversation]++
			mu.Unlock()
		}
	}
	for w := range writers {
		all.Go(func() {
			for i := range each {
				x.File(sid(w*each+i), noon.Add(time.Duration(i)))
				x.Forget(sid(1 << 20))
				if i%50 == 0 {
					take()
				}
			}
		})
	}
	all.Wait()
	for x.Len() > 0 {
		take()
	}
	require.Len(t, seen, writers*each)
	for id, times := range seen {
		require.Equal(t, 1, times, id)
	}
}
