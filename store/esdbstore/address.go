package esdbstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// address is a parsed connection string.
type address struct {
	hosts          []string
	discover       bool // the hosts are asked which one leads
	user, password string
	preference     string
	tls            *tls.Config // nil: unencrypted
	discoverEvery  time.Duration
	gossipTimeout  time.Duration
	keepAlive      time.Duration // negative: none
	keepAliveLimit time.Duration
}

const defaultPort = "2113"

// CheckAddress reports what is wrong with an address of Open, and whether it holds a
// user or password.
func CheckAddress(url string) (secret bool, err error) {
	a, err := parse(url)
	return err == nil && a.user+a.password != "", err
}

// parse reads a connection string as EventStoreDB's clients do: esdb:// and
// kurrentdb:// (kdb://), with +discover. A setting it does not know is an error,
// because ignoring it could mean less safety than was asked for.
func parse(text string) (*address, error) {
	u, err := url.Parse(firstHost(text)) // several hosts are none to url
	if err != nil || !strings.Contains(text, "://") || strings.Contains(text, "#") {
		return nil, errors.New("address of the database: not a URL")
	}
	scheme, discover := strings.CutSuffix(u.Scheme, "+discover")
	if !slices.Contains([]string{"esdb", "kurrentdb", "kdb"}, scheme) {
		return nil, fmt.Errorf("address of the database: scheme %.20q is none of esdb, kurrentdb, kdb", u.Scheme)
	}
	a := &address{
		preference: "leader", discoverEvery: 100 * time.Millisecond, gossipTimeout: 5 * time.Second,
		keepAlive: 10 * time.Second, keepAliveLimit: 10 * time.Second,
	}
	a.user = u.User.Username()
	a.password, _ = u.User.Password()
	if a.hosts, err = hostsOf(text); err != nil {
		return nil, err
	}
	a.discover = discover || len(a.hosts) > 1
	if u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("address of the database: path %.40q", u.Path)
	}
	return a, a.settings(u.Query())
}

// authority returns where the hosts begin and end in a connection string.
func authority(text string) (begin, end int) {
	begin = strings.Index(text, "://") + 3
	end = len(text)
	if i := strings.IndexAny(text[begin:], "/?"); i >= 0 {
		end = begin + i
	}
	if at := strings.LastIndexByte(text[begin:end], '@'); at >= 0 {
		begin += at + 1
	}
	return begin, end
}

func firstHost(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	begin, end := authority(text)
	first, _, _ := strings.Cut(text[begin:end], ",")
	return text[:begin] + first + text[end:]
}

func hostsOf(text string) ([]string, error) {
	begin, end := authority(text)
	var hosts []string
	for h := range strings.SplitSeq(text[begin:end], ",") {
		host, port, err := net.SplitHostPort(h)
		if err != nil {
			host, port = strings.Trim(h, "[]"), defaultPort
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
			return nil, fmt.Errorf("address of the database: %.60q is no host and port", h)
		}
		hosts = append(hosts, net.JoinHostPort(host, port))
	}
	return hosts, nil
}

// settings reads what comes behind the question mark. Names are not case-sensitive.
func (a *address) settings(query url.Values) error {
	s := settings{values: map[string]string{}}
	for name, values := range query {
		s.values[strings.ToLower(name)] = values[0]
	}
	encrypted := s.flag("tls", true)
	verify := s.flag("tlsverifycert", true)
	caFile, certFile, keyFile := s.take("tlscafile"), s.take("usercertfile"), s.take("userkeyfile")
	a.discoverEvery = s.duration("discoveryinterval", time.Millisecond, a.discoverEvery)
	a.gossipTimeout = s.duration("gossiptimeout", time.Second, a.gossipTimeout)
	a.keepAlive = s.duration("keepaliveinterval", time.Millisecond, a.keepAlive)
	a.keepAliveLimit = s.duration("keepalivetimeout", time.Millisecond, a.keepAliveLimit)
	if p := strings.ToLower(s.take("nodepreference")); p != "" {
		a.preference = p
	}
	s.take("maxdiscoverattempts") // we try as long as the call may take
	s.take("defaultdeadline")     // callers have deadlines
	s.take("connectionname")
	if a.preference != "leader" {
		s.fail("nodepreference %.20q: a log is read where it is written, at the leader", a.preference)
	}
	for name := range s.values {
		s.fail("unknown setting %.40q", name)
	}
	if s.err != nil || !encrypted {
		return s.err
	}
	return a.secure(verify, caFile, certFile, keyFile)
}

func (a *address) secure(verify bool, caFile, certFile, keyFile string) error {
	a.tls = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !verify} //nolint:gosec // only where it was asked for
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("address of the database: tlsCAFile: %w", err)
		}
		a.tls.RootCAs = x509.NewCertPool()
		if !a.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("address of the database: tlsCAFile %s holds no certificate", caFile)
		}
	}
	if certFile == "" && keyFile == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return fmt.Errorf("address of the database: userCertFile, userKeyFile: %w", err)
	}
	a.tls.Certificates = []tls.Certificate{pair}
	return nil
}

// settings are taken one by one; what is left is unknown. The first error is kept.
type settings struct {
	values map[string]string
	err    error
}

func (s *settings) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("address of the database: "+format, args...)
	}
}

func (s *settings) take(name string) string {
	value := s.values[name]
	delete(s.values, name)
	return value
}

func (s *settings) flag(name string, otherwise bool) bool {
	text := s.take(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		s.fail("%s must be true or false", name)
	}
	return value
}

func (s *settings) duration(name string, unit, otherwise time.Duration) time.Duration {
	text := s.take(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n == 0 || n < -1 {
		s.fail("%s must be a number of %s", name, unit)
	}
	return time.Duration(n) * unit
}
