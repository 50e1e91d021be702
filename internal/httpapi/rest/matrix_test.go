package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/internal/engine"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// marker is in everything of a scene that only who sees the conversation may read.
const marker = "not-for-strangers"

// scene is a conversation with something of everything in it, and people around it.
type scene struct {
	*world
	sids   map[string]string
	tokens map[string]string // by who it is
	roles  map[string]string // SIDs by name
	n      int
}

// Who asks. The empty token is the account's.
var (
	whoever = []string{"nobody", "removed", "user", "former", "participant", "creator", "admin", ""}
	seeing  = []string{"participant", "admin", ""}
)

func newScene(t testing.TB) *scene {
	w := newWorld(t)
	w.signs()
	s := &scene{world: w, tokens: map[string]string{"": ""}, roles: map[string]string{}}
	require.NoError(t, w.caughtUp(t.Context()))
	for _, r := range w.must("GET", "/v1/Roles", nil).items("roles") {
		s.roles[r["friendly_name"].(string)] = r["sid"].(string)
	}
	for _, who := range whoever[:len(whoever)-1] {
		s.tokens[who] = w.accessToken("", who)
	}
	for _, who := range []string{"removed", "user", "former", "participant", "creator"} {
		w.must("POST", "/v1/Users", form("Identity", who))
	}
	w.must("POST", "/v1/Users", form("Identity", "admin", "RoleSid", s.roles["service admin"]))
	w.must("DELETE", "/v1/Users/removed", nil)
	require.Len(t, s.roles, 4)
	s.furnish()
	return s
}

// furnish makes the conversation anew.
func (s *scene) furnish() {
	s.n++
	name := fmt.Sprintf("%s-%d", marker, s.n)
	ch := s.as(s.tokens["creator"], "POST", "/v1/Conversations", form("FriendlyName", marker, "UniqueName", name, "Attributes", `"`+marker+`"`)).str("sid")
	in := "/v1/Conversations/" + ch
	s.must("POST", in+"/Participants", form("Identity", "former", "Attributes", `"`+marker+`"`))
	mb := s.must("POST", in+"/Participants", form("Identity", "participant", "Attributes", `"`+marker+`"`, "RoleSid", s.roles["channel admin"])).str("sid")
	im := s.as(s.tokens["former"], "POST", in+"/Messages", form("Body", "hello")).str("sid")
	s.must("DELETE", in+"/Participants/former", nil)
	s.must("POST", in+"/Messages/"+im, form("Body", marker+" after he left", "Attributes", `"`+marker+`"`))
	file := s.upload("?Filename="+marker, "a/b", marker).str("sid")
	s.must("POST", in+"/Messages", form("Body", marker, "MediaSid", file, "Author", "participant"))
	s.sids = map[string]string{
		"Conversations": ch, "ConversationSid": ch, "Participants": mb, "Messages": im, "MessageSid": im, "Receipts": nothing("DY"),
		"Webhooks": nothing("WH"), "Users": s.must("GET", "/v1/Users/participant", nil).str("sid"), "Roles": s.roles["channel user"],
		"Services": s.service, "ChatServiceSid": s.service, "Addresses": nothing("IG"), "Credentials": nothing("CR"),
		"Bindings": nothing("BS"), "Media": file, "name": name,
	}
}

// asks sends a request as somebody.
func (s *scene) asks(who, method, path string, form url.Values) reply {
	if who == "" {
		return s.call(method, path, form)
	}
	return s.as(s.tokens[who], method, path, form)
}

// try is what an operation is asked for, besides nothing and something unknown: to leave
// things as they are, and to change them.
type try struct{ same, change url.Values }

