package rest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/ratelimit"
	"github.com/parley-engine/parley/internal/httpapi/rest"
	"github.com/parley-engine/parley/projections"
)

func (w *world) start() events.Position { return events.Position{} }

func TestTheSameRequestWithTheSameKeyIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	key := []string{"Idempotency-Key", "k1"}
	made := w.must("POST", "/v1/Conversations", form("FriendlyName", "once"), key...)
	ch := "/v1/Conversations/" + made.str("sid")
	said := w.must("POST", ch+"/Messages", form("Body", "once"), key...)
	w.must("POST", ch+"/Messages", form("Body", "in between"))
	before := w.events()
	restarted := w.beside(engine.Options{}, nil)
	for name, again := range map[string]*world{"the same engine": w, "after a restart": restarted} {
		require.Equal(t, made.str("sid"), again.must("POST", "/v1/Conversations", form("FriendlyName", "once"), key...).str("sid"), name)
		require.Equal(t, strings.ReplaceAll(said.text, w.server.URL, ""), strings.ReplaceAll(again.must("POST", ch+"/Messages", form("Body", "once"), key...).text, again.server.URL, ""), name)
		other := again.call("POST", ch+"/Messages", form("Body", "twice"), key...)
		require.Equal(t, 409, other.status, name)
		require.Equal(t, "idempotency_conflict", other.body["details"].(map[string]any)["code"])
	}
	require.Equal(t, before, w.events())
	require.Equal(t, 201, w.call("POST", ch+"/Participants", form("Identity", "ann"), key...).status, "on another path it is another key")
	for range 2 {
		require.Equal(t, 204, w.call("DELETE", ch, nil, "Idempotency-Key", "remove").status)
	}
	require.Equal(t, 404, w.call("DELETE", ch, nil).status)
	require.Equal(t, 400, w.call("POST", "/v1/Conversations", nil, "Idempotency-Key", strings.Repeat("k", 256)).status)
}

func TestEverySingleResourceHasARevisionToMatch(t *testing.T) {
	r := newRoom(t)
	for _, o := range rest.Describe() {
		if o.Method != http.MethodGet || o.List != "" || o.Answer == nil || strings.Contains(o.Path, "/Receipts/") || strings.Contains(o.Path, "/Webhooks/") {
			continue // receipts and scoped webhooks have none
		}
		got := r.must("GET", r.path(o, nil), nil)
		require.Regexp(t, `^"\d+"$`, got.header.Get("ETag"), o.Path)
	}
}

func TestAWriteThatExpectsAnotherRevisionDoesNothing(t *testing.T) {
	w := newWorld(t)
	ch := "/v1/Conversations/" + w.must("POST", "/v1/Conversations", nil).str("sid")
	tag := w.must("GET", ch, nil).header.Get("ETag")
	next := w.must("POST", ch, form("FriendlyName", "a"), "If-Match", tag)
	require.NotEqual(t, tag, next.header.Get("ETag"))
	before := w.events()
	for _, bad := range []string{tag, `"99"`, `"x"`, `"1", "2"`, "W/", `"-1"`} {
		require.Equal(t, 412, w.call("POST", ch, form("FriendlyName", "b"), "If-Match", bad).status, bad)
		require.Equal(t, 412, w.call("DELETE", ch, nil, "If-Match", bad).status, bad)
	}
	require.Equal(t, before, w.events())
	w.must("POST", ch, form("FriendlyName", "c"), "If-Match", "W/"+next.header.Get("ETag"))

	tag = w.must("GET", ch, nil).header.Get("ETag")
	won := make(chan int, 16)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() { won <- w.call("POST", ch, form("FriendlyName", fmt.Sprint(i)), "If-Match", tag).status })
	}
	group.Wait()
	close(won)
	counts := map[int]int{}
	for status := range won {
		counts[status]++
	}
	require.Equal(t, map[int]int{200: 1, 412: 15}, counts)
}

