package smpp

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// mostAssembled is how many long messages may lack parts at a time.
const mostAssembled = 1000

// piece says which part of which long message a deliver_sm is.
type piece struct {
	from, to  string
	reference uint16
	wide      bool // the reference has 16 bits: another series
	total     byte
	number    byte // from 1
}

// pieceOf reads the user data header or the sar parameters; false for a message
// that is whole.
func pieceOf(d *delivery, header pdu.UDH) (piece, bool) {
	p := piece{from: d.SourceAddr.Address(), to: d.DestAddr.Address()}
	if e, ok := header.FindInfoElement(data.UDH_CONCAT_MSG_8_BIT_REF); ok && len(e.Data) == 3 {
		p.reference, p.total, p.number = uint16(e.Data[0]), e.Data[1], e.Data[2]
	} else if e, ok := header.FindInfoElement(data.UDH_CONCAT_MSG_16_BIT_REF); ok && len(e.Data) == 4 {
		p.reference, p.wide, p.total, p.number = binary.BigEndian.Uint16(e.Data), true, e.Data[2], e.Data[3]
	} else {
		sar(d, &p)
	}
	return p, p.total > 1 && p.number >= 1 && p.number <= p.total
}

func sar(d *delivery, p *piece) {
	reference, total, number := d.OptionalParameters[pdu.TagSarMsgRefNum].Data, d.OptionalParameters[pdu.TagSarTotalSegments].Data,
		d.OptionalParameters[pdu.TagSarSegmentSeqnum].Data
	if len(reference) == 2 && len(total) == 1 && len(number) == 1 {
		p.reference, p.wide, p.total, p.number = binary.BigEndian.Uint16(reference), true, total[0], number[0]
	}
}

// message names the long message, which is what its parts have in common.
func (p piece) message() piece {
	p.number = 0
	return p
}

// assembly keeps parts until their message is whole. It belongs to the one
// goroutine that takes what the SMSC delivers, over all links.
type assembly struct {
	hold, patience time.Duration
	messages       map[piece]*assembled
}

// assembled is a long message that came in part.
type assembled struct {
	total  byte
	first  *delivery // that came: whose addresses it has
	parts  map[byte]*assembledPart
	heldTo time.Time // parts without an answer get one then
	endsAt time.Time
}

type assembledPart struct {
	coding byte
	octets []byte
	open   *delivery // not answered; else nil
}

func newAssembly(hold, patience time.Duration) *assembly {
	return &assembly{hold: hold, patience: patience, messages: make(map[piece]*assembled)}
}

// add keeps a part and returns its message, or nil when there are too many. A
// part that comes again replaces itself.
func (a *assembly) add(p piece, d *delivery, octets []byte, now time.Time) *assembled {
	m := a.messages[p.message()]
	if m == nil {
		if len(a.messages) >= mostAssembled {
			return nil
		}
		m = &assembled{total: p.total, first: d, parts: make(map[byte]*assembledPart), endsAt: now.Add(a.patience)}
		a.messages[p.message()] = m
	}
	m.parts[p.number] = &assembledPart{coding: d.coding, octets: octets, open: d}
	m.heldTo = now.Add(a.hold)
	return m
}

func (m *assembled) whole() bool { return len(m.parts) == int(m.total) }

// open returns the deliver_sm that have no answer.
func (m *assembled) open() (open []*delivery) {
	for _, p := range m.parts {
		if p.open != nil {
			open = append(open, p.open)
		}
	}
	return open
}

// answered notes that all have their answer: kept, or to be delivered again.
func (m *assembled) answered(kept bool) {
	for number, p := range m.parts {
		if p.open != nil && !kept {
			delete(m.parts, number)
		}
		p.open = nil
	}
}

// text joins octets before they are read, since some tear characters apart.
func (m *assembled) text() string {
	var text strings.Builder
	for n := 1; n <= int(m.total); {
		p := m.parts[byte(n)]
		if p == nil {
			text.WriteString("[…]")
			n++
			continue
		}
		var octets []byte
		for ; n <= int(m.total) && m.parts[byte(n)] != nil && m.parts[byte(n)].coding == p.coding; n++ {
			octets = append(octets, m.parts[byte(n)].octets...)
		}
		read, _ := decode(p.coding, octets) // add was given text only
		text.WriteString(read)
	}
	return text.String()
}

// due returns when something is to be done next without a delivery; zero: never.
func (a *assembly) due() (at time.Time) {
	for _, m := range a.messages {
		next := m.endsAt
		if len(m.open()) > 0 && m.heldTo.Before(next) {
			next = m.heldTo
		}
		if at.IsZero() || next.Before(at) {
			at = next
		}
	}
	return at
}

// abandon forgets parts without an answer: their link is gone and they come again.
func (a *assembly) abandon() {
	for name, m := range a.messages {
		m.answered(false)
		if len(m.parts) == 0 {
			delete(a.messages, name)
		}
	}
}
