package crashtest

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// story is a true history with what a client was told of it.
type story struct {
	log    []events.Recorded
	ledger *ledger
	talk   string // the stream most of it is about
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// tell has the real engine write a history.
func tell(t *testing.T) *story {
	t.Helper()
	account, now := domain.SID("AC", "test"), noon
	log := memstore.New()
	log.Now = func() time.Time { return now }
	e := engine.New(log, &engine.Options{DefaultAccount: account, Now: log.Now})
	s := &story{ledger: &ledger{}}
	do := func(commandType, aggregate string, f fields) engine.Outcome {
		body, err := json.Marshal(f)
		require.NoError(t, err)
		outcome, err := e.Execute(t.Context(), engine.Command{Type: commandType, Aggregate: aggregate, Body: body})
		require.NoError(t, err)
		s.ledger.ack(ack{1, outcome})
		return outcome
	}
	do("account.create", account, fields{})
	numbers := do("account.add-messaging-service", "", fields{"friendly_name": "Numbers"}).Sid
	do("account.configure", "", fields{"default_messaging_service": numbers})
	ch := do("conversation.create", "", fields{"unique_name": "n", "timers": fields{"inactive": "PT1M"}}).Sid
	do("conversation.add-participant", ch, fields{"address": "+15550100", "proxy_address": "+15550199"})
	for range 3 {
		said := do("conversation.add-message", ch, fields{"body": "x"})
		s.ledger.post(post{1, said.CommandID, ch})
	}
	s.ledger.refuse(refusal{events.NameID("refused"), "invalid"})
	now = noon.Add(time.Minute)
	_, _, err := e.Advance(t.Context(), ch, now)
	require.NoError(t, err)
	do("conversation.create", "", fields{"unique_name": "m"})
	s.talk = events.Stream(events.CategoryConversation, ch)
	for r, err := range log.ReadAll(t.Context(), events.Position{}, store.Filter{}) {
		require.NoError(t, err)
		s.log = append(s.log, r)
	}
	return s
}

func (s *story) check() error {
	h := newHistory()
	for _, r := range s.log {
		if err := h.add(r); err != nil {
			return err
		}
	}
	return s.ledger.known().audit(h)
}

// find returns the n-th event of a type.
func (s *story) find(eventType string, n int) *events.Recorded {
	for i := range s.log {
		if s.log[i].Type == eventType {
			if n--; n < 0 {
				return &s.log[i]
			}
		}
	}
	panic("no " + eventType)
}

// drop removes an event and closes the gap it leaves in its stream.
func (s *story) drop(r *events.Recorded) {
	gone := *r
	s.log = slices.DeleteFunc(s.log, func(r events.Recorded) bool { return r.ID == gone.ID })
	for i := range s.log {
		if s.log[i].Stream == gone.Stream && s.log[i].Revision > gone.Revision {
			s.log[i].Revision--
		}
	}
}

// append adds a copy of an event at the end of its stream and of the log.
func (s *story) append(r events.Recorded) *events.Recorded {
	r.Revision = 0
	for _, other := range s.log {
		if other.Stream == r.Stream {
			r.Revision = other.Revision + 1
		}
	}
	last := s.log[len(s.log)-1]
	r.Position, r.Recorded = events.At(last.Position.Commit+1), last.Recorded
	s.log = append(s.log, r)
	return &s.log[len(s.log)-1]
}

// rewrite changes a text in an event's data.
func rewrite(r *events.Recorded, from, to string) {
	r.Data = bytes.ReplaceAll(r.Data, []byte(from), []byte(to))
}

func TestATrueHistoryPasses(t *testing.T) { require.NoError(t, tell(t).check()) }

// Each row spoils a true history in one way.
func TestTheCheckerFindsWhatACrashCouldDo(t *testing.T) {
	message, created := events.MessageAdded{}.EventType(), events.ConversationCreated{}.EventType()
	for name, row := range map[string]struct {
		spoil func(s *story)
		want  string
	}{
		"an acknowledged event is lost":        {func(s *story) { s.drop(s.find(message, 2)) }, "was acknowledged and is not in the log"},
		"a gap in a stream":                    {func(s *story) { s.find(message, 2).Revision++ }, "revision 4 was next"},
		"a position that falls":                {func(s *story) { s.find(message, 1).Position = events.At(1) }, "the position before was"},
		"an event twice":                       {func(s *story) { s.append(*s.find(message, 0)) }, "is there twice"},
		"a command done again with other ids":  {func(s *story) { s.append(*s.find(message, 0)).ID = events.NameID("again") }, "has had an effect"},
		"a command done again elsewhere":       {func(s *story) { again(s, "conversation-CHother") }, "has had an effect"},
		"an event id that is not the commands": {func(s *story) { s.find(message, 0).ID = events.NameID("other") }, "has id"},
		"a landing other than acknowledged":    {func(s *story) { s.ledger.acks[5].outcome.Revision++ }, "was acknowledged as"},
		"an acknowledged batch in part":        {func(s *story) { o := &s.ledger.acks[5].outcome; o.Events = append(o.Events, message) }, "was acknowledged as"},
		"acknowledgements that go back":        {func(s *story) { slices.Reverse(s.ledger.acks) }, "acknowledged after"},
		"a refused command with an effect":     {func(s *story) { s.ledger.refused[0].id = s.find(message, 0).Metadata.CommandID }, "was refused"},
		"posts out of order":                   {func(s *story) { slices.Reverse(s.ledger.posts) }, "behind the earlier"},
		"a post skipped":                       {func(s *story) { s.ledger.posts[0].id = events.NameID("skipped") }, "was not"},
		"a timer before its time":              {func(s *story) { early(s) }, "fired at"},
		"a timer at another instant":           {func(s *story) { rewrite(s.find(stateChanged, 0), "12:01:00Z", "12:00:59Z") }, "was due"},
		"a name held twice":                    {func(s *story) { rewrite(s.find(created, 1), `"m"`, `"n"`) }, "is held by"},
		"a pair held twice":                    {func(s *story) { secondPair(s) }, "is held by"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			row.spoil(s)
			require.ErrorContains(t, s.check(), row.want)
		})
	}
}