func TestPositionsRiseAndAreWaitedFor(t *testing.T) {
	w := newWorld(t)
	var last events.Position
	for range 5 {
		made := w.must("POST", "/v1/Conversations", nil)
		p, err := events.ParsePosition(made.header.Get("Parley-Position"))
		require.NoError(t, err)
		require.Positive(t, p.Compare(last))
		last = p
		other := w.beside(engine.Options{}, nil) // another node, which did not write
		require.Equal(t, 200, other.call("GET", "/v1/Conversations/"+made.str("sid"), nil, "Parley-Wait-For", p.String()).status)
	}
	for _, bad := range []string{"x", "1/2/3", "-1", strings.Repeat("9", 40)} {
		require.Equal(t, 400, w.call("GET", "/v1/Conversations", nil, "Parley-Wait-For", bad).status, bad)
	}
}

// Eight clients write and read at once, on their own and on common things.
func TestAReadSeesWhatWasWrittenBefore(t *testing.T) {
	w := newWorld(t)
	shared := "/v1/Conversations/" + w.must("POST", "/v1/Conversations", nil).str("sid")
	var group sync.WaitGroup
	for client := range 8 {
		group.Go(func() {
			for i := range 40 {
				name := fmt.Sprintf("c%d-%d", client, i)
				made := w.must("POST", "/v1/Conversations", form("UniqueName", name))
				require.Equal(t, made.text, w.must("GET", "/v1/Conversations/"+name, nil).text)
				said := w.must("POST", shared+"/Messages", form("Body", name))
				require.Equal(t, said.text, w.must("GET", shared+"/Messages/"+said.str("sid"), nil).text)
				first := w.must("GET", shared+"/Messages", form("Order", "desc", "PageSize", "100")).body["messages"].([]any)
				require.GreaterOrEqual(t, first[0].(map[string]any)["index"], said.body["index"])
				w.must("DELETE", "/v1/Conversations/"+name, nil)
				require.Equal(t, 404, w.call("GET", "/v1/Conversations/"+name, nil).status)
			}
		})
	}
	group.Wait()
}

// What is kept in memory is what a query would answer, whatever happens between.
func TestKeptAnswersAreNeverStale(t *testing.T) {
	w := newWorld(t)
	fresh := w.beside(engine.Options{}, func(c *rest.Config) { c.Stamp, c.PublicURL = nil, w.server.URL })
	chance := rand.New(rand.NewPCG(1, 2))
	var talks, said []string
	for range 4 {
		talks = append(talks, w.must("POST", "/v1/Conversations", nil).str("sid"))
		said = append(said, w.must("POST", "/v1/Conversations/"+talks[len(talks)-1]+"/Messages", form("Body", "0")).str("sid"))
	}
	for i := range 400 {
		n := chance.IntN(len(talks))
		in := "/v1/Conversations/" + talks[n]
		switch chance.IntN(8) {
		case 0:
			w.must("POST", in+"/Messages", form("Body", fmt.Sprint(i)))
		case 1:
			w.must("POST", in+"/Messages/"+said[n], form("Body", fmt.Sprint(i)))
		case 2:
			w.must("POST", in, form("FriendlyName", fmt.Sprint(i)))
		case 3:
			w.call("POST", in+"/Participants", form("Identity", fmt.Sprint("p", i)))
		case 4:
			if i%40 == 0 {
				_, err := w.models.Rebuild(t.Context(), projections.RebuildOptions{}, nil)
				require.NoError(t, err)
			}
		}
		require.NoError(t, w.caughtUp(t.Context()))
		for _, path := range []string{in, in + "/Messages?Order=desc", in + "/Messages/" + said[n], in + "/Participants"} {
			require.Equal(t, fresh.must("GET", path, nil).text, w.must("GET", path, nil).text, path)
		}
	}
}

