package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
)

func TestValidEmail(t *testing.T) {
	for _, fine := range []string{"a@b", "ann.smith+tag@mail.example.org", "o'neil@example.org", "jürgen@bücher.example", "用户@例子.公司", "a_b-c@x-1.example", "1@2.3"} {
		require.True(t, domain.ValidEmail(fine), fine)
	}
	for _, wrong := range []string{
		"", "a", "@", "@b", "a@", "a@b@c", "a b@c.example", "a@b c", "a@b.example\r\nBcc: x@y.example", "a@b.example\n", "\ta@b", "a@b\u2028", "../../x", "../../x@y", ".a@b", "a.@b", "a..b@c",
		"a@.b", "a@b.", "a@b..c", "a@-b", "a@b-", "a@[127.0.0.1]", `"a b"@c`, "Ann <a@b>", "a@b,c@d", "a@b;c@d", "a@b/../c", "a@b%0a", "a\u200b@b", "a\u202e@b", "a@\ufffd", "a:b@c", "(x)a@b",
	} {
		require.False(t, domain.ValidEmail(wrong), "%q", wrong)
	}
}

func TestPlainAddress(t *testing.T) {
	for _, fine := range []string{"+15550001", "messenger:1234", "T0/C1", "a..b", "viber:x/y.z", "..x"} {
		require.True(t, domain.PlainAddress(fine), fine)
	}
	for _, wrong := range []string{"", " ", "a b", "a\nb", "a\r", "\x00", "\xff", "a\u00a0b", "a\u2028", "\u202ea", "../../x", "..", "x/..", "x/./y", `..\x`, "viber:..", "viber:../x", "viber:x/../y"} {
		require.False(t, domain.PlainAddress(wrong), "%q", wrong)
	}
}

func TestCheckLine(t *testing.T) {
	require.NoError(t, domain.CheckLine("Ann Smith, né “é”", "name", 7))
	for _, wrong := range []string{"a\nb", "a\r\nBcc: x", "a\tb", "\x01", "\x7f", "a\u0085b", "a\u2028b", "a\u2029"} {
		requireRefused(t, domain.CheckLine(wrong, "name", 7), "text_not_one_line", "name", 7)
	}
}
