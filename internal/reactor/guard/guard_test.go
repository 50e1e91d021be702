package guard_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/parley-engine/parley/internal/reactor/guard"
)

func TestOnlyPublicAddressesArePermitted(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2606:2800:220:1::1": true, "172.32.0.1": true, "100.128.0.1": true,
		"64:ff9b::808:808": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "127.255.255.254": false, "::1": false, "0.0.0.0": false, "::": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fc00::1": false, "fd12::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false,
		"100.64.0.1": false, "100.127.255.255": false, "224.0.0.1": false, "239.1.1.1": false, "ff02::1": false,
		"255.255.255.255": false, "240.0.0.1": false, "192.0.0.8": false, "198.18.0.1": false, "203.0.113.1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::a00:1": false,
		"2002:7f00:1::": false, "2002:808:808::": false, "2001:0:4136:e378:8000:63bf:3fff:fdd2": false, "2001:db8::1": false, "3fff::1": false,
	} {
		require.Equal(t, want, new(guard.Guard).Permits(netip.MustParseAddr(text)), text)
	}
}

func TestExceptionsAreAddressesAndNetworks(t *testing.T) {
	allow, err := guard.ParseAllow([]string{"127.0.0.0/8", "10.1.2.3", "::1", "fd00::/8"})
	require.NoError(t, err)
	g := &guard.Guard{Allow: allow}
	for text, want := range map[string]bool{
		"127.0.0.1": true, "::ffff:127.0.0.1": true, "10.1.2.3": true, "10.1.2.4": false, "::1": true, "fd00::5": true, "169.254.169.254": false,
		"64:ff9b::7f00:1": true,
	} {
		require.Equal(t, want, g.Permits(netip.MustParseAddr(text)), text)
	}
	_, err = guard.ParseAllow([]string{"localhost"})
	require.ErrorContains(t, err, `"localhost" is neither an IP address nor a network`)
}

func get(g *guard.Guard, target string) error {
	transport := g.Transport()
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(target)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func TestAnAddressIsJudgedWhateverWayItIsWritten(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	defer target.Close()
	u, err := url.Parse(target.URL)
	require.NoError(t, err)
	t.Setenv("HTTP_PROXY", target.URL)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "[::1]"} {
		var blocked *guard.BlockedError
		require.ErrorAs(t, get(&guard.Guard{}, "http://"+host+":"+u.Port()), &blocked, host)
	}
}

// A name that is public when somebody looks and private when it is connected to.
func TestANameThatChangesItsMindDoesNotGetThrough(t *testing.T) {
	var reached atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer target.Close()
	u, err := url.Parse(target.URL)
	require.NoError(t, err)
	var asked atomic.Int32
	resolver := names(t, func() [4]byte {
		if asked.Add(1) == 1 {
			return [4]byte{93, 184, 216, 34}
		}
		return [4]byte{127, 0, 0, 1}
	})
	first, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example.")
	require.NoError(t, err)
	g := &guard.Guard{Resolver: resolver}
	require.True(t, g.Permits(first[0]))
	var blocked *guard.BlockedError
	require.ErrorAs(t, get(g, "http://rebind.example.:"+u.Port()), &blocked)
	require.Zero(t, reached.Load())

	g.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	require.NoError(t, get(g, "http://rebind.example.:"+u.Port()))
	require.EqualValues(t, 1, reached.Load())
}

// names is a resolver whose server says every time what it is told to.
func names(t *testing.T, say func() [4]byte) *net.Resolver {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = server.Close(); <-done })
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if answer := answered(buffer[:n], say); answer != nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func answered(question []byte, say func() [4]byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.Additionals = true, nil
	if m.Questions[0].Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: say()},
		}}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
