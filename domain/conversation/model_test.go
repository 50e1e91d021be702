package conversation_test

import (
	"cmp"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// model is a naive conversation: the table of states and the rules of the
// timers, written down once more without looking at the real one.
type model struct {
	state            string
	inactive, closed time.Duration
	since            time.Time
	removed          bool
	members          map[string]bool
	live             map[string]bool   // messages
	attached         map[string]string // media, to the message that has or had it
	last             int64             // greatest index seen
}

// machine runs both side by side.
type machine struct {
	model
	now   time.Time
	s     conversation.State
	log   []events.Event
	count int
}

func (m *machine) open() bool { return m.state == "active" || m.state == "inactive" }

// expect is the Twilio code the model foresees for a command that needs an open
// conversation, or only one that is there.
func (m *machine) expect(needsOpen bool) int {
	switch {
	case m.removed:
		return 20404
	case needsOpen && !m.open():
		return 50377
	}
	return 0
}

func (m *machine) decide(t *rapid.T, c conversation.Command, want int) []events.Event {
	before := snapshot(t, m.s)
	es, err := conversation.Decide(m.s, c)
	require.Equal(t, before, snapshot(t, m.s), "Decide changed the state")
	var r *domain.Refusal
	if errors.As(err, &r) {
		require.Equal(t, want, r.Twilio, "%s: %s", c.CommandType(), r.Code)
		require.Empty(t, es)
		return nil
	}
	require.NoError(t, err)
	require.Zero(t, want, "%s was not refused", c.CommandType())
	m.s = foldOn(m.s, es)
	m.log = append(m.log, es...)
	return es
}

func (m *machine) issue() conversation.Issue { return conversation.Issue{At: m.now} }

func (m *machine) activity() {
	m.since, m.state = m.now, "active"
}

func (m *machine) Wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 1500).Draw(t, "seconds")) * time.Second)
}

func (m *machine) Tick(t *rapid.T) {
	var want []string
	for !m.removed {
		wait, to := m.closed, "closed"
		if m.state == "active" && m.inactive > 0 {
			wait, to = m.inactive, "inactive"
		}
		if !m.open() || wait == 0 || m.now.Sub(m.since) < wait {
			break
		}
		m.state, m.since = to, m.since.Add(wait)
		want = append(want, to)
	}
	var got []string
	for _, e := range m.decide(t, conversation.AdvanceState{Issue: m.issue()}, 0) {
		change := e.(events.ConversationStateChanged)
		require.Equal(t, events.ReasonTimer, change.Reason)
		require.False(t, change.Due.After(m.now), "never early")
		got = append(got, change.To)
	}
	require.Equal(t, want, got)
}

func (m *machine) SetState(t *rapid.T) {
	state := rapid.SampledFrom([]string{"active", "inactive", "inactive", "closed"}).Draw(t, "state")
	want := m.expect(true)
	m.decide(t, conversation.Update{Issue: m.issue(), State: &state}, want)
	if want == 0 {
		m.state, m.since = state, m.now
	}
}

func (m *machine) SetTimers(t *rapid.T) {
	choices := map[string]time.Duration{"PT0S": 0, "PT1M": time.Minute, "PT10M": 10 * time.Minute, "PT20M": 20 * time.Minute}
	inactive := rapid.SampledFrom([]string{"PT0S", "PT1M", "PT10M", "PT20M"}).Draw(t, "inactive")
	closed := rapid.SampledFrom([]string{"PT0S", "PT10M", "PT20M"}).Draw(t, "closed")
	want := m.expect(true)
	m.decide(t, conversation.Update{Issue: m.issue(), Timers: &conversation.TimersPatch{Inactive: &inactive, Closed: &closed}}, want)
	if want == 0 && (m.inactive != choices[inactive] || m.closed != choices[closed]) {
		m.inactive, m.closed, m.since = choices[inactive], choices[closed], m.now
	}
}

func (m *machine) Rename(t *rapid.T) {
	m.decide(t, conversation.Update{Issue: m.issue(), FriendlyName: ptr(rapid.StringN(0, 5, -1).Filter(domain.ValidText).Draw(t, "name"))}, m.expect(true))
}

func (m *machine) Join(t *rapid.T) {
	identity := rapid.SampledFrom([]string{"ann", "bea", "cem"}).Draw(t, "identity")
	want := m.expect(true)
	if want == 0 && m.members[identity] {
		want = 50433
	}
	m.count++
	m.decide(t, conversation.AddParticipant{Issue: m.issue(), Sid: mb(m.count), Identity: identity}, want)
	if want == 0 {
		m.members[identity] = true
		m.activity()
	}
}

func (m *machine) Leave(t *rapid.T) {
	identity := rapid.SampledFrom([]string{"ann", "bea", "cem"}).Draw(t, "identity")
	want := m.expect(false)
	if want == 0 && !m.members[identity] {
		want = 50432
	}
	m.decide(t, conversation.RemoveParticipant{Issue: m.issue(), Participant: identity}, want)
	if want == 0 {
		delete(m.members, identity)
	}
}

func (m *machine) Post(t *rapid.T) {
	want := m.expect(true)
	m.count++
	es := m.decide(t, conversation.AddMessage{Issue: m.issue(), Sid: im(m.count), Body: "b"}, want)
	if want != 0 {
		return
	}
	_, index := conversation.OutcomeOf(es)
	require.Greater(t, *index, m.last, "an index is never used again")
	m.last, m.live[im(m.count)] = *index, true
	m.activity()
}

