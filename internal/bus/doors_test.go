package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// ledger is an Execute that writes down what it did, by aggregate.
type ledger struct {
	mu   sync.Mutex
	done map[string][]string // bodies
	busy map[string]bool
	fail func(c engine.Command) error // nil: never
	work time.Duration
}

func newLedger() *ledger {
	return &ledger{done: map[string][]string{}, busy: map[string]bool{}}
}

func (l *ledger) execute(ctx context.Context, c engine.Command) (engine.Outcome, error) {
	if err := l.begin(c); err != nil {
		return engine.Outcome{}, err
	}
	if l.work > 0 {
		<-time.After(l.work)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[c.Aggregate] = false
	l.done[c.Aggregate] = append(l.done[c.Aggregate], string(c.Body))
	return accept(ctx, c)
}

func (l *ledger) begin(c engine.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[c.Aggregate] {
		return errors.New("two commands of one aggregate at a time")
	}
	if l.fail != nil {
		if err := l.fail(c); err != nil {
			return err
		}
	}
	l.busy[c.Aggregate] = true
	return nil
}

func (l *ledger) of(aggregate string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.done[aggregate]...)
}

func (l *ledger) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, bodies := range l.done {
		n += len(bodies)
	}
	return n
}

func newClient(t testing.TB, nc *nats.Conn) *bus.Client {
	t.Helper()
	client, err := bus.NewClient(nc)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() }) // the connection may be gone
	return client
}

func numbered(aggregate string, n int) engine.Command {
	return engine.Command{Type: "conversation.add-message", Aggregate: aggregate, Body: fmt.Appendf(nil, `{"n":%d}`, n)}
}

func wantNumbers(n int) []string {
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprintf(`{"n":%d}`, i)
	}
	return want
}

func TestAggregatesRunInOrderOverBothDoors(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	l := newLedger()
	l.work = 100 * time.Microsecond
	startBus(t, nc, l.execute, nil)
	client := newClient(t, nc)
	var senders sync.WaitGroup
	for a := range 16 {
		senders.Go(func() {
			for n := range 40 {
				send := client.Call
				if n%2 == a%2 {
					send = client.Send
				}
				_, err := send(within(t, soon), numbered(fmt.Sprintf("CH%02d", a), n))
				require.NoError(t, err)
			}
		})
	}
	senders.Wait()
	for a := range 16 {
		require.Equal(t, wantNumbers(40), l.of(fmt.Sprintf("CH%02d", a)))
	}
}

func TestDoorsShareTheLanes(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	l := newLedger() // fails when two commands of an aggregate overlap
	l.work = 200 * time.Microsecond
	startBus(t, nc, l.execute, nil)
	client := newClient(t, nc)
	var senders sync.WaitGroup
	for range 8 {
		for _, send := range []func(context.Context, engine.Command) (engine.Outcome, error){client.Call, client.Send} {
			senders.Go(func() {
				for range 20 {
					_, err := send(within(t, soon), numbered("CH01", 0))
					require.NoError(t, err)
				}
			})
		}
	}
	senders.Wait()
	require.Equal(t, 320, l.count())
}

func TestRefusalIsAReplyOnBothDoorsAndNoDeadLetter(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	refusal := &engine.Failure{Code: "conversation_closed", Kind: string(domain.FailedPrecondition), Field: "state", Twilio: 50377, Message: "closed", RetryAfter: 1500 * time.Millisecond}
	startBus(t, nc, func(context.Context, engine.Command) (engine.Outcome, error) { return engine.Outcome{}, refusal }, nil)
	client := newClient(t, nc)
	for _, send := range []func(context.Context, engine.Command) (engine.Outcome, error){client.Call, client.Send} {
		_, err := send(within(t, soon), numbered("CH01", 0))
		var got *engine.Failure
		require.ErrorAs(t, err, &got)
		require.Equal(t, refusal, got)
	}
	require.Empty(t, letters(t, nc, ""))
}

func TestWholeEnvelopeArrivesFromHeadersAndFromTheBody(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	got := make(chan engine.Command, 1)
	startBus(t, nc, func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		got <- c
		return accept(ctx, c)
	}, nil)
	revision := int64(-1)
	want := engine.Command{
		ID: events.NameID("x"), Type: "conversation.create", Account: "AC1", Service: "IS1",
		Actor: events.Actor{Kind: events.ActorUser, ID: "ann"}, Body: json.RawMessage(`{"friendly_name":"a \"b\" {"}`),
		ExpectedRevision: &revision, Occurred: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Deadline: time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC), Correlation: "c", Causation: "k",
		Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Webhooks: true,
	}
	_, err := newClient(t, nc).Call(within(t, soon), want)
	require.NoError(t, err)
	require.Equal(t, want, <-got)

	body := fmt.Sprintf(` {"command":"conversation.create","id":%q,"account":"AC1","service":"IS1","actor":{"kind":"user","id":"ann"},
		"correlation_id":"c","causation_id":"k","traceparent":%q,"deadline":"2036-01-02T04:04:05+01:00","expected_revision":-1,
		"occurred":"2026-01-02T03:04:05.000006Z","webhooks":true,"data":{"friendly_name":"a \"b\" {"} } `, want.ID, want.Traceparent)
	_, err = nc.Request("parley.call.new", []byte(body), soon)
	require.NoError(t, err)
	require.Equal(t, want, <-got)

	m := nats.NewMsg("parley.call.CH9")
	m.Header.Set(bus.HeaderAccount, "AC2")
	m.Data = []byte(body)
	_, err = nc.RequestMsg(m, soon)
	require.NoError(t, err)
	want.Account, want.Aggregate = "AC2", "CH9"
	require.Equal(t, want, <-got, "the header wins")
}

