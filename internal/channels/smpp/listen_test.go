package smpp_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
	"github.com/fiorix/go-smpp/smpp/smpptest"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/smpp"
)

func TestAWrongPasswordIsToldAndTriedAgain(t *testing.T) {
	s := start(t, acceptAll)
	c := config(t, s.Addr())
	require.NoError(t, os.WriteFile(c.PasswordFile, []byte("wrong"), 0o600))
	l := listen(t, c)
	require.Eventually(t, func() bool { return len(l.log.String()) > 0 }, 10*time.Second, time.Millisecond)
	_, err := l.Send(t.Context(), message)
	requireLater(t, err)
	require.NotContains(t, l.log.String(), "wrong")
}

func TestARefusedBindIsToldWithItsStatus(t *testing.T) {
	withBody := pdu.NewBindTransceiverResp()
	withBody.Header().Status = 0x0E
	for _, answer := range []pdu.Body{withBody, bare(pdu.BindTransceiverRespID, 0x0E, 1), bare(pdu.GenericNACKID, 0x0E, 1)} {
		address := refuse(t, answer)
		l := listen(t, config(t, address))
		require.Eventually(t, func() bool { return len(l.log.String()) > 0 }, 10*time.Second, time.Millisecond)
		require.Contains(t, l.log.String(), "status 0xe")
	}
}

// refuse plays an SMSC that answers every bind with the PDU.
func refuse(t *testing.T, answer pdu.Body) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := pdu.Decode(conn); err == nil {
				_ = answer.SerializeTo(conn)
			}
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestInboundMessagesAreAcknowledgedOnceTheyAreTaken(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, nil)
	l.failWith(errors.New("the disk is full"))
	require.NoError(t, conn.Write(inbound(pdutext.GSM7("€ hi @"), nil)))
	first := receive(t, l.reports).Inbound
	require.EqualValues(t, 0x64, receive(t, s.came).Header().Status)
	require.NotEmpty(t, first.ID)
	require.Equal(t, &carrier.Inbound{ID: first.ID, Type: "sms", From: "+4917", To: []string{"4930"}, Body: "€ hi @"}, first)

	l.failWith(nil)
	again := inbound(pdutext.GSM7("€ hi @"), nil)
	require.NoError(t, conn.Write(again))
	require.Equal(t, first, receive(t, l.reports).Inbound, "what comes again is the same message")
	answer := receive(t, s.came)
	require.Equal(t, pdu.DeliverSMRespID, answer.Header().ID)
	require.Equal(t, again.Header().Seq, answer.Header().Seq)
	require.Zero(t, answer.Header().Status)

	require.NoError(t, conn.Write(inbound(pdutext.GSM7("€ hi @"), nil)))
	require.NotEqual(t, first.ID, receive(t, l.reports).Inbound.ID, "the same text after that is another message")
}

// inbound is a deliver_sm from +4917 to 4930; it has the fields of a submit_sm.
func inbound(text any, optional pdutlv.Fields) pdu.Body {
	p := pdu.NewSubmitSM(nil)
	p.Header().ID = pdu.DeliverSMID
	f := p.Fields()
	_ = f.Set(pdufield.SourceAddrTON, 1)
	_ = f.Set(pdufield.SourceAddrNPI, 1)
	_ = f.Set(pdufield.SourceAddr, "4917")
	_ = f.Set(pdufield.DestinationAddr, "4930")
	_ = f.Set(pdufield.ShortMessage, text)
	for tag, value := range optional {
		_ = p.TLVFields().Set(tag, value)
	}
	return p
}

