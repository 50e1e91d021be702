package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

var account = domain.SID("AC", "test")

// desk is an engine with an account, and the clock it runs on.
type desk struct {
	*engine.Engine
	t   *testing.T
	log store.Log
	mu  sync.Mutex
	now time.Time
}

func newDesk(t *testing.T, log store.Log) *desk {
	t.Helper()
	d := &desk{t: t, log: log, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	d.Engine = engine.New(log, &engine.Options{DefaultAccount: account, Now: d.clock})
	return d
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t, memstore.New())
	d.must("account.create", account, map[string]any{})
	return d
}

func (d *desk) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *desk) advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

func command(t *testing.T, commandType, aggregate string, fields any) engine.Command {
	t.Helper()
	body, err := json.Marshal(fields)
	require.NoError(t, err)
	return engine.Command{Type: commandType, Aggregate: aggregate, Body: body}
}

func (d *desk) must(commandType, aggregate string, fields any) engine.Outcome {
	d.t.Helper()
	outcome, err := d.Execute(d.t.Context(), command(d.t, commandType, aggregate, fields))
	require.NoError(d.t, err)
	return outcome
}

func (d *desk) refused(code string, c engine.Command) *engine.Failure {
	d.t.Helper()
	head := d.head()
	_, err := d.Execute(d.t.Context(), c)
	var failure *engine.Failure
	require.ErrorAs(d.t, err, &failure)
	require.Equal(d.t, code, failure.Code, failure.Message)
	require.Equal(d.t, head, d.head(), "a refused command leaves no trace")
	return failure
}

func (d *desk) head() events.Position {
	d.t.Helper()
	head, err := d.log.Head(d.t.Context())
	require.NoError(d.t, err)
	return head
}

func (d *desk) types(stream string) (types []string) {
	d.t.Helper()
	for recorded, err := range d.log.ReadStream(d.t.Context(), stream, 0, store.Forwards) {
		require.NoError(d.t, err)
		types = append(types, recorded.Type)
	}
	return types
}

type fields map[string]any

func TestACommandIsDecidedAppendedAndAnswered(t *testing.T) {
	d := openDesk(t)
	created := d.must("conversation.create", "", fields{"friendly_name": "Order"})
	require.Equal(t, int64(0), created.Revision)
	require.Equal(t, created.Aggregate, created.Sid)
	require.Equal(t, []string{"conversation.created.v1"}, created.Events)

	added := d.must("conversation.add-message", created.Sid, fields{"body": "hello"})
	require.Equal(t, int64(1), added.Revision)
	require.Equal(t, int64(0), *added.Index)
	require.True(t, domain.IsSID("IM", added.Sid))
	require.Positive(t, added.Position.Compare(created.Position))
}

func TestARepeatedCommandGetsItsFirstOutcome(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	c := command(t, "conversation.add-message", ch, fields{"body": "once"})
	c.ID = events.NameID("retry")
	first, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	d.must("conversation.add-message", ch, fields{"body": "in between"})
	head := d.head()

	for name, again := range map[string]*engine.Engine{
		"the same engine":   d.Engine,
		"after a restart":   engine.New(d.log, &engine.Options{DefaultAccount: account}),
		"from another body": d.Engine,
	} {
		if name == "from another body" {
			c.Body = json.RawMessage(` { "body" : "once" } `)
		}
		second, err := again.Execute(t.Context(), c)
		require.NoError(t, err, name)
		require.True(t, second.Repeated, name)
		second.Repeated = false
		require.Equal(t, first, second, name)
		require.Equal(t, head, d.head(), name)
	}
	c.Body = json.RawMessage(`{"body":"twice"}`)
	d.refused("idempotency_conflict", c)
}

func TestARepeatedCreateMakesTheSameConversation(t *testing.T) {
	d := openDesk(t)
	c := command(t, "conversation.create", "", fields{"unique_name": "order-1"})
	c.ID = events.NameID("create")
	first, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	second, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, first.Sid, second.Sid)
	require.True(t, second.Repeated)
}

