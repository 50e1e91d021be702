// Package guard keeps what strangers name as a target from reaching what only this
// machine and its network can reach: a webhook's URL is given by whoever may call the
// API, and http://169.254.169.254/ or http://localhost/ are as easily written as any.
//
// What is judged is the address of the connection, after names are resolved and
// just before it is made, so that a name that resolves to something else the second
// time does not get through.
package guard

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Guard permits connections. The zero value permits those to the public Internet. It
// must not be changed while it is used.
type Guard struct {
	Allow    []netip.Prefix // permitted whatever they are
	Resolver *net.Resolver  // nil: the system's
}

// BlockedError says that an address is not one to connect to.
type BlockedError struct{ Address string }

func (e *BlockedError) Error() string {
	return e.Address + " is not a public address, and not among the exceptions that the server allows"
}

// ParseAllow reads networks, as in 10.1.0.0/16, and single addresses.
func ParseAllow(texts []string) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			a = a.Unmap().WithZone("")
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an IP address nor a network as in 10.1.0.0/16", text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// blocked are the networks that are not of the public Internet (IANA's registries of
// special purpose addresses). Tunnels that hide an IPv4 address are among them, but
// for NAT64, where the hidden address decides.
var blocked = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Permits judges an address.
func (g *Guard) Permits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if within(g.Allow, a) {
		return true
	}
	if nat64.Contains(a) {
		hidden := a.As16()
		return g.Permits(netip.AddrFrom4([4]byte(hidden[12:])))
	}
	return a.IsValid() && !within(blocked, a) && (a.Is4() || globalUnicast.Contains(a))
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// control is asked with the address that is about to be connected to.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !g.Permits(at.Addr()) {
		return &BlockedError{Address: address}
	}
	return nil
}

// Transport returns a transport that connects to permitted addresses only, itself:
// no proxy of the environment is asked, which would connect in its place. An error
// of it is a *BlockedError where all of a target's addresses are blocked. Its idle
// connections are the caller's to close.
func (g *Guard) Transport() *http.Transport {
	const handshake = 5 * time.Second
	dialer := &net.Dialer{Timeout: handshake, KeepAlive: 30 * time.Second, Control: g.control, Resolver: g.Resolver}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    handshake,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