func TestInboundTextIsReadByItsCoding(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, nil)
	for want, p := range map[string]pdu.Body{
		"žluť 😀":   inbound(pdutext.UCS2("žluť 😀"), nil),
		"grün":     inbound(pdutext.Latin1("gr\xc3\xbcn"), nil),
		"payload":  inbound("", pdutlv.Fields{pdutlv.TagMessagePayload: "payload"}),
		"ü raw":    inbound("\xfc raw", nil), // Latin-1 although it says GSM
		"class 0":  coded(inbound("class 0", nil), 0xF0),
		"clâss 1":  coded(inbound("\x00c\x00l\x00\xe2\x00s\x00s\x00 \x001", nil), 0x19),
		"ascii 1 ": coded(inbound("ascii 1 ", nil), 1),
	} {
		require.NoError(t, conn.Write(p))
		require.Equal(t, want, receive(t, l.reports).Inbound.Body)
		require.Zero(t, receive(t, s.came).Header().Status)
	}
	for _, coding := range []int{2, 4, 9, 0xF4, 0x14, 0x80} {
		require.NoError(t, conn.Write(coded(inbound("binary", nil), coding)))
		require.EqualValues(t, 0x66, receive(t, s.came).Header().Status, "what is no text is refused for good")
	}
	require.Empty(t, l.reports)
}

func coded(p pdu.Body, coding int) pdu.Body {
	_ = p.Fields().Set(pdufield.DataCoding, coding)
	return p
}

func TestLongInboundMessagesAreJoined(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, nil)
	for name, parts := range map[string][]pdu.Body{
		"8 bits":  {headed(t, "\x05\x00\x03\x07\x02\x02two"), headed(t, "\x05\x00\x03\x07\x02\x01one ")},
		"16 bits": {headed(t, "\x06\x08\x04\x07\x08\x02\x02two"), headed(t, "\x06\x08\x04\x07\x08\x02\x01one ")},
		"sar":     {sar("two", 2), sar("one ", 1)},
		"another header too": {
			headed(t, "\x09\x05\x02\x01\x02\x00\x03\x09\x02\x02two"), headed(t, "\x09\x05\x02\x01\x02\x00\x03\x09\x02\x01one "),
		},
	} {
		require.NoError(t, conn.Write(parts[0]))
		require.NoError(t, conn.Write(parts[0])) // twice is once
		require.NoError(t, conn.Write(parts[1]))
		require.Equal(t, "one two", receive(t, l.reports).Inbound.Body, name)
		for range 2 {
			require.Zero(t, receive(t, s.came).Header().Status)
		}
	}
	require.Empty(t, s.came)
}

func sar(text string, number int) pdu.Body {
	return inbound(text, pdutlv.Fields{pdutlv.TagSarMsgRefNum: "\x00\x07", pdutlv.TagSarTotalSegments: 2, pdutlv.TagSarSegmentSeqnum: number})
}

// headed is a deliver_sm whose short message begins with a user data header.
func headed(t *testing.T, message string) pdu.Body {
	t.Helper()
	p := inbound(message, nil)
	require.NoError(t, p.Fields().Set(pdufield.ESMClass, 0x40))
	return p
}

func TestPartsAreHeldUntilTheMessageIsTaken(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, nil)
	l.failWith(errors.New("the disk is full"))
	for _, p := range []pdu.Body{sar("one ", 1), sar("two", 2)} {
		require.NoError(t, conn.Write(p))
	}
	id := receive(t, l.reports).Inbound.ID
	for range 2 {
		require.EqualValues(t, 0x64, receive(t, s.came).Header().Status)
	}
	l.failWith(nil)
	for _, p := range []pdu.Body{sar("two", 2), sar("one ", 1)} {
		require.NoError(t, conn.Write(p))
	}
	require.Equal(t, id, receive(t, l.reports).Inbound.ID)
}

func TestAPartIsAcknowledgedWhenTheNextDoesNotCome(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, func(c *smpp.Config) { c.PartHoldSeconds = 0.02 })
	require.NoError(t, conn.Write(sar("one ", 1)))
	require.Zero(t, receive(t, s.came).Header().Status)
	require.NoError(t, conn.Write(sar("two", 2)))
	require.Equal(t, "one two", receive(t, l.reports).Inbound.Body)
	require.Zero(t, receive(t, s.came).Header().Status)
}

func TestAMessageThatStaysIncompleteIsHandedOver(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, func(c *smpp.Config) { c.AssembleSeconds = 0.02 })
	require.NoError(t, conn.Write(sar("two", 2)))
	require.Equal(t, "[…]two", receive(t, l.reports).Inbound.Body)
	require.Zero(t, receive(t, s.came).Header().Status)
}

