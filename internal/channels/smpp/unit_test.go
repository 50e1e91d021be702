package smpp

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/channels/carrier"
)

func TestTheGSMAlphabetIsThatOfTheStandard(t *testing.T) { // 3GPP TS 23.038, 6.2.1
	alphabet, parts, err := encode("@£$¥èéùì\nΔ_ΦΓÆæßÉ ¤Az¡¿ÄÖÑÜ§äöñüà^{}\\[~]|€")
	require.NoError(t, err)
	require.Equal(t, data.GSM7BIT, alphabet)
	require.Equal(t, [][]byte{[]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x0a\x10\x11\x12\x13\x1c\x1d\x1e\x1f\x20\x24Az\x40\x60" +
		"\x5b\x5c\x5d\x5e\x5f\x7b\x7c\x7d\x7e\x7f\x1b\x14\x1b\x28\x1b\x29\x1b\x2f\x1b\x3c\x1b\x3d\x1b\x3e\x1b\x40\x1b\x65")}, parts)
	alphabet, parts, err = encode("`")
	require.NoError(t, err)
	require.Equal(t, data.UCS2, alphabet)
	require.Equal(t, [][]byte{{0, '`'}}, parts)
}

func TestTheConfigurationIsStrict(t *testing.T) {
	good := func() Config {
		path := filepath.Join(t.TempDir(), "p")
		require.NoError(t, os.WriteFile(path, []byte("secret\n"), 0o600))
		return Config{Address: "smsc:2775", SystemID: "parley", PasswordFile: path}
	}
	for why, change := range map[string]func(*Config){
		"address":                  func(c *Config) { c.Address = "smsc" },
		"system_id":                func(c *Config) { c.SystemID = strings.Repeat("x", 16) },
		"system_type":              func(c *Config) { c.SystemType = "a\x00b" },
		"password_file is missing": func(c *Config) { c.PasswordFile = "" },
		"password_file: read":      func(c *Config) { c.PasswordFile = "/absent" },
		"window":                   func(c *Config) { c.Window = -1 },
		"per_second":               func(c *Config) { c.PerSecond = -1 },
		"receipt_id":               func(c *Config) { c.ReceiptID = "octal" },
		"enquire_seconds":          func(c *Config) { c.EnquireSeconds = -1 },
		"destination: a ton":       func(c *Config) { c.Destination.Short = &Numbering{TON: 7} },
		"tls: ":                    func(c *Config) { c.TLS = &TLS{CAFile: "/absent"} },
		"no certificates":          func(c *Config) { c.TLS = &TLS{CAFile: c.PasswordFile} },
	} {
		c := good()
		change(&c)
		_, err := New(c, nil)
		require.ErrorContains(t, err, why)
	}
	s, err := New(good(), nil)
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, seconds(s.config.EnquireSeconds))
	decoder := json.NewDecoder(strings.NewReader(`{"password": "secret"}`))
	decoder.DisallowUnknownFields()
	require.ErrorContains(t, decoder.Decode(&Config{}), "password", "secrets do not stand in a configuration")
}

func TestNumbersGetTheirPlus(t *testing.T) {
	for _, row := range []struct {
		ton           byte
		address, want string
		international bool
	}{
		{1, "4917", "+4917", false}, {0, "4917123", "4917123", false}, {0, "4917123", "+4917123", true}, {0, "72345", "72345", true},
		{5, "Parley", "Parley", true}, {1, "+4917", "+4917", false}, {1, "", "", false},
	} {
		a, err := pdu.NewAddressWithTonNpiAddr(row.ton, 0, row.address)
		require.NoError(t, err)
		require.Equal(t, row.want, (&Config{International: row.international}).parleys(a), row.address)
	}
}

