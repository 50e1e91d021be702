package channels

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// readRequest takes in a gateway's request.
func readRequest(w http.ResponseWriter, r *http.Request, kind, public string) (carrier.Request, error) {
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
