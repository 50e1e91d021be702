package gateway

import (
	"errors"
	"net/url"
	"strings"
)

// longestShort is how many digits a short code may have.
const longestShort = 6

// gateways spells one of Parley's addresses as the gateway does.
func (c *Config) gateways(address string) string { return strings.TrimPrefix(address, c.Prefix) }

// parleys spells one of the gateway's addresses as Parley does.
func (c *Config) parleys(address string) string {
	if c.Prefix == "" || strings.HasPrefix(address, c.Prefix) {
		return address
	}
	digits := address
	if strings.HasSuffix(c.Prefix, "+") {
		digits = strings.TrimPrefix(address, "+")
	}
	if len(digits) <= longestShort || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return address
	}
	return c.Prefix + digits
}

// withoutAddress takes the address from an error, for it may have secrets.
func withoutAddress(err error) error {
	var about *url.Error
	if errors.As(err, &about) {
		return about.Err
	}
	return err
}
