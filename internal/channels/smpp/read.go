package smpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

var errUnbound = errors.New("the SMSC unbound")

// read reads until the connection breaks, which ends the link.
func (l *link) read(log *slog.Logger) error {
	defer close(l.ended)
	for {
		if err := l.conn.SetReadDeadline(time.Now().Add(l.silence)); err != nil {
			return err
		}
		f, err := readFrame(l.reader)
		if err != nil {
			return err
		}
		if err := l.handle(f, log); err != nil {
			return err
		}
	}
}

// handle never waits for anything but the network.
func (l *link) handle(f frame, log *slog.Logger) error {
	switch {
	case f.response():
		l.respond(f)
	case f.CommandID == data.DELIVER_SM:
		l.deliver(f, log)
	case f.CommandID == data.ENQUIRE_LINK:
		r := pdu.NewEnquireLinkResp()
		r.SetSequenceNumber(f.SequenceNumber)
		l.reply(r)
	case f.CommandID == data.UNBIND:
		r := pdu.NewUnbindResp()
		r.SetSequenceNumber(f.SequenceNumber)
		l.reply(r)
		return errUnbound
	case f.CommandID == data.ALERT_NOTIFICATION || f.CommandID == data.OUTBIND: // neither has a response
	default:
		r := pdu.NewGenericNack().(*pdu.GenericNack)
		r.SequenceNumber, r.CommandStatus = f.SequenceNumber, data.ESME_RINVCMDID
		l.reply(r)
	}
	return nil
}

func (l *link) respond(f frame) {
	l.mu.Lock()
	expected := l.waiting[f.SequenceNumber]
	delete(l.waiting, f.SequenceNumber)
	l.mu.Unlock()
	if expected != nil {
		expected(f)
	}
}

// deliver queues a deliver_sm. What cannot be read is refused for good: it would
// be the same the next time.
func (l *link) deliver(f frame, log *slog.Logger) {
	d, err := f.delivered()
	if err != nil {
		log.Warn("the SMSC sent a message that cannot be read; it was refused", "err", err)
		l.answerSequence(f.SequenceNumber, data.ESME_RX_R_APPN)
		return
	}
	select {
	case l.incoming <- d:
	default:
		l.answer(d, data.ESME_RX_T_APPN)
	}
}

// ping asks at once and then at each interval whether the SMSC is there; any
// sign of life is an answer, for which read waits.
func (l *link) ping(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		p := pdu.NewEnquireLink()
		p.SetSequenceNumber(l.next())
		if _, err := l.write(p); err != nil {
			return fmt.Errorf("enquire_link: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