func TestMistakesAreNamedInTheReply(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, accept, &bus.Options{MaxCommandBytes: 1000})
	for name, c := range map[string]struct{ body, code, field string }{
		"empty":                   {"", bus.CodeUnreadable, ""},
		"an array":                {"[]", bus.CodeUnreadable, ""},
		"cut short":               {`{"command":"x"`, bus.CodeUnreadable, ""},
		"two values":              {`{"command":"x"}{}`, bus.CodeUnreadable, ""},
		"too large":               {`{"command":"` + strings.Repeat("x", 1000) + `"}`, bus.CodeTooLarge, ""},
		"no command":              {`{}`, bus.CodeMissing, "command"},
		"an empty command":        {`{"command":""}`, bus.CodeInvalid, "command"},
		"an unknown member":       {`{"command":"x","comand":"y"}`, bus.CodeUnknown, "comand"},
		"an unknown actor member": {`{"command":"x","actor":{"name":"y"}}`, bus.CodeUnknown, "actor.name"},
		"a flattened member":      {`{"command":"x","actor.id":"y"}`, bus.CodeUnknown, "actor.id"},
		"a repeated member":       {`{"command":"x","command":"y"}`, bus.CodeRepeated, "command"},
		"repeated data":           {`{"command":"x","data":{},"data":{}}`, bus.CodeRepeated, "data"},
		"a repeated actor":        {`{"command":"x","actor":{},"\u0061ctor":{}}`, bus.CodeRepeated, "actor"},
		"a number for a text":     {`{"command":"x","account":5}`, bus.CodeInvalid, "account"},
		"null":                    {`{"command":"x","id":null}`, bus.CodeInvalid, "id"},
		"a text for data":         {`{"command":"x","data":"{}"}`, bus.CodeInvalid, "data"},
		"a bad UUID":              {`{"command":"x","id":"123"}`, bus.CodeInvalid, "id"},
		"the nil UUID":            {`{"command":"x","id":"00000000-0000-0000-0000-000000000000"}`, bus.CodeInvalid, "id"},
		"a bad time":              {`{"command":"x","deadline":"tomorrow"}`, bus.CodeInvalid, "deadline"},
		"a time that is none":     {`{"command":"x","deadline":"0001-01-01T00:00:00Z"}`, bus.CodeInvalid, "deadline"},
		"a time before all times": {`{"command":"x","occurred":"0000-01-01T00:00:00Z"}`, bus.CodeInvalid, "occurred"},
		"a NUL":                   {`{"command":"x","correlation_id":"a\u0000"}`, bus.CodeInvalid, "correlation_id"},
		"half a character":        {`{"command":"x","actor":{"id":"\ud800"}}`, bus.CodeInvalid, "actor.id"},
		"a text for a revision":   {`{"command":"x","expected_revision":"5"}`, bus.CodeInvalid, "expected_revision"},
		"a fraction":              {`{"command":"x","expected_revision":1.5}`, bus.CodeInvalid, "expected_revision"},
		"an unknown actor":        {`{"command":"x","actor":{"kind":"god"}}`, bus.CodeInvalid, "actor.kind"},
		"invalid UTF-8":           {"{\"command\":\"x\",\"account\":\"\xff\"}", bus.CodeInvalid, "account"},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := nc.Request("parley.call.CH1", []byte(c.body), soon)
			require.NoError(t, err)
			var got bus.Reply
			require.NoError(t, json.Unmarshal(reply.Data, &got))
			require.NotNil(t, got.Error, "%s", reply.Data)
			require.Equal(t, c.code, got.Error.Code)
			require.Equal(t, c.field, got.Error.Field)
			require.False(t, got.Error.Retryable)
		})
	}
}

func TestMisspeltAndRepeatedHeadersAreNamed(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, accept, nil)
	for name, header := range map[string]nats.Header{
		"parley-command": {"parley-command": {"x"}},
		"Parley-Acount":  {bus.HeaderCommand: {"x"}, "Parley-Acount": {"AC1"}},
		"Parley-Service": {bus.HeaderCommand: {"x"}, bus.HeaderService: {"IS1", "IS2"}},
	} {
		reply, err := nc.RequestMsg(&nats.Msg{Subject: "parley.call.CH1", Header: header, Data: []byte("{}")}, soon)
		require.NoError(t, err)
		require.Contains(t, string(reply.Data), `"field":"`+name+`"`)
	}
}

