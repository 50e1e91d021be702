package domain_test

import (
	"strings"
	"testing"

	"github.com/parley-engine/parley/domain"
)

func TestCheckIdentity(t *testing.T) {
	for identity, no := range map[string]struct {
		code   string
		twilio int
	}{
		"":                             {},
		"ann":                          {},
		"...":                          {},
		".a":                           {},
		"a..":                          {},
		"./":                           {},
		"syst":                         {},
		".":                            {"identity_reserved", 50203},
		"/":                            {"identity_reserved", 50203},
		"a/":                           {},
		"..":                           {"identity_reserved", 50203},
		"system":                       {"identity_reserved", 50203},
		"SyStem":                       {"identity_reserved", 50203},
		"MB" + strings.Repeat("0", 32): {"identity_looks_like_sid", 50206},
		"US" + strings.Repeat("f", 32): {"identity_looks_like_sid", 50206},
		"US" + strings.Repeat("g", 32): {},
	} {
		t.Run(identity, func(t *testing.T) {
			requireRefused(t, domain.CheckIdentity(identity, "identity"), no.code, "identity", no.twilio)
		})
	}
}
