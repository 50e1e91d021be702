package esdbwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// door lets gRPC in, and shows those who speak plain HTTP to another server: probes
// ask at the same port. gRPC calls it for every connection.
type door struct {
	credentials.TransportCredentials // for the methods that clients use
	tls                              *tls.Config
	other                            *lobby
}

func newDoor(c *tls.Config, other *lobby) *door {
	if c != nil {
		c = c.Clone()
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return &door{tls: c, other: other}
}

// Info implements credentials.TransportCredentials.
func (d *door) Info() credentials.ProtocolInfo {
	if d.tls == nil {
		return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
	}
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// ServerHandshake implements credentials.TransportCredentials. The connection has a
// deadline, which is for what gRPC takes as long as it is here.
func (d *door) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if d.tls == nil {
		return d.plain(raw)
	}
	conn := tls.Server(raw, d.tls)
	if err := conn.HandshakeContext(context.Background()); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		return nil, nil, d.other.show(conn)
	}
	again, yes := speaksGRPC(conn)
	if !yes {
		return nil, nil, d.other.show(newUnanswered(again))
	}
	common := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return again, credentials.TLSInfo{State: conn.ConnectionState(), CommonAuthInfo: common}, nil
}

// preface is what HTTP/2 begins with, and no request of HTTP/1.
var preface = []byte("PRI ")

func (d *door) plain(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	first := make([]byte, len(preface))
	if _, err := io.ReadFull(raw, first); err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	conn := &begun{Conn: raw, first: first}
	if !bytes.Equal(first, preface) {
		return nil, nil, d.other.show(conn)
	}
	again, yes := speaksGRPC(conn)
	if !yes {
		return nil, nil, d.other.show(newUnanswered(again))
	}
	return again, plainInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
}

// plainInfo says that a connection is not encrypted.
type plainInfo struct{ credentials.CommonAuthInfo }

func (plainInfo) AuthType() string { return "insecure" }

// begun is a connection of which the first bytes were read.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// entrance is a listener that knows the connections it accepted: gRPC does not end
// before those have spoken that it has not heard of yet.
type entrance struct {
	net.Listener
	mu     sync.Mutex
	open   map[*entered]struct{}
	closed bool
}

// entered is a connection that is open still.
type entered struct {
	net.Conn
	by *entrance
}

// Accept implements net.Listener.
func (e *entrance) Accept() (net.Conn, error) {
	conn, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	one := &entered{conn, e}
	if e.closed {
		_ = conn.Close()
		return one, nil
	}
	e.open[one] = struct{}{}
	return one, nil
}

func (c *entered) Close() error {
	c.by.mu.Lock()
	delete(c.by.open, c)
	c.by.mu.Unlock()
	return c.Conn.Close()
}

// end closes what is open.
func (e *entrance) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for c := range e.open {
		_ = c.Conn.Close()
	}
}

// lobby is a listener for connections that others have accepted.
type lobby struct {
	arrived chan net.Conn
	closed  chan struct{}
	once    sync.Once
	address net.Addr
}

func newLobby() *lobby {
	return &lobby{arrived: make(chan net.Conn), closed: make(chan struct{}), address: &net.TCPAddr{}}
}

// show brings a connection in. It returns what tells gRPC to leave it alone.
func (l *lobby) show(conn net.Conn) error {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	select {
	case l.arrived <- conn:
	case <-l.closed:
		_ = conn.Close()
	}
	return credentials.ErrConnDispatched
}

// Accept implements net.Listener.
func (l *lobby) Accept() (net.Conn, error) {
	select {
	case conn := <-l.arrived:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *lobby) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *lobby) Addr() net.Addr { return l.address }