func TestTheWindowForgetsAfterItsPublishedSize(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	c := command(t, "conversation.add-message", ch, fields{"body": "early"})
	c.ID = events.NameID("early")
	_, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	for range engine.IdempotencyWindow - 1 {
		d.must("conversation.add-message", ch, fields{"body": "x"})
	}
	again, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	d.must("conversation.add-message", ch, fields{"body": "x"})
	d.refused("message_exists", c)
}

func TestBadInputIsRefusedByNameOfTheField(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	past := command(t, "conversation.add-message", ch, fields{"body": "x"})
	past.Deadline = d.now.Add(-time.Second)
	wrongRevision := command(t, "conversation.add-message", ch, fields{"body": "x"})
	wrongRevision.ExpectedRevision = new(int64)
	*wrongRevision.ExpectedRevision = 7
	foreign := command(t, "conversation.add-message", ch, fields{"body": "x"})
	foreign.Account = domain.SID("AC", "foreign")
	raw := func(body string) engine.Command {
		return engine.Command{Type: "conversation.add-message", Aggregate: ch, Body: json.RawMessage(body)}
	}
	for name, row := range map[string]struct {
		command     engine.Command
		code, field string
	}{
		"unknown command":    {command(t, "conversation.explode", ch, fields{}), "unknown_command", "command"},
		"malformed SID":      {command(t, "conversation.add-message", "CH123", fields{"body": "x"}), "sid_malformed", "aggregate"},
		"missing aggregate":  {command(t, "conversation.add-message", "", fields{"body": "x"}), "aggregate_missing", "aggregate"},
		"malformed sub-SID":  {command(t, "conversation.edit-message", ch, fields{"message": "IMx"}), "sid_malformed", "message"},
		"unknown field":      {raw(`{"boddy":"x"}`), "unknown_field", "boddy"},
		"wrong type":         {raw(`{"body":1}`), "wrong_type", "body"},
		"not JSON":           {raw(`{"body":`), "not_json", "data"},
		"two objects":        {raw(`{"body":"a"} {"body":"b"}`), "not_json", "data"},
		"not UTF-8":          {raw("{\"body\":\"\xff\"}"), "not_utf8", "data"},
		"expired deadline":   {past, "expired", "deadline"},
		"wrong revision":     {wrongRevision, "version_conflict", "expected_revision"},
		"foreign account":    {foreign, "not_found", ""},
		"absent aggregate":   {command(t, "conversation.add-message", domain.SID("CH", "absent"), fields{"body": "x"}), "not_found", ""},
		"unknown actor kind": {engine.Command{Type: "conversation.add-message", Aggregate: ch, Actor: events.Actor{Kind: "ghost"}}, "actor_unknown", "actor.kind"},
		"oversize":           {raw(`{"body":"` + string(make([]byte, engine.MaxBodyBytes)) + `"}`), "payload_too_large", "data"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, row.field, d.refused(row.code, row.command).Field)
		})
	}
}

func TestUniqueNamesAreUniquePerServiceEvenAfterClosing(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{"unique_name": "n"}).Sid
	again := command(t, "conversation.create", "", fields{"unique_name": "n"})
	_, err := d.Execute(t.Context(), again)
	require.ErrorContains(t, err, "Conversation with provided unique name already exists")
	d.must("conversation.update", ch, fields{"state": "closed"})
	_, err = d.Execute(t.Context(), again)
	require.ErrorContains(t, err, "Conversation with provided unique name already exists")

	other := d.must("service.create", "", fields{"friendly_name": "other"}).Sid
	elsewhere := command(t, "conversation.create", "", fields{"unique_name": "n"})
	elsewhere.Service = other
	_, err = d.Execute(t.Context(), elsewhere)
	require.NoError(t, err)

	d.must("conversation.remove", ch, fields{})
	d.must("conversation.create", "", fields{"unique_name": "n"})
}

const from, proxy = "+15550100", "+15550199"

