package smpp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// delivery is a deliver_sm with what the library does not keep of it.
type delivery struct {
	*pdu.DeliverSM
	coding  byte   // data_coding; the library forgets those it does not know
	message []byte // short_message with its header, of which the library may cut too little
}

// delivered reads a deliver_sm.
func (f frame) delivered() (*delivery, error) {
	p, err := f.parse()
	if err != nil {
		return nil, err
	}
	d, ok := p.(*pdu.DeliverSM)
	if !ok {
		return nil, fmt.Errorf("a PDU of the id %#x", uint32(f.CommandID))
	}
	rest := f.octets[headerSize:]
	for _, skip := range []struct{ strings, octets int }{{1, 2}, {1, 2}, {1, 3}, {2, 2}} {
		if rest, ok = skipped(rest, skip.strings, skip.octets); !ok {
			return nil, errShort
		}
	}
	if len(rest) < 3 || len(rest) < 3+int(rest[2]) { // data_coding, sm_default_msg_id, sm_length
		return nil, errShort
	}
	return &delivery{DeliverSM: d, coding: rest[0], message: rest[3 : 3+int(rest[2])]}, nil
}

var errShort = errors.New("a deliver_sm without its end")

// skipped leaves out strings, with their zeros, and then octets.
func skipped(b []byte, strings, octets int) ([]byte, bool) {
	for range strings {
		end := bytes.IndexByte(b, 0)
		if end < 0 {
			return nil, false
		}
		b = b[end+1:]
	}
	if len(b) < octets {
		return nil, false
	}
	return b[octets:], true
}

// content returns the user data header, if there is one, and what follows it.
func (d *delivery) content() (pdu.UDH, []byte, error) {
	octets := d.message
	if payload := d.OptionalParameters[pdu.TagMessagePayload].Data; len(octets) == 0 {
		octets = payload
	}
	if d.EsmClass&data.SM_UDH_GSM == 0 {
		return nil, octets, nil
	}
	var header pdu.UDH
	if _, err := header.UnmarshalBinary(octets); err != nil {
		return nil, nil, err
	}
	return header, octets[1+int(octets[0]):], nil
}

func (d *delivery) text() (string, error) {
	_, octets, err := d.content()
	if err != nil {
		return "", err
	}
	return decode(d.coding, octets)
}
