package pubsub

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// PublisherOptions are the settings of a Publisher; the zero value works.
type PublisherOptions struct {
	Window     int           // messages in flight; default 512
	AckTimeout time.Duration // for one acknowledgement; default 5 s
}

// Publisher writes to JetStream streams. The topic is the subject. All messages
// of one call travel together and the call returns when the last one is
// acknowledged, so a batch costs little more than one message. It is safe for
// concurrent use.
type Publisher struct {
	js     jetstream.JetStream
	window int
	closed atomic.Bool
}

// NewPublisher returns a Publisher on a connection, which stays the caller's.
func NewPublisher(nc *nats.Conn, o *PublisherOptions) (*Publisher, error) {
	var opts PublisherOptions
	if o != nil {
		opts = *o
	}
	if opts.Window == 0 {
		opts.Window = 512
	}
	if opts.AckTimeout == 0 {
		opts.AckTimeout = 5 * time.Second
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(opts.AckTimeout))
	if err != nil {
		return nil, fmt.Errorf("open streams for publishing: %w", err)
	}
	return &Publisher{js: js, window: opts.Window}, nil
}

// Publish sends the messages to the subject in order. After an error some of
// them may have been stored; publishing all of them again is safe, because the
// stream recognises the UUIDs inside its duplicate window.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	batch := make([]*nats.Msg, len(messages))
	for i, m := range messages {
		encoded, err := encode(topic, m)
		if err != nil {
			return err
		}
		batch[i] = encoded
	}
	_, err := p.PublishAll(batch)
	return err
}

// PublishAll is Publish for messages that are not watermill's. It returns the
// highest sequence that the stream gave them.
func (p *Publisher) PublishAll(batch []*nats.Msg) (last uint64, err error) {
	if p.closed.Load() {
		return 0, ErrClosed
	}
	pending := make([]jetstream.PubAckFuture, 0, len(batch))
	for i, m := range batch {
		if i >= p.window {
			if _, err := await(pending[i-p.window]); err != nil {
				return 0, err
			}
		}
		future, err := p.js.PublishMsgAsync(m)
		if err != nil {
			return 0, fmt.Errorf("publish to %s: %w", m.Subject, err)
		}
		pending = append(pending, future)
	}
	return awaitAll(pending[max(0, len(pending)-p.window):])
}

// Close makes further publishing fail. Calls under way finish. The client
// library's inbox for acknowledgements stays until the connection is closed:
// giving it up early can leave its goroutine behind for ever.
func (p *Publisher) Close() error {
	p.closed.Store(true)
	return nil
}

func await(f jetstream.PubAckFuture) (sequence uint64, err error) {
	select {
	case ack := <-f.Ok():
		return ack.Sequence, nil
	case err := <-f.Err():
		return 0, fmt.Errorf("publish to %s: %w", f.Msg().Subject, err)
	}
}

func awaitAll(pending []jetstream.PubAckFuture) (last uint64, first error) {
	for _, f := range pending {
		sequence, err := await(f)
		if err != nil && first == nil {
			first = err
		}
		last = max(last, sequence)
	}
	return last, first
}

func encode(topic string, m *message.Message) (*nats.Msg, error) {
	out := nats.NewMsg(topic)
	out.Data = m.Payload
	if m.UUID != "" {
		out.Header.Set(nats.MsgIdHdr, m.UUID)
	}
	for name, value := range m.Metadata {
		if reserved(name) || strings.ContainsAny(name, ": \t\r\n") || strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("publish to %s: metadata %q cannot travel in a header", topic, name)
		}
		out.Header.Set(name, value)
	}
	return out, nil
}
