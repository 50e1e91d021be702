package smpp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

// takeAll hands over what the link delivers, in order, until it breaks.
func (s *Carrier) takeAll(ctx context.Context, l *link, take Take) {
	defer s.assembly.abandon()
	for {
		timer, stop := s.nextDue()
		select {
		case d := <-l.incoming:
			s.take(ctx, l, d, take)
		case <-timer:
			s.release(ctx, l, take)
		case <-l.ended:
			stop()
			return
		}
		stop()
	}
}

// nextDue returns a timer for what assembly has to do; nil never fires.
func (s *Carrier) nextDue() (fires <-chan time.Time, stop func() bool) {
	at := s.assembly.due()
	if at.IsZero() {
		return nil, func() bool { return false }
	}
	timer := time.NewTimer(at.Sub(s.now()))
	return timer.C, timer.Stop
}

// take hands one deliver_sm over and answers it. What cannot be taken now is to
// be delivered again; what cannot be read never will be, and is refused for good.
func (s *Carrier) take(ctx context.Context, l *link, d *delivery, take Take) {
	if receipt(d) {
		s.takeReceipt(ctx, l, d, take)
		return
	}
	header, octets, err := d.content()
	if err != nil {
		s.refuse(l, d, err)
		return
	}
	if p, ok := pieceOf(d, header); ok {
		s.takePiece(ctx, l, p, d, octets, take)
		return
	}
	text, err := decode(d.coding, octets)
	if err != nil {
		s.refuse(l, d, err)
		return
	}
	s.hand(ctx, d, "", text, func(status data.CommandStatusType) bool { return l.answer(d, status) }, take)
}

func (s *Carrier) refuse(l *link, d *delivery, err error) {
	s.log.Warn("the SMSC sent a message that cannot be taken; it was refused", "err", err)
	l.answer(d, data.ESME_RX_R_APPN)
}

func (s *Carrier) takeReceipt(ctx context.Context, l *link, d *delivery, take Take) {
	part, err := s.config.readReceipt(d)
	if err != nil {
		s.refuse(l, d, err)
		return
	}
	if status, ok := s.sent.resolve(part); ok {
		if err := take(ctx, carrier.Report{Status: &status}); err != nil {
			l.answer(d, data.ESME_RX_T_APPN)
			return
		}
	}
	l.answer(d, data.ESME_ROK)
}

func (s *Carrier) takePiece(ctx context.Context, l *link, p piece, d *delivery, octets []byte, take Take) {
	if _, err := alphabetOf(d.coding); err != nil {
		s.refuse(l, d, err)
		return
	}
	m := s.assembly.add(p, d, octets, s.now())
	if m == nil {
		l.answer(d, data.ESME_RX_T_APPN)
		return
	}
	if m.whole() {
		s.finish(ctx, l, p.message(), m, take)
	}
}

// finish hands a long message over, whole or not, and answers what is unanswered.
func (s *Carrier) finish(ctx context.Context, l *link, name piece, m *assembled, take Take) {
	taken := s.hand(ctx, m.first, fmt.Sprint(name.reference), m.text(), func(status data.CommandStatusType) bool {
		written := true
		for _, d := range m.open() {
			written = l.answer(d, status) && written
		}
		return written
	}, take)
	m.answered(taken)
	m.endsAt = s.now().Add(s.assembly.patience)
	if taken || len(m.parts) == 0 {
		delete(s.assembly.messages, name)
	}
}

// release answers parts that were held for long enough, and gives up on messages
// that stayed incomplete.
func (s *Carrier) release(ctx context.Context, l *link, take Take) {
	now := s.now()
	for name, m := range s.assembly.messages {
		switch {
		case !m.endsAt.After(now):
			s.finish(ctx, l, name, m, take)
		case !m.heldTo.After(now):
			for _, d := range m.open() {
				l.answer(d, data.ESME_ROK)
			}
			m.answered(true)
		}
	}
}

// hand hands an inbound message over, answers, and reports whether it was taken.
// One that was not acknowledged keeps its ID until it comes again: by its content,
// for SMPP gives it no other name.
func (s *Carrier) hand(ctx context.Context, d *delivery, reference, text string, answer func(data.CommandStatusType) bool, take Take) bool {
	in := &carrier.Inbound{Type: "sms", From: s.config.parleys(d.SourceAddr), To: []string{s.config.parleys(d.DestAddr)}, Body: text}
	smscs := d.OptionalParameters[pdu.TagUserMessageReference]
	content := digest(in.From, in.To[0], reference, smscs.String(), text)
	id, again := s.again.Get(content)
	if !again {
		id = digest(content, s.now().UTC().Format(time.RFC3339Nano))
		s.again.Add(content, id)
	}
	in.ID = id
	if err := take(ctx, carrier.Report{Inbound: in}); err != nil {
		answer(data.ESME_RX_T_APPN) // whoever takes has said why
		return false
	}
	if answer(data.ESME_ROK) {
		s.again.Remove(content)
	}
	return true
}

// digest names what it is given, by 128 bits.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