// tries has a line for every operation that users may send.
var tries = map[string]try{
	"ListConversation":                        {same: form("State", "active")},
	"CreateConversation":                      {change: form("FriendlyName", "mine")},
	"FetchConversation":                       {},
	"UpdateConversation":                      {form("FriendlyName", marker), form("FriendlyName", "changed", "Attributes", "{}")},
	"DeleteConversation":                      {},
	"ListConversationParticipant":             {},
	"CreateConversationParticipant":           {form("Identity", "participant"), form("Identity", "yan")},
	"FetchConversationParticipant":            {},
	"UpdateConversationParticipant":           {form("Attributes", `"`+marker+`"`), form("Attributes", "{}")},
	"DeleteConversationParticipant":           {},
	"ListConversationMessage":                 {same: form("Order", "desc")},
	"CreateConversationMessage":               {change: form("Body", "x")},
	"FetchConversationMessage":                {},
	"UpdateConversationMessage":               {form("Body", marker+" after he left"), form("Body", "x", "Attributes", "{}")},
	"DeleteConversationMessage":               {},
	"ListConversationMessageReceipt":          {},
	"FetchConversationMessageReceipt":         {},
	"ListParticipantConversation":             {same: form("Identity", "participant")},
	"ListRole":                                {},
	"FetchRole":                               {},
	"FetchUser":                               {},
	"UpdateUser":                              {form("FriendlyName", ""), form("FriendlyName", "x")},
	"ListUserConversation":                    {},
	"FetchUserConversation":                   {},
	"UpdateUserConversation":                  {form("NotificationLevel", "default"), form("NotificationLevel", "muted", "LastReadMessageIndex", "0")},
	"DeleteUserConversation":                  {},
	"CreateMedia":                             {},
	"FetchMedia":                              {},
	"FetchMediaContent":                       {},
	"FetchConversationMessageChannelMetadata": {},
}

// asked are the parameters of every try of an operation, by a name for them.
func asked(o rest.Operation) map[string]url.Values {
	t := tries[strings.Replace(o.Name, "Service", "", 1)]
	all := map[string]url.Values{"nothing": nil}
	if strings.HasPrefix(o.Path, "/v1/Services/") {
		return all // the other form of the path leads to the same handler
	}
	all["something unknown"] = form("Nonsense", "x")
	if t.same != nil {
		all["the same"] = t.same
	}
	if t.change != nil {
		all["a change"] = t.change
	}
	return all
}

// Nobody is shown by a write, or told by how it is refused, what a read refuses him:
// every operation that users may send, by everybody, for nothing, something unknown, the
// same and a change.
func TestNoOperationShowsWhatAReadRefuses(t *testing.T) {
	s := newScene(t)
	for _, o := range rest.Describe() {
		if !o.Users || testing.Short() && strings.HasPrefix(o.Path, "/v1/Services/") {
			continue // shortened, without the other form of each path, which leads to the same handler
		}
		require.Contains(t, tries, strings.Replace(o.Name, "Service", "", 1), "an operation for users needs a line in the table")
		for name, parameters := range asked(o) {
			for _, who := range whoever {
				s.requireNothingIsShown(o, who, name, parameters)
			}
		}
	}
}

func (s *scene) requireNothingIsShown(o rest.Operation, who, what string, parameters url.Values) {
	s.t.Helper()
	about := fmt.Sprintf("%s by %q for %s", o.Name, who, what)
	r := &room{s.world, s.sids}
	s.sids["UserSid"] = who
	if slices.Contains([]string{"", "nobody", "removed"}, who) {
		s.sids["UserSid"] = "user"
	}
	in := "/v1/Conversations/" + s.sids["Conversations"]
	seen := s.asks(who, "GET", in, nil)
	sees := seen.status == 200
	require.Equal(s.t, slices.Contains(seeing, who), sees, about+seen.text)
	before := s.events()
	for _, conversation := range []string{s.sids["Conversations"], s.sids["name"]} {
		path := r.path(o, map[string]string{"Conversations": conversation, "ConversationSid": conversation})
		got := s.asks(who, o.Method, path, parameters)
		if sees {
			continue
		}
		require.NotContains(s.t, strings.ReplaceAll(got.text, path, ""), marker, about)
		if !strings.Contains(o.Path, "/Conversations/") || o.Name == "CreateConversation" {
			continue
		}
		require.Contains(s.t, []int{50430, 20403}, got.code(), "%s: %s", about, got.text)
		absent := r.path(o, map[string]string{"Conversations": nothing("CH"), "ConversationSid": nothing("CH")})
		require.Equal(s.t, got.text, s.asks(who, o.Method, absent, parameters).text, about)
		require.Equal(s.t, before, s.events(), about)
	}
	if s.events() != before {
		s.furnish()
	}
}

