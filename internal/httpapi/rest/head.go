package rest

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// requestID is what a client quotes when it asks about a request.
func requestID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return "RQ" + hex.EncodeToString(random[:])
}

// allowBrowsers lets scripts of any page, which is who sends an Origin, read answers, as Twilio does: there are
// no cookies, so a page can only do what the credentials it brings allow.
func allowBrowsers(h http.Header) {
	h["Access-Control-Allow-Origin"] = anyOrigin
	h["Access-Control-Allow-Methods"] = methods
	h["Access-Control-Allow-Headers"] = allowedHeaders
	h["Access-Control-Expose-Headers"] = exposedHeaders
}

// Shared by all answers; never changed.
var (
	anyOrigin      = []string{"*"}
	methods        = []string{"GET, POST, DELETE, OPTIONS"}
	allowedHeaders = []string{"Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, " +
		"Idempotency-Key, X-Twilio-Webhook-Enabled, Parley-Account, Parley-Wait-For"}
	exposedHeaders = []string{"ETag, Parley-Position, Retry-After, Twilio-Request-Id"}
	jsonContent    = []string{"application/json;charset=utf-8"}
)

func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
}
