package esdbwire_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store/memstore"
)

// asker asks by one version of HTTP.
type asker struct {
	testing.TB
	http.Client
	base string
}

func askers(t testing.TB, address string, encrypted bool) map[string]asker {
	all := map[string]asker{}
	for name, set := range map[string]func(*http.Protocols){
		"HTTP/1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2": func(p *http.Protocols) { p.SetHTTP2(encrypted); p.SetUnencryptedHTTP2(!encrypted) },
	} {
		protocols := new(http.Protocols)
		set(protocols)
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		base := map[bool]string{true: "https://", false: "http://"}[encrypted] + address
		all[name] = asker{t, http.Client{Transport: transport, Timeout: 10 * time.Second}, base}
	}
	return all
}

func (a asker) ask(method, path string) (*http.Response, string) {
	a.Helper()
	request, err := http.NewRequestWithContext(a.Context(), method, a.base+path, nil)
	require.NoError(a, err)
	response, err := a.Do(request)
	require.NoError(a, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(a, err)
	require.NoError(a, response.Body.Close())
	return response, string(body)
}

// Probes ask by HTTP/1 and HTTP/2 at the same port, with TLS and without, and gRPC goes
// on beside them.
func TestProbesAreAnswered(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	secure := certificate(t)
	somebody := func(_, password string) bool { return password == "changeit" }
	for _, c := range []esdbwire.Config{{Log: log}, {Log: log, TLS: secure, Users: somebody}} {
		address := serve(t, c)
		for name, a := range askers(t, address, c.TLS != nil) {
			for _, row := range []struct {
				method, path string
				code         int
			}{
				{"GET", "/health/live", 204}, {"GET", "/health/live/", 204}, {"HEAD", "/health/live", 204}, {"POST", "/health/live", 405},
				{"GET", "/health/live?liveCode=200", 200}, {"GET", "/health/live?liveCode=500", 204},
				{"GET", "/info", 200}, {"HEAD", "/info", 405}, {"OPTIONS", "/info", 200}, {"GET", "/ping", 200}, {"GET", "/gossip", 200},
				{"GET", "/stats", 200}, {"GET", "/streams/$all", 404}, {"POST", "/admin/nothing", 404}, {"GET", "/", 404},
			} {
				response, body := a.ask(row.method, row.path)
				require.Equal(t, row.code, response.StatusCode, "%s %+v", name, row)
				require.Equal(t, name[:6], response.Proto[:6])
				if row.code == 200 && row.method == "GET" && response.Header.Get("Content-Type") != "" {
					require.Equal(t, "application/json; charset=utf-8", response.Header.Get("Content-Type"))
					require.Equal(t, "*", response.Header.Get("Access-Control-Allow-Origin"))
					require.True(t, json.Valid([]byte(body)))
				}
			}
			requireToldApart(t, a, address)
		}
		url := "esdb://" + address + "?tls=false"
		if c.TLS != nil {
			url = "esdb://admin:changeit@" + address + "?tlsVerifyCert=false"
		}
		stream, err := client(t, url).ReadStream(t.Context(), ch, esdb.ReadStreamOptions{}, 10)
		require.Len(t, collect(t, stream, err), 2)
	}
}

// requireToldApart looks at what is in the answers.
func requireToldApart(t *testing.T, a asker, address string) {
	_, body := a.ask("GET", "/info")
	require.JSONEq(t, `{"esVersion":"23.10.0","state":"leader","features":{"projections":false,"userManagement":false,"atomPub":false},
		"authentication":{"type":"internal","properties":{}}}`, body)
	_, body = a.ask("GET", "/ping")
	require.Contains(t, body, `"msgTypeId":123`)
	var told struct {
		ServerIP   string `json:"serverIp"`
		ServerPort int    `json:"serverPort"`
		Members    []struct {
			State          string
			IsAlive        bool   `json:"isAlive"`
			HTTPEndPointIP string `json:"httpEndPointIp"`
			Port           int    `json:"httpEndPointPort"`
			Last           int64  `json:"lastCommitPosition"`
		}
	}
	_, body = a.ask("GET", "/gossip")
	require.NoError(t, json.Unmarshal([]byte(body), &told))
	require.Equal(t, address, fmt.Sprintf("%s:%d", told.ServerIP, told.ServerPort))
	require.Len(t, told.Members, 1)
	m := told.Members[0]
	require.Equal(t, []any{"Leader", true, address, int64(2)}, []any{m.State, m.IsAlive, fmt.Sprintf("%s:%d", m.HTTPEndPointIP, m.Port), m.Last})
	_, body = a.ask("GET", "/stats")
	require.Regexp(t, `"proc":\{.*"mem":\d+`, body)
}

// A server whose log takes nothing more does not live, for a probe.
func TestAServerThatCannotWriteDoesNotLive(t *testing.T) {
	var ready atomic.Bool
	address := serve(t, esdbwire.Config{Log: memstore.New(), Ready: ready.Load})
	for _, want := range []int{503, 204, 503} {
		for _, path := range []string{"/health/live", "/health/live?liveCode=200"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
			require.NoError(t, err)
			response, err := http.DefaultClient.Do(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, want == 503, response.StatusCode == 503, path)
		}
		ready.Store(!ready.Load())
	}
}

// A client of gRPC that connects and asks nothing yet is let in, and one of HTTP/2 whose
// head comes in pieces is understood.
func TestWhoTakesTimeIsLetIn(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 1)
	conn, err := net.Dial("tcp", serve(t, esdbwire.Config{Log: log}))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // of the test
	_, err = conn.Write([]byte(http2.ClientPreface))
	require.NoError(t, err)
	framer := http2.NewFramer(conn, conn)
	require.NoError(t, framer.WriteSettings())
	first, err := framer.ReadFrame()
	require.NoError(t, err)
	require.IsType(t, &http2.SettingsFrame{}, first, "it is not waited for a request")
	require.NoError(t, framer.WriteSettingsAck())
	head := []byte{0x82, 0x86, 0x84, 0x41, 0x01, 'x'} // GET http / of x
	require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head[:3], EndStream: true}))
	require.NoError(t, framer.WriteContinuation(1, true, head[3:]))
	for {
		frame, err := framer.ReadFrame()
		require.NoError(t, err)
		if _, answered := frame.(*http2.HeadersFrame); answered {
			return
		}
	}
}