// withMessaging gives the account a Messaging Service for new conversations.
func (d *desk) withMessaging() *desk {
	mg := d.must("account.add-messaging-service", account, fields{"friendly_name": "numbers"}).Sid
	d.must("account.configure", account, fields{"default_messaging_service": mg})
	return d
}

func TestAnAddressPairIsInOneOpenConversation(t *testing.T) {
	d := openDesk(t).withMessaging()
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	pair := fields{"address": from, "proxy_address": proxy}
	mb := d.must("conversation.add-participant", first, pair).Sid

	failure := d.refused("address_pair_taken", command(t, "conversation.add-participant", second, pair))
	require.Equal(t, 50416, failure.Twilio)
	require.Contains(t, failure.Message, first)

	d.must("conversation.remove-participant", first, fields{"participant": mb})
	d.must("conversation.add-participant", second, pair)
	d.must("conversation.update", second, fields{"state": "closed"})
	closed := d.types(events.Stream(events.CategoryConversation, second))
	d.must("conversation.add-participant", first, pair)
	require.Equal(t, closed, d.types(events.Stream(events.CategoryConversation, second)), "closing releases without another event")
	require.Contains(t, d.types(events.Stream(events.CategoryConversation, first)), "reservation.lost.v1", "a live holder is fenced")
}

func TestOfTwentyClaimantsOfAPairExactlyOneWins(t *testing.T) {
	d := openDesk(t).withMessaging()
	var conversations []string
	for range 20 {
		conversations = append(conversations, d.must("conversation.create", "", fields{}).Sid)
	}
	var won, lost int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, ch := range conversations {
		e := d.Engine
		if i%2 == 1 { // another node: its own lanes and its own memory
			e = engine.New(d.log, &engine.Options{DefaultAccount: account, Now: d.clock})
		}
		all.Go(func() {
			_, err := retrying(t.Context(), e, command(t, "conversation.add-participant", ch, fields{"address": from, "proxy_address": proxy}))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if engine.AsFailure(err).Twilio == 50416 {
				lost++
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, won)
	require.Equal(t, 19, lost)
}

// retrying does what every caller does with a retryable failure: the same
// command again.
func retrying(ctx context.Context, e *engine.Engine, c engine.Command) (engine.Outcome, error) {
	c.ID = events.NameID(c.Aggregate + string(c.Body))
	for {
		outcome, err := e.Execute(ctx, c)
		var failure *engine.Failure
		if !errors.As(err, &failure) || !failure.Retryable {
			return outcome, err
		}
	}
}

func TestAChatParticipantGetsAUserOnce(t *testing.T) {
	d := openDesk(t)
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-participant", first, fields{"identity": "alice"})
	d.must("conversation.add-participant", second, fields{"identity": "alice"})
	users := 0
	for recorded, err := range d.log.ReadAll(t.Context(), events.Position{}, store.Filter{Types: []string{events.UserCreated{}.EventType()}}) {
		require.NoError(t, err)
		require.Equal(t, events.ActorSystem, recorded.Metadata.Actor.Kind)
		users++
	}
	require.Equal(t, 1, users)
	d.refused("user_exists", command(t, "user.create", "", fields{"identity": "alice"}))
	head := d.head()
	_, err := d.Execute(t.Context(), command(t, "conversation.add-participant", first, fields{"identity": "bob", "attributes": "not json"}))
	require.Error(t, err)
	require.Equal(t, head, d.head(), "no user for a participant that was refused")
}

func TestConcurrentCommandsOfOneConversationAllLandInOrder(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			outcome, err := d.Execute(t.Context(), command(t, "conversation.add-message", ch, fields{"body": fmt.Sprint(i)}))
			if err != nil || outcome.Revision != *outcome.Index+1 {
				t.Errorf("outcome %+v, %v", outcome, err)
			}
		})
	}
	all.Wait()
	require.Len(t, d.types(events.Stream(events.CategoryConversation, ch)), 51)
}

