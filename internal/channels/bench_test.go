package channels_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/account"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/internal/channels"
	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/reactor"
	"github.com/parley-engine/parley/store/sqlitestore"
)

const (
	benchWriters  = 16
	benchMessages = 500 // of each writer
)

// stuck is a carrier that never answers.
type stuck struct{}

func (stuck) Idempotent() bool { return true }

func (stuck) Send(ctx context.Context, _ carrier.Outgoing) (carrier.Sent, error) {
	<-ctx.Done()
	return carrier.Sent{}, ctx.Err()
}

// prompt is one that answers at once.
type prompt struct{ n atomic.Int64 }

func (*prompt) Idempotent() bool { return true }

func (p *prompt) Send(context.Context, carrier.Outgoing) (carrier.Sent, error) {
	return carrier.Sent{ID: fmt.Sprint(p.n.Add(1)), Status: "sent"}, nil
}

// measured is how long commands took.
type measured struct {
	took  []time.Duration
	total time.Duration
}

func (m *measured) rate() float64 { return float64(len(m.took)) / m.total.Seconds() }

// BenchmarkCommandsBesideAStuckCarrier has messages added that go to people outside:
// with nobody who sends them, with a carrier that answers, and with one that hangs.
func BenchmarkCommandsBesideAStuckCarrier(b *testing.B) {
	var none, good, bad measured
	for range b.N {
		for _, part := range []struct {
			to *measured
			by carrier.Carrier
		}{{&none, nil}, {&good, &prompt{}}, {&bad, stuck{}}, {&bad, stuck{}}, {&good, &prompt{}}, {&none, nil}} {
			took, total := benchCommands(b, part.by)
			part.to.took, part.to.total = append(part.to.took, took...), part.to.total+total
		}
	}
	b.ReportMetric(none.rate(), "commands/s-alone")
	b.ReportMetric(good.rate(), "commands/s-good")
	b.ReportMetric(bad.rate(), "commands/s-stuck")
	fmt.Printf("\nratio commands beside a carrier that hangs, rate to one that answers: %.2f (p99 %.2f) target >= 1.00\n",
		bad.rate()/good.rate(), percentile(bad.took).Seconds()/percentile(good.took).Seconds())
	fmt.Printf("\nratio commands beside a carrier that hangs, rate to no channels, both cores busy: %.2f (p99 %.2f)\n",
		bad.rate()/none.rate(), percentile(bad.took).Seconds()/percentile(none.took).Seconds())
}

func percentile(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}

// benchCommands adds messages and returns how long each took, and all together.
func benchCommands(b *testing.B, by carrier.Carrier) ([]time.Duration, time.Duration) {
	b.Helper()
	log, err := sqlitestore.Open(filepath.Join(b.TempDir(), "log.db"), nil)
	require.NoError(b, err)
	e := engine.New(log, &engine.Options{DefaultAccount: ac})
	execute := func(aggregate string, fields interface{ CommandType() string }) string {
		outcome, err := e.Execute(b.Context(), engine.Command{Type: fields.CommandType(), Aggregate: aggregate, Account: ac, Fields: fields})
		require.NoError(b, err)
		return outcome.Sid
	}
	execute(ac, account.Create{})
	execute(ac, account.AddMessagingService{Sid: mg})
	stop := func() {}
	if by != nil {
		stop = benchChannels(b, e, log, by)
	}
	took := make([][]time.Duration, benchWriters)
	var sids []string
	for i := range benchWriters {
		sid := execute("", conversation.Create{MessagingService: mg})
		execute(sid, outside(fmt.Sprintf("+49170%07d", i), ours))
		sids = append(sids, sid)
	}
	begun := time.Now()
	var writers sync.WaitGroup
	for i, sid := range sids {
		writers.Go(func() {
			for range benchMessages {
				at := time.Now()
				execute(sid, conversation.AddMessage{Body: "hello"})
				took[i] = append(took[i], time.Since(at))
			}
		})
	}
	writers.Wait()
	total := time.Since(begun)
	stop()
	require.NoError(b, log.Close())
	return slices.Concat(took...), total
}

func benchChannels(b *testing.B, e *engine.Engine, log *sqlitestore.Store, by carrier.Carrier) (stop func()) {
	b.Helper()
	out, err := reactor.OpenQueue(filepath.Join(b.TempDir(), "out.db"), reactor.Normal, nil)
	require.NoError(b, err)
	in, err := reactor.OpenQueue(filepath.Join(b.TempDir(), "in.db"), reactor.Full, nil)
	require.NoError(b, err)
	c := channels.New(channels.Config{Engine: e, Log: log, Streams: log, Out: out, In: in, Account: ac,
		Routing: channels.Routing{Default: "it"}, Adapters: []channels.Adapter{{Name: "it", Carrier: by}}, Patience: time.Second})
	require.NoError(b, c.Prepare(b.Context()))
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 2)
	go func() { done <- c.RunOut(ctx) }()
	go func() { done <- c.RunIn(ctx) }()
	return func() {
		cancel()
		require.NoError(b, errors.Join(<-done, <-done, out.Close(), in.Close()))
	}
}
