package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/fiorix/go-smpp/smpp/smpptest"
	"github.com/stretchr/testify/require"
)

// smsc is the test server of a library that is not ours, at an address where it can be
// away.
type smsc struct {
	*smpptest.Server
	door  *door
	bonds chan smpptest.Conn // one for each enquire_link, which comes first on a bond
	texts chan string        // what was submitted
	acks  chan pdu.Status    // of deliver_sm

	mu   sync.Mutex
	next int
}

func startSMSC(t *testing.T) *smsc {
	log.SetOutput(io.Discard) // the server tells of every connection that ends
	s := &smsc{
		Server: smpptest.NewUnstartedServer(),
		bonds:  make(chan smpptest.Conn, 100), texts: make(chan string, 100), acks: make(chan pdu.Status, 100),
	}
	s.Passwd = "secret"
	s.Handler = s.handle
	s.Start()
	t.Cleanup(s.Close)
	s.door = newDoor(t, s.Addr())
	return s
}

func (s *smsc) handle(c smpptest.Conn, p pdu.Body) {
	switch p.Header().ID {
	case pdu.EnquireLinkID:
		_ = c.Write(pdu.NewEnquireLinkRespSeq(p.Header().Seq))
		s.bonds <- c
	case pdu.SubmitSMID:
		r := pdu.NewSubmitSMResp()
		r.Header().Seq = p.Header().Seq
		_ = r.Fields().Set(pdufield.MessageID, s.name())
		_ = c.Write(r)
		s.texts <- string(pdutext.GSM7(p.Fields()[pdufield.ShortMessage].Bytes()).Decode())
	case pdu.DeliverSMRespID:
		s.acks <- p.Header().Status
	}
}

func (s *smsc) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return fmt.Sprint("m", s.next)
}

// deliver writes a deliver_sm and requires that it is taken. It is a submit_sm by
// another name, for the library writes an octet too many into its own.
func (s *smsc) deliver(t *testing.T, c smpptest.Conn, from string, class int, text string) {
	t.Helper()
	p := pdu.NewSubmitSM(nil)
	p.Header().ID = pdu.DeliverSMID
	for name, value := range map[pdufield.Name]any{
		pdufield.SourceAddrTON: 1, pdufield.SourceAddrNPI: 1, pdufield.SourceAddr: strings.TrimPrefix(from, "+"),
		pdufield.DestAddrTON: 1, pdufield.DestinationAddr: strings.TrimPrefix(ours, "+"),
		pdufield.ESMClass: class, pdufield.ShortMessage: pdutext.GSM7(text),
	} {
		require.NoError(t, p.Fields().Set(name, value))
	}
	require.NoError(t, c.Write(p))
	require.Zero(t, awaited(t, s.acks))
}

const classReceipt = 4 // esm_class of a delivery receipt

// door is an address before another one, which can be shut.
type door struct {
	net.Listener
	to string

	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func newDoor(t *testing.T, to string) *door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{Listener: l, to: to}
	t.Cleanup(func() { d.set(true); _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.pass(c)
		}
	}()
	return d
}

func (d *door) pass(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	other, err := net.Dial("tcp", d.to)
	if err != nil || d.shut {
		_ = c.Close()
		return
	}
	d.conns = append(d.conns, c, other)
	for _, pair := range [][2]net.Conn{{c, other}, {other, c}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_, _ = pair[0].Close(), pair[1].Close()
		}()
	}
}

// set shuts the door, with everybody that is in it, or opens it.
func (d *door) set(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = shut
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
}

func TestAnSMSCCarriesBothWays(t *testing.T) {
	t.Parallel()
	s := startSMSC(t)
	l := through(t, "smpp", `{"address": "`+s.door.Addr().String()+`", "system_id": "`+smpptest.DefaultUser+`", "password_file": "%s", "reconnect_seconds": 0.05}`)
	bond := awaited(t, s.bonds)
	first := l.say("Hello @ home")
	require.Equal(t, "Hello @ home", awaited(t, s.texts))
	l.untilReceipt(first, "sent", "m1")
	s.deliver(t, bond, theirs, classReceipt, "id:m1 sub:001 dlvrd:001 stat:DELIVRD err:000")
	s.deliver(t, bond, theirs, classReceipt, "id:m1 sub:001 dlvrd:001 stat:DELIVRD err:000")
	l.untilReceipt(first, "delivered", "m1")
	s.deliver(t, bond, theirs, classReceipt, "id:nobody stat:DELIVRD err:000")
	l.untilUnknown()
	s.deliver(t, bond, theirs, 0, "Hi")
	l.untilHeard("Hi")
	l.refused(http.StatusNotFound, http.MethodPost, inboundPath, "{}", http.Header{}) // it has no door here

	const stranger = "+491700000009"
	l.post("/v1/Configuration/Addresses", "Type", "sms", "Address", ours, "AutoCreation.Enabled", "true", "AutoCreation.Type", "default")
	s.deliver(t, bond, stranger, 0, "I am new")
	l.until(`"friendly_name":"\`+stranger+`"`, "conversation", "list", "-o", "jsonl")
	begun := picked(t, `"sid":"(CH\w+)"[^\n]*"friendly_name":"\`+stranger+`"`, l.run("conversation", "list", "-o", "jsonl"))
	l.until(`"body":"I am new"`, "message", "list", begun, "-o", "jsonl")

	s.door.set(true)
	second := l.say("while you were away")
	l.until(`"state":"pending"`, "delivery", "list", "-o", "jsonl")
	l.kill()
	s.door.set(false)
	bond = awaited(t, s.bonds)
	require.Equal(t, "while you were away", awaited(t, s.texts))
	l.untilReceipt(second, "sent", "m2")
	s.deliver(t, bond, theirs, classReceipt, "id:m2 stat:DELIVRD err:000")
	s.deliver(t, bond, theirs, 0, "Ho")
	l.kill()
	l.untilReceipt(second, "delivered", "m2")
	l.untilHeard("Hi", "Ho")
	require.Equal(t, []string{"I am new"}, l.heard(begun))
	require.Empty(t, s.texts)
}
