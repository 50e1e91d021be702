package projections_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

const (
	account = "AC00000000000000000000000000000001"
	service = "IS00000000000000000000000000000001"
)

var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// world makes up a history that could have happened: every event is about
// something that exists at that moment.
type world struct {
	random     *rand.Rand
	at         time.Time
	serial     int
	revisions  map[string]store.Revision
	open       []*talk
	users      []string // SIDs
	roles      []string
	things     map[string][]string // SIDs by category
	rare       int                 // one of so many steps is a rare event
	population int                 // conversations that are open at a time
}

type talk struct {
	sid       string
	state     string
	people    []*person
	messages  []*posted
	webhooks  []string
	nextIndex int64
}

type person struct {
	sid, identity, address string
}

type posted struct {
	sid        string
	index      int64
	recipients []string
	status     int
}

func newWorld(seed uint64) *world {
	return &world{random: rand.New(rand.NewPCG(seed, 1)), at: epoch, revisions: map[string]store.Revision{}, things: map[string][]string{}, rare: 10, population: 20}
}

func (w *world) sid(prefix string) string {
	w.serial++
	return fmt.Sprintf("%s%016x%016x", prefix, w.random.Uint64(), w.serial)
}

func (w *world) tick() time.Time {
	w.at = w.at.Add(time.Duration(w.random.IntN(5_000_000)) * time.Microsecond)
	return w.at
}

// record is a step: events for one stream, appended at once.
type record struct {
	stream string
	events []events.Event
}

func (w *world) begin() []record {
	at := w.tick()
	role := w.sid("RL")
	w.roles = append(w.roles, role)
	return []record{
		{events.Stream(events.CategoryAccount, account), []events.Event{
			events.AccountCreated{Account: account, FriendlyName: "Acme", At: at},
			events.MessagingServiceAdded{MessagingService: "MG00000000000000000000000000000001", Senders: []string{"+15550001111"}, At: at},
			events.AccountConfigured{DefaultService: service, DefaultTimers: events.Timers{Inactive: "P30D"}, At: at},
		}},
		{events.Stream(events.CategoryService, service), []events.Event{
			events.ServiceCreated{Service: service, Account: account, FriendlyName: "Default", At: at},
			events.ServiceConfigured{ConversationRole: role, At: at},
		}},
		{events.Stream(events.CategoryRole, role), []events.Event{
			events.RoleCreated{Role: role, Account: account, Service: service, FriendlyName: "guest", Type: events.RoleConversation, Permissions: []string{"sendMessage"}, At: at},
		}},
	}
}

// step makes up what happens next.
func (w *world) step() record {
	at := w.tick()
	if len(w.open) < w.population && (len(w.open) == 0 || w.random.IntN(4) == 0) {
		return w.create(at)
	}
	t := w.open[w.random.IntN(len(w.open))]
	in := func(es ...events.Event) record {
		return record{events.Stream(events.CategoryConversation, t.sid), es}
	}
	if w.random.IntN(w.rare) == 0 {
		return w.rareStep(t, at)
	}
	if len(t.people) < 2 {
		return in(w.join(t, at))
	}
	switch n := w.random.IntN(100); {
	case n < 60:
		return in(w.post(t, at)...)
	case n < 85 && len(t.messages) > 0:
		if e, ok := w.deliver(t, at); ok {
			return in(e)
		}
		return in(w.post(t, at)...)
	case n < 97 && t.nextIndex > 0:
		p := t.people[w.random.IntN(len(t.people))]
		return in(events.ReadHorizonMoved{Participant: p.sid, Index: w.random.Int64N(t.nextIndex), ReadAt: at, At: at})
	default:
		return in(w.join(t, at))
	}
}

func (w *world) create(at time.Time) record {
	t := &talk{sid: w.sid("CH"), state: events.StateActive}
	w.open = append(w.open, t)
	created := events.ConversationCreated{
		Conversation: t.sid, Account: account, Service: service, FriendlyName: "Order " + t.sid[2:8],
		State: t.state, CreatedBy: "system", Timers: events.Timers{Inactive: "P30D", Closed: "P365D"},
		DateCreated: at, DateUpdated: at, At: at,
	}
	if w.random.IntN(2) == 0 {
		created.UniqueName, created.Attributes = "order-"+t.sid[2:10], `{"order": 17, "vip": true}`
	}
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{created}}
}

