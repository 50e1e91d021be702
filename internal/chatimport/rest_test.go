package chatimport_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/chatimport"
)

func TestPagesAreFollowedToTheEnd(t *testing.T) {
	c, h := newChat(t, 5, 7), newHouse(t)
	r := h.take(c.source(), chatimport.Options{})
	require.True(t, r.OK, r)
	require.Equal(t, 7, *r.Counts["message"].Found)
	require.Equal(t, 5, *r.Counts["participant"].Found)
	require.Equal(t, 5, *r.Counts["user"].Found)
	s := h.conversation(number("CH", 1))
	require.Len(t, s.Messages, 7)
	require.EqualValues(t, 12, s.Messages[number("IM", 6)].Index)
	require.EqualValues(t, 13, s.NextIndex)
	require.Equal(t, number("MB", 3), s.Identities["user 3"])
	require.Equal(t, number("US", 3), s.Participants[number("MB", 3)].User)
}

// Being told to wait, and passing troubles, hold an import up and do not end it.
func TestTheServiceMayBeBusyAndBroken(t *testing.T) {
	c, h := newChat(t, 3, 5), newHouse(t)
	told := 0
	c.odd = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		status := map[int]int{1: http.StatusTooManyRequests, 2: http.StatusServiceUnavailable, 5: http.StatusInternalServerError, 8: http.StatusTooManyRequests}[n]
		if status == 0 {
			return false
		}
		told++
		w.Header().Set("Retry-After", "1") // capped by the source's own longest wait
		w.WriteHeader(status)
		return true
	}
	require.True(t, h.take(c.source(), chatimport.Options{}).OK)
	require.Equal(t, 4, told)
}

func TestWhatTheServiceDoesWrongIsNamedAndTheNextRunGoesOn(t *testing.T) {
	messages := "/v2/Services/" + number("IS", 1) + "/Channels/" + number("CH", 1) + "/Messages"
	for name, row := range map[string]struct {
		says func(c *chat, w http.ResponseWriter)
		want string
	}{
		"a page that is cut":     {func(_ *chat, w http.ResponseWriter) { write(w, `{"messages":[{"sid":"IM`) }, `PageToken=PT2.*damaged JSON: the end is missing`},
		"a page of another list": {func(_ *chat, w http.ResponseWriter) { write(w, `{"members":[]}`) }, `it has no "messages"`},
		"no page":                {func(_ *chat, w http.ResponseWriter) { write(w, `<html>`) }, `damaged JSON`},
		"something behind it":    {func(_ *chat, w http.ResponseWriter) { write(w, `{"messages":[]}{}`) }, `something after the page`},
		"not UTF-8":              {func(_ *chat, w http.ResponseWriter) { write(w, "{\"messages\":[{\"body\":\"\xff\"}]}") }, `byte 22\): this is not UTF-8`},
		"another host": {func(_ *chat, w http.ResponseWriter) {
			write(w, `{"messages":[],"meta":{"next_page_url":"https://elsewhere.example/v2/x"}}`)
		}, `another host, https://elsewhere.example/v2/x`},
		"a circle": {func(c *chat, w http.ResponseWriter) {
			write(w, fmt.Sprintf(`{"messages":[],"meta":{"next_page_url":"%s%s?PageSize=2"}}`, c.URL, messages))
		}, `go in a circle`},
		"a redirect": {func(_ *chat, w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example")
			w.WriteHeader(http.StatusFound)
		}, `the service answered 302`},
		"gone":            {func(_ *chat, w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, `the service answered 404`},
		"broken for good": {func(_ *chat, w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, `the service answered 502`},
		"a page too long": {func(_ *chat, w http.ResponseWriter) { long(w) }, `a page has at most`},
		"an index that fell": {func(_ *chat, w http.ResponseWriter) {
			write(w, `{"messages":[{"sid":"`+number("IM", 99)+`","index":1,"date_created":"`+date+`"}]}`)
		}, `no index above 2`},
		"an index in words":   {func(_ *chat, w http.ResponseWriter) { write(w, `{"messages":[{"index":"one"}]}`) }, `byte \d+\): index is a string`},
		"a date that is none": {func(_ *chat, w http.ResponseWriter) { write(w, `{"messages":[{"date_created":"yesterday"}]}`) }, `byte 13\): parsing time`},
		"no date":             {func(_ *chat, w http.ResponseWriter) { write(w, `{"messages":[{"sid":"`+number("IM", 99)+`"}]}`) }, `has no date_created`},
		"another channel's": {func(_ *chat, w http.ResponseWriter) {
			write(w, `{"messages":[{"sid":"`+number("IM", 99)+`","channel_sid":"CH2"}]}`)
		}, `has the channel "CH2" in a list of CH`},
	} {
		t.Run(name, func(t *testing.T) {
			c, h := newChat(t, 1, 5), newHouse(t)
			c.odd = func(_ int, w http.ResponseWriter, r *http.Request) bool {
				odd := r.URL.Path == messages && r.URL.Query().Get("PageToken") == "PT2"
				if odd {
					row.says(c, w)
				}
				return odd
			}
			_, err := chatimport.Run(t.Context(), c.source(), h.target(), chatimport.Options{})
			require.Error(t, err)
			require.Regexp(t, row.want, err.Error())
			require.NotContains(t, err.Error(), secret)
			require.Len(t, h.conversation(number("CH", 1)).Messages, 2, "what came before is there")

			c.odd = nil
			r := h.take(c.source(), chatimport.Options{})
			require.True(t, r.OK, r)
			require.Equal(t, chatimport.Count{Source: 5, Written: 3, Before: 2, Found: new(5)}, r.Counts["message"])
		})
	}
}

func write(w http.ResponseWriter, text string) { _, _ = w.Write([]byte(text)) }

func long(w http.ResponseWriter) {
	blanks := strings.Repeat(" ", 1<<20)
	for range chatimport.MaxPage>>20 + 1 {
		write(w, blanks)
	}
}

func TestCredentialsThatAreNotAccepted(t *testing.T) {
	c, h := newChat(t, 1, 1), newHouse(t)
	head := h.head()
	_, err := chatimport.Run(t.Context(), c.as("SK1", "another"), h.target(), chatimport.Options{})
	require.ErrorContains(t, err, `the service answered 401: "Authenticate" (code 20003)`)
	require.Equal(t, head, h.head())
}

func TestAddressesOfTheService(t *testing.T) {
	for address, want := range map[string]string{
		"https://chat.twilio.com":            "",
		"https://chat.twilio.com/v2/":        "",
		"http://127.0.0.1:8080":              "",
		"http://localhost:8080":              "",
		"http://chat.twilio.com":             "not an https address",
		"ftp://chat.twilio.com":              "not an https address",
		"https://AC1:secret@chat.twilio.com": "neither credentials nor a query",
		"https://chat.twilio.com?x=1":        "neither credentials nor a query",
		"https://":                           "not an https address",
		"https://chat.twilio.com:port":       "address of the service",
	} {
		source, err := chatimport.NewREST(address, "AC1", "secret", chatimport.RESTOptions{})
		if want == "" {
			require.NoError(t, err, address)
			u, err := url.Parse(source.String())
			require.NoError(t, err)
			require.NotContains(t, u.Path, "v2")
			continue
		}
		require.ErrorContains(t, err, want, address)
	}
	_, err := chatimport.NewREST("https://chat.twilio.com", "AC1", "", chatimport.RESTOptions{})
	require.ErrorContains(t, err, "needs an account or API key and its secret")
}
