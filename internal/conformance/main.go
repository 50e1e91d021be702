// Command conformance runs the test suites of the vendor's client against Parley's
// server for EventStoreDB's protocol. The suites are fetched by the Go toolchain and
// run as they are, in a process of their own, at the fixed ports that they want. It
// prints passed, failed and not applicable per suite, with a reason for whatever was
// left out, and fails when a case fails or when fewer pass than are known to.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// suites are the tests of a client.
type suites struct {
	module, version string
	folder          string   // of the tests
	run             string   // which; empty: all
	env             []string // beside ours
	known           map[string]int
	excluded        []exclusion
	silent          string // why cases skip themselves that do not say it
}

// exclusion are cases that are not run, and why.
type exclusion struct{ pattern, reason string }

// clients are those whose suites are run. known is how many cases of a suite pass;
// fewer are a failure.
var clients = []suites{
	{
		module: "github.com/EventStore/EventStore-Client-Go/v4", version: "v4.2.0", folder: "./esdb", run: "TestStreams|TestMisc|TestPersistentSubscriptions",
		env:   []string{"CLUSTER=true", "EVENTSTORE_INSECURE=false"}, // or it wants containers
		known: map[string]int{"TestMisc": 3, "TestPersistentSubscriptions": 35, "TestStreams": 12},
		excluded: []exclusion{
			{"TestStreams/ClusterTests", "it wants followers; every Parley serves alone"},
		},
		silent: "it wants a container of the vendor's, filled with data; with CLUSTER=true the suite has none",
	},
	{
		module: "github.com/kurrent-io/KurrentDB-Client-Go", version: "v1.1.2", folder: "./test",
		known: map[string]int{
			"TestAppendEventsSuite": 3, "TestConnectionStringSuite": 24, "TestConnectionSuite": 1, "TestDeleteSuite": 3,
			"TestInsecureAuthenticationSuite": 2, "TestMisc": 26, "TestMultiAppendEventsSuite": 1, "TestPersistentSubscriptionReadSuite": 11,
			"TestPersistentSubscriptionSuite": 15, "TestPersistentSubscriptions": 26, "TestPositionParsingSuite": 1,
			"TestReadAllSuite": 5, "TestReadStreamSuite": 6, "TestSecureAuthenticationSuite": 3, "TestStreams": 29,
			"TestSubscriptionSuite": 5, "TestTLS": 8, "TestTypes": 6, "TestUUIDParsingSuite": 1, "TestVersionParsingWithPrerelease": 4,
		},
		excluded: []exclusion{
			{"TestProjection.*", "projections are not served: they need the vendor's JavaScript engine"},
			{"TestClusterSuite", "it stops a node of three by HTTP, and wants followers; every Parley serves alone"},
			{"TestStreams/Rebalance", "the same suite once more"},
		},
	},
}

// authority is the module that has the certificate authority of the suites.
const authority = "github.com/kurrent-io/KurrentDB-Client-Go@v1.1.2"

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	certificates, err := fetch(ctx, authority)
	if err != nil {
		return err
	}
	pair, err := certificate(filepath.Join(certificates, "certs", "ca"))
	if err != nil {
		return err
	}
	var problems []error
	for i := range clients {
		problems = append(problems, clients[i].judge(ctx, out, pair))
	}
	return errors.Join(problems...)
}

// judge runs the suites of a client on a server of their own.
func (s *suites) judge(ctx context.Context, out io.Writer, pair tls.Certificate) error {
	dir, err := fetch(ctx, s.module+"@"+s.version)
	if err != nil {
		return err
	}
	stop, err := serve(pair)
	if err != nil {
		return err
	}
	defer stop()
	results, err := s.test(ctx, dir)
	if err != nil {
		return err
	}
	return s.report(out, results)
}

// fetch returns a module's folder in the toolchain's cache.
func fetch(ctx context.Context, module string) (string, error) {
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	command.Dir, command.Stderr = os.TempDir(), os.Stderr
	answer, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", module, err)
	}
	var found struct{ Dir string }
	return found.Dir, json.Unmarshal(answer, &found)
}

