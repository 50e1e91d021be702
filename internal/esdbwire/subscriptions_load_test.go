package esdbwire_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
	"github.com/parley-engine/parley/store/sqlitestore"
)

// TestEveryEventIsHandledWhateverConsumersDo has consumers that come and go, forget to
// answer and refuse, beside a writer.
func TestEveryEventIsHandledWhateverConsumersDo(t *testing.T) {
	log := memstore.New()
	fill(t, log, 1, 100)
	c := writable(t, log)
	createGroup(t, c, ch, func(s *esdb.PersistentSubscriptionSettings) {
		s.MessageTimeout, s.MaxRetryCount, s.HistoryBufferSize, s.CheckpointAfter = 100, 1<<30, 30, 1
		s.ConsumerStrategyName = esdb.ConsumerStrategyRoundRobin
	})
	const total = 400
	h := &handled{of: map[uint64]bool{}, all: make(chan struct{}), total: total}
	var work sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				unreliable(ctx, c, h)
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

func unreliable(ctx context.Context, c *esdb.Client, h *handled) {
	s, err := c.SubscribeToPersistentSubscription(ctx, ch, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 5})
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	for range 50 {
		got := s.Recv()
		if got.EventAppeared == nil {
			return
		}
		switch e := got.EventAppeared.Event; rand.IntN(10) {
		case 0: // forgotten
		case 1:
			_ = s.Nack("", esdb.NackActionRetry, e)
		default:
			h.add(e.Event.EventNumber)
			_ = s.Ack(e)
		}
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
		c, stop := onceWith(t, log, unsure{log})
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() {
				for ctx.Err() == nil {
					putsAside(ctx, c, h)
				}
			})
		}
		for i := range perRound / 2 {
			put(t, log, ch, round*perRound+2*i, 2)
			if i%10 == 5 {
				_ = c.ReplayParkedMessages(ctx, ch, group, esdb.ReplayParkedMessagesOptions{})
			}
			if i == 30 {
				require.NoError(t, c.RestartPersistentSubscriptionSubsystem(ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{}))
			}
		}
		if round == rounds-1 {
			h.wait(t, func() { _ = c.ReplayParkedMessages(ctx, ch, group, esdb.ReplayParkedMessagesOptions{}) })
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

func putsAside(ctx context.Context, c *esdb.Client, h *handled) {
	s, err := c.SubscribeToPersistentSubscription(ctx, ch, group, esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: 7})
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	for range 60 {
		got := s.Recv()
		if got.EventAppeared == nil {
			return
		}
		switch e := got.EventAppeared.Event; rand.IntN(12) {
		case 0: // forgotten
		case 1:
			_ = s.Nack("", esdb.NackActionRetry, e)
		case 2, 3:
			_ = s.Nack("later", esdb.NackActionPark, e)
		default:
			h.add(e.Event.EventNumber)
			_ = s.Ack(e)
		}
	}
}
