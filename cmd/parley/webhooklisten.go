package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-engine/parley/internal/webhooks"
)

// maxCall bounds what a call may bring, in bytes.
const maxCall = 4 << 20

// listening is a receiver of webhooks for development.
type listening struct {
	out    io.Writer
	token  string // empty: signatures are not looked at
	url    string // what callers call it by; empty: what they say
	status int
	body   string
	count  int // ends after so many; 0: never

	mu   sync.Mutex
	seen int
	end  context.CancelFunc
}

func webhookListen() *cobra.Command {
	l := &listening{}
	var address, data, tokenFile string
	c := &cobra.Command{
		Use: "listen", Short: "Receive webhooks on this machine and print them, for development", Args: noArguments,
		Long: `Receive webhooks on this machine and print each in a line: method, path, whether its
signature is right, and its parameters by name. The server must be allowed to call it:
parley serve --webhook-allow 127.0.0.1.

Signatures are checked with the token in --token-file, or the auth token of the folder
that --data names; without either they are not looked at.`,
		Example: "  parley webhook listen --address 127.0.0.1:8090 --data ./data\n  parley webhook listen --status 403\n  parley webhook listen --body '{\"body\":\"replaced\"}' --count 1",
	}
	f := c.Flags()
	f.StringVar(&address, "address", "127.0.0.1:0", "loopback address; port 0 picks one")
	f.StringVar(&data, "data", "", "data folder whose account's auth token signs")
	f.StringVar(&tokenFile, "token-file", "", "file with the auth token that signs")
	f.StringVar(&l.url, "url", "", "scheme and host that are configured, where they are not this address, as in https://example.tunnel")
	f.IntVar(&l.status, "status", http.StatusOK, "status to answer")
	f.StringVar(&l.body, "body", "", "body to answer")
	f.IntVar(&l.count, "count", 0, "end after this many; 0 goes on")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if l.status < 200 || l.status > 599 {
			return usage("--status %d: 200 to 599", l.status)
		}
		if l.url != "" {
			if l.url, err = publicBase("--url", l.url); err != nil {
				return usage("%v", err)
			}
		}
		if l.token, err = listenToken(data, tokenFile); err != nil {
			return err
		}
		l.out = c.OutOrStdout()
		return l.run(c.Context(), address)
	}
	return c
}

func listenToken(data, file string) (string, error) {
	switch {
	case file != "":
		return secretIn(file)
	case data != "":
		return folder(data).known(authToken)
	}
	return "", nil
}

// run listens until the context ends or enough has come.
func (l *listening) run(ctx context.Context, address string) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return usage("--address %q is not a loopback address and port, as in 127.0.0.1:8090", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, l.end = context.WithCancel(ctx)
	defer l.end()
	if _, err := fmt.Fprintf(l.out, "listening http://%s\n", listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: l, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // waited for below
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err = server.Shutdown(grace); errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // of connections on which nothing was asked
	}
	<-served
	return err
}

// ServeHTTP prints a call and answers it.
func (l *listening) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxCall)
	body, err := io.ReadAll(r.Body)
	var parameters url.Values
	if err == nil {
		parameters, err = parametersOf(r, body)
	}
	if err != nil {
		http.Error(w, "not readable", http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintln(l.out, l.line(r, parameters, body)) // whoever reads it may have left
	w.WriteHeader(l.status)
	_, _ = io.WriteString(w, l.body) // likewise
	if l.seen++; l.count > 0 && l.seen >= l.count {
		l.end()
	}
}

func parametersOf(r *http.Request, body []byte) (url.Values, error) {
	if r.Method == http.MethodGet {
		return r.URL.Query(), nil
	}
	return url.ParseQuery(string(body))
}

func (l *listening) line(r *http.Request, parameters url.Values, body []byte) string {
	parts := []string{r.Method, r.URL.Path, l.verdict(r, parameters, body)}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		parts = append(parts, name+"="+strconv.Quote(parameters.Get(name)))
	}
	return strings.Join(parts, " ")
}

// verdict says what there is to say of the two signatures.
func (l *listening) verdict(r *http.Request, parameters url.Values, body []byte) string {
	if l.token == "" {
		return "signature=unchecked"
	}
	signed := map[string]string{}
	if r.Method != http.MethodGet {
		for name := range parameters {
			signed[name] = parameters.Get(name)
		}
	}
	base := cmp.Or(l.url, "http://"+r.Host)
	twilio := webhooks.Signature(l.token, base+r.URL.RequestURI(), signed)
	seconds, _ := strconv.ParseInt(r.Header.Get("Webhook-Timestamp"), 10, 64) // 0 is bad as well
	standard := webhooks.StandardSignature(l.token, r.Header.Get("Webhook-Id"), time.Unix(seconds, 0), body)
	if same(twilio, r.Header.Get("X-Twilio-Signature")) && same(standard, r.Header.Get("Webhook-Signature")) {
		return "signature=ok"
	}
	return "signature=bad"
}

func same(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