func (w *world) join(t *talk, at time.Time) events.Event {
	p := &person{sid: w.sid("MB")}
	e := events.ParticipantAdded{Participant: p.sid, DateCreated: at, DateUpdated: at, At: at}
	if len(t.people)%2 == 0 {
		p.identity = fmt.Sprintf("agent-%d-%d", w.random.IntN(30), len(t.people))
		e.Identity, e.Role = p.identity, w.roles[0]
	} else {
		p.address = fmt.Sprintf("+1555%07d", w.random.IntN(100))
		e.Binding = events.Binding{Type: "sms", Address: p.address, ProxyAddress: "+15550001111"}
	}
	t.people = append(t.people, p)
	return e
}

var words = strings.Fields("thank you for the order it will be there on monday please let me know when it has arrived and whether everything is fine")

func (w *world) text(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(words[w.random.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()
}

func (w *world) post(t *talk, at time.Time) (es []events.Event) {
	author := t.people[w.random.IntN(len(t.people))]
	m := &posted{sid: w.sid("IM"), index: t.nextIndex}
	for _, p := range t.people {
		if p.address != "" && p != author {
			m.recipients = append(m.recipients, p.sid)
		}
	}
	if t.state == events.StateInactive {
		es = append(es, events.ConversationStateChanged{From: t.state, To: events.StateActive, Reason: events.ReasonEvent, DateUpdated: at, At: at})
		t.state = events.StateActive
	}
	t.nextIndex += 1 + w.random.Int64N(2)
	t.messages = append(t.messages, m)
	return append(es, events.MessageAdded{
		Message: m.sid, Index: m.index, Author: author.identity + author.address, Participant: author.sid,
		Body: w.text(10 + w.random.IntN(25)), Recipients: m.recipients, DateCreated: at, DateUpdated: at, At: at,
	})
}

var ladder = []string{events.DeliverySent, events.DeliveryDelivered, events.DeliveryRead}

// deliver reports on a recent message.
func (w *world) deliver(t *talk, at time.Time) (events.Event, bool) {
	back := min(len(t.messages), 1+w.random.IntN(6))
	m := t.messages[len(t.messages)-back]
	if len(m.recipients) == 0 || m.status >= len(ladder)*len(m.recipients) {
		return nil, false
	}
	to := m.recipients[m.status%len(m.recipients)]
	status := ladder[m.status/len(m.recipients)]
	m.status++
	return events.DeliveryUpdated{
		Receipt: "DY" + m.sid[2:18] + to[18:], Message: m.sid, Participant: to, ChannelMessage: "SM" + m.sid[2:], Status: status, At: at,
	}, true
}

// rareStep makes up an event of the less usual kinds.
func (w *world) rareStep(t *talk, at time.Time) record {
	in := func(es ...events.Event) record {
		return record{events.Stream(events.CategoryConversation, t.sid), es}
	}
	kinds := []func() (record, bool){
		func() (record, bool) {
			return in(events.ConversationFriendlyNameChanged{FriendlyName: w.text(2), DateUpdated: at, At: at}), true
		},
		func() (record, bool) {
			return in(events.ConversationUniqueNameChanged{UniqueName: "u" + t.sid[2:12], DateUpdated: at, At: at}), true
		},
		func() (record, bool) {
			return in(events.ConversationAttributesChanged{Attributes: `{"a":1}`, DateUpdated: at, At: at}), true
		},
		func() (record, bool) {
			return in(events.ConversationMessagingServiceAttached{MessagingService: "MG00000000000000000000000000000001", DateUpdated: at, At: at}), true
		},
		func() (record, bool) {
			return in(events.ConversationEmailChanged{Email: events.Email{Address: "a@b.example"}, DateUpdated: at, At: at}), true
		},
		func() (record, bool) {
			return in(events.ConversationTimersConfigured{Timers: events.Timers{Closed: "PT10M"}, DateUpdated: at, At: at}), true
		},
		func() (record, bool) {
			return in(events.ConversationDatesSet{DateCreated: at.Add(-time.Hour), DateUpdated: at, At: at}), true
		},
		func() (record, bool) { return w.changeState(t, at) },
		func() (record, bool) { return w.close(t, at) },
		func() (record, bool) { return w.remove(t, at) },
		func() (record, bool) { return w.changePerson(t, at) },
		func() (record, bool) { return w.changePerson(t, at) },
		func() (record, bool) { return w.changeMessage(t, at) },
		func() (record, bool) { return w.changeMessage(t, at) },
		func() (record, bool) { return w.changeWebhook(t, at) },
		func() (record, bool) { return w.changeUser(at) },
		func() (record, bool) { return w.changeRole(at) },
		func() (record, bool) { return w.changeAccount(at) },
		func() (record, bool) { return w.changeService(at) },
		func() (record, bool) { return w.changeAPIKey(at) },
		func() (record, bool) { return w.changeCredential(at) },
		func() (record, bool) { return w.changeBinding(at) },
		func() (record, bool) { return w.changeAddress(at) },
		func() (record, bool) { return w.changeMedia(at) },
		func() (record, bool) { return w.postMedia(t, at) },
		func() (record, bool) { return w.postMedia(t, at) },
		func() (record, bool) {
			stream := events.Stream(events.CategoryReservation, "identity:"+w.sid("xx"))
			return record{stream, []events.Event{events.ReservationClaimed{Kind: "identity", Holder: "user-x", Ref: "x", At: at}}}, true
		},
		func() (record, bool) {
			return in(events.ReservationLost{Reservation: "reservation-x", Taker: "conversation-y", At: at}), true
		},
	}
	for {
		if r, ok := kinds[w.random.IntN(len(kinds))](); ok {
			return r
		}
	}
}

func (w *world) changeState(t *talk, at time.Time) (record, bool) {
	e := events.ConversationStateChanged{From: t.state, To: events.StateInactive, Reason: events.ReasonTimer, Due: at.Add(-time.Second), DateUpdated: at, At: at}
	if t.state == events.StateInactive {
		e.To, e.Reason, e.Due = events.StateActive, events.ReasonAPI, time.Time{}
	}
	t.state = e.To
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{e}}, true
}

func (w *world) close(t *talk, at time.Time) (record, bool) {
	w.forget(t)
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{
		events.ConversationStateChanged{From: t.state, To: events.StateClosed, Reason: events.ReasonAPI, DateUpdated: at, At: at},
	}}, true
}

