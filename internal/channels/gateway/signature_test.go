package gateway

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

const signedBody = `{"id":"1","from":"a","to":"b"}`

// signed makes a gateway whose requests have to be signed so, at a known time.
func signed(t *testing.T, s Signature) *Carrier {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte("key\n"), 0o600))
	g, err := New(Config{
		Secrets: map[string]string{"key": path}, Send: Send{URL: "https://g/"}, Answer: Answer{IDFromKey: true}, Signature: s,
		Inbound: &Inbound{Callback: Callback{Source: "json"}, ID: "id", From: "from", To: "to", Body: "text"},
	}, nil)
	require.NoError(t, err)
	g.now = func() time.Time { return time.Unix(1_000_000, 0) }
	return g
}

func came(headers ...string) carrier.Request {
	r := carrier.Request{Kind: carrier.KindInbound, Method: http.MethodPost, URL: "https://parley/in", Header: http.Header{}, Body: []byte(signedBody)}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestSignaturesOverTheBody(t *testing.T) {
	two, one := hmac.New(sha256.New, []byte("key")), hmac.New(sha1.New, []byte("key"))
	two.Write([]byte(signedBody))
	one.Write([]byte(signedBody))
	for _, row := range []struct {
		rule HMAC
		good string
	}{
		{HMAC{}, hex.EncodeToString(two.Sum(nil))},
		{HMAC{Algorithm: "sha256", Encoding: "hex", Prefix: "sha256="}, "sha256=" + hex.EncodeToString(two.Sum(nil))},
		{HMAC{Algorithm: "sha1", Encoding: "base64"}, base64.StdEncoding.EncodeToString(one.Sum(nil))},
	} {
		row.rule.Secret, row.rule.Header = "key", "X-Signature"
		g := signed(t, Signature{HMAC: &row.rule})
		_, _, err := g.Receive(came("x-signature", row.good))
		require.NoError(t, err)
		spoilt := came("X-Signature", row.good)
		spoilt.Body = append(spoilt.Body, ' ')
		for _, bad := range []carrier.Request{spoilt, came(), came("X-Signature", ""), came("X-Signature", "zz"), came("X-Signature", row.good[2:])} {
			_, _, err = g.Receive(bad)
			require.ErrorIs(t, err, carrier.ErrForbidden)
		}
	}
}

func TestAnOldSignatureIsForbidden(t *testing.T) {
	g := signed(t, Signature{
		HMAC:      &HMAC{Secret: "key", Header: "X-Signature", Signed: "v0:{timestamp}:{body}"},
		Timestamp: &Timestamp{Header: "X-Time", ToleranceSeconds: 60},
	})
	sign := func(stamp string) string {
		mac := hmac.New(sha256.New, []byte("key"))
		mac.Write([]byte("v0:" + stamp + ":" + signedBody))
		return hex.EncodeToString(mac.Sum(nil))
	}
	for stamp, good := range map[string]bool{"1000000": true, "999940": true, "1000060": true, "999939": false, "1000061": false, "": false, "now": false} {
		_, _, err := g.Receive(came("X-Signature", sign(stamp), "X-Time", stamp))
		require.Equal(t, good, err == nil, stamp)
	}
	_, _, err := g.Receive(came("X-Signature", sign("999000"), "X-Time", "1000000"))
	require.ErrorIs(t, err, carrier.ErrForbidden, "the time is signed")
}

func TestTokens(t *testing.T) {
	g := signed(t, Signature{Token: &Token{Secret: "key", Header: "Authorization", Prefix: "Bearer "}})
	_, _, err := g.Receive(came("Authorization", "Bearer key"))
	require.NoError(t, err)
	for _, bad := range []string{"", "key", "Bearer ", "Bearer key2", "Bearer ke"} {
		_, _, err = g.Receive(came("Authorization", bad))
		require.ErrorIs(t, err, carrier.ErrForbidden, bad)
	}
	g = signed(t, Signature{Token: &Token{Secret: "key", Query: "t"}})
	for address, good := range map[string]bool{"https://p/?t=key": true, "https://p/?t=Key": false, "https://p/": false, "https://%": false} {
		r := came()
		r.URL = address
		_, _, err = g.Receive(r)
		require.Equal(t, good, err == nil, address)
	}
}

func TestAGatewayThatSendsNothingIsNotBelieved(t *testing.T) {
	g, err := New(Config{Send: Send{URL: "https://g/"}, Answer: Answer{IDFromKey: true}}, nil)
	require.NoError(t, err)
	_, _, err = g.Receive(came())
	require.ErrorIs(t, err, carrier.ErrForbidden)
}

func TestAddressesAreSpelledBothWays(t *testing.T) {
	for _, row := range []struct{ prefix, gateways, parleys string }{
		{"+", "4917123", "+4917123"}, {"whatsapp:+", "4917123", "whatsapp:+4917123"}, {"+", "72345", "72345"}, {"+", "Parley", "Parley"},
		{"", "+4917123", "+4917123"}, {"00", "4917123", "004917123"},
	} {
		c := Config{Prefix: row.prefix}
		require.Equal(t, row.parleys, c.parleys(row.gateways))
		require.Equal(t, row.gateways, c.gateways(row.parleys))
		require.Equal(t, row.parleys, c.parleys(row.parleys), "what has its prefix keeps it")
	}
	require.Equal(t, "whatsapp:+4917123", (&Config{Prefix: "whatsapp:+"}).parleys("+4917123"))
}
