package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parley-engine/parley/internal/engine"
)

// ErrNoEngine says that nobody takes calls: the engine is down. A durable
// command would have waited for it.
var ErrNoEngine = errors.New("no engine takes calls on this bus")

// Client sends commands. It is safe for concurrent use. The zero value is not
// usable; see NewClient.
type Client struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	inbox string // prefix of the subjects that replies to durable commands come on
	sub   *nats.Subscription
	next  atomic.Uint64

	mu      sync.Mutex
	waiting map[string]chan []byte // by reply subject
}

// NewClient returns a Client on a connection, which stays the caller's. All
// replies come through one inbox. Close it to leave nothing behind on the
// connection.
func NewClient(nc *nats.Conn) (*Client, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open client: %w", err)
	}
	c := &Client{nc: nc, js: js, inbox: nc.NewInbox(), waiting: make(map[string]chan []byte)}
	if c.sub, err = nc.Subscribe(c.inbox+".*", c.receive); err != nil {
		return nil, fmt.Errorf("open client: %w", err)
	}
	return c, nil
}

// Close gives the inbox up. Replies that are still awaited do not come.
func (c *Client) Close() error { return c.sub.Unsubscribe() }

// Call has the command carried out now. The error is an *engine.Failure when
// the engine answered, ErrNoEngine when there is none; with any other error,
// the context's among them, the outcome is unknown and the same command, with
// the same id, may be sent again.
func (c *Client) Call(ctx context.Context, command engine.Command) (engine.Outcome, error) {
	body, err := appendCommand(nil, command)
	if err != nil {
		return engine.Outcome{}, err
	}
	m, err := c.nc.RequestWithContext(ctx, prefixCall+cmp.Or(command.Aggregate, newAggregate), body)
	if errors.Is(err, nats.ErrNoResponders) {
		return engine.Outcome{}, ErrNoEngine
	}
	if err != nil {
		return engine.Outcome{}, fmt.Errorf("call %s: %w", command.Type, err)
	}
	return parseReply(m.Data)
}

// Report hands over what came back to a channel adapter, a carrier.Inbound or a
// carrier.Status as JSON. It is durable when Report returns nil. Errors are those of
// Call; what was handed over twice counts once.
func (c *Client) Report(ctx context.Context, adapter, kind string, data []byte) error {
	m, err := c.nc.RequestWithContext(ctx, prefixChannels+adapter+"."+kind, data)
	if errors.Is(err, nats.ErrNoResponders) {
		return ErrNoEngine
	}
	if err != nil {
		return fmt.Errorf("report to %s: %w", adapter, err)
	}
	var reply Reply
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return fmt.Errorf("report to %s: %w", adapter, err)
	}
	if reply.OK {
		return nil
	}
	_, err = reply.result()
	return err
}

// Post makes the command durable and returns. It will be carried out once an
// engine is there; nobody hears of the outcome.
func (c *Client) Post(ctx context.Context, command engine.Command) error {
	m, err := durable(command)
	if err != nil {
		return err
	}
	return c.store(ctx, m)
}

// Send makes the command durable and waits for its outcome. Errors are those of
// Call, but for ErrNoEngine: without an engine it waits until ctx ends. What
// was stored is carried out even if nobody waits any more.
func (c *Client) Send(ctx context.Context, command engine.Command) (engine.Outcome, error) {
	return c.await(ctx, func(replyTo string) error {
		m, err := durable(command)
		if err != nil {
			return err
		}
		m.Header.Set(HeaderReplyTo, replyTo)
		return c.store(ctx, m)
	})
}

// Redrive redrives one dead letter and waits for what becomes of it. Errors are
// those of Send, and ErrNoLetter.
func (c *Client) Redrive(ctx context.Context, letters *DeadLetters, sequence uint64) (engine.Outcome, error) {
	letter, err := letters.Get(ctx, sequence)
	if err != nil {
		return engine.Outcome{}, err
	}
	return c.await(ctx, func(replyTo string) error { return letters.request(ctx, &letter, replyTo) })
}

func (c *Client) await(ctx context.Context, send func(replyTo string) error) (engine.Outcome, error) {
	replyTo := c.inbox + "." + strconv.FormatUint(c.next.Add(1), 36)
	answer := make(chan []byte, 1)
	c.expect(replyTo, answer)
	defer c.expect(replyTo, nil)
	if err := send(replyTo); err != nil {
		return engine.Outcome{}, err
	}
	select {
	case data := <-answer:
		return parseReply(data)
	case <-ctx.Done():
		return engine.Outcome{}, fmt.Errorf("wait for the reply: %w", ctx.Err())
	}
}

func (c *Client) expect(replyTo string, answer chan []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer == nil {
		delete(c.waiting, replyTo)
		return
	}
	c.waiting[replyTo] = answer
}

// receive delivers the first reply; a command that was parked gets a second one
// later, which nobody waits for.
func (c *Client) receive(m *nats.Msg) {
	c.mu.Lock()
	answer := c.waiting[m.Subject]
	delete(c.waiting, m.Subject)
	c.mu.Unlock()
	if answer != nil {
		answer <- m.Data
	}
}

func (c *Client) store(ctx context.Context, m *nats.Msg) error {
	_, err := c.js.PublishMsg(ctx, m)
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("send: the bus has no stream for commands yet; start the engine once: %w", err)
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func durable(command engine.Command) (*nats.Msg, error) {
	m := nats.NewMsg(prefixSend + cmp.Or(command.Aggregate, newAggregate))
	var err error
	m.Data, err = appendCommand(nil, command)
	return m, err
}
