package domain_test

import (
	"strings"
	"testing"
	"time"

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

func TestATextThatIsNoneIsSaidToBeSoTruly(t *testing.T) {
	require.Empty(t, domain.TextFault("plain"))
	require.Contains(t, domain.TextFault("a\x00b"), "NUL")
	require.Contains(t, domain.TextFault("a\xff"), "UTF-8")
	for _, check := range []func(text string) error{
		func(text string) error { return domain.CheckText(text, "f", 7) },
		func(text string) error { return domain.CheckLength(text, 9, "f", 7) },
	} {
		requireRefused(t, check("a\x00"), "text_invalid", "f", 7)
		requireRefused(t, check("\xff"), "text_invalid", "f", 7)
		require.NoError(t, check("é\x01\u2028"))
	}
	requireRefused(t, domain.CheckAttributes("\"\x00\"", 9, "attributes"), "text_invalid", "attributes", 50304)
	requireRefused(t, domain.CheckAttributes("\"\xff\"", 9, "attributes"), "text_invalid", "attributes", 50304)
	require.Equal(t, "a\uFFFDb", domain.CarriedText("a\xff\x00b"))
}

func TestAttributesAreAnyJSONThatReadersTake(t *testing.T) {
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + "0" + strings.Repeat(shut, n) }
	for _, fine := range []string{"", "{}", "null", "0", "-1e9", `"text"`, "[]", "true", `{"a":1,"a":2}`, ` { } `, `"[[[["`, `"\"{"`, nested("[", "]", 512), nested(`{"a":`, "}", 512)} {
		require.NoError(t, domain.CheckAttributes(fine, 1<<20, "attributes"), "%.40s", fine)
	}
	for _, wrong := range []string{" ", "nothing", "{} {}", "{", "[1,]", "'a'", "NaN", "01", "\ufeff{}", `{a:1}`, `"`, "\"\n\""} {
		requireRefused(t, domain.CheckAttributes(wrong, 1<<20, "attributes"), "attributes_invalid", "attributes", 50304)
	}
	requireRefused(t, domain.CheckAttributes(nested("[", "]", 513), 1<<20, "attributes"), "attributes_too_deep", "attributes", 50304)
	requireRefused(t, domain.CheckAttributes(nested("[", "]", 20000), 1<<20, "attributes"), "attributes_too_deep", "attributes", 50304)
	requireRefused(t, domain.CheckAttributes(`"1234567"`, 8, "attributes"), "attributes_too_long", "attributes", 50303)
}

func TestDatesAreOfYearsOfFourDigits(t *testing.T) {
	for text, fine := range map[string]bool{
		"0001-01-01T00:00:00Z": false, "0001-01-01T00:00:00.999Z": false, "0001-01-01T00:59:59+01:00": false, "0000-06-01T00:00:00Z": false,
		"0001-01-01T00:00:01Z": true, "1900-01-01T00:00:00Z": true, "9999-12-31T23:59:59.999Z": true, "9999-12-31T23:59:59-00:01": false,
	} {
		at, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		require.Equal(t, fine, domain.DateFault(at) == "", text)
		if !fine {
			requireRefused(t, domain.CheckDate(at, "a.date_created"), "date_invalid", "a.date_created", 50308)
			requireRefused(t, domain.CheckDate(at, "date_updated"), "date_invalid", "date_updated", 50309)
			requireRefused(t, domain.CheckDate(at, "read_at"), "date_invalid", "read_at", 0)
		}
	}
}
