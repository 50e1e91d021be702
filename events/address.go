package events

import "strings"

// AddressType derives the channel of an address from its prefix; an address
// without one is a phone number (reference 1.9.10).
func AddressType(address string) string {
	prefix, _, found := strings.Cut(address, ":")
	switch {
	case found && prefix != "":
		return prefix
	case strings.Contains(address, "@"):
		return "email"
	default:
		return "sms"
	}
}
