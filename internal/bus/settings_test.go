package bus_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

// settled is a bus whose streams somebody else changes.
type settled struct {
	*bus.Bus
	t        *testing.T
	js       jetstream.JetStream
	done     *tally
	registry *prometheus.Registry
	letters  *bus.DeadLetters
}

func startSettled(t *testing.T, nc *nats.Conn) *settled {
	t.Helper()
	s := &settled{t: t, done: &tally{done: map[string][]int{}}, registry: prometheus.NewRegistry()}
	var err error
	s.js, err = jetstream.New(nc)
	require.NoError(t, err)
	s.Bus, err = bus.New(connectAgain(t, nc), s.done.execute, &bus.Options{Registerer: s.registry, FirstPause: time.Millisecond, AckWait: 600 * time.Millisecond})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }()
	t.Cleanup(func() { require.NoError(t, s.Drain(context.Background())); require.NoError(t, <-ended) })
	select {
	case <-s.Ready():
	case err := <-ended:
		require.NoError(t, err)
	}
	s.letters, err = bus.OpenDeadLetters(t.Context(), nc)
	require.NoError(t, err)
	return s
}

// tidy is one round of the sweeper, which may be at it already.
func (s *settled) tidy() {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.Tidy(s.t.Context()) == nil }, soon, time.Millisecond)
}

func (s *settled) config(name string) jetstream.StreamConfig {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), name)
	require.NoError(s.t, err)
	return stream.CachedInfo().Config
}

func change(t *testing.T, js jetstream.JetStream, name string, how func(*jetstream.StreamConfig)) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	require.NoError(t, err)
	config := stream.CachedInfo().Config
	how(&config)
	_, err = js.UpdateStream(t.Context(), config)
	require.NoError(t, err)
}

// sends has a command done, as soon as the stream takes it.
func (s *settled) sends(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, err := s.js.PublishMsg(s.t.Context(), numberedMsg("CH1", n))
		return err == nil
	}, soon, time.Millisecond)
	require.Eventually(s.t, func() bool { return s.done.count() == n+1 }, soon, time.Millisecond)
}

func TestChangedSettingsOfStreamsAreChangedBack(t *testing.T) {
	for name, how := range map[string]func(*jetstream.StreamConfig){
		"other subjects":       func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere." + c.Name} },
		"few messages":         func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 },
		"few bytes":            func(c *jetstream.StreamConfig) { c.MaxBytes = 1000 },
		"small messages":       func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10 },
		"forgets":              func(c *jetstream.StreamConfig) { c.MaxAge, c.Duplicates = time.Second, time.Second },
		"drops old ones":       func(c *jetstream.StreamConfig) { c.Discard = otherDiscard(c.Discard) },
		"one per subject":      func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"forgets what is read": func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"acknowledges none":    func(c *jetstream.StreamConfig) { c.NoAck = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSettled(t, connect(t, startBroker(t, t.TempDir())))
			s.tidy()
			require.Zero(t, losses(t, s.registry, "settings"), "nobody changed anything")
			for i, stream := range []string{bus.StreamCommands, bus.StreamDead} {
				before := s.config(stream)
				change(t, s.js, stream, how)
				s.tidy()
				require.Equal(t, before, s.config(stream))
				require.Equal(t, i+1, int(losses(t, s.registry, "settings")))
			}
			require.Empty(t, s.Problem())
			s.sends(0)
		})
	}
}

func otherDiscard(p jetstream.DiscardPolicy) jetstream.DiscardPolicy {
	if p == jetstream.DiscardNew {
		return jetstream.DiscardOld
	}
	return jetstream.DiscardNew
}

// What the broker lets nobody change back.
var fixed = map[string]func(*jetstream.StreamConfig){
	"sealed":      func(c *jetstream.StreamConfig) { c.Sealed = true },
	"deny_delete": func(c *jetstream.StreamConfig) { c.DenyDelete = true },
	"deny_purge":  func(c *jetstream.StreamConfig) { c.DenyPurge = true },
}

// The commands that such a stream has are done, once, and then it is made anew.
func TestAStreamOfCommandsThatIsMadeUnfitIsDrainedAndMadeAnew(t *testing.T) {
	for name, how := range fixed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSettled(t, connect(t, startBroker(t, t.TempDir())))
			before := s.config(bus.StreamCommands)
			s.sends(0)
			s.done.mu.Lock()
			s.done.hold = make(chan struct{})
			s.done.mu.Unlock()
			_, err := s.js.PublishMsg(t.Context(), numberedMsg("CH1", 1))
			require.NoError(t, err)
			change(t, s.js, bus.StreamCommands, how)
			s.tidy()
			require.Contains(t, s.Problem(), "PARLEY_COMMANDS")
			require.Contains(t, s.Problem(), "is made anew when those in it are done")
			require.True(t, s.config(bus.StreamCommands).Sealed, "a command is under way; no other one is taken meanwhile")
			s.done.hold <- struct{}{}
			close(s.done.hold)
			require.Eventually(t, func() bool { return s.Tidy(t.Context()) == nil && s.Problem() == "" }, 2*soon, 10*time.Millisecond)
			after := s.config(bus.StreamCommands)
			after.FirstSeq = before.FirstSeq
			require.Equal(t, before, after)
			s.sends(2)
			require.Equal(t, []int{0, 1, 2}, s.done.done["CH1"])
			require.Equal(t, 1, int(losses(t, s.registry, "settings")))
			require.Zero(t, losses(t, s.registry, "stream"))
		})
	}
}