func TestUsersAreHeldToTheirRoles(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	d.must("conversation.add-participant", ch, fields{"identity": "alice"})
	as := func(identity, commandType string, f fields) engine.Command {
		c := command(t, commandType, ch, f)
		c.Actor = events.Actor{Kind: events.ActorUser, ID: identity}
		return c
	}
	_, err := d.Execute(t.Context(), as("alice", "conversation.add-message", fields{"body": "mine"}))
	require.NoError(t, err)
	require.Equal(t, 50107, d.refused("permission_denied", as("alice", "conversation.remove", fields{})).Twilio)
	_, err = d.Execute(t.Context(), as("mallory", "conversation.add-message", fields{"body": "x"}))
	require.Equal(t, string(domain.PermissionDenied), engine.AsFailure(err).Kind)
	d.refused("permission_denied", engine.Command{Type: "role.create", Actor: events.Actor{Kind: events.ActorUser, ID: "alice"}})
}

func TestATimerFiresOnceAndNeverEarly(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{"timers": fields{"inactive": "PT1M", "closed": "PT10M"}}).Sid
	next, ok, err := d.Advance(t.Context(), ch, d.now)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, d.now.Add(time.Minute), next)
	require.Len(t, d.types(events.Stream(events.CategoryConversation, ch)), 1)

	d.advance(time.Minute)
	for range 3 {
		next, ok, err = d.Advance(t.Context(), ch, next)
		require.NoError(t, err)
		require.True(t, ok)
	}
	require.Len(t, d.types(events.Stream(events.CategoryConversation, ch)), 2)
	d.advance(72 * time.Hour)
	_, ok, err = d.Advance(t.Context(), ch, next)
	require.NoError(t, err)
	require.False(t, ok)
	require.Len(t, d.types(events.Stream(events.CategoryConversation, ch)), 3)
}

// flaky is a log whose appends fail on demand: before or after taking effect.
type flaky struct {
	store.Log
	before, after bool
}

func (f *flaky) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if f.before {
		return store.Appended{}, store.ErrUnavailable
	}
	appended, err := f.Log.Append(ctx, stream, expected, batch)
	if err == nil && f.after {
		return store.Appended{}, store.ErrUnavailable
	}
	return appended, err
}

func TestAnAppendThatFailedIsDoneByTheSameCommandAgain(t *testing.T) {
	for name, fault := range map[string]func(*flaky, bool){
		"and did not happen": func(f *flaky, on bool) { f.before = on },
		"but did happen":     func(f *flaky, on bool) { f.after = on },
	} {
		t.Run(name, func(t *testing.T) {
			log := &flaky{Log: memstore.New()}
			d := newDesk(t, log)
			d.must("account.create", account, fields{})
			ch := d.must("conversation.create", "", fields{}).Sid
			c := command(t, "conversation.add-message", ch, fields{"body": "x"})
			c.ID = events.NameID("flaky")

			fault(log, true)
			_, err := d.Execute(t.Context(), c)
			require.True(t, engine.AsFailure(err).Retryable)
			fault(log, false)

			outcome, err := d.Execute(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, int64(1), outcome.Revision)
			require.Equal(t, int64(0), *outcome.Index)
			require.Len(t, d.types(events.Stream(events.CategoryConversation, ch)), 2)
		})
	}
}

// rival is a log that lets somebody in before the first append to a stream.
type rival struct {
	store.Log
	prefix string
	before func()
	once   sync.Once
}

func (h *rival) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	if h.before != nil && strings.HasPrefix(stream, h.prefix) {
		h.once.Do(h.before)
	}
	return h.Log.Append(ctx, stream, expected, batch)
}

func TestAHolderThatTakesItsNameBackAndATakerCannotBothHaveIt(t *testing.T) {
	log := memstore.New()
	a := newDesk(t, log)
	a.must("account.create", account, fields{})
	ch := a.must("conversation.create", "", fields{"unique_name": "X"}).Sid
	a.must("conversation.update", ch, fields{"unique_name": "Y"})

	between := &rival{Log: log, prefix: "reservation-unique-name"}
	between.before = func() { a.must("conversation.update", ch, fields{"unique_name": "X"}) } // B has fenced A and is about to claim
	b := newDesk(t, between)
	_, err := b.Execute(t.Context(), command(t, "conversation.create", "", fields{"unique_name": "X"}))
	require.Equal(t, 50353, engine.AsFailure(err).Twilio)
}