func TestAReceiptBecomesAStatus(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, func(c *smpp.Config) { c.ErrorCodes = map[string]int{"011": 30005} })
	for text, want := range map[string]carrier.Status{
		"id:7a sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:DELIVRD err:000 text:hi": {ID: "7a", Status: "delivered"},
		"id:7a stat:UNDELIV err:011": {ID: "7a", Status: "undelivered", ErrorCode: 30005},
		"ID:7a STAT:expired ERR:001": {ID: "7a", Status: "undelivered", ErrorCode: 30003},
		"id:7a stat:REJECTD err:099": {ID: "7a", Status: "failed", ErrorCode: 30008},
		"id:7a stat:ACCEPTD err:011": {ID: "7a", Status: "sent"},
	} {
		require.NoError(t, conn.Write(receipt(text, nil)))
		require.Equal(t, &want, receive(t, l.reports).Status)
		require.Zero(t, receive(t, s.came).Header().Status)
	}
	byTag := pdutlv.Fields{pdutlv.TagReceiptedMessageID: pdutlv.CString("8b"), pdutlv.TagMessageStateOption: 2}
	for _, p := range []pdu.Body{receipt("", byTag), receipt("id:9 stat:UNDELIV", byTag), inbound("", byTag)} {
		require.NoError(t, conn.Write(p))
		require.Equal(t, &carrier.Status{ID: "8b", Status: "delivered"}, receive(t, l.reports).Status)
		require.Zero(t, receive(t, s.came).Header().Status)
	}
	for _, p := range []pdu.Body{receipt("id:7a stat:QUANTUM", nil), receipt("stat:DELIVRD", nil), coded(receipt("id:7a", nil), 4)} {
		require.NoError(t, conn.Write(p))
		require.EqualValues(t, 0x66, receive(t, s.came).Header().Status)
	}
	l.failWith(errors.New("the disk is full"))
	require.NoError(t, conn.Write(receipt("id:7a stat:DELIVRD", nil)))
	require.EqualValues(t, 0x64, receive(t, s.came).Header().Status)
}

func receipt(text string, optional pdutlv.Fields) pdu.Body {
	p := inbound(text, optional)
	_ = p.Fields().Set(pdufield.ESMClass, 4)
	return p
}

func TestReceiptsMaySpellIDsInAnotherBase(t *testing.T) {
	for rule, ids := range map[string][3]string{ // of the response, of the receipt, ours
		"hex-to-decimal": {"0000123456", "1E240", "123456"}, "decimal-to-hex": {"0001E240", "0000123456", "1e240"}, "as-is": {"00AB", "00AB", "00AB"},
	} {
		s := start(t, func(c smpptest.Conn, p pdu.Body) {
			accept(c, p, ids[0], 0)
			_ = c.Write(receipt("id:"+ids[1]+" stat:DELIVRD", nil))
		})
		l, _ := bound(t, s, func(c *smpp.Config) { c.ReceiptID = rule })
		sent, err := l.Send(t.Context(), message)
		require.NoError(t, err)
		require.Equal(t, ids[2], sent.ID, rule)
		require.Equal(t, ids[2], receive(t, l.reports).Status.ID, rule)
	}
}

func TestTheReceiptsOfAllPartsAreOneStatus(t *testing.T) {
	for last, want := range map[string]string{"DELIVRD": "delivered", "UNDELIV": "undelivered"} {
		var kept record
		s := start(t, kept.submit)
		l, conn := bound(t, s, nil)
		m := message
		m.Body = strings.Repeat("a", 400)
		sent, err := l.Send(t.Context(), m)
		require.NoError(t, err)
		require.Len(t, kept.all(), 3)
		for _, text := range []string{"id:id2 stat:ENROUTE", "id:id2 stat:DELIVRD", "id:id1 stat:DELIVRD", "id:id3 stat:" + last} {
			require.Empty(t, l.reports)
			require.NoError(t, conn.Write(receipt(text, nil)))
			require.Zero(t, receive(t, s.came).Header().Status)
		}
		status := receive(t, l.reports).Status
		require.Equal(t, sent.ID, status.ID)
		require.Equal(t, want, status.Status)
	}
}

