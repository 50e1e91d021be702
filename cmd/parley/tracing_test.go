package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spans is a collector of OpenTelemetry's over HTTP.
type spans struct {
	mu   sync.Mutex
	list []*otlp.Span
	raw  []string
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	data, err := io.ReadAll(body)
	request := &collector.ExportTraceServiceRequest{}
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(data, request) != nil {
		http.Error(w, "no traces", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = append(s.raw, string(data))
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			s.list = append(s.list, scope.GetSpans()...)
		}
	}
}

// of a trace, by name.
func (s *spans) of(trace string) map[string]*otlp.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]*otlp.Span{}
	for _, span := range s.list {
		if hex.EncodeToString(span.GetTraceId()) == trace {
			found[span.GetName()] = span
		}
	}
	return found
}

// A command that comes with a trace is followed to its append and to the read models.
func TestACommandIsTracedFromTheMessageToTheReadModels(t *testing.T) {
	const trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	s := &spans{}
	target := httptest.NewServer(s)
	t.Cleanup(target.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", target.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	dir := filepath.Join(t.TempDir(), "data")
	server := serving(t, dir, "--log-level", "error")
	require.NoError(t, eventually("the read models follow", func() (bool, error) { // what the first fill takes in is not traced
		out, _, _ := parley(t, "projection", "list", "--data", dir)
		return strings.Contains(out, `"behind":0}`), nil
	}))
	made := dial(t, dir).request(t, "parley.call.new", `{"command":"conversation.create","traceparent":"00-`+trace+`-`+caller+`-01","data":{"unique_name":"hush-hush"}}`)
	require.True(t, made.OK, made)
	require.NoError(t, eventually("three spans", func() (bool, error) { return len(s.of(trace)) == 3, nil }))
	const foreign = "alice@example-com" // as a command, an aggregate and a field
	for _, body := range []string{`{"command":"` + foreign + `","data":{}}`, `{"command":"conversation.update","data":{}}`} {
		require.False(t, dial(t, dir).request(t, "parley.call."+foreign, body).OK)
	}
	found := s.of(trace)
	command := found["conversation.create"]
	require.NotNil(t, command)
	require.Equal(t, caller, hex.EncodeToString(command.GetParentSpanId()))
	require.Equal(t, otlp.Span_SPAN_KIND_CONSUMER, command.GetKind())
	for _, name := range []string{"append", "project main"} {
		require.NotNil(t, found[name], name)
		require.Equal(t, command.GetSpanId(), found[name].GetParentSpanId(), name)
	}
	out, _, _ := parley(t, "event", "list", "--data", dir, "--type", "conversation.created.v1")
	require.Contains(t, out, "00-"+trace+"-"+hex.EncodeToString(command.GetSpanId())+"-01")
	server.stop(t)
	sent := strings.Join(s.raw, "")
	require.Contains(t, sent, "conversation.update")
	require.NotContains(t, sent, "hush-hush", "spans have no content")
	require.NotContains(t, sent, foreign, "spans have no text that nobody has checked")
}

// Without the environment nothing is sent and nothing is changed.
func TestWithoutACollectorTracesPassUntouched(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	dir := filepath.Join(t.TempDir(), "data")
	server := serving(t, dir, "--log-level", "error")
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	made := dial(t, dir).request(t, "parley.call.new", `{"command":"conversation.create","traceparent":"`+parent+`","data":{}}`)
	require.True(t, made.OK, made)
	out, _, _ := parley(t, "event", "list", "--data", dir, "--type", "conversation.created.v1")
	require.Contains(t, out, parent)
	server.stop(t)
}
