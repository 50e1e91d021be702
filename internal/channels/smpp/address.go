package smpp

import (
	"strings"

	"github.com/linxGnu/gosmpp/pdu"
)

// address spells one of Parley's addresses as the SMSC wants it.
func (n *Numbers) address(text string) (pdu.Address, error) {
	digits, plus := strings.CutPrefix(text, "+")
	how := n.Alphanumeric
	switch {
	case plus && allDigits(digits):
		how, text = n.International, digits
	case allDigits(text):
		how = n.Short
	}
	return pdu.NewAddressWithTonNpiAddr(how.TON, how.NPI, text)
}

const (
	tonInternational = 1
	longestShort     = 6 // digits of a short code
)

// parleys spells an SMSC's address as Parley has it.
func (c *Config) parleys(a pdu.Address) string {
	text := a.Address()
	if allDigits(text) && (a.Ton() == tonInternational || c.International && len(text) > longestShort) {
		return "+" + text
	}
	return text
}

func allDigits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}
