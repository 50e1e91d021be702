package twilio_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/twilio"
)

func TestARefusalKeepsTwiliosCode(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404} {
		api := play(t, status, `{"code":21610,"message":"Attempt to send to unsubscribed recipient","status":400}`)
		_, err := open(t, api, nil).Send(t.Context(), message)
		var refused *carrier.Refused
		require.ErrorAs(t, err, &refused)
		require.Equal(t, &carrier.Refused{Code: 21610, Reason: "Attempt to send to unsubscribed recipient"}, refused)
	}
}

func TestTooManyRequestsAreForLater(t *testing.T) {
	for status, body := range map[int]string{429: `{"code":20429,"message":"Too Many Requests","status":429}`, 403: `{"code":20429}`} {
		_, err := open(t, play(t, status, body), nil).Send(t.Context(), message)
		var later *carrier.Later
		require.ErrorAs(t, err, &later)
		require.Equal(t, 7*time.Second, later.After)
	}
	_, err := open(t, play(t, 429, "slow down"), nil).Send(t.Context(), message)
	var later *carrier.Later
	require.ErrorAs(t, err, &later, "whoever says it")
}

func TestWhatMayHaveBeenSentIsUnknown(t *testing.T) {
	for _, answer := range []struct {
		status int
		body   string
	}{
		{500, `{"code":20500,"message":"Internal Server Error","status":500}`}, {503, "busy"}, {502, ""},
		{201, `{"sid":`}, {201, `{}`}, {200, "<html>"}, {201, `{"pad":"` + strings.Repeat("x", 100_000) + `","sid":"SM1"}`},
	} {
		api := play(t, answer.status, answer.body)
		_, err := open(t, api, nil).Send(t.Context(), message)
		require.ErrorIs(t, err, carrier.ErrUnknown, "%d %.20s", answer.status, answer.body)
		require.Len(t, api.lines, 1, "it is asked once")
	}
}

func TestWhatAStrangerRefusedIsTriedAgain(t *testing.T) {
	for status, body := range map[int]string{302: "", 307: "", 404: "<html>no such page</html>", 407: ""} {
		api := play(t, status, body)
		_, err := open(t, api, nil).Send(t.Context(), message)
		requireNotSent(t, err)
		require.Len(t, api.lines, 1, "redirects are not followed")
	}
}

func TestAMessageThatNeverLeftIsTriedAgain(t *testing.T) {
	api := play(t, 201, created)
	c := open(t, api, nil)
	api.Close()
	_, err := c.Send(t.Context(), message)
	requireNotSent(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Send(ctx, message)
	requireNotSent(t, err)
	require.ErrorIs(t, err, context.Canceled)
}

func TestNoAnswerIsUnknown(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer broken.Close()
	_, err := open(t, &api{Server: broken}, nil).Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)

	arrived, release := make(chan struct{}, 2), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	defer silent.Close()
	defer close(release)
	_, err = open(t, &api{Server: silent}, func(c *twilio.Config) { c.TimeoutSeconds = 0.3 }).Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	<-arrived

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err = open(t, &api{Server: silent}, nil).Send(ctx, message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.ErrorIs(t, err, context.Canceled)
}

// requireNotSent asks for an error that lets the message be sent again.
func requireNotSent(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.NotErrorIs(t, err, carrier.ErrUnknown)
	var refused *carrier.Refused
	require.NotErrorAs(t, err, &refused)
}
