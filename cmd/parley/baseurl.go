package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-engine/parley/internal/reactor/guard"
)

// checkBase says why a flag's URL is none that paths can be put behind; nil: it is one.
// Of the URL only its scheme is repeated, because there may be a password in it.
func checkBase(flag, text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("%s must be an absolute URL that begins with %s", flag, strings.Join(schemes, ":// or ")+"://")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return fmt.Errorf("%s has port %.20s, and ports are 1 to 65535", flag, u.Port())
	}
	for _, part := range []struct {
		what  string
		there bool
	}{
		{"user or password", u.User != nil},
		{"query", u.RawQuery != "" || u.ForceQuery},
		{"fragment", strings.Contains(text, "#")},
	} {
		if part.there {
			return fmt.Errorf("%s must have no %s: paths are put behind it, and others see it", flag, part.what)
		}
	}
	return nil
}

// publicBase is an http or https URL in ASCII and without a slash at its end, so that
// paths can be put behind it.
func publicBase(flag, text string) (string, error) {
	if err := checkBase(flag, text, "http", "https"); err != nil {
		return "", err
	}
	u, err := guard.Address(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