func TestAssemblyKeepsItsTimes(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	a := newAssembly(5*time.Second, time.Minute)
	require.Zero(t, a.due())
	one := piece{from: "a", to: "b", reference: 7, total: 3, number: 1}
	d := &delivery{DeliverSM: pdu.NewDeliverSM().(*pdu.DeliverSM)}
	m := a.add(one, d, []byte("one"), now)
	require.Equal(t, now.Add(5*time.Second), a.due())
	m.answered(true)
	require.Equal(t, now.Add(time.Minute), a.due(), "what has its answer is only waited for")

	three := one
	three.number = 3
	require.Same(t, m, a.add(three, d, []byte("three"), now.Add(30*time.Second)))
	require.Equal(t, now.Add(35*time.Second), a.due())
	require.Equal(t, "one[…]three", m.text())
	a.abandon()
	require.Equal(t, "one[…][…]", m.text(), "what was not answered comes again")
	m.answered(true)
	for other := range mostAssembled {
		one.reference = uint16(other) + 1000
		a.add(one, d, nil, now)
	}
	one.reference++
	require.Nil(t, a.add(one, d, nil, now), "there is a limit")
	a.abandon()
	require.Len(t, a.messages, 1)
}

func TestTornCharactersAreMended(t *testing.T) {
	a := newAssembly(time.Second, time.Minute)
	d := &delivery{DeliverSM: pdu.NewDeliverSM().(*pdu.DeliverSM), coding: data.UCS2Coding}
	now := time.Unix(0, 0)
	a.add(piece{total: 2, number: 2}, d, []byte{0xDE, 0x00}, now)
	require.Equal(t, "😀", a.add(piece{total: 2, number: 1}, d, []byte{0xD8, 0x3D}, now).text())
}

func TestPartsWithOneIDAreOneMessage(t *testing.T) {
	s, err := newSentParts()
	require.NoError(t, err)
	m := s.begin(2)
	s.accepted(m, "1")
	_, ok := s.resolve(carrier.Status{ID: "1", Status: "delivered"})
	require.False(t, ok, "not all parts were taken")
	s.accepted(m, "1")
	got, ok := s.resolve(carrier.Status{ID: "1", Status: "delivered"})
	require.True(t, ok)
	require.Equal(t, carrier.Status{ID: "1", Status: "delivered"}, got)
	got, ok = s.resolve(carrier.Status{ID: "1", Status: "sent"})
	require.Equal(t, "delivered", got.Status, "a status does not go back")
	require.True(t, ok)
	got, ok = s.resolve(carrier.Status{ID: "2", Status: "sent"})
	require.Equal(t, carrier.Status{ID: "2", Status: "sent"}, got, "what is not known goes through")
	require.True(t, ok)
}

func FuzzDeliverSM(f *testing.F) {
	d := pdu.NewDeliverSM().(*pdu.DeliverSM)
	d.EsmClass = data.SM_UDH_GSM
	d.Message.SetUDH(pdu.UDH{pdu.NewIEConcatMessage(2, 1, 7)})
	d.RegisterOptionalParam(pdu.Field{Tag: pdu.TagMessagePayload, Data: []byte("\x05\x00\x03\x01\x02\x01x")})
	b := pdu.NewBuffer(nil)
	d.Marshal(b)
	f.Add(b.Bytes()[headerSize:])
	f.Add([]byte("\x00\x01\x014917\x00\x01\x01493\x00\x40\x00\x00\x00\x00\x00\x00\x08\x00\x08\x05\x00\x03\x07\x02\x02ab"))
	f.Fuzz(func(t *testing.T, body []byte) {
		head := pdu.Header{CommandLength: int32(headerSize + len(body)), CommandID: data.DELIVER_SM}
		whole := pdu.NewBuffer(nil)
		head.Marshal(whole)
		fr := frame{Header: head, octets: append(whole.Bytes(), body...)}
		d, err := fr.delivered()
		if err != nil {
			return
		}
		_, _ = (&Config{ReceiptID: hexToDecimal}).readReceipt(d)
		header, octets, err := d.content()
		if err != nil {
			return
		}
		if p, ok := pieceOf(d, header); ok && len(octets) > 0 {
			m := newAssembly(0, 0).add(p, d, octets, time.Time{})
			if !strings.Contains(m.text(), "[…]") {
				t.Error("a part is no whole")
			}
		}
		if !bytes.HasSuffix(body, d.message) && len(d.OptionalParameters) == 0 {
			t.Errorf("the message %q is not at the end of %q", d.message, body)
		}
	})
}
