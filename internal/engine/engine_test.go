package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
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

func newDesk(t *testing.T, log store.Log, change ...func(*engine.Options)) *desk {
	t.Helper()
	d := &desk{t: t, log: log, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	options := &engine.Options{DefaultAccount: account, Now: d.clock}
	for _, c := range change {
		c(options)
	}
	d.Engine = engine.New(log, options)
	return d
}

func openDesk(t *testing.T, change ...func(*engine.Options)) *desk {
	t.Helper()
	d := newDesk(t, memstore.New(), change...)
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

func (d *desk) refused(code string, c engine.Command) engine.Failure {
	d.t.Helper()
	head := d.head()
	_, err := d.Execute(d.t.Context(), c)
	var failure *engine.Failure
	require.ErrorAs(d.t, err, &failure)
	require.Equal(d.t, code, failure.Code, failure.Message)
	require.Equal(d.t, head, d.head(), "a refused command leaves no trace")
	return *failure
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
