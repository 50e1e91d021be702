package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

func deadLetters(t *testing.T, nc *nats.Conn) *bus.DeadLetters {
	t.Helper()
	d, err := bus.OpenDeadLetters(within(t, soon), nc)
	require.NoError(t, err)
	return d
}

func letters(t *testing.T, nc *nats.Conn, aggregate string) []bus.DeadLetter {
	t.Helper()
	list, err := deadLetters(t, nc).List(within(t, soon), aggregate, 0)
	require.NoError(t, err)
	return list
}

// poisoned fails commands for CH1 with n 1 while on is set.
func poisoned(on *atomic.Bool) func(engine.Command) error {
	return func(c engine.Command) error {
		if on.Load() && c.Aggregate == "CH1" && string(c.Body) == `{"n":1}` {
			return errors.New("this one cannot be done")
		}
		return nil
	}
}

func TestUnreadableBytesAreKeptIntact(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, accept, nil)
	inbox, err := nc.SubscribeSync("replies.mine")
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	m := nats.NewMsg("parley.commands.CH1")
	m.Data = []byte("\x00\xffgarbage")
	m.Header = nats.Header{"Reply-To": {"replies.mine"}, "X-Own": {"a", "b"}, "Nats-Msg-Id": {"mine"}, "Parley-Correlation-Id": {"order-7"}}
	_, err = js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	reply, err := inbox.NextMsg(soon)
	require.NoError(t, err)
	require.Contains(t, string(reply.Data), bus.CodeUnreadable)
	require.Equal(t, "order-7", reply.Header.Get("Parley-Correlation-Id"))

	list := letters(t, nc, "")
	require.Len(t, list, 1)
	letter, err := deadLetters(t, nc).Get(within(t, soon), list[0].Sequence)
	require.NoError(t, err)
	require.Equal(t, m.Data, letter.Data)
	require.Equal(t, m.Header, letter.Header)
	require.Equal(t, "parley.commands.CH1", letter.Subject)
	require.Equal(t, "CH1", letter.Aggregate)
	require.Equal(t, bus.CodeUnreadable, letter.Code)
	require.Equal(t, 1, letter.Attempts)
	require.False(t, letter.FirstSeen.IsZero() || letter.LastSeen.Before(letter.FirstSeen))
}

func TestPoisonParksOnlyItsOwnAggregateAndRedriveRestoresTheOrder(t *testing.T) {
	dir := t.TempDir()
	nc := connect(t, startBroker(t, dir))
	l := newLedger()
	var on atomic.Bool
	on.Store(true)
	l.fail = poisoned(&on)
	stop := startBus(t, nc, l.execute, nil)
	client := newClient(t, nc)
	for n := range 5 {
		require.NoError(t, client.Post(within(t, soon), numbered("CH1", n)))
		require.NoError(t, client.Post(within(t, soon), numbered("CH2", n)))
	}
	require.Eventually(t, func() bool { return len(letters(t, nc, "CH1")) == 4 && len(l.of("CH2")) == 5 }, soon, 5*time.Millisecond)
	require.Equal(t, wantNumbers(1), l.of("CH1"))
	require.Equal(t, wantNumbers(5), l.of("CH2"))
	list := letters(t, nc, "CH1")
	require.Equal(t, bus.CodeInternal, list[0].Code)
	require.True(t, list[1].Behind() && list[2].Behind() && list[3].Behind())

	stop() // what is parked is known after a restart, too
	startBus(t, nc, l.execute, nil)
	_, err := client.Send(within(t, soon), numbered("CH1", 5))
	var failure *engine.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, bus.CodeParked, failure.Code)

	_, err = client.Redrive(within(t, soon), deadLetters(t, nc), list[0].Sequence)
	require.ErrorAs(t, err, &failure)
	require.Equal(t, bus.CodeInternal, failure.Code, "it fails again")
	list = letters(t, nc, "CH1")
	require.Len(t, list, 5)
	again := list[len(list)-1]
	require.Equal(t, 1, again.Redriven)
	require.Equal(t, 2, again.Attempts)

	_, err = client.Redrive(within(t, soon), deadLetters(t, nc), list[0].Sequence)
	require.ErrorAs(t, err, &failure)
	require.Equal(t, bus.CodeOutOfTurn, failure.Code, "a later one does not pass the first")

	on.Store(false)
	n, err := deadLetters(t, nc).RedriveAggregate(within(t, soon), "CH1")
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.Eventually(t, func() bool { return len(l.of("CH1")) == 6 && len(letters(t, nc, "")) == 0 }, soon, 5*time.Millisecond)
	require.Equal(t, wantNumbers(6), l.of("CH1"))
	_, err = client.Send(within(t, soon), numbered("CH1", 6))
	require.NoError(t, err)
	require.Equal(t, wantNumbers(7), l.of("CH1"))
}

