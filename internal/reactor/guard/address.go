package guard

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// ErrAddress says that a text is no address that can be called.
var ErrAddress = errors.New("the URL is not an absolute http or https one")

// Address reads a URL as somebody wrote it and returns it as it is requested: of ASCII
// alone, whatever was in it, because receivers refuse a request line with anything else.
// A host that is not ASCII becomes its A-labels (RFC 5891), as the standard client does;
// what RFC 3986 permits in no path or query is percent-encoded, but for brackets, which
// everybody takes, and for the apostrophe in a query, which browsers' parsers encode. What is encoded already stays as it is. There is always a path and
// never a fragment. The error is a *url.Error or ErrAddress, wrapped.
func Address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, ErrAddress
	}
	if u.Host, err = hostOf(u); err != nil {
		return nil, err
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.RawPath = encoded(cmp.Or(u.RawPath, u.EscapedPath()), "'") // as it was written, where that is not how it would be
	u.RawQuery = encoded(u.RawQuery, "")
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// hostOf is the host and port of a URL in ASCII.
func hostOf(u *url.URL) (string, error) {
	if !strings.ContainsFunc(u.Host, func(r rune) bool { return r >= 0x80 }) {
		return strings.ToLower(u.Host), nil
	}
	name, err := idna.Lookup.ToASCII(u.Hostname())
	if err != nil {
		return "", fmt.Errorf("%w: its host is no name: %w", ErrAddress, err)
	}
	if u.Port() != "" {
		return net.JoinHostPort(name, u.Port()), nil
	}
	return name, nil
}

// encoded is a path or query in which every byte may be on a request line, also those of
// more.
func encoded(text, more string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '%' && !escape(text[i:]), !plain(c) && strings.IndexByte(more, c) < 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escape(text string) bool { return len(text) > 2 && hexadecimal(text[1]) && hexadecimal(text[2]) }

func hexadecimal(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func plain(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.IndexByte("-._~!$&()*+,;=:@/?%[]", c) >= 0
}
