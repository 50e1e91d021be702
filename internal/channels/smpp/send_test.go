package smpp_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf16"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/smpptest"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
	"github.com/parley-engine/parley/internal/channels/smpp"
)

var message = carrier.Outgoing{Key: "k", From: "+4930123", To: []string{"+4917123"}, Body: "hello"}

// record keeps what was submitted; ids count from 1.
type record struct {
	mu   sync.Mutex
	pdus []pdu.Body
}

func (r *record) submit(c smpptest.Conn, p pdu.Body) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pdus = append(r.pdus, p)
	accept(c, p, "id"+strconv.Itoa(len(r.pdus)), 0)
}

func (r *record) all() []pdu.Body {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pdus
}

func TestAMessageIsSubmitted(t *testing.T) {
	var kept record
	c, _ := bound(t, start(t, kept.submit), nil)
	sent, err := c.Send(t.Context(), message)
	require.NoError(t, err)
	require.Equal(t, carrier.Sent{ID: "id1", Status: "sent"}, sent)
	require.False(t, c.Idempotent())
	f := kept.all()[0].Fields()
	for name, want := range map[pdufield.Name]string{
		pdufield.SourceAddr: "4930123", pdufield.DestinationAddr: "4917123", pdufield.ShortMessage: "hello",
		pdufield.SourceAddrTON: "\x01", pdufield.SourceAddrNPI: "\x01", pdufield.DestAddrTON: "\x01", pdufield.DestAddrNPI: "\x01",
		pdufield.RegisteredDelivery: "\x01", pdufield.DataCoding: "\x00", pdufield.ESMClass: "\x00",
	} {
		require.Equal(t, want, string(bytes.TrimSuffix(f[name].Bytes(), cut(name))), name)
	}
}

// cut is the zero at the end of strings.
func cut(name pdufield.Name) []byte {
	if name == pdufield.SourceAddr || name == pdufield.DestinationAddr {
		return []byte{0}
	}
	return nil
}

func TestNumberingFollowsTheShapeOfTheAddress(t *testing.T) {
	for from, want := range map[string][2]byte{"72345": {3, 0}, "Parley": {5, 0}, "+4930": {1, 1}} {
		var kept record
		c, _ := bound(t, start(t, kept.submit), nil)
		_, err := c.Send(t.Context(), carrier.Outgoing{From: from, To: []string{"+4917"}, Body: "x"})
		require.NoError(t, err)
		f := kept.all()[0].Fields()
		require.Equal(t, want[:], append(f[pdufield.SourceAddrTON].Bytes(), f[pdufield.SourceAddrNPI].Bytes()...), from)
	}
	var kept record
	c, _ := bound(t, start(t, kept.submit), func(c *smpp.Config) { c.Source.Short = &smpp.Numbering{TON: 6, NPI: 9} })
	_, err := c.Send(t.Context(), carrier.Outgoing{From: "72345", To: []string{"+4917"}, Body: "x"})
	require.NoError(t, err)
	require.Equal(t, []byte{6}, kept.all()[0].Fields()[pdufield.SourceAddrTON].Bytes())
}

func TestMediaBecomeLines(t *testing.T) {
	for body, want := range map[string]string{"see": "see\nhttps://m/1\nhttps://m/2", "": "https://m/1\nhttps://m/2"} {
		var kept record
		c, _ := bound(t, start(t, kept.submit), nil)
		m := message
		m.Body, m.Media = body, []string{"https://m/1", "https://m/2"}
		_, err := c.Send(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, want, string(kept.all()[0].Fields()[pdufield.ShortMessage].Bytes()))
	}
}

func TestALongTextIsSubmittedInPartsThatFit(t *testing.T) {
	for text, parts := range map[string]int{
		strings.Repeat("a", 160): 1, strings.Repeat("a", 161): 2, strings.Repeat("a", 306): 2, strings.Repeat("a", 307): 3,
		strings.Repeat("{", 80): 1, strings.Repeat("{", 200): 3, strings.Repeat("ž", 70): 1, strings.Repeat("ž", 71): 2,
		strings.Repeat("😀", 35): 1, strings.Repeat("😀", 200): 7, "ž" + strings.Repeat("😀", 66): 2,
	} {
		var kept record
		c, _ := bound(t, start(t, kept.submit), nil)
		m := message
		m.Body = text
		sent, err := c.Send(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, "id1", sent.ID)
		require.Len(t, kept.all(), parts, text)
		require.Equal(t, text, joined(t, kept.all()))
	}
}

