package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// marshal writes JSON as it is stored and sent: without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// answer sends a resource.
func (c *call) answer(body any) error {
	data, err := marshal(body)
	if err != nil {
		return err
	}
	if c.keep != nil {
		c.keep(data)
	}
	return c.send(data)
}

// send sends a resource that is JSON already.
func (c *call) send(data []byte) error {
	h := c.w.Header()
	h["Content-Type"] = jsonContent
	h.Set("Content-Length", strconv.Itoa(len(data)))
	c.w.WriteHeader(c.route.status)
	_, _ = c.w.Write(data) // the client may have left
	return nil
}

// revised names the revision of the aggregate that the answer shows.
func (c *call) revised(revision uint64) {
	c.w.Header().Set("ETag", `"`+strconv.FormatUint(revision, 10)+`"`)
}

// removed answers a removal.
func (c *call) removed() error {
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func contextWithin(r *http.Request, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), d)
}

func tooLarge(err error) bool {
	var limit *http.MaxBytesError
	return errors.As(err, &limit)
}

// root is the address clients reached us at, up to and including /v1.
func (c *call) root() string {
	if c.PublicURL != "" {
		return strings.TrimSuffix(c.PublicURL, "/") + "/v1"
	}
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	return scheme + c.r.Host + "/v1"
}

// base is the address of the form that was called.
func (c *call) base() string {
	if c.inService {
		return c.root() + "/Services/" + c.place.Service
	}
	return c.root()
}

// stamp is an instant as Twilio writes it: UTC, whole seconds (reference 1.4).
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// maybe is null for a text that is not there.
func maybe(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// maybeStamp is null for an instant that is not there.
func maybeStamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return maybe(stamp(t))
}
