package esdbstore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/esdbstore"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &authority{cert, key, file}
}

func (a *authority) issue(t *testing.T, until time.Time, address net.IP) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until, IPAddresses: []net.IP{address}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure serves a log with TLS to one user, and returns the address.
func secure(t *testing.T, cert tls.Certificate) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	log := overMemory(t, "")
	server := esdbwire.New(esdbwire.Config{
		Log: log, Appender: log, WriteOwn: true, TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}},
		Users: func(user, password string) bool { return user == "parley" && password == "s:e" },
	})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); require.NoError(t, <-done) })
	return listener.Addr().String()
}

// Over TLS, with a password. What is wrong with either is said, and nothing is tried
// for ever.
func TestOverTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	loopback, soon := net.IPv4(127, 0, 0, 1), time.Now().Add(time.Hour)
	sound := secure(t, ours.issue(t, soon, loopback))
	for name, row := range map[string]struct{ address, user, ca, says string }{
		"sound":              {sound, "parley:s%3Ae@", ours.file, ""},
		"wrong password":     {sound, "parley:guess@", ours.file, "does not know this user and password"},
		"nobody":             {sound, "", ours.file, "does not know this user and password"},
		"expired":            {secure(t, ours.issue(t, time.Now().Add(-time.Minute), loopback)), "parley:s%3Ae@", ours.file, "expired"},
		"of another host":    {secure(t, ours.issue(t, soon, net.IPv4(127, 0, 0, 9))), "parley:s%3Ae@", ours.file, "127.0.0.9, not 127.0.0.1"},
		"another authority":  {sound, "parley:s%3Ae@", others.file, "unknown authority"},
		"no authority there": {sound, "parley:s%3Ae@", filepath.Join(t.TempDir(), "none.crt"), "none.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			begun := time.Now()
			log, err := esdbstore.Open(ctx, "esdb://"+row.user+row.address+"?tlsCAFile="+row.ca, nil)
			if row.says != "" {
				require.ErrorContains(t, err, row.says)
				require.Less(t, time.Since(begun), 3*time.Second)
				return
			}
			require.NoError(t, err)
			_, err = log.Append(ctx, "conversation-1", store.NoStream, []events.Proposed{{ID: events.NameID("x"), Type: "a.b.v1", Data: []byte("{}")}})
			require.NoError(t, err)
			require.NoError(t, log.Close())
		})
	}
}
