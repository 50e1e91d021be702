package chatimport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/chatimport"
	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/store"
	"github.com/parley-engine/parley/store/memstore"
)

const date = "2017-05-01T10:00:00Z"

var account = domain.SID("AC", "import")

// number is a SID that ends in a number.
func number(prefix string, n int) string { return fmt.Sprintf("%s%032x", prefix, n) }

// house is an engine on a log in memory, with an account.
type house struct {
	t   *testing.T
	log store.Log
	*engine.Engine
}

func newHouse(t *testing.T) *house {
	t.Helper()
	log := memstore.New()
	h := &house{t, log, engine.New(log, &engine.Options{DefaultAccount: account})}
	h.must("account.create", account, map[string]any{})
	return h
}

func (h *house) must(commandType, aggregate string, f map[string]any) {
	h.t.Helper()
	body, err := json.Marshal(f)
	require.NoError(h.t, err)
	_, err = h.Execute(h.t.Context(), engine.Command{Type: commandType, Aggregate: aggregate, Account: account, Body: body})
	require.NoError(h.t, err)
}

func (h *house) target() chatimport.Target {
	return chatimport.Target{Execute: h.Execute, Log: h.log, Account: account}
}

// take runs an import that must come to its end.
func (h *house) take(source chatimport.Source, o chatimport.Options) chatimport.Report {
	h.t.Helper()
	reports, err := chatimport.Run(h.t.Context(), source, h.target(), o)
	require.NoError(h.t, err)
	require.Len(h.t, reports, 1)
	return reports[0]
}

func (h *house) head() events.Position {
	h.t.Helper()
	head, err := h.log.Head(h.t.Context())
	require.NoError(h.t, err)
	return head
}

// conversation folds what the log has.
func (h *house) conversation(sid string) (s conversation.State) {
	h.t.Helper()
	for recorded, err := range h.log.ReadStream(h.t.Context(), "conversation-"+sid, 0, store.Forwards) {
		require.NoError(h.t, err)
		e, err := events.Vocabulary().Decode(recorded.Type, recorded.Data)
		require.NoError(h.t, err)
		s = conversation.Evolve(s, e)
	}
	return s
}

type record = map[string]any

// chat is a Chat v2 service that pages as Twilio's does, with what it is told wrong.
type chat struct {
	*httptest.Server
	t     *testing.T
	lists map[string][]record // by path: Services/IS…/Channels

	mu       sync.Mutex
	requests int
	odd      func(n int, w http.ResponseWriter, r *http.Request) bool // answers the nth request itself
}

const pageSize = 2

// newChat is one service with a role, some people, and a channel of messages.
func newChat(t *testing.T, people, messages int) *chat {
	is, ch := number("IS", 1), number("CH", 1)
	c := &chat{t: t, lists: map[string][]record{
		"Services": {{"sid": is, "friendly_name": "Shop", "date_created": date, "default_channel_role_sid": number("RL", 1)}},
		"Services/" + is + "/Roles": {{"sid": number("RL", 1), "service_sid": is, "friendly_name": "channel user", "type": "channel",
			"permissions": []string{"sendMessage", "inviteMember"}, "date_created": date}},
		"Services/" + is + "/Users": {},
		"Services/" + is + "/Channels": {{"sid": ch, "service_sid": is, "type": "private", "unique_name": "one", "created_by": "user 1",
			"date_created": date, "date_updated": date, "members_count": people, "messages_count": messages}},
		"Services/" + is + "/Channels/" + ch + "/Members":  {},
		"Services/" + is + "/Channels/" + ch + "/Messages": {},
		"Services/" + is + "/Channels/" + ch + "/Invites":  {},
	}}
	for n := 1; n <= people; n++ {
		identity := fmt.Sprint("user ", n)
		c.add("Users", record{"sid": number("US", n), "service_sid": is, "identity": identity, "date_created": date, "joined_channels_count": 1})
		c.add("Channels/"+ch+"/Members", record{"sid": number("MB", n), "channel_sid": ch, "identity": identity, "role_sid": number("RL", 1),
			"date_created": date, "date_updated": date})
		c.lists["Services/"+is+"/Users/"+number("US", n)+"/Channels"] = nil
	}
	for n := range messages {
		c.add("Channels/"+ch+"/Messages", message(n, 2*n))
	}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func message(n, index int) record {
	return record{"sid": number("IM", n), "channel_sid": number("CH", 1), "index": index, "from": "user 1", "body": fmt.Sprint("message ", n),
		"date_created": date, "date_updated": date}
}

// add puts a record into a list of the service.
func (c *chat) add(list string, r record) {
	key := "Services/" + number("IS", 1) + "/" + list
	c.lists[key] = append(c.lists[key], r)
}

func (c *chat) list(name string) []record { return c.lists["Services/"+number("IS", 1)+"/"+name] }

const secret = "0123456789abcdef"

func (c *chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if c.odd != nil && c.odd(c.requests, w, r) {
		return
	}
	if user, password, _ := r.BasicAuth(); user != "SK1" || password != secret {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"code":20003,"message":"Authenticate","more_info":"https://www.twilio.com/docs/errors/20003","status":401}`))
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/v2/")
	list, known := c.lists[name]
	if !known {
		http.NotFound(w, r)
		return
	}
	c.write(w, r.URL, name, list)
}

// write gives a page as Twilio does: the place is in the token, not in the number.
func (c *chat) write(w http.ResponseWriter, u *url.URL, name string, list []record) {
	from, _ := strconv.Atoi(strings.TrimPrefix(u.Query().Get("PageToken"), "PT"))
	to := min(from+pageSize, len(list))
	meta := record{"page": from / pageSize, "page_size": pageSize, "key": strings.ToLower(path.Base(name)), "next_page_url": nil}
	if to < len(list) {
		meta["next_page_url"] = fmt.Sprintf("%s/v2/%s?PageSize=%d&Page=%d&PageToken=PT%d", c.URL, name, pageSize, from/pageSize+1, to)
	}
	if err := json.NewEncoder(w).Encode(record{"meta": meta, strings.ToLower(path.Base(name)): append([]record{}, list[from:to]...)}); err != nil {
		c.t.Error(err)
	}
}

func (c *chat) source() chatimport.Source { return c.as("SK1", secret) }

func (c *chat) as(user, password string) chatimport.Source {
	source, err := chatimport.NewREST(c.URL, user, password, chatimport.RESTOptions{
		PageSize: pageSize, Attempts: 3, FirstWait: time.Millisecond, MaxWait: 50 * time.Millisecond,
	})
	require.NoError(c.t, err)
	return source
}

// flaky carries commands out and says of every other that it does not know.
func flaky(h *house) func(context.Context, engine.Command) (engine.Outcome, error) {
	var mu sync.Mutex
	n := 0
	return func(ctx context.Context, c engine.Command) (engine.Outcome, error) {
		outcome, err := h.Execute(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		if n++; n%2 == 1 {
			return engine.Outcome{}, errors.New("the connection broke")
		}
		return outcome, err
	}
}
