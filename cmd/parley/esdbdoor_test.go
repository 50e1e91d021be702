package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
)

// writeCertificate writes a certificate for loopback and its key.
func writeCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, key
}

func esdbClient(t *testing.T, url string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(url)
	require.NoError(t, err)
	config.Logger = func(esdb.LogLevel, string, ...any) {}
	client, err := esdb.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// A client of EventStoreDB sees what a command has done, and is gone when the
// server stops, which it does not hold up.
func TestClientsOfEventStoreDBFollowTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := writeCertificate(t, t.TempDir())
	server := serving(t, dir, "--esdb", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	e, err := server.folder.running()
	require.NoError(t, err)
	address, found := strings.CutPrefix(e.ESDB, "esdb://")
	require.True(t, found, e.ESDB)
	token, err := server.folder.known("admin-token")
	require.NoError(t, err)

	client := esdbClient(t, "esdb://admin:"+token+"@"+address+"?tlsCAFile="+cert)
	news, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.End{}})
	require.NoError(t, err)
	require.NotNil(t, news.Recv().CaughtUp)
	_, errOut, code := parley(t, "command", "send", "conversation.create", "--data", dir, "--set", "friendly_name=Order")
	require.Equal(t, exitOK, code, errOut)
	appeared := news.Recv().EventAppeared
	require.NotNil(t, appeared)
	require.Equal(t, "conversation.created.v1", appeared.Event.EventType)
	require.Contains(t, string(appeared.Event.Data), `"Order"`)

	stranger, err := esdbClient(t, "esdb://admin:guess@"+address+"?tlsCAFile="+cert).ReadAll(t.Context(), esdb.ReadAllOptions{}, 1)
	if err == nil {
		_, err = stranger.Recv()
	}
	require.ErrorContains(t, err, "authentication")
	server.stop(t)
	require.NotNil(t, news.Recv().SubscriptionDropped)
}

func TestTheLogIsNotShownToEverybodyByAccident(t *testing.T) {
	t.Parallel()
	_, errOut, code := parley(t, "serve", "--data", t.TempDir(), "--esdb", "127.0.0.1:0")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "--esdb needs --tls-cert")
	_, errOut, code = parley(t, "serve", "--data", t.TempDir(), "--esdb", "nowhere")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "not host:port")

	server := serving(t, t.TempDir(), "--esdb", "127.0.0.1:0", "--insecure")
	e, err := server.folder.running()
	require.NoError(t, err)
	read, err := esdbClient(t, e.ESDB).ReadAll(t.Context(), esdb.ReadAllOptions{}, 1)
	require.NoError(t, err)
	defer read.Close()
	first, err := read.Recv()
	require.NoError(t, err)
	require.Equal(t, "role.created.v1", first.Event.EventType)
}
