package esdbstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/parley-engine/parley/store"
)

// Pauses between attempts, see store.Pause.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// link is a connection to the node that leads.
type link struct {
	conn    *grpc.ClientConn
	writing batchWriter
}

// links keeps the connection that everybody uses, and replaces one that is of no
// use any more.
type links struct {
	address *address
	header  metadata.MD
	log     *slog.Logger
	finding chan struct{} // held by who looks for the leader

	mu      sync.Mutex
	current *link
	closed  bool
}

func newLinks(a *address, log *slog.Logger) *links {
	header := metadata.Pairs("requires-leader", "true", "connection-name", "parley")
	if a.user != "" {
		header.Set("authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(a.user+":"+a.password)))
	}
	return &links{address: a, header: header, log: log, finding: make(chan struct{}, 1)}
}

// outgoing is the context of a call.
func (l *links) outgoing(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, l.header)
}

func (l *links) now() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// get returns the connection. Where the leader must be found first, one caller looks
// and the others wait for it, no longer than their contexts allow.
func (l *links) get(ctx context.Context) (*link, error) {
	if current := l.now(); current != nil {
		return current, nil
	}
	select {
	case l.finding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.finding }()
	if current := l.now(); current != nil {
		return current, nil
	}
	host := l.address.hosts[0]
	if l.address.discover {
		var err error
		if host, err = l.leader(ctx); err != nil {
			return nil, err
		}
	}
	conn, err := l.dial(host)
	if err != nil {
		return nil, err
	}
	return l.keep(&link{conn: conn})
}

func (l *links) keep(found *link) (*link, error) {
	found.writing.links, found.writing.conn = l, found.conn
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = found.conn.Close() // never used
		return nil, store.ErrClosed
	}
	l.current = found
	return found, nil
}

// drop gives up a connection that proved to be of no use. The next call makes
// another.
func (l *links) drop(used *link) {
	l.mu.Lock()
	dropped := l.current == used
	if dropped {
		l.current = nil
	}
	l.mu.Unlock()
	if dropped {
		used.close(l.log)
	}
}

func (l *links) close() {
	l.mu.Lock()
	current := l.current
	l.current, l.closed = nil, true
	l.mu.Unlock()
	if current != nil {
		current.close(l.log)
	}
}

func (u *link) close(log *slog.Logger) {
	if err := u.conn.Close(); err != nil {
		log.Debug("connection to the database did not close", "err", err)
	}
	u.writing.wait()
}

const windowBytes = 8 << 20 // of what a read may run ahead

func (l *links) dial(host string) (*grpc.ClientConn, error) {
	secure := insecure.NewCredentials()
	if l.address.tls != nil {
		secure = credentials.NewTLS(l.address.tls)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.3, MaxDelay: longestPause},
			MinConnectTimeout: 3 * time.Second,
		}),
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(2 * windowBytes),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(17 << 20)),
	}
	if l.address.keepAlive > 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: l.address.keepAlive, Timeout: min(l.address.keepAliveLimit, 5*time.Second), PermitWithoutStream: true,
		}))
	}
	return grpc.NewClient("passthrough:///"+host, options...)
}

// leader asks the hosts who leads, one after another, from one at random.
func (l *links) leader(ctx context.Context) (string, error) {
	hosts := l.address.hosts
	first := rand.IntN(len(hosts))
	var last error
	for i := range hosts {
		host, err := l.ask(ctx, hosts[(first+i)%len(hosts)])
		if err == nil {
			return host, nil
		}
		last = err
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	return "", &trouble{fmt.Errorf("no leader found: %w", last)}
}

func (l *links) ask(ctx context.Context, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, l.address.gossipTimeout)
	defer cancel()
	conn, err := l.dial(host)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // it has served
	info, err := gossip.NewGossipClient(conn).Read(metadata.NewOutgoingContext(ctx, l.header), &shared.Empty{})
	if err != nil {
		return "", fmt.Errorf("%s: %w", host, err)
	}
	for _, m := range info.GetMembers() {
		if m.GetState() == gossip.MemberInfo_Leader && m.GetIsAlive() {
			return fmt.Sprintf("%s:%d", m.GetHttpEndPoint().GetAddress(), m.GetHttpEndPoint().GetPort()), nil
		}
	}
	return "", fmt.Errorf("%s knows no leader", host)
}

// pause rests before attempt n; the context's error ends it.
func pause(ctx context.Context, n int) error { return store.Pause(ctx, n, firstPause, longestPause) }
