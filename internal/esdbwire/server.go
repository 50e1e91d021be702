package esdbwire

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
)

// version is the server version that clients are told: the one whose protocol is
// served (they compare it with what they need).
const version = "23.10.0"

// Log is what is served.
type Log interface {
	store.StreamReader
	store.LogReader
}

// Config is what a server works with; all but Log may be left out.
type Config struct {
	Log Log
	// Appender is where clients write; nil: they only read. Streams whose category is
	// in Own are Parley's and are written by nobody; others are kept under the
	// category foreign.
	Appender store.Appender
	// Own are the categories of Parley's streams. Nil: all streams are, but those of
	// the system, whose names begin with $.
	Own []string
	// WriteOwn lets clients append to Parley's streams as well, in Parley's form: for
	// a server that is the log of other processes.
	WriteOwn bool
	// Users says whether user and password hold. Nil: nobody is asked. Clients send
	// them only over TLS.
	Users func(user, password string) bool
	// Ready says whether /health/live answers that the server lives. Nil: it does as
	// long as it serves. It is called at any time, and answers at once.
	Ready func() bool
	TLS   *tls.Config // nil: unencrypted
}

// Server serves until it is closed. Make one with New.
type Server struct {
	grpc          *grpc.Server
	subscriptions *subscriptions
	others        *lobby // connections that are not gRPC's
	probes        *http.Server

	mu        sync.Mutex
	entrances []*entrance
	closed    bool
}

// New returns a server that listens nowhere yet.
func New(c Config) *Server {
	auth := guard{c.Users}
	options := []grpc.ServerOption{
		// These clients ask for signs of life every ten seconds, idle or not.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		// And one that is gone without a word keeps its place in a group no longer than that.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.MaxConcurrentStreams(1000), grpc.MaxRecvMsgSize(heardOut), grpc.ConnectionTimeout(10 * time.Second),
		grpc.ForceServerCodecV2(codec{}), grpc.InitialWindowSize(1 << 20), grpc.InitialConnWindowSize(8 << 20),
		grpc.WaitForHandlers(true), grpc.UnaryInterceptor(auth.unary), grpc.StreamInterceptor(auth.stream),
	}
	others := newLobby()
	options = append(options, grpc.Creds(newDoor(c.TLS, others)))
	db := newDatabase(c)
	instance := events.ID(uuid.New())
	asked := &probes{log: c.Log, ready: c.Ready, instance: instance, started: time.Now()}
	s := &Server{grpc: grpc.NewServer(options...), subscriptions: &subscriptions{groups: newGroups(db)}, others: others, probes: asked.server()}
	persistent.RegisterPersistentSubscriptionsServer(s.grpc, s.subscriptions)
	streams.RegisterStreamsServer(s.grpc, &service{database: db})
	serverfeatures.RegisterServerFeaturesServer(s.grpc, features{})
	gossip.RegisterGossipServer(s.grpc, cluster{instance: instance})
	return s
}

// Serve answers clients until Close, then returns nil. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	var probing sync.WaitGroup
	probing.Go(func() { _ = s.probes.Serve(s.others) }) // until Close
	defer probing.Wait()
	defer s.others.Close() //nolint:errcheck // it has nothing to fail with
	if err := s.grpc.Serve(s.enter(l)); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

func (s *Server) enter(l net.Listener) *entrance {
	e := &entrance{Listener: l, open: map[*entered]struct{}{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entrances = append(s.entrances, e)
	if s.closed {
		e.end()
	}
	return e
}

// Close ends all calls, subscriptions among them, and the groups of consumers, which
// write how far they have come, and waits until all have ended: the log may be closed
// after it, not before. Groups are told first: calls wait for those they are in. It may
// be called more than once.
func (s *Server) Close() {
	s.subscriptions.close(store.ErrClosed)
	s.leave()
	s.grpc.Stop()
	_ = s.probes.Close()
	s.subscriptions.receivers.Wait()
	s.subscriptions.stop()
	s.subscriptions.lanes.stop() // groups have written by then
}

// leave closes what gRPC would wait for.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, e := range s.entrances {
		e.end()
	}
	_ = s.others.Close()
}

// guard asks who it is before anything else. What the server can do, and where it is,
// is told to everybody: clients ask before they send credentials.
type guard struct {
	users func(user, password string) bool
}

func (g guard) unary(ctx context.Context, r any, call *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	open := call.FullMethod == serverfeatures.ServerFeatures_GetSupportedMethods_FullMethodName || call.FullMethod == gossip.Gossip_Read_FullMethodName
	if !open {
		if err := g.check(ctx); err != nil {
			return nil, err
		}
	}
	return next(ctx, r)
}

func (g guard) stream(server any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.check(s.Context()); err != nil {
		return err
	}
	return next(server, s)
}

func (g guard) check(ctx context.Context) error {
	if g.users == nil {
		return nil
	}
	for _, header := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		user, password, ok := basic(header)
		if ok && g.users(user, password) {
			return nil
		}
	}
	return status.Error(codes.Unauthenticated, "user and password are needed")
}

func basic(header string) (user, password string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(text), ":")
}

// features tells clients what there is.
type features struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods implements serverfeatures.ServerFeaturesServer.
func (features) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const name, groups = "event_store.client.streams.streams", "event_store.client.persistent_subscriptions.persistentsubscriptions"
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: version, Methods: []*serverfeatures.SupportedMethod{
		{ServiceName: name, MethodName: "read", Features: []string{"stream", "all"}},
		{ServiceName: name, MethodName: "append"}, {ServiceName: name, MethodName: "delete"}, {ServiceName: name, MethodName: "tombstone"},
		{ServiceName: name, MethodName: "batchappend", Features: []string{"deadline_duration"}},
		{ServiceName: groups, MethodName: "create", Features: []string{"stream", "all"}}, {ServiceName: groups, MethodName: "update", Features: []string{"stream", "all"}},
		{ServiceName: groups, MethodName: "delete", Features: []string{"stream", "all"}}, {ServiceName: groups, MethodName: "read", Features: []string{"stream", "all"}},
		{ServiceName: groups, MethodName: "getinfo", Features: []string{"stream", "all"}}, {ServiceName: groups, MethodName: "list", Features: []string{"stream", "all"}},
		{ServiceName: groups, MethodName: "replayparked", Features: []string{"stream", "all"}}, {ServiceName: groups, MethodName: "restartsubsystem"},
	}}, nil
}
