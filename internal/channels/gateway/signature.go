package gateway

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// verifier reports whether a request is the gateway's.
type verifier func(r carrier.Request, now time.Time) bool

func newVerifier(s Signature, secrets map[string]string) (verifier, error) {
	given := 0
	for _, one := range []bool{s.HMAC != nil, s.Token != nil, s.Unsigned} {
		if one {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("signature: exactly one of hmac, token and unsigned is needed")
	case s.Timestamp != nil && s.HMAC == nil:
		return nil, errors.New("signature: timestamp without hmac: nothing would sign it")
	case s.Unsigned:
		return func(carrier.Request, time.Time) bool { return true }, nil
	case s.Token != nil:
		return newTokenVerifier(s.Token, secrets)
	}
	return newHMACVerifier(s.HMAC, s.Timestamp, secrets)
}

func newTokenVerifier(t *Token, secrets map[string]string) (verifier, error) {
	token, ok := secrets[t.Secret]
	switch {
	case !ok:
		return nil, fmt.Errorf("signature: there is no secret %q", t.Secret)
	case (t.Header == "") == (t.Query == ""):
		return nil, errors.New("signature: token needs either header or query")
	}
	want := sha256.Sum256([]byte(t.Prefix + token))
	return func(r carrier.Request, _ time.Time) bool {
		got := sha256.Sum256([]byte(presented(t, r)))
		return subtle.ConstantTimeCompare(want[:], got[:]) == 1
	}, nil
}

func presented(t *Token, r carrier.Request) string {
	if t.Header != "" {
		return r.Header.Get(t.Header)
	}
	address, err := url.Parse(r.URL)
	if err != nil {
		return ""
	}
	return address.Query().Get(t.Query)
}

var algorithms = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New}

var encodings = map[string]func(string) ([]byte, error){
	"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
}

const (
	wordBody         = "{body}"
	wordTimestamp    = "{timestamp}"
	defaultTolerance = 300.0 // seconds
)

func newHMACVerifier(h *HMAC, ts *Timestamp, secrets map[string]string) (verifier, error) {
	key, ok := secrets[h.Secret]
	algorithm, encoding, signed := algorithms[h.Algorithm], encodings[h.Encoding], h.Signed
	if signed == "" {
		signed = wordBody
	}
	switch {
	case !ok:
		return nil, fmt.Errorf("signature: there is no secret %q", h.Secret)
	case algorithm == nil || encoding == nil:
		return nil, errors.New("signature: algorithm is sha1 or sha256, encoding is hex or base64")
	case h.Header == "":
		return nil, errors.New("signature: header is missing")
	case !strings.Contains(signed, wordBody):
		return nil, errors.New("signature: signed has no {body}")
	case (ts != nil) != strings.Contains(signed, wordTimestamp):
		return nil, errors.New("signature: timestamp and {timestamp} in signed need each other")
	case ts != nil && (ts.Header == "" || ts.ToleranceSeconds < 0):
		return nil, errors.New("signature: timestamp lacks its header, or its tolerance is negative")
	}
	return func(r carrier.Request, now time.Time) bool {
		stamp, fresh := ts.fresh(r, now)
		got, err := encoding(strings.TrimPrefix(r.Header.Get(h.Header), h.Prefix))
		mac := hmac.New(algorithm, []byte(key))
		mac.Write([]byte(strings.NewReplacer(wordBody, string(r.Body), wordTimestamp, stamp).Replace(signed)))
		return err == nil && hmac.Equal(mac.Sum(nil), got) && fresh
	}, nil
}

// fresh returns what the header says and whether that is about now; nil asks for
// nothing.
func (t *Timestamp) fresh(r carrier.Request, now time.Time) (string, bool) {
	if t == nil {
		return "", true
	}
	tolerance := t.ToleranceSeconds
	if tolerance == 0 {
		tolerance = defaultTolerance
	}
	text := r.Header.Get(t.Header)
	at, err := strconv.ParseInt(text, 10, 64)
	return text, err == nil && math.Abs(float64(now.Unix()-at)) <= tolerance
}
