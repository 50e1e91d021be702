package loopback_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/loopback"
)

// told is a status as the carrier reports it.
type told struct {
	to, status string
	after      time.Duration
}

// sent is what a carrier says to a message, and what it reports of it.
func sent(t *testing.T, c loopback.Config, m carrier.Outgoing) (carrier.Sent, []told, error) {
	t.Helper()
	l, err := loopback.New(c, "")
	require.NoError(t, err)
	var reports []told
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- l.Listen(ctx, func(_ context.Context, r carrier.Report) error {
			reports = append(reports, told{r.Status.To, r.Status.Status, r.After})
			return nil
		})
	}()
	synctest.Wait()
	answer, err := l.Send(t.Context(), m)
	stop()
	require.NoError(t, <-done)
	return answer, reports, err
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	rules := []loopback.Rule{{To: "+1*", Status: "undelivered", ErrorCode: 30005}, {To: "+2", Status: "failed", ErrorCode: 30003}}
	for name, row := range map[string]struct {
		config loopback.Config
		typ    string
		to     string
		want   []told
		code   int // of a refusal
	}{
		"an SMS is delivered":       {loopback.Config{}, "sms", "+3", []told{{"+3", "delivered", 50 * time.Millisecond}}, 0},
		"WhatsApp is read, too":     {loopback.Config{Delay: "1s"}, "whatsapp", "whatsapp:+3", []told{{"whatsapp:+3", "delivered", time.Second}, {"whatsapp:+3", "read", 2 * time.Second}}, 0},
		"backwards and twice":       {loopback.Config{Delay: "1s", Shuffle: true}, "whatsapp", "w", []told{{"w", "read", 1 * time.Second}, {"w", "read", 2 * time.Second}, {"w", "delivered", 3 * time.Second}, {"w", "delivered", 4 * time.Second}}, 0},
		"a rule for some":           {loopback.Config{Rules: rules}, "sms", "+199", []told{{"+199", "undelivered", 50 * time.Millisecond}}, 0},
		"a rule for one, at once":   {loopback.Config{Rules: rules}, "sms", "+2", nil, 30003},
		"which is not for the next": {loopback.Config{Rules: rules}, "sms", "+22", []told{{"+22", "delivered", 50 * time.Millisecond}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer, reports, err := sent(t, row.config, carrier.Outgoing{Key: "k", Type: row.typ, To: []string{row.to}})
				if row.code != 0 {
					var no *carrier.Refused
					require.ErrorAs(t, err, &no)
					require.Equal(t, row.code, no.Code)
					return
				}
				require.NoError(t, err)
				require.Equal(t, "sent", answer.Status)
				require.Equal(t, row.want, reports)
				again, _, err := sent(t, row.config, carrier.Outgoing{Key: "k", Type: row.typ, To: []string{row.to}})
				require.NoError(t, err)
				require.Equal(t, answer.ID, again.ID, "the key makes the id")
			})
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := loopback.New(loopback.Config{}, "")
	require.NoError(t, err)
	var later *carrier.Later
	_, err = l.Send(t.Context(), carrier.Outgoing{Key: "k", To: []string{"+1"}})
	require.ErrorAs(t, err, &later)
}

func TestReportsNeedTheToken(t *testing.T) {
	l, err := loopback.New(loopback.Config{}, "secret")
	require.NoError(t, err)
	open, err := loopback.New(loopback.Config{}, "")
	require.NoError(t, err)
	request := func(token string) carrier.Request {
		return carrier.Request{Kind: carrier.KindInbound, Header: http.Header{"Authorization": {token}}, Body: []byte(`{"id":"1","from":"+1","to":["+2"]}`)}
	}
	reports, _, err := l.Receive(request("Bearer secret"))
	require.NoError(t, err)
	require.Equal(t, "+1", reports[0].Inbound.From)
	for _, token := range []string{"", "Bearer ", "Bearer other", "Basic secret", "secret"} {
		_, _, err = l.Receive(request(token))
		require.ErrorIs(t, err, carrier.ErrForbidden, token)
		_, _, err = open.Receive(request(token))
		require.ErrorIs(t, err, carrier.ErrForbidden, "without a token nobody is let in")
	}
	for _, body := range []string{``, `[]`, `{"id":1}`, `{"id":"1"} {}`, `{"nonsense":true}`} {
		r := request("Bearer secret")
		r.Body = []byte(body)
		var malformed *carrier.Malformed
		_, _, err = l.Receive(r)
		require.ErrorAs(t, err, &malformed, body)
	}
}

func TestSettingsThatDoNotFit(t *testing.T) {
	for _, c := range []loopback.Config{{Delay: "soon"}, {Delay: "-1s"}, {Rules: []loopback.Rule{{Status: "failed"}}}, {Rules: []loopback.Rule{{To: "+1", Status: "read"}}}} {
		_, err := loopback.New(c, "")
		require.Error(t, err)
	}
}