// A closed conversation, one at another revision and one with other people in it are all
// the same to who does not see it.
func TestAStrangerLearnsNothingOfTheState(t *testing.T) {
	s := newScene(t)
	in := "/v1/Conversations/" + s.sids["Conversations"]
	ask := func(who string) (told []string) {
		for _, f := range []url.Values{nil, form("FriendlyName", "x"), form("State", "active")} {
			told = append(told, s.as(s.tokens[who], "POST", in, f).text)
		}
		for _, identity := range []string{"participant", "yan", who} {
			told = append(told, s.as(s.tokens[who], "POST", in+"/Participants", form("Identity", identity)).text)
			told = append(told, s.as(s.tokens[who], "DELETE", in+"/Participants/"+identity, nil).text)
		}
		for _, header := range [][]string{{"If-Match", `"0"`}, {"If-Match", "x"}, {"If-Match", `"-1"`}, {"Idempotency-Key", strings.Repeat("k", 256)}, {"X-Twilio-Webhook-Enabled", "true"}} {
			for _, path := range []string{in, "/v1/Conversations/" + s.sids["name"], "/v1/Conversations/no-such-name"} {
				told = append(told, s.call("POST", path, form("FriendlyName", "x"), append([]string{"Authorization", "Bearer " + s.tokens[who]}, header...)...).text)
				told = append(told, s.call("DELETE", path, nil, append([]string{"Authorization", "Bearer " + s.tokens[who]}, header...)...).text)
			}
		}
		return append(told, s.as(s.tokens[who], "DELETE", in, nil).text)
	}
	for _, who := range []string{"nobody", "removed", "user", "former"} {
		open := ask(who)
		require.Len(t, slices.Compact(slices.Clone(open)), 1, open)
		s.must("POST", in, form("State", "closed"))
		require.Equal(t, open, ask(who), who)
		s.furnish()
		in = "/v1/Conversations/" + s.sids["Conversations"]
	}
	s.must("DELETE", in, nil)
	require.Contains(t, ask("user")[0], "50430")
}

// Who made a conversation joins it, once; nobody else comes in by himself, by SID or by
// name, and what a guess is told is what a wrong one is told.
func TestNobodyComesInByHimself(t *testing.T) {
	s := newScene(t)
	in, named, wrong := "/v1/Conversations/"+s.sids["Conversations"], "/v1/Conversations/"+s.sids["name"], "/v1/Conversations/no-such-name"
	for _, who := range []string{"nobody", "removed", "user", "former"} {
		joining := form("Identity", who)
		told := s.as(s.tokens[who], "POST", wrong+"/Participants", joining)
		require.Equal(t, []int{403, 50430}, []int{told.status, told.code()})
		for _, path := range []string{in, named} {
			require.Equal(t, told.text, s.as(s.tokens[who], "POST", path+"/Participants", joining).text, who)
			require.Equal(t, told.text, s.as(s.tokens[who], "GET", path, nil).text, who)
		}
	}
	require.Equal(t, 403, s.as(s.tokens["creator"], "POST", in+"/Participants", form("Identity", "yan")).status)
	require.Equal(t, 201, s.as(s.tokens["creator"], "POST", named+"/Participants", form("Identity", "creator")).status)
	require.Equal(t, 200, s.as(s.tokens["creator"], "GET", named, nil).status)
	s.must("DELETE", in+"/Participants/creator", nil)
	require.Equal(t, 50430, s.as(s.tokens["creator"], "POST", named+"/Participants", form("Identity", "creator")).code(), "who was taken out does not come back by himself")
}

// A repeat is answered as the first time, but does not show what has happened since.
func TestARepeatShowsNothingToWhoLeft(t *testing.T) {
	s := newScene(t)
	in := "/v1/Conversations/" + s.sids["Conversations"]
	key := []string{"Authorization", "Bearer " + s.tokens["participant"], "Idempotency-Key", "k"}
	require.Equal(t, 200, s.call("POST", in, form("FriendlyName", "ours"), key...).status)
	require.Equal(t, 204, s.call("DELETE", in+"/Participants/participant", nil, key...).status)
	require.Equal(t, 204, s.call("DELETE", in+"/Participants/participant", nil, key...).status, "it is done, and was")
	require.Equal(t, 50430, s.call("POST", in, form("FriendlyName", "ours"), key...).code())
	require.Equal(t, http.StatusForbidden, s.call("DELETE", in, nil, key...).status)
}

// A webhook is asked about what its conversation's people want, not about strangers.
func TestNoWebhookIsAskedAboutAStranger(t *testing.T) {
	asked := 0
	w := newWorld(t, func(c *rest.Config) {
		c.Before = func(_ context.Context, do engine.Command) (engine.Command, error) { asked++; return do, nil }
	})
	w.signs()
	ch := w.must("POST", "/v1/Conversations", nil).str("sid")
	w.must("POST", "/v1/Conversations/"+ch+"/Participants", form("Identity", "ann"))
	write := func(who string) int {
		return w.as(w.accessToken("", who), "POST", "/v1/Conversations/"+ch+"/Messages", form("Body", "x")).status
	}
	require.Equal(t, []int{403, 0}, []int{write("eve"), asked})
	require.Equal(t, []int{201, 1}, []int{write("ann"), asked})
}