func TestAStreamOfCommandsInMemoryIsMadeAnew(t *testing.T) {
	s := startSettled(t, connect(t, startBroker(t, t.TempDir())))
	config := s.config(bus.StreamCommands)
	require.NoError(t, s.js.DeleteStream(t.Context(), bus.StreamCommands))
	config.Storage = jetstream.MemoryStorage
	_, err := s.js.CreateStream(t.Context(), config)
	require.NoError(t, err)
	_, err = s.js.PublishMsg(t.Context(), numberedMsg("CH1", 0))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return s.Tidy(t.Context()) == nil && s.Problem() == "" && s.config(bus.StreamCommands).Storage == jetstream.FileStorage
	}, 2*soon, 10*time.Millisecond)
	require.Equal(t, 1, s.done.count(), "what it had is done")
	s.sends(1)
	require.Equal(t, 1, int(losses(t, s.registry, "stream")), "the former one is gone, and with it what it may have had")
}

func TestAStartGoesOnThoughTheStreamsWereMadeUnfit(t *testing.T) {
	for name, how := range fixed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := connect(t, startBroker(t, t.TempDir()))
			startBus(t, connectAgain(t, nc), accept, nil)()
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			_, err = js.PublishMsg(t.Context(), numberedMsg("CH1", 0))
			require.NoError(t, err)
			change(t, js, bus.StreamCommands, how)
			change(t, js, bus.StreamDead, how)
			s := startSettled(t, nc)
			require.Eventually(t, func() bool { return s.Tidy(t.Context()) == nil && s.Problem() == "" }, 2*soon, 10*time.Millisecond)
			require.Equal(t, 1, s.done.count())
			s.sends(1)
		})
	}
}

// Letters are not thrown away: it is told what to do with them.
func TestAStreamOfDeadLettersThatIsMadeUnfitIsToldWithTheWayOut(t *testing.T) {
	s := startSettled(t, connect(t, startBroker(t, t.TempDir())))
	_, err := s.js.Publish(t.Context(), "parley.commands.CH1", []byte("not json"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { n, _, err := s.letters.Depth(t.Context()); return err == nil && n == 1 }, soon, time.Millisecond)
	change(t, s.js, bus.StreamDead, fixed["sealed"])
	s.tidy()
	require.Contains(t, s.Problem(), "PARLEY_DEAD")
	require.Contains(t, s.Problem(), "parley dlq")
	list, err := s.letters.List(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, s.js.DeleteStream(t.Context(), bus.StreamDead))
	s.tidy()
	require.Empty(t, s.Problem())
}

func TestAChangedStreamOfEventsIsPublishedAnew(t *testing.T) {
	changes := map[string]func(*jetstream.StreamConfig){
		"subjects": func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} },
		"no_ack":   func(c *jetstream.StreamConfig) { c.NoAck = true },
	}
	for name, how := range fixed {
		changes[name] = how
	}
	for name, how := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := connect(t, startBroker(t, t.TempDir()))
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			log, logged := memstore.New(), &lines{}
			appendEvents(t, log, "conversation-CH1", store.NoStream, 20)
			p, _ := startEvents(t, nc, log, &bus.EventOptions{LookEvery: 10 * time.Millisecond, Pause: time.Millisecond, Logger: slog.New(slog.NewTextHandler(logged, nil))})
			requirePublished(t, p, log)
			change(t, js, bus.StreamEvents, how)
			require.Eventually(t, func() bool {
				stream, err := js.Stream(t.Context(), bus.StreamEvents)
				if err != nil {
					return false
				}
				c := stream.CachedInfo()
				return c.State.Msgs == 20 && !c.Config.NoAck && !c.Config.Sealed && !c.Config.DenyDelete && !c.Config.DenyPurge && c.Config.Subjects[0] == bus.SubjectEvents
			}, 2*soon, 10*time.Millisecond)
			require.Contains(t, logged.String(), name)
			appendEvents(t, log, "conversation-CH2", store.NoStream, 1)
			requirePublished(t, p, log)
		})
	}
}
