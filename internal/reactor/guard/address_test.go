package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/internal/reactor/guard"
)

func TestAnAddressIsRequestedInASCII(t *testing.T) {
	for given, want := range map[string]string{
		"http://h":                              "http://h/",
		"HTTP://h/?":                            "http://h/?",
		"http://h/x#fragment":                   "http://h/x",
		"http://h/hook?who=Müller":              "http://h/hook?who=M%C3%BCller",
		"http://h/hook?who=M%c3%bcller&é":       "http://h/hook?who=M%c3%bcller&%C3%A9",
		"http://h/Müller/退会?a=b c":              "http://h/M%C3%BCller/%E9%80%80%E4%BC%9A?a=b%20c",
		"http://h/a b/%2F?p=100%&q=%4":          "http://h/a%20b/%2F?p=100%25&q=%254",
		"http://h/?a[b]=c&d='e'+f":              "http://h/?a[b]=c&d=%27e%27+f",
		"http://h/?{\"a\"}|\\^`<>":              "http://h/?%7B%22a%22%7D%7C%5C%5E%60%3C%3E",
		"http://EXAMPLE.org/O'Neil":             "http://example.org/O'Neil",
		"http://h/?\xff":                        "http://h/?%FF",
		"https://Bücher.example:8443/":          "https://xn--bcher-kva.example:8443/",
		"https://例え。テスト/":                       "https://xn--r8jz45g.xn--zckzah/",
		"https://user:p%40ss@bücher.example/?ü": "https://user:p%40ss@xn--bcher-kva.example/?%C3%BC",
		"http://[::1]:80/":                      "http://[::1]:80/",
	} {
		u, err := guard.Address(given)
		require.NoError(t, err, given)
		require.Equal(t, want, u.String(), given)
	}
}

func TestWhatIsNoAddress(t *testing.T) {
	for _, given := range []string{"", "h", "/x", "ftp://h/", "http:///x", "http:x", "http://:80/", "http://h/%zz", "http://h\n/", "http://ü\u200b.-/"} {
		_, err := guard.Address(given)
		require.Error(t, err, given)
	}
}

func TestAnAddressReadAgainIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, err := guard.Address("http://h/" + rapid.String().Draw(t, "rest"))
		if err != nil {
			t.Skip(err) // a control character or half an escape in the path
		}
		for _, c := range []byte(u.String()) {
			require.True(t, c > ' ' && c < 0x7f, u.String())
		}
		again, err := guard.Address(u.String())
		require.NoError(t, err)
		require.Equal(t, u.String(), again.String())
	})
}