func (w *world) remove(t *talk, at time.Time) (record, bool) {
	w.forget(t)
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{events.ConversationRemoved{At: at}}}, true
}

func (w *world) forget(t *talk) {
	for i := range w.open {
		if w.open[i] == t {
			w.open = append(w.open[:i], w.open[i+1:]...)
			return
		}
	}
}

func (w *world) changePerson(t *talk, at time.Time) (record, bool) {
	if len(t.people) == 0 {
		return record{}, false
	}
	i := w.random.IntN(len(t.people))
	p := t.people[i]
	var e events.Event
	switch w.random.IntN(7) {
	case 0:
		e = events.ParticipantAttributesChanged{Participant: p.sid, Attributes: `{"n":1}`, DateUpdated: at, At: at}
	case 1:
		e = events.ParticipantRoleChanged{Participant: p.sid, Role: w.roles[0], DateUpdated: at, At: at}
	case 2:
		p.identity = "someone-" + p.sid[18:]
		e = events.ParticipantBindingChanged{Participant: p.sid, Identity: p.identity, Binding: events.Binding{Type: "email", Address: "a@b.example", Level: "cc", Name: "A"}, DateUpdated: at, At: at}
	case 3:
		e = events.ParticipantDatesSet{Participant: p.sid, DateCreated: at, DateUpdated: at, At: at}
	case 4:
		e = events.NotificationLevelSet{Participant: p.sid, Level: "muted", At: at}
	case 5:
		e = events.ReadHorizonMoved{Participant: p.sid, Index: -1, At: at}
	default:
		t.people = append(t.people[:i:i], t.people[i+1:]...)
		e = events.ParticipantRemoved{Participant: p.sid, At: at}
	}
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{e}}, true
}

func (w *world) changeMessage(t *talk, at time.Time) (record, bool) {
	if len(t.messages) == 0 {
		return record{}, false
	}
	i := w.random.IntN(len(t.messages))
	m := t.messages[i]
	var e events.Event
	switch w.random.IntN(6) {
	case 0:
		e = events.MessageBodyEdited{Message: m.sid, Body: w.text(5), DateUpdated: at, At: at}
	case 1:
		e = events.MessageAttributesChanged{Message: m.sid, Attributes: `{"m":1}`, DateUpdated: at, At: at}
	case 2:
		e = events.MessageAuthorChanged{Message: m.sid, Author: "system", DateUpdated: at, At: at}
	case 3:
		e = events.MessageSubjectChanged{Message: m.sid, Subject: w.text(2), DateUpdated: at, At: at}
	case 4:
		e = events.MessageDatesSet{Message: m.sid, DateCreated: at, DateUpdated: at, At: at}
	default:
		t.messages = append(t.messages[:i:i], t.messages[i+1:]...)
		e = events.MessageRemoved{Message: m.sid, At: at}
	}
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{e}}, true
}