var stateChanged = events.ConversationStateChanged{}.EventType()

func again(s *story, stream string) {
	r := s.append(*s.find(events.MessageAdded{}.EventType(), 0))
	r.ID, r.Stream, r.Revision = events.EventID(r.Metadata.CommandID, 1), stream, 0
}

func early(s *story) {
	r := s.find(stateChanged, 0)
	r.Recorded = r.Recorded.Add(-time.Millisecond)
}

// secondPair puts the participant of the first conversation into the second.
func secondPair(s *story) {
	other := s.find(events.ConversationCreated{}.EventType(), 1).Stream
	r := *s.find(events.ParticipantAdded{}.EventType(), 0)
	r.Stream, r.Metadata.CommandID, r.ID = other, events.ID{}, events.NameID("second")
	s.append(r)
}

func TestWaitingPostsAndLateTimersAreSeen(t *testing.T) {
	s := tell(t)
	h := newHistory()
	for _, r := range s.log {
		if r.Type != stateChanged && r.Recorded.Before(noon.Add(time.Minute)) {
			require.NoError(t, h.add(r))
		}
	}
	require.Zero(t, s.ledger.waiting(h))
	s.ledger.post(post{1, events.NameID("waits"), "CH"})
	require.Equal(t, 1, s.ledger.waiting(h))
	_, _, late := h.overdue(noon.Add(time.Minute))
	require.False(t, late)
	stream, due, late := h.overdue(noon.Add(time.Minute + 1))
	require.True(t, late)
	require.Equal(t, s.talk, stream)
	require.Equal(t, noon.Add(time.Minute), due)
}
