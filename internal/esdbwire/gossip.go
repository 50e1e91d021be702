package esdbwire

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/parley-engine/parley/events"
)

// cluster tells clients that look for a leader that they have found it: every server
// is one by itself, at the address at which it was asked.
type cluster struct {
	gossip.UnimplementedGossipServer
	instance events.ID
}

// Read implements gossip.GossipServer.
func (c cluster) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil {
		return nil, status.Error(codes.Internal, "the server does not know its address")
	}
	host, text, err := net.SplitHostPort(p.LocalAddr.String())
	if err != nil {
		return nil, status.Error(codes.Internal, "the server does not know its address")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, status.Error(codes.Internal, "the server does not know its address")
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId: idOf(c.instance, false), TimeStamp: time.Now().UnixNano() / 100, State: gossip.MemberInfo_Leader, IsAlive: true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)},
	}}}, nil
}