// joined reads the text of parts back, independently of how it was cut.
func joined(t *testing.T, parts []pdu.Body) string {
	t.Helper()
	var text strings.Builder
	for i, p := range parts {
		f := p.Fields()
		raw := f[pdufield.ShortMessage].Bytes()
		limit := 140
		if f[pdufield.DataCoding].Bytes()[0] == 0 {
			limit = 160 // the octets are septets
		}
		if len(parts) > 1 {
			require.Equal(t, byte(0x40), f[pdufield.ESMClass].Bytes()[0])
			require.Equal(t, []byte{5, 0, 3, parts[0].Fields()[pdufield.ShortMessage].Bytes()[3], byte(len(parts)), byte(i + 1)}, raw[:6])
			raw, limit = raw[6:], limit-6
			if limit == 154 {
				limit = 153 // the header takes 7 septets of 160
			}
		}
		require.LessOrEqual(t, len(raw), limit)
		text.WriteString(read(f[pdufield.DataCoding].Bytes()[0], raw))
	}
	return text.String()
}

func read(coding byte, raw []byte) string {
	if coding == 0 {
		return strings.ReplaceAll(string(raw), "\x1b(", "{")
	}
	var units []uint16
	for i := 0; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	return string(utf16.Decode(units))
}

func TestWhatCannotBeSentIsRefused(t *testing.T) {
	c, _ := bound(t, start(t, acceptAll), nil)
	for why, m := range map[string]carrier.Outgoing{
		"no native groups": {From: "+49", To: []string{"+1", "+2"}, Body: "x"},
		"nothing to send":  {From: "+49", To: []string{"+1"}},
		"the sender":       {From: "whatsapp:+49", To: []string{"+1"}, Body: "x"},
		"the recipient":    {From: "+49", To: []string{"whatsapp:+1"}, Body: "x"},
		"256 parts":        {From: "+49", To: []string{"+1"}, Body: strings.Repeat("x", 255*153+1)},
	} {
		_, err := c.Send(t.Context(), m)
		var refused *carrier.Refused
		require.ErrorAs(t, err, &refused, why)
		require.Contains(t, refused.Reason, why)
		require.NotZero(t, refused.Code)
	}
}

func TestAStatusSaysWhetherItIsForLater(t *testing.T) {
	for status, check := range map[pdu.Status]func(error){
		0x58: func(err error) { requireLater(t, err) },
		0x14: func(err error) { requireLater(t, err) },
		0x0B: func(err error) { requireRefused(t, err, 21211) },
		0x0A: func(err error) { requireRefused(t, err, 21212) },
		0x45: func(err error) { requireRefused(t, err, 30008) },
		0x08: func(err error) {
			require.ErrorContains(t, err, "not well")
			require.NotErrorIs(t, err, carrier.ErrUnknown)
		},
	} {
		for _, answer := range []func(smpptest.Conn, pdu.Body){
			func(c smpptest.Conn, p pdu.Body) { accept(c, p, "", status) },
			func(c smpptest.Conn, p pdu.Body) { _ = c.Write(bare(pdu.SubmitSMRespID, status, p.Header().Seq)) },
			func(c smpptest.Conn, p pdu.Body) { _ = c.Write(bare(pdu.GenericNACKID, status, p.Header().Seq)) },
		} {
			c, _ := bound(t, start(t, answer), nil)
			_, err := c.Send(t.Context(), message)
			check(err)
		}
	}
}

func requireLater(t *testing.T, err error) {
	t.Helper()
	var later *carrier.Later
	require.ErrorAs(t, err, &later)
	require.Positive(t, later.After)
}

func requireRefused(t *testing.T, err error, code int) {
	t.Helper()
	var refused *carrier.Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, code, refused.Code)
}

