package esdbwire

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// probes answers who asks whether the server lives, and what it is, as the vendor's
// does: everybody may ask. One that takes no writes does not live.
func probes(ready func() bool) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.FormValue("liveCode"))
		switch {
		case ready != nil && !ready():
			code = http.StatusServiceUnavailable
		case err != nil || code < 200 || code > 299:
			code = http.StatusNoContent
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"esVersion":"`+version+`","state":"leader","features":{"projections":false,"userManagement":false,"atomPub":false}}`)
	})
	return &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
}