func TestWhatIsNoPDUBreaksTheBondAndItIsMadeAgain(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, nil)
	for _, raw := range []string{
		"\x00\x00\x00\x0f\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01",
		"\xff\xff\xff\xff\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01", "HTTP/1.1 400 Bad Request\r\n\r\n",
	} {
		require.NoError(t, conn.Write(octets{raw: []byte(raw)}))
		conn = receive(t, s.bonds)
	}
	_, err := l.Send(t.Context(), message)
	require.NoError(t, err)
}

func TestAPDUThatCannotBeReadIsRefusedAlone(t *testing.T) {
	s := start(t, acceptAll)
	l, conn := bound(t, s, nil)
	require.NoError(t, conn.Write(octets{raw: []byte("\x00\x00\x00\x13\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x07abc")}))
	answer := receive(t, s.came).Header()
	require.Equal(t, pdu.DeliverSMRespID, answer.ID)
	require.EqualValues(t, 7, answer.Seq)
	require.EqualValues(t, 0x66, answer.Status)
	require.NoError(t, conn.Write(headed(t, "\x00no header"))) // which the library refuses
	require.EqualValues(t, 0x66, receive(t, s.came).Header().Status)

	require.NoError(t, conn.Write(bare(0x0103, 0, 8))) // data_sm, which is not spoken
	answer = receive(t, s.came).Header()
	require.Equal(t, pdu.GenericNACKID, answer.ID)
	require.EqualValues(t, 3, answer.Status)
	require.NoError(t, conn.Write(bare(0x80000004, 0, 12345))) // a response to nothing
	require.NoError(t, conn.Write(bare(0x0102, 0, 9)))         // alert_notification has no response
	require.NoError(t, conn.Write(bare(pdu.EnquireLinkID, 0, 10)))
	require.Equal(t, pdu.EnquireLinkRespID, receive(t, s.came).Header().ID)
	require.NoError(t, conn.Write(inbound("fine", nil)))
	require.Equal(t, "fine", receive(t, l.reports).Inbound.Body)
}

func TestAnUnbindOfTheSMSCIsAnsweredAndItIsBoundAgain(t *testing.T) {
	s := start(t, acceptAll)
	_, conn := bound(t, s, nil)
	require.NoError(t, conn.Write(pdu.NewUnbind()))
	require.Equal(t, pdu.UnbindRespID, receive(t, s.came).Header().ID)
	receive(t, s.bonds)
}

func TestASilentSMSCIsLeft(t *testing.T) {
	s := smpptest.NewUnstartedServer()
	pings := make(chan pdu.Body, 100)
	s.Handler = func(_ smpptest.Conn, p pdu.Body) { pings <- p }
	s.Start()
	t.Cleanup(s.Close)
	c := config(t, s.Addr())
	c.EnquireSeconds, c.ResponseSeconds = 0.02, 0.02
	l := listen(t, c)
	require.Eventually(t, func() bool { return len(l.log.String()) > 0 }, 10*time.Second, time.Millisecond)
	require.Contains(t, l.log.String(), "i/o timeout")
	require.NotEmpty(t, pings)
}

func TestTLS(t *testing.T) {
	s := start(t, acceptAll)
	https := httptest.NewTLSServer(nil)
	https.Close() // for its certificate
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: https.TLS.Certificates})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go forward(listener, s.Addr())
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}), 0o600))

	c := config(t, listener.Addr().String())
	c.TLS = &smpp.TLS{CAFile: ca, ServerName: "example.com"}
	l := listen(t, c)
	receive(t, s.bonds)
	_, err = l.Send(t.Context(), message)
	require.NoError(t, err)

	c.TLS = &smpp.TLS{CAFile: ca, ServerName: "other.example"}
	l = listen(t, c)
	require.Eventually(t, func() bool { return len(l.log.String()) > 0 }, 10*time.Second, time.Millisecond)
	require.Contains(t, l.log.String(), "certificate")
}

// forward hands connections on until the listener closes.
func forward(listener net.Listener, to string) {
	for {
		in, err := listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				_ = in.Close()
				_ = out.Close()
			}()
		}
	}
}
