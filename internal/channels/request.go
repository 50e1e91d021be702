package channels

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// requestPatience is how long a gateway may take to send what it announced.
const requestPatience = 10 * time.Second

// readRequest takes in a gateway's request.
func readRequest(w http.ResponseWriter, r *http.Request, kind, public string) (carrier.Request, error) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestPatience)) // not every connection has one
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		return carrier.Request{}, fmt.Errorf("a report has at most %d bytes: %w", maxReport, err)
	}
	base := strings.TrimSuffix(public, "/")
	if base == "" {
		base = "http://" + r.Host
		if r.TLS != nil {
			base = "https://" + r.Host
		}
	}
	return carrier.Request{Kind: kind, Method: r.Method, URL: base + r.URL.RequestURI(), Header: r.Header, Body: body}, nil
}