func TestTheHistoryIsAllThatHappenedToTheConversation(t *testing.T) {
	w := newWorld(t)
	w.must("POST", "/v1/Conversations", nil)
	ch := "/v1/Conversations/" + w.must("POST", "/v1/Conversations", nil, "X-Twilio-Webhook-Enabled", "True").str("sid")
	for i := range 7 {
		w.must("POST", ch+"/Messages", form("Body", fmt.Sprint(i)))
	}
	for _, order := range []string{"asc", "desc"} {
		var revisions []float64
		next := ch + "/History?PageSize=3&Order=" + order
		for next != "" {
			page := w.must("GET", next, nil)
			for _, e := range page.body["events"].([]any) {
				revisions = append(revisions, e.(map[string]any)["revision"].(float64))
			}
			more, _ := page.body["meta"].(map[string]any)["next_page_url"].(string)
			next = strings.TrimPrefix(more, w.server.URL)
		}
		want := []float64{0, 1, 2, 3, 4, 5, 6, 7}
		if order == "desc" {
			want = []float64{7, 6, 5, 4, 3, 2, 1, 0}
		}
		require.Equal(t, want, revisions)
	}
	all := w.must("GET", ch+"/History?PageSize=100", nil).body["events"].([]any)
	fifth := all[4].(map[string]any)
	asOf := func(query string) (n int) {
		page := w.must("GET", ch+"/History?PageSize=3&"+query, nil)
		for {
			n += len(page.body["events"].([]any))
			next, _ := page.body["meta"].(map[string]any)["next_page_url"].(string)
			if next == "" {
				return n
			}
			page = w.must("GET", strings.TrimPrefix(next, w.server.URL), nil)
		}
	}
	require.Equal(t, 5, asOf("AsOf="+fifth["position"].(string)))
	require.Equal(t, 5, asOf("Order=desc&AsOf="+fifth["position"].(string)))
	require.Equal(t, 8, asOf("AsOf=2126-01-01T00:00:00Z"))
	require.Equal(t, 8, asOf("AsOf=2126-01-01T00:00:00Z&Clock=occurred"))
	require.Zero(t, asOf("AsOf=2001-01-01T00:00:00Z&Clock=recorded"))
	for _, bad := range []string{"AsOf=yesterday", "AsOf=2126-01-01T00:00:00Z&Clock=broken", "AsOf=5&Clock=occurred"} {
		require.Equal(t, 400, w.call("GET", ch+"/History?"+bad, nil).status, bad)
	}
	for _, bad := range []string{"x", "PHx", "PH-1"} {
		require.Equal(t, 400, w.call("GET", ch+"/History", url.Values{"PageToken": {bad}}).status)
	}
	hooked := 0
	for e, err := range w.log.ReadAll(t.Context(), w.start(), everything) {
		require.NoError(t, err)
		if e.Metadata.Webhooks {
			hooked++
			require.Equal(t, "conversation.created.v1", e.Type)
		}
	}
	require.Equal(t, 1, hooked, "what asked for webhooks says so for good")
}

func TestWritesHaveARatePerServiceAndPerConversation(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(c *rest.Config) {
		c.Now = func() time.Time { return now }
		c.Actions = ratelimit.New(2, 2, 100)
	})
	a, b := w.must("POST", "/v1/Conversations", nil).str("sid"), w.must("POST", "/v1/Conversations", nil).str("sid")
	before := w.events()
	over := w.call("POST", "/v1/Conversations", nil)
	require.Equal(t, 429, over.status)
	require.EqualValues(t, 50063, over.body["code"])
	require.Equal(t, "1", over.header.Get("Retry-After"))
	require.Equal(t, 429, w.call("POST", "/v1/Users", form("Identity", "ann")).status, "it is the service's rate")
	require.Equal(t, before, w.events())
	for _, ch := range []string{a, b} {
		for range 2 {
			w.must("POST", "/v1/Conversations/"+ch+"/Messages", form("Body", "x"))
		}
		require.Equal(t, 429, w.call("POST", "/v1/Conversations/"+ch+"/Messages", form("Body", "x")).status, "each conversation has its own")
	}
	for range 20 {
		w.must("GET", "/v1/Conversations", nil)
	}
	w.must("POST", "/v1/Services", form("FriendlyName", "x"))
	now = now.Add(time.Second)
	w.must("POST", "/v1/Conversations", nil)
}