func TestCallsOverTheLimitAreRefusedAtOnce(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	release := make(chan struct{})
	startBus(t, nc, func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		<-release
		return accept(ctx, c)
	}, &bus.Options{MaxInFlight: 4})
	client := newClient(t, nc)
	results := make(chan error, 10)
	for i := range 10 {
		go func() {
			_, err := client.Call(within(t, soon), numbered(fmt.Sprintf("CH%d", i), 0))
			results <- err
		}()
	}
	for range 6 {
		var failure *engine.Failure
		require.ErrorAs(t, <-results, &failure)
		require.Equal(t, engine.KindUnavailable, failure.Kind)
		require.True(t, failure.Retryable)
	}
	close(release)
	for range 4 {
		require.NoError(t, <-results)
	}
}

func TestCallWithoutAnEngineSaysSo(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	_, err := newClient(t, nc).Call(within(t, soon), numbered("CH1", 0))
	require.ErrorIs(t, err, bus.ErrNoEngine)
}

func TestGracefulRestartsUnderLoadLoseNothingAndRepeatNothing(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	l := newLedger()
	l.work = time.Millisecond
	stop := startBus(t, nc, l.execute, nil)
	const aggregates, each = 20, 100
	var senders sync.WaitGroup
	client := newClient(t, nc)
	for a := range aggregates {
		senders.Go(func() {
			for n := range each {
				require.NoError(t, client.Post(within(t, soon), numbered(fmt.Sprintf("CH%02d", a), n)))
			}
		})
	}
	for round := range 5 {
		require.Eventually(t, func() bool { return l.count() >= (round+1)*aggregates*each/7 }, soon, time.Millisecond)
		stop()
		stop = startBus(t, connectAgain(t, nc), l.execute, nil)
	}
	senders.Wait()
	require.Eventually(t, func() bool { return l.count() >= aggregates*each }, soon, time.Millisecond)
	stop()
	for a := range aggregates {
		require.Equal(t, wantNumbers(each), l.of(fmt.Sprintf("CH%02d", a)))
	}
}

// connectAgain opens another connection to the same server.
func connectAgain(t *testing.T, nc *nats.Conn) *nats.Conn {
	t.Helper()
	next, err := nats.Connect(nc.ConnectedUrl(), nats.Token("secret"))
	require.NoError(t, err)
	t.Cleanup(next.Close)
	return next
}

func TestHandlersAreNotCutOffByADrain(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	started := make(chan struct{})
	cut := make(chan error, 1)
	release := make(chan struct{})
	stop := startBus(t, nc, func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		close(started)
		<-release
		cut <- ctx.Err()
		return accept(ctx, c)
	}, nil)
	answered := make(chan error, 1)
	go func() {
		_, err := newClient(t, nc).Call(within(t, soon), numbered("CH1", 0))
		answered <- err
	}()
	<-started
	go func() {
		<-time.After(50 * time.Millisecond) // the drain is under way, or it will find nothing to wait for
		close(release)
	}()
	stop()
	require.NoError(t, <-cut)
	require.NoError(t, <-answered)
}

func TestHangingCallIsCutOffAfterItsTimeout(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, func(ctx context.Context, _ engine.Command) (engine.Outcome, error) {
		<-ctx.Done()
		return engine.Outcome{}, &engine.Failure{Code: "late", Kind: engine.KindUnavailable, Message: ctx.Err().Error()}
	}, &bus.Options{Timeout: 50 * time.Millisecond, Retries: 1, FirstPause: time.Millisecond})
	client := newClient(t, nc)
	for _, send := range []func(context.Context, engine.Command) (engine.Outcome, error){client.Call, client.Send} {
		_, err := send(within(t, soon), numbered("CH1", 0))
		require.ErrorContains(t, err, context.DeadlineExceeded.Error())
	}
}

func TestGracefulRestartsOfTheWholeProcessLoseNothingAndRepeatNothing(t *testing.T) {
	dir := t.TempDir()
	server := startBroker(t, dir)
	l := newLedger()
	l.work = 500 * time.Microsecond
	const aggregates, each = 20, 50
	nc := connect(t, server)
	stop := startBus(t, nc, l.execute, nil)
	client := newClient(t, nc)
	for n := range each {
		for a := range aggregates {
			require.NoError(t, client.Post(within(t, soon), numbered(fmt.Sprintf("CH%02d", a), n)))
		}
	}
	for l.count() < aggregates*each {
		stop()
		nc.Close()
		server.Stop()
		server = startBroker(t, dir)
		nc = connect(t, server)
		before := l.count()
		stop = startBus(t, nc, l.execute, nil)
		require.Eventually(t, func() bool { return l.count() >= min(before+200, aggregates*each) }, soon, time.Millisecond)
	}
	for a := range aggregates {
		require.Equal(t, wantNumbers(each), l.of(fmt.Sprintf("CH%02d", a)))
	}
}
