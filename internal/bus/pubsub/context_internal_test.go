package pubsub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type key struct{}

func newTestContext() *messageContext {
	return &messageContext{Context: context.WithValue(context.Background(), key{}, "v"), delivery: &Delivery{Subject: "s"}}
}

func TestMessageContextBehavesLikeTheStandardOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestContext()
		require.Equal(t, "v", c.Value(key{}))
		require.Equal(t, "s", FromContext(c).Subject)
		require.NoError(t, c.Err())
		child, cancel := context.WithTimeout(c, time.Hour)
		defer cancel()
		other, cancelOther := context.WithCancel(c)
		called := make(chan struct{})
		context.AfterFunc(c, func() { close(called) })
		require.True(t, context.AfterFunc(c, func() { t.Error("stopped, but called") })())
		cancelOther()
		require.ErrorIs(t, other.Err(), context.Canceled)

		c.end(context.DeadlineExceeded)
		c.end(context.Canceled)
		<-c.Done()
		<-child.Done()
		<-called
		synctest.Wait()
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded, "the first reason stays")
		require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
		late, cancelLate := context.WithCancel(c)
		defer cancelLate()
		<-late.Done()
	})
}

func TestMessageContextAskedAfterItsEndIsDone(t *testing.T) {
	c := newTestContext()
	c.end(context.Canceled)
	<-c.Done()
	require.ErrorIs(t, c.Err(), context.Canceled)
}
