package smpp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// link is one bound connection, until it breaks.
type link struct {
	conn     net.Conn
	reader   *bufio.Reader // of whoever reads: first bind, then read
	patience time.Duration // for a response, and for a write
	silence  time.Duration // after which the SMSC is gone
	sequence atomic.Int32
	incoming chan *delivery // what is to be taken, in order
	ended    chan struct{}  // closed when nothing is read any more

	writing sync.Mutex // one PDU at a time

	mu      sync.Mutex
	waiting map[int32]func(frame) // by sequence; called by the reader, before it reads on
}

// mostIncoming is how many deliver_sm may wait; the SMSC is told to come again
// with others.
const mostIncoming = 256

func newLink(conn net.Conn, c *Config) *link {
	patience := seconds(c.ResponseSeconds)
	return &link{
		conn: conn, reader: bufio.NewReader(conn), patience: patience, silence: 2*seconds(c.EnquireSeconds) + patience,
		incoming: make(chan *delivery, mostIncoming), ended: make(chan struct{}), waiting: make(map[int32]func(frame)),
	}
}

// errBind says that the SMSC does not want us.
type errBind struct{ status data.CommandStatusType }

func (e errBind) Error() string {
	return fmt.Sprintf("the SMSC refuses to bind: status %#x %s", int32(e.status), e.status.Desc())
}

// bind introduces us. Nothing else reads meanwhile.
func (l *link) bind(request *pdu.BindRequest) error {
	request.SetSequenceNumber(l.next())
	if _, err := l.write(request); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(l.patience)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	for {
		f, err := readFrame(l.reader)
		switch {
		case err != nil:
			return fmt.Errorf("bind: %w", err)
		case f.CommandID != data.BIND_TRANSCEIVER_RESP && f.CommandID != data.GENERIC_NACK:
			continue // some send enquire_link first; it is not bound yet and may wait
		case f.CommandStatus != data.ESME_ROK || f.CommandID == data.GENERIC_NACK:
			return errBind{f.CommandStatus}
		}
		return nil
	}
}

func (l *link) next() int32 {
	for {
		if n := l.sequence.Add(1) & 0x7FFF_FFFF; n != 0 {
			return n
		}
	}
}

// write returns how many octets left.
func (l *link) write(p pdu.PDU) (int, error) {
	b := pdu.NewBuffer(nil)
	p.Marshal(b)
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.patience)); err != nil {
		return 0, err
	}
	return l.conn.Write(b.Bytes())
}

// reply writes what nobody waits for; when that fails the bond is over, which the
// reader notices.
func (l *link) reply(p pdu.PDU) bool {
	if _, err := l.write(p); err != nil {
		_ = l.conn.Close()
		return false
	}
	return true
}

// answer answers a deliver_sm and reports whether that was written.
func (l *link) answer(d *delivery, status data.CommandStatusType) bool {
	return l.answerSequence(d.SequenceNumber, status)
}

func (l *link) answerSequence(sequence int32, status data.CommandStatusType) bool {
	r := pdu.NewDeliverSMResp().(*pdu.DeliverSMResp)
	r.SequenceNumber, r.CommandStatus = sequence, status
	return l.reply(r)
}

// exchange writes a request and waits for its response, which seen is shown first,
// before anything is read that the SMSC sent after it. Its errors are
// carrier.ErrUnknown once anything was written.
func (l *link) exchange(ctx context.Context, p pdu.PDU, seen func(frame)) (frame, error) {
	response := make(chan frame, 1)
	sequence := l.next()
	p.SetSequenceNumber(sequence)
	l.mu.Lock()
	l.waiting[sequence] = func(f frame) { seen(f); response <- f }
	l.mu.Unlock()
	defer l.forget(sequence)
	if n, err := l.write(p); err != nil {
		_ = l.conn.Close() // half a PDU may have been written
		if n == 0 {
			return frame{}, err
		}
		return frame{}, fmt.Errorf("%w: %w", carrier.ErrUnknown, err)
	}
	return l.await(ctx, response)
}

func (l *link) await(ctx context.Context, response <-chan frame) (frame, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l.patience, errors.New("the SMSC does not respond"))
	defer cancel()
	select {
	case f := <-response:
		return f, nil
	case <-ctx.Done():
		return frame{}, fmt.Errorf("%w: %w", carrier.ErrUnknown, context.Cause(ctx))
	case <-l.ended:
	}
	select { // the response may have been the last that came
	case f := <-response:
		return f, nil
	default:
		return frame{}, fmt.Errorf("%w: the bond broke before the response", carrier.ErrUnknown)
	}
}

func (l *link) forget(sequence int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, sequence)
}