func TestAPairIsHeldWhicheverParticipantClaimedItLast(t *testing.T) {
	log := memstore.New()
	between := &rival{Log: log, prefix: "reservation-address-pair"}
	d := newDesk(t, between)
	d.must("account.create", account, fields{})
	d.withMessaging()
	first := d.must("conversation.create", "", fields{}).Sid
	second := d.must("conversation.create", "", fields{}).Sid
	pair := fields{"address": from, "proxy_address": proxy}
	node := engine.New(log, &engine.Options{DefaultAccount: account, Now: d.clock})
	between.before = func() { // another node adds the same pair to the same conversation, all the way
		_, err := node.Execute(t.Context(), command(t, "conversation.add-participant", first, pair))
		require.NoError(t, err)
	}
	_, err := d.Execute(t.Context(), command(t, "conversation.add-participant", first, pair))
	require.Equal(t, 50416, engine.AsFailure(err).Twilio)
	_, err = d.Execute(t.Context(), command(t, "conversation.add-participant", second, pair))
	require.Equal(t, 50416, engine.AsFailure(err).Twilio)
}

func TestARepeatAfterTheDeadlineGetsTheOutcomeOfWhatWasDone(t *testing.T) {
	d := openDesk(t)
	ch := d.must("conversation.create", "", fields{}).Sid
	c := command(t, "conversation.add-message", ch, fields{"body": "once"})
	c.ID, c.Deadline = events.NameID("deadline"), d.clock().Add(time.Second)
	_, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	d.advance(2 * time.Second)
	again, err := d.Execute(t.Context(), c)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	c.ID = events.NameID("late")
	d.refused("expired", c)
}

func TestActivityThatWaitedDoesNotPullATimerBack(t *testing.T) {
	between := &rival{Log: memstore.New(), prefix: "reservation-identity"}
	d := newDesk(t, between)
	d.must("account.create", account, fields{})
	ch := d.must("conversation.create", "", fields{"timers": fields{"inactive": "PT60S"}}).Sid
	begun := d.clock()
	between.before = func() { // the claim takes long, and a message overtakes it
		d.advance(20 * time.Second)
		d.must("conversation.add-message", ch, fields{"body": "hello"})
	}
	d.must("conversation.add-participant", ch, fields{"identity": "alice"})
	next, _, err := d.Advance(t.Context(), ch, begun)
	require.NoError(t, err)
	require.Equal(t, begun.Add(80*time.Second), next)
}

func TestAnAccountIsFoundMadeWhateverItsServiceWentThrough(t *testing.T) {
	d := openDesk(t)
	sid := domain.SID("AC", "second")
	create := command(t, "account.create", sid, fields{})
	create.ID = events.NameID("bootstrap")
	_, err := d.Execute(t.Context(), create)
	require.NoError(t, err)
	service := domain.SID("IS", create.ID.String()+"/default-service")
	for i := range engine.IdempotencyWindow + 1 {
		c := command(t, "service.configure", service, fields{"reachability_enabled": i%2 == 0})
		c.Account = sid
		_, err := d.Execute(t.Context(), c)
		require.NoError(t, err)
	}
	again, err := engine.New(d.log, &engine.Options{DefaultAccount: sid}).Execute(t.Context(), create)
	require.NoError(t, err)
	require.True(t, again.Repeated)
}

func TestDrainWaitsAndThenRefuses(t *testing.T) {
	d := openDesk(t)
	require.NoError(t, d.Drain(t.Context()))
	_, err := d.Execute(t.Context(), command(t, "conversation.create", "", fields{}))
	require.Equal(t, "overloaded", engine.AsFailure(err).Code)
}
