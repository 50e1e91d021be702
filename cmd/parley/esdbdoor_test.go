package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
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

// The password of those clients can be chosen before the first start, and opens nothing
// else.
func TestThePasswordOfEventStoreDBsClientsCanBeChosen(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	file := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(file, []byte("change:it!\n"), 0o600))
	door := []string{"--esdb", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key}
	refused := func(want string, arguments ...string) {
		t.Helper()
		folder := filepath.Join(dir, "refused")
		_, errOut, code := parley(t, append([]string{"serve", "--data", folder}, arguments...)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, errOut, want)
		require.NoFileExists(t, folder, "it leaves no trace")
	}
	refused("needs --esdb", "--esdb-password-file", file)
	refused("without TLS nobody is asked", "--esdb", "127.0.0.1:0", "--insecure", "--esdb-password-file", file)
	refused("no such file", append(door[:6:6], "--esdb-password-file", file+"-none")...)
	short := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(short, []byte("short\n"), 0o600))
	refused("8 characters or more", append(door[:6:6], "--esdb-password-file", short)...)

	server := serving(t, filepath.Join(dir, "file"), append(door[:6:6], "--esdb-password-file", file)...)
	requirePassword(t, server, cert, "change:it!")
	server.stop(t)

	t.Setenv(passwordVariable, "changeit")
	refused("both given", append(door[:6:6], "--esdb-password-file", file)...)
	requirePassword(t, serving(t, filepath.Join(dir, "environment"), door...), cert, "changeit")
}

// requirePassword gets in with the password, and not with the token that opens the
// operations, which the password does not.
func requirePassword(t *testing.T, p *process, cert, password string) {
	t.Helper()
	e, err := p.folder.running()
	require.NoError(t, err)
	address, _ := strings.CutPrefix(e.ESDB, "esdb://")
	token, err := p.folder.known("admin-token")
	require.NoError(t, err)
	require.NotEqual(t, password, token)
	for secret, ok := range map[string]bool{password: true, token: false} {
		read, err := esdbClient(t, "esdb://admin:"+url.QueryEscape(secret)+"@"+address+"?tlsCAFile="+cert).ReadAll(t.Context(), esdb.ReadAllOptions{}, 1)
		if err == nil {
			_, err = read.Recv()
		}
		require.Equal(t, ok, err == nil, "%v", err)
	}
}
