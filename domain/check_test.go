package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
)

func TestCheckSecret(t *testing.T) {
	for _, r := range []struct {
		name, secret string
		right        bool
	}{
		{"letters and digits", strings.Repeat("aZ09", 10), true},
		{"the shortest", strings.Repeat("x", 32), true},
		{"the longest", strings.Repeat("x", 64), true},
		{"none", "", false},
		{"too short", strings.Repeat("x", 31), false},
		{"too long", strings.Repeat("x", 65), false},
		{"a colon, which ends the user name of HTTP Basic", strings.Repeat("x", 31) + ":", false},
		{"a blank", strings.Repeat("x", 31) + " ", false},
		{"a sign before 0", strings.Repeat("x", 31) + "/", false},
		{"a sign after Z", strings.Repeat("x", 31) + "[", false},
		{"a sign after z", strings.Repeat("x", 31) + "{", false},
		{"letters of two bytes", strings.Repeat("é", 20), false},
		{"digits of another script", strings.Repeat("٣", 20), false},
		{"NUL", strings.Repeat("x", 31) + "\x00", false},
	} {
		t.Run(r.name, func(t *testing.T) {
			code := "secret_invalid"
			if r.right {
				code = ""
			}
			err := domain.CheckSecret(r.secret, "secret")
			requireRefused(t, err, code, "secret", 0)
			if err != nil && r.secret != "" {
				require.NotContains(t, err.Error(), r.secret, "a refusal is logged, a secret is not")
			}
		})
	}
}

func TestValidText(t *testing.T) {
	for text, valid := range map[string]bool{
		"": true, "plain": true, "é 😀\n\t": true, "\x01": true,
		"\x00": false, "a\x00b": false, "\xff": false, "a\xc3": false,
	} {
		require.Equal(t, valid, domain.ValidText(text), "%q", text)
	}
}
