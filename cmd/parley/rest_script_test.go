package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptREST asks the running server for a path and compares the status; what it
// answers is standard output. A word behind the path is the form of a POST.
func scriptREST(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 4 || len(args) == 5, "rest status user secret path [form]")
	askREST(ts, args, nil)
}

// scriptHooked is scriptREST for a write that webhooks hear of.
func scriptHooked(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 5, "hooked status user secret path form")
	askREST(ts, args, http.Header{"X-Twilio-Webhook-Enabled": {"true"}})
}

// scriptFreePort puts an address into a variable that nobody listens on.
func scriptFreePort(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "freeport NAME")
	l, err := quietListener()
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// quietListener listens on a port below those that connections get by themselves: who
// dials one of them where nobody listens may be connected with himself, and then nobody
// can.
func quietListener() (l net.Listener, err error) {
	for range 100 {
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+mathrand.IntN(15000))); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// scriptUntilListens waits until somebody listens on an address.
func scriptUntilListens(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "untillistens ADDRESS")
	ts.Check(eventually(args[0]+" is listened on", func() (bool, error) {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		return true, conn.Close()
	}))
}

func askREST(ts *testscript.TestScript, args []string, header http.Header) {
	e, err := dataOf(ts).running()
	ts.Check(err)
	r, err := http.NewRequest(http.MethodGet, e.HTTP+args[3], nil)
	if len(args) == 5 {
		r, err = http.NewRequest(http.MethodPost, e.HTTP+args[3], strings.NewReader(args[4]))
	}
	ts.Check(err)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(args[1], args[2])
	client, err := e.client()
	ts.Check(err)
	response, err := client.Do(r)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	ts.Check(response.Body.Close())
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
	if strconv.Itoa(response.StatusCode) != args[0] {
		ts.Fatalf("%s answers %d: %s", args[3], response.StatusCode, body)
	}
}

// scriptReport sends JSON as a carrier does: status, token, path, body.
func scriptReport(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 4, "report STATUS TOKEN PATH BODY")
	e, err := dataOf(ts).running()
	ts.Check(err)
	r, err := http.NewRequest(http.MethodPost, e.HTTP+args[2], strings.NewReader(args[3]))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+args[1])
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	ts.Check(response.Body.Close())
	if strconv.Itoa(response.StatusCode) != args[0] {
		ts.Fatalf("%s answers %d", args[2], response.StatusCode)
	}
}

// scriptKeepFile puts a file's text into a variable.
func scriptKeepFile(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "keepfile name file")
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// scriptCertificate writes a certificate for 127.0.0.1 and its key.
func scriptCertificate(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "certificate file keyfile")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: certificate}, {Type: "PRIVATE KEY", Bytes: private}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), pem.EncodeToMemory(block), 0o600))
	}
}