// serve listens where the suites look: 2114 without TLS, 2115 and 2111 to 2113 with.
func serve(pair tls.Certificate) (stop func(), err error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	users := func(user, password string) bool { return user == "admin" && password == "changeit" }
	log := memstore.New()
	if err := withUsers(log); err != nil {
		return nil, err
	}
	var servers []*esdbwire.Server
	stop = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	for _, port := range []int{2111, 2112, 2113, 2114, 2115} {
		c := esdbwire.Config{Log: log, Appender: log, Own: events.Categories()}
		if port != 2114 {
			c.TLS, c.Users = secure, users
		}
		listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			stop()
			return nil, fmt.Errorf("the suites want port %d: %w", port, err)
		}
		server := esdbwire.New(c)
		servers = append(servers, server)
		go func() { _ = server.Serve(listener) }() // ends with the program
	}
	return stop, nil
}

// withUsers puts an event where the vendor's server has its users: the suites wait for
// it.
func withUsers(log *memstore.Store) error {
	kind, data, err := events.Vocabulary().Encode(events.ForeignRecorded{Type: "$UserCreated", ContentType: "application/json", Data: "{}"})
	if err != nil {
		return err
	}
	_, err = log.Append(context.Background(), events.Stream(events.CategoryForeign, "$users"), store.NoStream,
		[]events.Proposed{{ID: events.NameID("users"), Type: kind, Data: data}})
	return err
}

// certificate issues one for localhost from the authority that comes with the suites;
// theirs have expired.
func certificate(dir string) (tls.Certificate, error) {
	authority, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, &key.PublicKey, authority.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// result is one case.
type result struct {
	name, outcome string // pass, fail, skip
	output        string
}

// test runs the suites and returns their cases: tests without tests within.
func (s *suites) test(ctx context.Context, dir string) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var skipped []string
	for _, e := range s.excluded {
		skipped = append(skipped, e.pattern)
	}
	command := exec.CommandContext(ctx, "go", "test", "-count=1", "-json", "-timeout", "240s",
		"-run", s.run, "-skip", strings.Join(skipped, "|"), s.folder)
	command.Env = append(os.Environ(), s.env...)
	command.Dir, command.Stderr = dir, os.Stderr
	pipe, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	results := cases(pipe)
	if err := command.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return nil, err
	}
	if len(results) == 0 {
		return nil, errors.New("no case was run")
	}
	return results, nil
}

// reason is why a case skipped itself: what it said, without what its client did.
func (s *suites) reason(output string) string {
	for line := range strings.Lines(output) {
		_, said, found := strings.Cut(line, "_test.go:")
		if _, text, _ := strings.Cut(said, ":"); found && strings.TrimSpace(text) != "" {
			return strings.TrimSpace(text)
		}
	}
	return s.silent
}

func cases(stream io.Reader) (results []result) {
	output := map[string]string{}
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "output":
			output[e.Test] += e.Output
		case "pass", "fail", "skip":
			results = append(results, result{e.Test, e.Action, output[e.Test]})
		}
	}
	return slices.DeleteFunc(results, func(r result) bool {
		return slices.ContainsFunc(results, func(other result) bool { return strings.HasPrefix(other.name, r.name+"/") })
	})
}

// report prints a line per suite.
func (s *suites) report(out io.Writer, results []result) error {
	counts := map[string]map[string]int{}
	var problems []error
	for _, r := range results {
		suite, _, _ := strings.Cut(r.name, "/")
		if counts[suite] == nil {
			counts[suite] = map[string]int{}
		}
		counts[suite][r.outcome]++
		if r.outcome == "fail" {
			problems = append(problems, fmt.Errorf("%s failed:\n%s", r.name, r.output))
		}
		if r.outcome == "skip" {
			fmt.Fprintf(out, "not applicable: %s: it skips itself: %s\n", r.name, s.reason(r.output))
		}
	}
	for _, e := range s.excluded {
		fmt.Fprintf(out, "not applicable: %s: %s\n", e.pattern, e.reason)
	}
	for suite, least := range s.known {
		if counts[suite]["pass"] < least {
			problems = append(problems, fmt.Errorf("%s: %d cases passed, and %d are known to", suite, counts[suite]["pass"], least))
		}
	}
	total := map[string]int{}
	for _, suite := range slices.Sorted(maps.Keys(counts)) {
		c := counts[suite]
		fmt.Fprintf(out, "%-36s %3d passed %3d failed %3d not applicable\n", suite, c["pass"], c["fail"], c["skip"])
		for k, n := range c {
			total[k] += n
		}
	}
	fmt.Fprintf(out, "%-36s %3d passed %3d failed %3d not applicable\n", s.module+" "+s.version, total["pass"], total["fail"], total["skip"]+len(s.excluded))
	return errors.Join(problems...)
}
