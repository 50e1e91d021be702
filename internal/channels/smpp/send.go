package smpp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/channels/carrier"
)

// Twilio's codes of what is refused here.
const (
	codeNoBody     = 21602
	codeTooLong    = 21617
	codeRecipient  = 21211
	codeSender     = 21212
	codeUnknown    = 30008
	codeUnreached  = 30003
	unboundPause   = 5 * time.Second
	throttledTries = 5 // of a part, when earlier ones were taken
)

// Send hands a message to the SMSC, in parts if it is long; addresses of media
// become lines of the text. It waits for the response to each part. ErrUnknown is
// also the error when some parts were taken and then one was neither taken nor refused.
func (s *Carrier) Send(ctx context.Context, m carrier.Outgoing) (carrier.Sent, error) {
	parts, err := s.parts(m)
	if err != nil {
		return carrier.Sent{}, err
	}
	if err := s.window.Acquire(ctx, 1); err != nil {
		return carrier.Sent{}, fmt.Errorf("send over smpp: %w", err)
	}
	defer s.window.Release(1)
	l := s.bound()
	if l == nil {
		return carrier.Sent{}, &carrier.Later{After: unboundPause, Reason: "there is no bond with the SMSC"}
	}
	message := s.sent.begin(len(parts))
	for i, p := range parts {
		if err := s.submit(ctx, l, p, message, i > 0); err != nil {
			return carrier.Sent{}, err
		}
	}
	return carrier.Sent{ID: message.first, Status: events.DeliverySent}, nil
}

// submit sends one part. After others were taken it does not give up at once.
func (s *Carrier) submit(ctx context.Context, l *link, p *pdu.SubmitSM, message *longMessage, others bool) error {
	for try := 1; ; try++ {
		err := s.submitOnce(ctx, l, p, message)
		var later *carrier.Later
		var refused *carrier.Refused
		switch {
		case err == nil || !others || errors.As(err, &refused) || errors.Is(err, carrier.ErrUnknown):
			return err
		case !errors.As(err, &later) || try == throttledTries || ctx.Err() != nil:
			return fmt.Errorf("%w in part: %w", carrier.ErrUnknown, err)
		}
		wait(ctx, later.After)
	}
}

func (s *Carrier) submitOnce(ctx context.Context, l *link, p *pdu.SubmitSM, message *longMessage) error {
	if err := s.limit.Wait(ctx); err != nil {
		return fmt.Errorf("send over smpp: %w", err)
	}
	f, err := l.exchange(ctx, p, func(f frame) {
		if id := f.messageID(); id != "" {
			s.sent.accepted(message, s.config.normal(id))
		}
	})
	if err != nil {
		return fmt.Errorf("send over smpp: %w", err)
	}
	if f.CommandStatus != data.ESME_ROK || f.CommandID != data.SUBMIT_SM_RESP {
		return s.refusal(f)
	}
	if f.messageID() == "" {
		return fmt.Errorf("send over smpp: %w: the response has no message id", carrier.ErrUnknown)
	}
	return nil
}

// refusal says what a status other than 0 means for the message.
func (s *Carrier) refusal(f frame) error {
	reason := fmt.Sprintf("status %#x %s", int32(f.CommandStatus), f.CommandStatus.Desc())
	switch f.CommandStatus {
	case data.ESME_RTHROTTLED, data.ESME_RMSGQFUL:
		return &carrier.Later{After: seconds(s.config.ThrottleSeconds), Reason: reason}
	case data.ESME_ROK, data.ESME_RSYSERR, data.ESME_RINVBNDSTS, data.ESME_RX_T_APPN:
		return fmt.Errorf("send over smpp: the SMSC is not well: %s", reason)
	case data.ESME_RINVDSTADR, data.ESME_RINVDSTTON, data.ESME_RINVDSTNPI:
		return &carrier.Refused{Code: codeRecipient, Reason: reason}
	case data.ESME_RINVSRCADR, data.ESME_RINVSRCTON, data.ESME_RINVSRCNPI:
		return &carrier.Refused{Code: codeSender, Reason: reason}
	}
	return &carrier.Refused{Code: codeUnknown, Reason: reason}
}

// parts makes the PDUs of a message.
func (s *Carrier) parts(m carrier.Outgoing) ([]*pdu.SubmitSM, error) {
	text := strings.Join(append(lines(m.Body), m.Media...), "\n")
	switch {
	case len(m.To) != 1:
		return nil, &carrier.Refused{Code: codeRecipient, Reason: "SMPP has no native groups"}
	case text == "":
		return nil, &carrier.Refused{Code: codeNoBody, Reason: "there is nothing to send"}
	}
	from, err := s.config.Source.address(m.From)
	if err != nil || m.From == "" || !printable(m.From, data.SM_ADDR_LEN) || strings.Contains(m.From, ":") {
		return nil, &carrier.Refused{Code: codeSender, Reason: "the sender is no address of SMPP"}
	}
	to, err := s.config.Destination.address(m.To[0])
	if err != nil || !allDigits(strings.TrimPrefix(m.To[0], "+")) {
		return nil, &carrier.Refused{Code: codeRecipient, Reason: "the recipient is no number"}
	}
	alphabet, octets, err := encode(text)
	if err != nil {
		return nil, fmt.Errorf("send over smpp: %w", err)
	}
	if len(octets) > mostParts {
		return nil, &carrier.Refused{Code: codeTooLong, Reason: fmt.Sprintf("the text needs %d parts", len(octets))}
	}
	return s.submits(from, to, alphabet, octets)
}

func (s *Carrier) submits(from, to pdu.Address, alphabet data.Encoding, octets [][]byte) ([]*pdu.SubmitSM, error) {
	reference := byte(s.reference.Add(1))
	parts := make([]*pdu.SubmitSM, len(octets))
	for i, o := range octets {
		p := pdu.NewSubmitSM().(*pdu.SubmitSM)
		p.SourceAddr, p.DestAddr, p.RegisteredDelivery = from, to, data.SM_SMSC_RECEIPT_REQUESTED
		if err := p.Message.SetMessageDataWithEncoding(o, alphabet); err != nil {
			return nil, fmt.Errorf("send over smpp: %w", err)
		}
		if len(octets) > 1 {
			p.EsmClass |= data.SM_UDH_GSM
			p.Message.SetUDH(pdu.UDH{pdu.NewIEConcatMessage(byte(len(octets)), byte(i+1), reference)})
		}
		parts[i] = p
	}
	return parts, nil
}

func lines(body string) []string {
	if body == "" {
		return nil
	}
	return []string{body}
}
