package bustest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// round is how long each side of a comparison runs at a time.
const round = 500 * time.Millisecond

// Request does one request for one of the callers.
type Request func(ctx context.Context, caller int) error

// Caller makes the requests of the calling process.
type Caller struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	client *bus.Client
	inbox  *inbox
}

// NewCaller connects to the serving process.
func NewCaller(tb testing.TB, url string) *Caller {
	tb.Helper()
	nc, err := nats.Connect(url)
	require.NoError(tb, err)
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(tb, err)
	client, err := bus.NewClient(nc)
	require.NoError(tb, err)
	in, err := newInbox(nc)
	require.NoError(tb, err)
	return &Caller{nc: nc, js: js, client: client, inbox: in}
}

// Call goes through the call door, BareCall past it. The command says what each
// caller sends.
func (c *Caller) Call(command func(caller int) engine.Command) Request {
	return func(ctx context.Context, caller int) error {
		_, err := c.client.Call(ctx, command(caller))
		return err
	}
}

// BareCall is a core NATS request with the same body.
func (c *Caller) BareCall(command func(caller int) engine.Command) Request {
	return func(ctx context.Context, caller int) error {
		_, err := c.nc.RequestWithContext(ctx, bareCall+strconv.Itoa(caller), command(caller).Body)
		return err
	}
}

// Send goes through the send door and waits for the outcome.
func (c *Caller) Send(command func(caller int) engine.Command) Request {
	return func(ctx context.Context, caller int) error {
		_, err := c.client.Send(ctx, command(caller))
		return err
	}
}

// BareSend stores the same body in a stream and waits for a reply in one shared
// inbox.
func (c *Caller) BareSend(command func(caller int) engine.Command) Request {
	return func(ctx context.Context, caller int) error {
		subject, answered := c.inbox.expect(caller)
		m := nats.NewMsg(bareSend + strconv.Itoa(caller))
		m.Header.Set(bus.HeaderReplyTo, subject)
		m.Data = command(caller).Body
		if _, err := c.js.PublishMsg(ctx, m); err != nil {
			return err
		}
		select {
		case <-answered:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inbox is one subscription for all callers.
type inbox struct {
	prefix  string
	answers [256]chan struct{}
}

func newInbox(nc *nats.Conn) (*inbox, error) {
	in := &inbox{prefix: nc.NewInbox() + "."}
	for i := range in.answers {
		in.answers[i] = make(chan struct{}, 1)
	}
	_, err := nc.Subscribe(in.prefix+"*", func(m *nats.Msg) {
		if i, err := strconv.Atoi(m.Subject[len(in.prefix):]); err == nil {
			in.answers[i] <- struct{}{}
		}
	})
	return in, err
}

func (in *inbox) expect(caller int) (subject string, answered <-chan struct{}) {
	return in.prefix + strconv.Itoa(caller), in.answers[caller]
}

// Compare runs both requests in alternating rounds, each with 1, 16 and 64
// callers, and reports requests per second, latencies and the median ratio.
func Compare(b *testing.B, door, bare Request) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			run(b, callers, bare) // warm up
			run(b, callers, door)
			var ratios []float64
			var ofDoor, ofBare []time.Duration
			for b.Loop() {
				bareTimes := run(b, callers, bare)
				doorTimes := run(b, callers, door)
				ratios = append(ratios, float64(len(doorTimes))/float64(len(bareTimes)))
				ofBare, ofDoor = append(ofBare, bareTimes...), append(ofDoor, doorTimes...)
			}
			slices.Sort(ratios)
			report(b, "bare", ofBare, len(ratios))
			report(b, "door", ofDoor, len(ratios))
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func report(b *testing.B, side string, times []time.Duration, rounds int) {
	slices.Sort(times)
	b.ReportMetric(float64(len(times))/(float64(rounds)*round.Seconds()), side+"/s")
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), side+"-p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), side+"-p99-µs")
}

// run lets the callers work for one round and returns how long each request
// took.
func run(b *testing.B, callers int, request Request) []time.Duration {
	b.Helper()
	times := make([][]time.Duration, callers)
	errs := make([]error, callers)
	end := time.Now().Add(round)
	var working sync.WaitGroup
	for caller := range callers {
		working.Go(func() { times[caller], errs[caller] = work(end, caller, request) })
	}
	working.Wait()
	require.NoError(b, cmp.Or(errs...))
	return slices.Concat(times...)
}

func work(end time.Time, caller int, request Request) (times []time.Duration, err error) {
	ctx, cancel := context.WithDeadline(context.Background(), end.Add(30*time.Second))
	defer cancel()
	for began := time.Now(); began.Before(end); {
		if err := request(ctx, caller); err != nil {
			return nil, err
		}
		now := time.Now()
		times = append(times, now.Sub(began))
		began = now
	}
	return times, nil
}
