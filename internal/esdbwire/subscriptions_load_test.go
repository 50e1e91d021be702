package esdbwire_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// TestEveryEventIsHandledWhateverConsumersDo has consumers that come and go, forget to
// answer and refuse, beside a writer.
func TestEveryEventIsHandledWhateverConsumersDo(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 100)
	address := serve(t, esdbwire.Config{Log: log, Appender: log, Own: events.Categories()})
	createGroup(t, client(t, "esdb://"+address+"?tls=false"), ch, func(s *esdb.PersistentSubscriptionSettings) {
		s.MessageTimeout, s.MaxRetryCount, s.HistoryBufferSize, s.CheckpointAfter = 100, 1<<30, 30, 1
		s.ConsumerStrategyName = esdb.ConsumerStrategyRoundRobin
	})
	const total = 400
	h := &handled{of: map[uint64]bool{}, all: make(chan struct{}), total: total}
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	conn := dialRaw(t, address)
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				unreliable(ctx, conn, h, 5, answers{persistent.ReadReq_Nack_Retry: 1})
			}
		})
	}
	for i := range (total - 200) / 2 {
		put(t, log, ch, 200+2*i, 2)
	}
	select {
	case <-h.all:
	case <-time.After(60 * time.Second):
		t.Fatalf("%d of %d were handled", h.count(), total)
	}
	cancel()
	work.Wait()
}

type handled struct {
	mu    sync.Mutex
	of    map[uint64]bool
	total int
	all   chan struct{}
}

func (h *handled) add(n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of[n] = true; len(h.of) == h.total {
		close(h.all)
		h.total = -1
	}
}

func (h *handled) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.of)
}

// rawly joins the group by the stubs: the vendor's client may not be closed while it is
// used, and hangs when its server goes.
func rawly(t testing.TB, address string, slots int32) (persistent.PersistentSubscriptions_ReadClient, error) {
	return joinRaw(t.Context(), dialRaw(t, address), slots)
}

func dialRaw(t testing.TB, address string) *grpc.ClientConn {
	const window = 1 << 16 // little waits for who does not read
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func joinRaw(ctx context.Context, conn *grpc.ClientConn, slots int32) (persistent.PersistentSubscriptions_ReadClient, error) {
	call, err := persistent.NewPersistentSubscriptionsClient(conn).Read(ctx)
	if err != nil {
		return nil, err
	}
	return call, call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(ch)}},
		GroupName:    group, BufferSize: slots,
	}}})
}

// answers are what a consumer may say, by chance of so many.
type answers map[persistent.ReadReq_Nack_Action]int

// unreliable takes up to so many events: it forgets one in twelve, refuses some, and
// acknowledges the rest.
func unreliable(ctx context.Context, conn *grpc.ClientConn, h *handled, slots int32, refused answers) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := joinRaw(ctx, conn, slots)
	for range 60 {
		if err != nil {
			return
		}
		var m *persistent.ReadResp
		if m, err = call.Recv(); err != nil || m.GetEvent() == nil {
			continue
		}
		e := m.GetEvent()
		original := e.GetLink()
		if original == nil {
			original = e.GetEvent()
		}
		ids := []*shared.UUID{original.GetId()}
		chance, action := rand.IntN(12)-1, persistent.ReadReq_Nack_Action(-1)
		if chance < 0 {
			continue // forgotten
		}
		for a, n := range refused {
			if chance -= n; chance < 0 {
				action = a
				break
			}
		}
		if chance < 0 {
			err = call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Nack_{Nack: &persistent.ReadReq_Nack{Ids: ids, Action: action}}})
			continue
		}
		h.add(e.GetEvent().GetStreamRevision())
		err = call.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{Ids: ids}}})
	}
}

// unsure is a log that now and then does not write, and now and then does but says that
// it did not.
type unsure struct{ store.Appender }

func (u unsure) Append(ctx context.Context, stream string, expected store.Revision, batch []events.Proposed) (store.Appended, error) {
	chance := rand.IntN(20)
	if chance == 0 {
		return store.Appended{}, store.ErrUnavailable
	}
	appended, err := u.Appender.Append(ctx, stream, expected, batch)
	if chance == 1 {
		return store.Appended{}, store.ErrUnavailable
	}
	return appended, err
}

// TestNothingIsLostOverRestarts has servers that end and begin again on one log, which
// fails them now and then, under a writer, consumers that put events aside, replays and
// restarts of the group: in the end each event was acknowledged by somebody.
func TestNothingIsLostOverRestarts(t *testing.T) {
	log, err := sqlitestore.Open(t.TempDir()+"/log.db", nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	const rounds, perRound = 3, 80
	h := &handled{of: map[uint64]bool{}, all: make(chan struct{}), total: rounds * perRound}
	for round := range rounds {
		if round == 0 {
			c, stop := once(t, log)
			createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) {
				s.MaxRetryCount, s.MessageTimeout, s.HistoryBufferSize, s.CheckpointLowerBound, s.CheckpointAfter = 1, 300, 40, 1, 1
			})
			stop()
		}
		address, stop := serveUntil(t, esdbwire.Config{Log: log, Appender: unsure{log}, Own: events.Categories()})
		conn := dialRaw(t, address)
		c := persistent.NewPersistentSubscriptionsClient(conn)
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() {
				for ctx.Err() == nil {
					unreliable(ctx, conn, h, 7, answers{persistent.ReadReq_Nack_Retry: 1, persistent.ReadReq_Nack_Park: 2})
				}
			})
		}
		for i := range perRound / 2 {
			put(t, log, ch, round*perRound+2*i, 2)
			if i%10 == 5 {
				replayRaw(ctx, c)
			}
			if i == 30 {
				_, err := c.RestartSubsystem(ctx, &shared.Empty{})
				require.NoError(t, err)
			}
		}
		if round == rounds-1 {
			h.wait(t, func() { replayRaw(ctx, c) })
		}
		if round%2 == 0 {
			stop() // under the consumers
			cancel()
		} else {
			cancel()
			stop()
		}
		work.Wait()
	}
}

// replayRaw brings back what is aside; where that fails the next one does.
func replayRaw(ctx context.Context, c persistent.PersistentSubscriptionsClient) {
	_, _ = c.ReplayParked(ctx, &persistent.ReplayParkedReq{Options: &persistent.ReplayParkedReq_Options{
		StreamOption: &persistent.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(ch)}}, GroupName: group,
	}})
}

// wait waits until all are handled, and does something meanwhile.
func (h *handled) wait(t *testing.T, meanwhile func()) {
	t.Helper()
	begun := time.Now()
	for {
		meanwhile()
		select {
		case <-h.all:
			return
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("%d of %d were handled", h.count(), h.total)
		}
	}
}
