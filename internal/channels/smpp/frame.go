package smpp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

const headerSize = 16 // octets

// frame is a PDU whose length is right; its body may be anything.
type frame struct {
	pdu.Header
	octets []byte // header and all
}

// readFrame reads one PDU. Its error ends the bond: where the next one begins is
// not known.
func readFrame(r *bufio.Reader) (frame, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, err
	}
	f := frame{Header: pdu.ParseHeader(header)}
	if f.CommandLength < headerSize || f.CommandLength > data.MAX_PDU_LEN {
		return frame{}, fmt.Errorf("a PDU of %d octets", f.CommandLength)
	}
	f.octets = make([]byte, f.CommandLength)
	copy(f.octets, header[:])
	_, err := io.ReadFull(r, f.octets[headerSize:])
	return f, err
}

// parse reads the body.
func (f frame) parse() (pdu.PDU, error) { return pdu.Parse(bytes.NewReader(f.octets)) }

// response reports whether it answers a request of ours.
func (f frame) response() bool { return uint32(f.CommandID)&0x8000_0000 != 0 }

// messageID is the id in a submit_sm_resp; empty if there is none. Responses with
// an error may have no body (SMPP 3.4, 4.4.2), and then the library cannot read all.
func (f frame) messageID() string {
	if f.CommandStatus != data.ESME_ROK {
		return ""
	}
	if p, err := f.parse(); err == nil {
		if r, ok := p.(*pdu.SubmitSMResp); ok {
			return r.MessageID
		}
	}
	return ""
}
