package esdbwire

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/parley-engine/parley/events"
)

// probes answers by plain HTTP who asks whether the server lives, and what it is, as the
// vendor's does: everybody may ask.
type probes struct {
	log      Log
	ready    func() bool // nil: always
	instance events.ID
	started  time.Time
}

func (p *probes) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", p.live)
	mux.HandleFunc("GET /health/live/{$}", p.live)
	mux.HandleFunc("/health/live", notAllowed)
	for path, body := range map[string]func(*http.Request) any{"/info": p.info, "/ping": p.ping, "/gossip": p.gossip, "/stats": p.stats} {
		mux.HandleFunc(path, notAllowed)
		mux.HandleFunc("HEAD "+path, notAllowed)
		mux.HandleFunc("OPTIONS "+path, toEverybody)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			toEverybody(w, r)
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_ = json.NewEncoder(w).Encode(body(r)) // the client may have left
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		toEverybody(w, r)
		http.NotFound(w, r)
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // what was encrypted is not any more when it comes here
	return &http.Server{
		Handler: mux, Protocols: protocols, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
}

// toEverybody lets pages of other addresses read the answer.
func toEverybody(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
}

func notAllowed(w http.ResponseWriter, r *http.Request) {
	toEverybody(w, r)
	w.WriteHeader(http.StatusMethodNotAllowed)
}

// live answers with 204, or another code of success that is asked for. A server that
// takes no writes does not live.
func (p *probes) live(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.FormValue("liveCode"))
	switch {
	case p.ready != nil && !p.ready():
		code = http.StatusServiceUnavailable
	case err != nil || code < 200 || code > 299:
		code = http.StatusNoContent
	}
	w.WriteHeader(code)
}

func (p *probes) info(*http.Request) any {
	return map[string]any{
		"esVersion": version, "state": "leader",
		"features":       map[string]bool{"projections": false, "userManagement": false, "atomPub": false},
		"authentication": map[string]any{"type": "internal", "properties": map[string]string{}},
	}
}

func (p *probes) ping(*http.Request) any {
	return map[string]any{"msgTypeId": 123, "text": "it answers", "label": "Http"}
}

// gossip tells of the server as of a cluster of one, as [cluster] does.
func (p *probes) gossip(r *http.Request) any {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	host, port := endpoint(address)
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	head, _ := p.log.Head(ctx) // zero when it does not answer in time
	return map[string]any{
		"serverIp": host, "serverPort": port,
		"members": []map[string]any{{
			"instanceId": uuid.UUID(p.instance).String(), "timeStamp": time.Now().UTC(), "state": "Leader", "isAlive": true,
			"internalTcpIp": host, "internalTcpPort": 0, "internalSecureTcpPort": 0,
			"externalTcpIp": host, "externalTcpPort": 0, "externalSecureTcpPort": 0,
			"internalHttpEndPointIp": host, "internalHttpEndPointPort": port,
			"httpEndPointIp": host, "httpEndPointPort": port,
			"lastCommitPosition": head.Commit, "writerCheckpoint": head.Commit, "chaserCheckpoint": head.Commit,
			"epochPosition": 0, "epochNumber": 0, "epochId": uuid.Nil.String(),
			"nodePriority": 0, "isReadOnlyReplica": false, "esVersion": version,
		}},
	}
}

// stats are figures of the process. There are no queues of the vendor's.
func (p *probes) stats(*http.Request) any {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return map[string]any{
		"proc": map[string]any{
			"id": os.Getpid(), "startTime": p.started.UTC(), "mem": memory.Sys, "threadsCount": runtime.NumGoroutine(),
			"gc": map[string]any{"totalBytesInHeaps": memory.HeapAlloc, "gen0ItemsCount": memory.NumGC},
		},
		"sys": map[string]any{"cpuCount": runtime.NumCPU()},
		"es":  map[string]any{"queue": map[string]any{}, "version": version},
	}
}

// endpoint takes an address apart; what is none gives nothing.
func endpoint(address net.Addr) (host string, port int) {
	if address == nil {
		return "", 0
	}
	host, text, err := net.SplitHostPort(address.String())
	if err != nil {
		return "", 0
	}
	port, _ = strconv.Atoi(text)
	return host, port
}
