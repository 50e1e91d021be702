package smpp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// Config says which SMSC is spoken to, and how. Times are in seconds; where 0 is
// allowed it stands for the default.
type Config struct {
	// Address is host:port of the SMSC. Required.
	Address string `json:"address"`
	// SystemID is who binds, 15 characters at most. Required.
	SystemID string `json:"system_id"`
	// PasswordFile holds the password. Required.
	PasswordFile string `json:"password_file"`
	// SystemType is what the SMSC wants to be told, 12 characters at most; mostly empty.
	SystemType string `json:"system_type,omitempty"`
	// TLS is used when it is there, even when it is empty.
	TLS *TLS `json:"tls,omitempty"`

	// EnquireSeconds is how often the SMSC is asked whether it is there; 0: 30. A bond
	// on which nothing came for twice as long, and a response's time more, is over.
	EnquireSeconds float64 `json:"enquire_seconds,omitempty"`
	// ResponseSeconds bounds connecting, binding and each response; 0: 30.
	ResponseSeconds float64 `json:"response_seconds,omitempty"`
	// ReconnectSeconds is the longest pause between attempts to bind; the first is a
	// second at most, then they double; 0: 60.
	ReconnectSeconds float64 `json:"reconnect_seconds,omitempty"`

	// Window is how many submit_sm may wait for their response; 0: 10.
	Window int `json:"window,omitempty"`
	// PerSecond is how many submit_sm may be sent in a second; 0: as many as the window lets.
	PerSecond float64 `json:"per_second,omitempty"`
	// ThrottleSeconds is the pause after the SMSC said that it is too much; 0: 1.
	ThrottleSeconds float64 `json:"throttle_seconds,omitempty"`

	// Source and Destination say how our and other addresses are numbered.
	Source      Numbers `json:"source,omitzero"`
	Destination Numbers `json:"destination,omitzero"`
	// International says that inbound numbers of more than six digits are in full,
	// whatever their type of number is; only then, or when that is 1, they get their plus.
	International bool `json:"international,omitempty"`

	// ReceiptID says how the text of delivery receipts spells message ids compared
	// with submit_sm_resp: as-is (the default), hex-to-decimal (receipts have the id in
	// hexadecimal and responses in decimal), or decimal-to-hex. Ids in
	// receipted_message_id are spelled as in responses.
	ReceiptID string `json:"receipt_id,omitempty"`
	// ErrorCodes are Twilio's codes by the SMSC's of receipts (err:…), as it writes
	// them. Others are 30003 for expired messages and 30008.
	ErrorCodes map[string]int `json:"error_codes,omitempty"`

	// PartHoldSeconds is how long a part of a long inbound message waits for the other
	// ones unacknowledged; 0: 5. Then it is acknowledged, for some SMSCs send the next
	// one only after that.
	PartHoldSeconds float64 `json:"part_hold_seconds,omitempty"`
	// AssembleSeconds is how long a long inbound message may lack parts; 0: 600. Then
	// it is handed over with "[…]" in their place.
	AssembleSeconds float64 `json:"assemble_seconds,omitempty"`
}

// Numbers says how addresses are numbered, by what they look like.
type Numbers struct {
	International *Numbering `json:"international,omitempty"` // +49…, sent without the plus; nil: 1, 1
	Short         *Numbering `json:"short,omitempty"`         // digits; nil: 3, 0
	Alphanumeric  *Numbering `json:"alphanumeric,omitempty"`  // anything else; nil: 5, 0
}

// Numbering is type of number and numbering plan (SMPP 3.4, 5.2.5 and 5.2.6).
type Numbering struct {
	TON byte `json:"ton"`
	NPI byte `json:"npi"`
}

// TLS says whom to believe.
type TLS struct {
	// ServerName is the name in the SMSC's certificate; empty: the host of its address.
	ServerName string `json:"server_name,omitempty"`
	// CAFile holds certificates in PEM that sign the SMSC's; empty: those of the system.
	CAFile string `json:"ca_file,omitempty"`
}

// How receipts spell ids.
const (
	asIs         = "as-is"
	hexToDecimal = "hex-to-decimal"
	decimalToHex = "decimal-to-hex"
)

func (c *Config) settle() {
	for _, field := range []struct {
		value     *float64
		otherwise float64
	}{
		{&c.EnquireSeconds, 30}, {&c.ResponseSeconds, 30}, {&c.ReconnectSeconds, 60}, {&c.ThrottleSeconds, 1},
		{&c.PartHoldSeconds, 5}, {&c.AssembleSeconds, 600},
	} {
		if *field.value == 0 {
			*field.value = field.otherwise
		}
	}
	if c.Window == 0 {
		c.Window = 10
	}
	if c.ReceiptID == "" {
		c.ReceiptID = asIs
	}
	c.Source.settle()
	c.Destination.settle()
}

func (n *Numbers) settle() {
	for _, field := range []struct {
		value     **Numbering
		otherwise Numbering
	}{{&n.International, Numbering{1, 1}}, {&n.Short, Numbering{3, 0}}, {&n.Alphanumeric, Numbering{5, 0}}} {
		if *field.value == nil {
			*field.value = &field.otherwise
		}
	}
}

const (
	longestSystemID   = 15
	longestSystemType = 12
	mostWindow        = 1000
	longestTime       = 24 * 60 * 60 // seconds
)

func (c *Config) check() error {
	_, _, err := net.SplitHostPort(c.Address)
	switch {
	case err != nil:
		return errors.New("address is not host:port")
	case c.SystemID == "" || !printable(c.SystemID, longestSystemID):
		return errors.New("system_id is not of 1 to 15 characters")
	case !printable(c.SystemType, longestSystemType):
		return errors.New("system_type is not of 12 characters at most")
	case c.PasswordFile == "":
		return errors.New("password_file is missing")
	case c.Window < 0 || c.Window > mostWindow:
		return fmt.Errorf("window is not between 0 and %d", mostWindow)
	case c.PerSecond < 0:
		return errors.New("per_second is negative")
	case c.ReceiptID != asIs && c.ReceiptID != hexToDecimal && c.ReceiptID != decimalToHex:
		return errors.New("receipt_id is none of as-is, hex-to-decimal and decimal-to-hex")
	}
	if err := errors.Join(c.Source.check("source"), c.Destination.check("destination")); err != nil {
		return err
	}
	return c.checkTimes()
}

func (c *Config) checkTimes() error {
	for name, value := range map[string]float64{
		"enquire_seconds": c.EnquireSeconds, "response_seconds": c.ResponseSeconds, "reconnect_seconds": c.ReconnectSeconds,
		"throttle_seconds": c.ThrottleSeconds, "part_hold_seconds": c.PartHoldSeconds, "assemble_seconds": c.AssembleSeconds,
	} {
		if value < 0 || value > longestTime {
			return fmt.Errorf("%s is not between 0 and a day", name)
		}
	}
	return nil
}

func (n *Numbers) check(name string) error {
	for _, x := range []*Numbering{n.International, n.Short, n.Alphanumeric} {
		if x.TON > 6 || x.NPI > 18 {
			return fmt.Errorf("%s: a ton is over 6 or an npi over 18", name)
		}
	}
	return nil
}

func printable(text string, longest int) bool {
	return len(text) <= longest && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// config returns nil for nil: without TLS.
func (t *TLS) config(address string) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if t.ServerName != "" {
		c.ServerName = t.ServerName
	}
	if t.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file has no certificates")
	}
	return c, nil
}
