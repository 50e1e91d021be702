package channels_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/loopback"
	"github.com/parley-engine/parley/internal/reactor"
)

// batcher is a carrier whose gateway sends several messages in one request: their ids.
type batcher struct{ *recorder }

func (batcher) Receive(r carrier.Request) (reports []carrier.Report, _ carrier.Answer, _ error) {
	for _, id := range strings.Fields(string(r.Body)) {
		reports = append(reports, carrier.Report{Inbound: &carrier.Inbound{ID: id, From: "+491700000001", To: []string{ours}, Body: id}})
	}
	return reports, carrier.Answer{}, nil
}

// What is answered with 400 leaves no trace, also where one report of several is at fault.
func TestOfARequestAllReportsAreKeptOrNone(t *testing.T) {
	w := newWorld(t, loopback.Config{})
	in, err := reactor.OpenQueue(filepath.Join(w.dir, "in.db"), reactor.Full, nil)
	require.NoError(t, err)
	out, err := reactor.OpenQueue(filepath.Join(w.dir, "out.db"), reactor.Full, nil)
	require.NoError(t, err)
	door := channels.New(channels.Config{
		Engine: w.engine, Log: w.log, Streams: w.log, Out: out, In: in, Account: ac,
		Adapters: []channels.Adapter{{Name: "test", Carrier: batcher{w.carrier}}},
	}).Handler("", func(w http.ResponseWriter, status int, reason string) { http.Error(w, reason, status) })
	for body, want := range map[string]int{"one " + strings.Repeat("x", 256): http.StatusBadRequest, "two three": http.StatusNoContent, "": http.StatusNoContent} {
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/channels/test/inbound", strings.NewReader(body)))
		require.Equal(t, want, answer.Code, body)
	}
	kept, err := in.Entries(reactor.Selection{})
	require.NoError(t, err)
	require.Len(t, kept, 2)
	require.NoError(t, in.Close())
	require.NoError(t, out.Close())
}
