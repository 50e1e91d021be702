package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAURLThatPathsArePutBehind(t *testing.T) {
	for given, want := range map[string]string{
		"https://chat.example.com": "https://chat.example.com", "http://127.0.0.1:9/y/": "http://127.0.0.1:9/y", "HTTPS://H/": "https://h",
		"http://[::1]:80/a%20b//": "http://[::1]:80/a%20b", "https://bücher.example/ü": "https://xn--bcher-kva.example/%C3%BC",
	} {
		got, err := publicBase("--public-url", given)
		require.NoError(t, err, given)
		require.Equal(t, want, got)
	}
}

func TestAURLThatPathsCannotBePutBehind(t *testing.T) {
	for given, reason := range map[string]string{
		"":                       "must be an absolute URL",
		"chat.example.com":       "must be an absolute URL",
		"chat.example.com:443":   "must be an absolute URL",
		"/v1":                    "must be an absolute URL",
		"//chat.example.com":     "must be an absolute URL",
		"https:chat.example.com": "must be an absolute URL",
		"ftp://h/":               "must be an absolute URL",
		"http://:80/":            "must be an absolute URL",
		"http://h\n/":            "must be an absolute URL",
		"http://h/y?z=1":         "must have no query",
		"http://h/y?":            "must have no query",
		"http://h/y#z":           "must have no fragment",
		"http://h/y#":            "must have no fragment",
		"http://user:secret@h/":  "must have no user or password",
		"http://@h/":             "must have no user or password",
		"http://h:0/":            "has port",
		"http://h:99999/":        "has port",
	} {
		_, err := publicBase("--public-url", given)
		require.ErrorContains(t, err, "--public-url "+reason, given)
		require.NotContains(t, err.Error(), "secret")
	}
}
