package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/engine"
)

// What a list of chats shows: where something happened last comes first, with the last
// message, and pages begin where the one before ended.
func TestAUsersConversationsComeByTheirLastActivity(t *testing.T) {
	var seconds atomic.Int64
	begun := time.Now()
	w := newWorld(t).beside(engine.Options{Now: func() time.Time { return begun.Add(time.Duration(seconds.Add(1)) * time.Second) }}, nil)
	var talks []string
	for range 5 {
		talk := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
		w.must(http.MethodPost, "/v1/Conversations/"+talk+"/Participants", form("Identity", "ann"))
		talks = append(talks, talk)
	}
	say := func(talk, body string) string {
		return w.must(http.MethodPost, "/v1/Conversations/"+talk+"/Messages", form("Body", body)).str("sid")
	}
	var want []string
	for _, i := range []int{3, 0, 4, 1, 2} {
		say(talks[i], "first")
		say(talks[i], "last of "+talks[i])
		want = append([]string{talks[i]}, want...)
	}
	const path = "/v1/Users/ann/Conversations"
	sidsIn := func(got reply) (list []string) {
		for _, item := range got.items("conversations") {
			list = append(list, str(item, "conversation_sid"))
		}
		return list
	}
	plain := sidsIn(w.must(http.MethodGet, path, nil))
	require.Equal(t, slices.Sorted(slices.Values(talks)), plain, "without an order as before")
	for _, order := range [][]string{{"Order", "last_activity"}, {"order", "last_activity"}, {"order", "LAST_ACTIVITY"}} {
		got := w.must(http.MethodGet, path, form(order...))
		require.Equal(t, want, sidsIn(got))
		first := got.items("conversations")[0]
		require.Equal(t, "last of "+want[0], str(first, "last_message", "body"))
		require.Equal(t, want[0], str(first, "last_message", "conversation_sid"))
		require.NotEmpty(t, str(first, "last_activity"))
	}

	page := w.must(http.MethodGet, path, form("order", "last_activity", "PageSize", "2"))
	seen := sidsIn(page)
	say(seen[1], "again") // it goes to the top, and comes in no later page
	for next := page.next(); next != ""; next = page.next() {
		require.Contains(t, next, "Order=last_activity")
		page = w.must(http.MethodGet, strings.TrimPrefix(next, w.server.URL), nil)
		seen = append(seen, sidsIn(page)...)
	}
	require.Equal(t, want, seen)
	back := page.body["meta"].(map[string]any)["previous_page_url"].(string)
	require.Equal(t, want[2:4], sidsIn(w.must(http.MethodGet, strings.TrimPrefix(back, w.server.URL), nil)))
	require.Equal(t, want[1], sidsIn(w.must(http.MethodGet, path, form("order", "last_activity")))[0])

	for _, wrong := range [][]string{{"order", "newest"}, {"Order", ""}, {"order", "last_activity "}, {"Order", "asc"}} {
		got := w.call(http.MethodGet, path, form(wrong...))
		require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, "%v", wrong)
		require.Equal(t, wrong[0], got.body["details"].(map[string]any)["field"])
	}
	twice := w.call(http.MethodGet, path, form("order", "last_activity", "Order", "last_activity"))
	require.Equal(t, []int{400, 20001}, []int{twice.status, twice.code()})
	other := w.must(http.MethodGet, path, form("PageSize", "2")).next()
	mixed := w.call(http.MethodGet, strings.TrimPrefix(other, w.server.URL)+"&Order=last_activity", nil)
	require.Equal(t, []int{400, 20422}, []int{mixed.status, mixed.code()}, "a token is of its order")
}

func TestTheLastMessageIsTheOneThatIsThere(t *testing.T) {
	w := newWorld(t)
	talk := w.must(http.MethodPost, "/v1/Conversations", nil).str("sid")
	in := "/v1/Conversations/" + talk
	w.must(http.MethodPost, in+"/Participants", form("Identity", "ann"))
	of := func() map[string]any { return w.must(http.MethodGet, "/v1/Users/ann/Conversations/"+talk, nil).body }
	require.Nil(t, of()["last_message"])
	first := w.must(http.MethodPost, in+"/Messages", form("Body", "one")).str("sid")
	second := w.must(http.MethodPost, in+"/Messages", form("Body", "two")).str("sid")
	require.Equal(t, second, str(of(), "last_message", "sid"))
	w.must(http.MethodPost, in+"/Messages/"+second, form("Body", "2"))
	require.Equal(t, "2", str(of(), "last_message", "body"))
	w.must(http.MethodDelete, in+"/Messages/"+second, nil)
	require.Equal(t, first, str(of(), "last_message", "sid"))
	w.must(http.MethodDelete, in+"/Messages/"+first, nil)
	require.Nil(t, of()["last_message"])
}

// next is the address of the page behind this one, empty where there is none.
func (r reply) next() string {
	next, _ := r.body["meta"].(map[string]any)["next_page_url"].(string)
	return next
}
