package pubsub

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// Delivery is one message as the broker delivered it. Header and Data must not
// be changed.
type Delivery struct {
	Subject  string
	Reply    string // where a caller waits; empty for a stream's message
	Header   nats.Header
	Data     []byte
	Key      string    // of the lane
	Sequence uint64    // in the stream; 0 for a call
	Delivery uint64    // how often the broker has delivered it, 1 the first time; 0 for a call
	Time     time.Time // when the stream stored it, or the call came in; UTC
	Note     any       // for whoever handles the message; each attempt finds it as the last one left it
}

// LastToken is the default key: what is behind the subject's last dot.
func LastToken(d *Delivery) string {
	return d.Subject[strings.LastIndexByte(d.Subject, '.')+1:]
}

// FromContext returns the delivery behind a message's context, or nil when the
// message came from elsewhere.
func FromContext(ctx context.Context) *Delivery {
	d, _ := ctx.Value(deliveryKey{}).(*Delivery)
	return d
}

// message builds a fresh watermill message, as each attempt needs its own.
func (d *Delivery) message(ctx *messageContext, bare bool) *message.Message {
	m := message.NewMessage(d.uuid(), d.Data)
	if !bare {
		d.copyHeader(m.Metadata)
	}
	m.SetContext(ctx)
	return m
}

func (d *Delivery) copyHeader(to message.Metadata) {
	for name, values := range d.Header {
		if len(values) > 0 && !reserved(name) {
			to[name] = values[0]
		}
	}
}

// uuid is the producer's message id; a producer that set none gets one that is
// the same at every delivery, and that of no message of another stream of the name, which
// counts from 1 again. A call without one stays without.
func (d *Delivery) uuid() string {
	if id := d.Header.Get(nats.MsgIdHdr); id != "" || d.Sequence == 0 {
		return id
	}
	return d.Subject + "/" + strconv.FormatUint(d.Sequence, 10) + "@" + strconv.FormatInt(d.Time.UnixNano(), 10)
}

// reserved reports headers that mean something to the server. They are not
// metadata, in either direction.
func reserved(header string) bool {
	return len(header) >= 5 && strings.EqualFold(header[:5], "Nats-")
}