func TestDiscardLetsTheRestFollow(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	l := newLedger()
	var on atomic.Bool
	on.Store(true)
	l.fail = poisoned(&on)
	startBus(t, nc, l.execute, nil)
	client := newClient(t, nc)
	for n := range 4 {
		require.NoError(t, client.Post(within(t, soon), numbered("CH1", n)))
	}
	require.Eventually(t, func() bool { return len(letters(t, nc, "CH1")) == 3 }, soon, 5*time.Millisecond)
	d := deadLetters(t, nc)
	require.NoError(t, d.Discard(within(t, soon), letters(t, nc, "CH1")[0].Sequence))
	require.Eventually(t, func() bool { return len(letters(t, nc, "")) == 0 }, soon, 5*time.Millisecond)
	require.Equal(t, []string{`{"n":0}`, `{"n":2}`, `{"n":3}`}, l.of("CH1"))
	require.ErrorIs(t, d.Discard(within(t, soon), 99), bus.ErrNoLetter)
}

func TestLettersCanBeRedrivenAndDiscardedWhileNoEngineRuns(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	l := newLedger()
	var on atomic.Bool
	on.Store(true)
	l.fail = poisoned(&on)
	stop := startBus(t, nc, l.execute, nil)
	client := newClient(t, nc)
	for n := range 3 {
		require.NoError(t, client.Post(within(t, soon), numbered("CH1", n)))
	}
	require.Eventually(t, func() bool { return len(letters(t, nc, "CH1")) == 2 }, soon, 5*time.Millisecond)
	stop()
	require.NoError(t, deadLetters(t, nc).Redrive(within(t, soon), letters(t, nc, "CH1")[0].Sequence))
	on.Store(false)
	startBus(t, nc, l.execute, nil)
	require.Eventually(t, func() bool { return len(l.of("CH1")) == 3 }, soon, 5*time.Millisecond)
	require.Equal(t, wantNumbers(3), l.of("CH1"))
}

func TestPassingFailuresAreRetriedInPlaceAndThenKept(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	var attempts atomic.Int32
	startBus(t, nc, func(context.Context, engine.Command) (engine.Outcome, error) {
		attempts.Add(1)
		return engine.Outcome{}, &engine.Failure{Code: "store_away", Kind: engine.KindUnavailable, Retryable: true, Message: "away"}
	}, &bus.Options{Retries: 3, FirstPause: time.Millisecond})
	_, err := newClient(t, nc).Send(within(t, soon), numbered("CH1", 0))
	var failure *engine.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "store_away", failure.Code)
	require.EqualValues(t, 4, attempts.Load())
	list := letters(t, nc, "")
	require.Len(t, list, 1)
	require.Equal(t, 4, list[0].Attempts)
}

func TestPanicIsAnInternalReplyAndADeadLetterOnTheDurableDoorOnly(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, func(context.Context, engine.Command) (engine.Outcome, error) { panic("secret detail") }, nil)
	client := newClient(t, nc)
	for i, send := range []func(context.Context, engine.Command) (engine.Outcome, error){client.Call, client.Send} {
		_, err := send(within(t, soon), numbered("CH1", 0))
		var failure *engine.Failure
		require.ErrorAs(t, err, &failure)
		require.Equal(t, engine.KindInternal, failure.Kind)
		require.NotContains(t, failure.Message, "secret")
		require.Len(t, letters(t, nc, ""), i)
	}
}

func TestStoppedRetryIsGivenBackAndNotKept(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	tried := make(chan struct{}, 100)
	away := func(context.Context, engine.Command) (engine.Outcome, error) {
		tried <- struct{}{}
		return engine.Outcome{}, &engine.Failure{Code: "store_away", Kind: engine.KindUnavailable, Retryable: true}
	}
	stop := startBus(t, nc, away, &bus.Options{FirstPause: time.Minute, LongestPause: time.Minute})
	client := newClient(t, nc)
	for n := range 3 {
		require.NoError(t, client.Post(within(t, soon), numbered("CH1", n)))
	}
	<-tried
	stop()
	require.Empty(t, letters(t, nc, ""))
	l := newLedger()
	startBus(t, nc, l.execute, nil)
	require.Eventually(t, func() bool { return l.count() == 3 }, soon, time.Millisecond)
	require.Equal(t, wantNumbers(3), l.of("CH1"))
}

func TestListIsLimited(t *testing.T) {
	nc := connect(t, startBroker(t, t.TempDir()))
	startBus(t, nc, accept, nil)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	for i := range 7 {
		_, err := js.Publish(t.Context(), fmt.Sprintf("parley.commands.CH%d", i), []byte("?"))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(letters(t, nc, "")) == 7 }, soon, 5*time.Millisecond)
	list, err := deadLetters(t, nc).List(within(t, soon), "", 3)
	require.NoError(t, err)
	require.Len(t, list, 3)
	n, err := deadLetters(t, nc).DiscardAggregate(within(t, soon), "CH3")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, letters(t, nc, ""), 6)
}