// Attach posts a message with a file, which no other one may have or have had.
func (m *machine) Attach(t *rapid.T) {
	file := events.Media{Media: me(rapid.IntRange(1, 6).Draw(t, "media"))}
	uploaded := map[string]conversation.Upload{}
	want := m.expect(true)
	switch rapid.SampledFrom([]string{"uploaded", "uploaded", "imported", "gone", "unknown"}).Draw(t, "kind") {
	case "uploaded":
		uploaded[file.Media] = conversation.Upload{File: &events.Media{Media: file.Media, ContentType: "a/b"}}
	case "imported":
		file.ContentType = "a/b"
	case "gone":
		uploaded[file.Media] = conversation.Upload{}
		want = cmp.Or(want, 50507)
	default:
		want = cmp.Or(want, 50507)
	}
	if _, attached := m.attached[file.Media]; attached && want == 0 {
		want = 50508
	}
	m.count++
	es := m.decide(t, conversation.AddMessage{Issue: m.issue(), Sid: im(m.count), Media: []events.Media{file}, Uploaded: uploaded}, want)
	if want != 0 {
		return
	}
	_, index := conversation.OutcomeOf(es)
	m.last, m.live[im(m.count)], m.attached[file.Media] = *index, true, im(m.count)
	m.activity()
}

// Begin tries to create what is there already, or was.
func (m *machine) Begin(t *rapid.T) {
	m.decide(t, together(nil, withIdentity("ann")), 20409)
}

func (m *machine) Erase(t *rapid.T) {
	sid := im(rapid.IntRange(1, 40).Draw(t, "message"))
	want := m.expect(false)
	if want == 0 && !m.live[sid] {
		want = 50500
	}
	m.decide(t, conversation.RemoveMessage{Issue: m.issue(), Message: sid}, want)
	delete(m.live, sid)
}

func (m *machine) Edit(t *rapid.T) {
	sid := im(rapid.IntRange(1, 40).Draw(t, "message"))
	want := m.expect(true)
	if want == 0 && !m.live[sid] {
		want = 50500
	}
	body := rapid.SampledFrom([]string{"b", "c"}).Draw(t, "body")
	m.decide(t, conversation.EditMessage{Issue: m.issue(), Message: sid, Body: &body}, want)
}

func (m *machine) Read(t *rapid.T) {
	identity := rapid.SampledFrom([]string{"ann", "bea"}).Draw(t, "identity")
	index := rapid.Int64Range(-1, 40).Draw(t, "index")
	want := m.expect(false)
	switch {
	case want != 0:
	case !m.members[identity]:
		want = 50432
	case index < 0 || index > m.last:
		want = 50421
	}
	m.decide(t, conversation.MoveReadHorizon{Issue: m.issue(), Participant: identity, Index: &index}, want)
}

func (m *machine) End(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "luck") > 0 {
		t.Skip("seldom")
	}
	m.decide(t, conversation.Remove{Issue: m.issue()}, m.expect(false))
	m.removed = true
}

// Check compares after every action, and folds the whole log anew, through the
// bytes that would be stored.
func (m *machine) Check(t *rapid.T) {
	require.Equal(t, m.state, m.s.State)
	require.Equal(t, m.since, sinceOf(m))
	require.Equal(t, m.removed, m.s.Removed())
	require.Len(t, m.s.Participants, len(m.members))
	for n := range 7 {
		message, attached := m.attached[me(n)]
		require.Equal(t, attached, m.s.Attached(me(n)))
		require.Equal(t, m.live[message] && !m.removed, m.s.Holds(mediaClaim(n, me(n))))
	}
	var again conversation.State
	for _, e := range m.log {
		name, data, err := events.Vocabulary().Encode(e)
		require.NoError(t, err)
		stored, err := events.Vocabulary().Decode(name, data)
		require.NoError(t, err)
		again = conversation.Evolve(again, stored)
	}
	require.Equal(t, m.s, again, "folding the log gives the state")
}

// sinceOf is the start of the clock where one can run.
func sinceOf(m *machine) time.Time {
	if m.open() {
		return m.s.Since
	}
	return m.since
}

// begin creates the conversation: with people in it, or else without.
func (m *machine) begin(t *rapid.T) {
	m.state = rapid.SampledFrom([]string{"active", "inactive"}).Draw(t, "state")
	begin := func(c *conversation.Create) { c.State = m.state }
	var people []func(*conversation.AddParticipant)
	members, want := map[string]bool{}, 0
	for _, identity := range rapid.SliceOfN(rapid.SampledFrom([]string{"ann", "bea", "cem", "dan"}), 0, 11).Draw(t, "people") {
		people = append(people, withIdentity(identity))
		if members[identity] {
			want = 50433
		}
		members[identity] = true
	}
	if len(people) > 10 {
		want = 50426
	}
	m.decide(t, together(begin, people...), want)
	if want != 0 {
		m.decide(t, newConversation(begin), 0)
		return
	}
	m.members, m.count = members, len(people)
}

func TestRandomHistoriesFollowTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: t0, model: model{
			state: "active", since: t0, last: -1, members: map[string]bool{}, live: map[string]bool{}, attached: map[string]string{},
		}}
		m.begin(t)
		t.Repeat(rapid.StateMachineActions(m))
	})
}

func ExampleState_NextDue() {
	s := fold(created(withTimers("PT10M", "P1D")))
	due, state, _ := s.NextDue()
	fmt.Println(due.Format(time.TimeOnly), state)
	// Output: 09:10:00 inactive
}