func TestAThrottledPartIsTriedAgainBecauseOthersWereTaken(t *testing.T) {
	var n atomic.Int32
	c, _ := bound(t, start(t, func(c smpptest.Conn, p pdu.Body) {
		i := n.Add(1)
		accept(c, p, "id"+strconv.Itoa(int(i)), map[bool]pdu.Status{true: 0x58}[i == 2 || i == 3])
	}), nil)
	m := message
	m.Body = strings.Repeat("a", 161)
	sent, err := c.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, "id1", sent.ID)
	require.EqualValues(t, 4, n.Load())
}

func TestAPartThatStaysThrottledLeavesTheMessageUnknown(t *testing.T) {
	var n atomic.Int32
	c, _ := bound(t, start(t, func(c smpptest.Conn, p pdu.Body) {
		accept(c, p, "id1", map[bool]pdu.Status{false: 0x58}[n.Add(1) == 1])
	}), nil)
	m := message
	m.Body = strings.Repeat("a", 161)
	_, err := c.Send(t.Context(), m)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.EqualValues(t, 6, n.Load())
}

func TestABondThatBreaksBeforeTheResponseLeavesTheMessageUnknown(t *testing.T) {
	var broken atomic.Bool
	s := start(t, func(c smpptest.Conn, p pdu.Body) {
		if !broken.Swap(true) {
			_ = c.Close()
			return
		}
		acceptAll(c, p)
	})
	c, _ := bound(t, s, nil)
	_, err := c.Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	receive(t, s.bonds)
	_, err = c.Send(t.Context(), message)
	require.NoError(t, err, "it is bound again")
}

func TestNoResponseLeavesTheMessageUnknown(t *testing.T) {
	came := make(chan struct{}, 2)
	s := start(t, func(smpptest.Conn, pdu.Body) { came <- struct{}{} })
	c, _ := bound(t, s, func(c *smpp.Config) { c.ResponseSeconds = 0.3 })
	_, err := c.Send(t.Context(), message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.ErrorContains(t, err, "does not respond")
	receive(t, came)

	c, _ = bound(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-came; cancel() }()
	_, err = c.Send(ctx, message)
	require.ErrorIs(t, err, carrier.ErrUnknown)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAResponseWithoutAnIDLeavesTheMessageUnknown(t *testing.T) {
	for _, answer := range []func(smpptest.Conn, pdu.Body){
		func(c smpptest.Conn, p pdu.Body) { accept(c, p, "", 0) },
		func(c smpptest.Conn, p pdu.Body) { _ = c.Write(bare(pdu.SubmitSMRespID, 0, p.Header().Seq)) },
	} {
		c, _ := bound(t, start(t, answer), nil)
		_, err := c.Send(t.Context(), message)
		require.ErrorIs(t, err, carrier.ErrUnknown)
	}
}

func TestManyMaySendAtOnce(t *testing.T) {
	c, _ := bound(t, start(t, func(c smpptest.Conn, p pdu.Body) { accept(c, p, p.Fields()[pdufield.ShortMessage].String(), 0) }),
		func(c *smpp.Config) { c.Window, c.PerSecond = 3, 1000 })
	errs := make(chan error)
	for n := range 30 {
		go func() {
			m := message
			m.Body = strconv.Itoa(n)
			sent, err := c.Send(context.WithoutCancel(t.Context()), m)
			if err == nil && sent.ID != m.Body {
				t.Errorf("the response of %s came to %s", sent.ID, m.Body)
			}
			errs <- err
		}()
	}
	for range 30 {
		require.NoError(t, receive(t, errs))
	}
}

func TestStoppingWaitsForResponsesAndUnbinds(t *testing.T) {
	submitted, answer := make(chan struct{}), make(chan struct{})
	s := start(t, func(c smpptest.Conn, p pdu.Body) {
		go func() { <-answer; acceptAll(c, p) }()
		close(submitted)
	})
	c, _ := bound(t, s, nil)
	sent := make(chan error)
	go func() { _, err := c.Send(context.WithoutCancel(t.Context()), message); sent <- err }()
	receive(t, submitted)
	stopped := make(chan struct{})
	go func() { c.stop(); close(stopped) }()
	close(answer)
	require.NoError(t, receive(t, sent))
	receive(t, stopped)
	require.Equal(t, pdu.UnbindID, receive(t, s.came).Header().ID)
	_, err := c.Send(t.Context(), message)
	requireLater(t, err)
}