func (w *world) changeWebhook(t *talk, at time.Time) (record, bool) {
	var e events.Event
	switch n := len(t.webhooks); {
	case n == 0:
		t.webhooks = append(t.webhooks, w.sid("WH"))
		e = events.WebhookAdded{WebhookSid: t.webhooks[0], Webhook: events.Webhook{Target: "webhook", URL: "https://a.example/hook", Filters: []string{"onMessageAdded"}}, At: at}
	case w.random.IntN(2) == 0:
		e = events.WebhookUpdated{WebhookSid: t.webhooks[0], Webhook: events.Webhook{Target: "webhook", URL: "https://b.example/hook"}, At: at}
	default:
		e = events.WebhookRemoved{WebhookSid: t.webhooks[0], At: at}
		t.webhooks = nil
	}
	return record{events.Stream(events.CategoryConversation, t.sid), []events.Event{e}}, true
}

func (w *world) changeUser(at time.Time) (record, bool) {
	in := func(sid string, e events.Event) (record, bool) {
		return record{events.Stream(events.CategoryUser, sid), []events.Event{e}}, true
	}
	n := len(w.users)
	if n < 3 {
		sid := w.sid("US")
		w.users = append(w.users, sid)
		return in(sid, events.UserCreated{User: sid, Account: account, Service: service, Identity: fmt.Sprintf("agent-%d-0", w.random.IntN(30)), At: at})
	}
	sid := w.users[n-1]
	switch w.random.IntN(4) {
	case 0:
		return in(sid, events.UserFriendlyNameChanged{FriendlyName: w.text(1), At: at})
	case 1:
		return in(sid, events.UserAttributesChanged{Attributes: `{"u":1}`, At: at})
	case 2:
		return in(sid, events.UserRoleChanged{Role: w.roles[0], At: at})
	default:
		w.users = w.users[:n-1]
		return in(sid, events.UserRemoved{At: at})
	}
}

func (w *world) changeRole(at time.Time) (record, bool) {
	in := func(sid string, e events.Event) (record, bool) {
		return record{events.Stream(events.CategoryRole, sid), []events.Event{e}}, true
	}
	if n := len(w.roles); n > 2 {
		sid := w.roles[n-1]
		w.roles = w.roles[:n-1]
		return in(sid, events.RoleRemoved{At: at})
	}
	if w.random.IntN(2) == 0 {
		return in(w.roles[0], events.RolePermissionsReplaced{Permissions: []string{"leaveConversation"}, At: at})
	}
	sid := w.sid("RL")
	w.roles = append(w.roles, sid)
	return in(sid, events.RoleCreated{Role: sid, Account: account, Service: service, FriendlyName: "r", Type: events.RoleService, At: at})
}

// append writes records to a log and returns the last position.
func (w *world) append(t testing.TB, log store.Log, records ...record) (last events.Position) {
	t.Helper()
	for _, r := range records {
		var err error
		last, err = w.write(log, r)
		require.NoError(t, err)
	}
	return last
}

func (w *world) write(log store.Log, r record) (events.Position, error) {
	expected, known := w.revisions[r.stream]
	if !known {
		expected = store.NoStream
	}
	command := events.NameID(fmt.Sprint(r.stream, expected))
	batch := make([]events.Proposed, len(r.events))
	for i, e := range r.events {
		eventType, data, err := events.Vocabulary().Encode(e)
		if err != nil {
			return events.Position{}, err
		}
		batch[i] = events.Proposed{ID: events.EventID(command, i), Type: eventType, Data: data,
			Metadata: events.Metadata{Account: account, Service: service, CommandID: command, Command: "test"}}
	}
	appended, err := log.Append(context.Background(), r.stream, expected, batch)
	w.revisions[r.stream] = appended.Revision
	return appended.Position, err
}

// grow appends n steps and returns the last position.
func (w *world) grow(t testing.TB, log store.Log, n int) (last events.Position) {
	t.Helper()
	if len(w.roles) == 0 {
		w.append(t, log, w.begin()...)
	}
	for range n {
		last = w.append(t, log, w.step())
	}
	return last
}
