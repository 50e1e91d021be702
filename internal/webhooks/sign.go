package webhooks

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Signature returns the X-Twilio-Signature of a call (reference 8.7): the URL as it is
// requested, without user and password, and the parameters of a POST; none for a GET,
// whose URL has them.
func Signature(token, url string, parameters map[string]string) string {
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = mac.Write([]byte(url)) // a hash never fails
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		_, _ = mac.Write([]byte(name + parameters[name]))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// StandardSignature returns the webhook-signature of a call by Standard Webhooks
// (version 1), whose key is the bytes of the auth token: verifiers that want a secret
// get "whsec_" and the token in base64.
func StandardSignature(token, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(token))
	_, _ = mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sign adds both signatures to a request with this body.
func sign(r *http.Request, token, id string, at time.Time, parameters map[string]string, body []byte) {
	h := r.Header
	h.Set("X-Twilio-Signature", Signature(token, r.URL.String(), parameters))
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Webhook-Signature", StandardSignature(token, id, at, body))
}
