package rest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

func TestEveryOperationNeedsCredentials(t *testing.T) {
	w := newWorld(t)
	f := w.own()
	f.things = made("never")
	before := w.head()
	wrong := map[string]string{
		"another token":   basic(w.account, strings.Repeat("f", 32)),
		"no token":        basic(w.account, ""),
		"another account": basic(domain.SID("AC", "nobody"), w.token),
		"an unknown key":  basic(domain.SID("SK", "nobody"), w.token),
		"no SID":          basic("admin", w.token),
		"empty":           basic("", ""),
		"another scheme":  "Digest " + w.token,
		"not base64":      "Basic %%%",
		"no JWT":          "Bearer nonsense",
		"none":            "",
	}
	for _, o := range rest.Describe() {
		for how, header := range wrong {
			got := w.give(o, f.path(o.Path), sound(o, 1), "Authorization", header)
			require.Equal(t, []int{401, 20003}, []int{got.status, got.code()}, "%s %s: %s", o.Name, how, got.text)
			require.Equal(t, `Basic realm="Twilio API"`, got.header.Get("WWW-Authenticate"))
		}
	}
	require.Equal(t, before, w.head())
}

// made are SIDs that were made up, of every collection.
func made(seed string) map[string]string {
	things := map[string]string{}
	for collection, prefix := range map[string]string{"Services": "IS", "Users": "US", "Roles": "RL", "Credentials": "CR", "Addresses": "IG", "Conversations": "CH",
		"Participants": "MB", "Messages": "IM", "Webhooks": "WH", "Receipts": "DY", "Bindings": "BS", "Media": "ME"} {
		things[collection] = domain.SID(prefix, seed)
	}
	return things
}

// withOne is the path with the thing of one collection taken from elsewhere; ok
// is false when the path names none.
func (f furnished) withOne(template, collection, sid string) (path string, ok bool) {
	mixed := furnished{things: map[string]string{}}
	for name, thing := range f.things {
		mixed.things[name] = thing
	}
	mixed.things[collection] = sid
	return mixed.path(template), strings.Contains(template, "/"+collection+"/{")
}

// What is another account's, another service's, or nobody's, looks the same.
func TestNothingOfOthersIsThere(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	second := w.own()
	second.service = w.must(http.MethodPost, "/v1/Services", form("FriendlyName", "second")).str("sid")
	second = w.furnish(second, 2)
	stranger := w.furnish(w.newAccount("stranger", ""), 3)
	ofAccount := map[string]bool{"Services": true, "Credentials": true, "Addresses": true}
	before := w.head()
	for _, o := range rest.Describe() {
		for collection, sid := range f.things {
			unknown, named := f.withOne(o.Path, collection, domain.SID(sid[:2], "never made"))
			if !named {
				continue
			}
			expected := w.give(o, unknown, sound(o, 1))
			require.Equal(t, 404, expected.status, "%s: %s", unknown, expected.text)
			if o.Name != "FetchConversationMessageChannelMetadata" && o.Name != "FetchServiceConversationMessageChannelMetadata" {
				require.Equal(t, 20404, expected.code(), unknown)
			}
			others := []furnished{stranger}
			if !ofAccount[collection] {
				others = append(others, second)
			}
			for _, other := range others {
				path, _ := f.withOne(o.Path, collection, other.things[collection])
				got := w.give(o, path, sound(o, 1))
				require.Equal(t, expected.status, got.status, "%s %s: %s", o.Name, path, got.text)
				require.Equal(t, strings.ReplaceAll(expected.text, unknown, path), got.text)
			}
		}
	}
	require.Equal(t, before, w.head())
}

// malformed are segments that are no SID, no name of anything.
var malformed = []string{"nonsense", "CH", "%20", "%2F", "%2E%2E", "..%2F..", "%C3%A4%F0%9F%98%80", "a+b", "a@b.c", "~", "'\"<>", "%25", "%7B%7D", "%3F", "%23", ";", strings.Repeat("x", 5000)}

func TestNonsenseInPathsIsNotFound(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	before := w.head()
	for _, o := range rest.Describe() {
		for collection := range f.things {
			for _, segment := range append([]string{"%00", "a%00b", "%FF", "%C3"}, malformed...) {
				segment = (&url.URL{Path: segment, RawPath: segment}).EscapedPath()
				path, named := f.withOne(o.Path, collection, strings.NewReplacer("\"", "%22", "<", "%3C", ">", "%3E").Replace(segment))
				if !named {
					continue
				}
				got := w.give(o, path, sound(o, 1))
				require.Equal(t, 404, got.status, "%s %s: %s", o.Name, path, got.text)
				require.Contains(t, []int{20404, 50530}, got.code())
			}
		}
	}
	require.Equal(t, before, w.head())
}

func TestPathsThatAreNone(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/v1/", "/v1/Nonsense", "/v1/conversations", "/v1/Conversations/", "/v1//Conversations", "/v1/Conversations//", "/v1/./Conversations",
		"/v1/Services/../Conversations", "/v1/../v1/Conversations", "/v1/Services/" + w.service + "/", "/v1/Services/" + w.service + "/Nonsense",
		"/v1/Conversations/x/y/z", "/v1/%2e%2e/Conversations", "/v1/Conversations%2Fx", "/v1/\x7f", "/v1/Conversations;a=b",
	} {
		path = strings.ReplaceAll(path, "\x7f", "%7F")
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, "PATCH", "NONSENSE"} {
			got := w.call(method, path, nil)
			require.Equal(t, []int{404, 20404}, []int{got.status, got.code()}, "%s %s: %s", method, path, got.text)
			isProblem(t, got)
		}
	}
}

func TestMethodsThatAreNotThere(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	allowed := map[string]map[string]bool{}
	for _, o := range rest.Describe() {
		if allowed[o.Path] == nil {
			allowed[o.Path] = map[string]bool{}
		}
		allowed[o.Path][o.Method] = true
	}
	before := w.head()
	for path, methods := range allowed {
		var want []string
		for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
			if methods[m] || m == http.MethodHead && methods[http.MethodGet] {
				want = append(want, m)
			}
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch, http.MethodTrace, "NONSENSE"} {
			if methods[method] {
				continue
			}
			got := w.call(method, f.path(path), nil)
			require.Equal(t, []int{405, 20004}, []int{got.status, got.code()}, "%s %s: %s", method, path, got.text)
			require.Equal(t, strings.Join(want, ", "), got.header.Get("Allow"))
			isProblem(t, got)
		}
	}
	require.Equal(t, before, w.head())
}

func TestHeadIsGetWithoutItsBody(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	for _, o := range rest.Describe() {
		if o.Method != http.MethodGet {
			continue
		}
		path := f.path(o.Path)
		if query := sound(o, 1).Encode(); query != "" {
			path += "?" + query
		}
		get := w.call(http.MethodGet, path, nil)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, w.server.URL+path, nil)
		require.NoError(t, err)
		r.SetBasicAuth(w.account, w.token)
		response, err := w.server.Client().Do(r)
		require.NoError(t, err)
		data, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Empty(t, data)
		require.Equal(t, get.status, response.StatusCode, path)
		require.Equal(t, get.header.Get("ETag"), response.Header.Get("ETag"))
		require.Equal(t, get.header.Get("Content-Type"), response.Header.Get("Content-Type"))
	}
}

func TestBrowsersMayAskFirst(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/v1/Conversations", "/v1/Media", "/v1/Nonsense"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, w.server.URL+path, nil)
		require.NoError(t, err)
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		got := w.send(r)
		require.Equal(t, 204, got.status)
		require.Empty(t, got.text)
		require.Equal(t, "*", got.header.Get("Access-Control-Allow-Origin"))
		require.Empty(t, got.header.Get("Access-Control-Allow-Credentials"))
		for _, method := range []string{"GET", "POST", "DELETE"} {
			require.Contains(t, got.header.Get("Access-Control-Allow-Methods"), method)
		}
		for _, header := range []string{"Authorization", "Content-Type", "If-Match", "Idempotency-Key", "X-Twilio-Webhook-Enabled", "Parley-Wait-For"} {
			require.Contains(t, got.header.Get("Access-Control-Allow-Headers"), header)
		}
	}
	const page = "https://app.example.com"
	for _, got := range []reply{
		w.call(http.MethodGet, "/v1/Conversations", nil, "Origin", page), w.call(http.MethodGet, "/v1/Nonsense", nil, "Origin", page),
		w.call(http.MethodGet, "/v1/Conversations", nil, "Origin", page, "Authorization", ""),
	} {
		require.Equal(t, "*", got.header.Get("Access-Control-Allow-Origin"))
		require.Regexp(t, "^RQ[0-9a-f]{32}$", got.header.Get("Twilio-Request-Id"))
		require.Regexp(t, `^\d+\.\d{3}$`, got.header.Get("Twilio-Request-Duration"))
	}
}

func TestBodiesThatAreNoForm(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	before := w.head()
	for _, o := range rest.Describe() {
		if !o.Form {
			continue
		}
		path := f.path(o.Path)
		for _, contentType := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x", "nonsense;;", "\"", "application/x-www-form-urlencoded; =", "application/x-www-form-urlencodedx"} {
			got := w.request(o.Method, path, "FriendlyName=a", "Content-Type", contentType)
			require.Equal(t, []int{415, 20001}, []int{got.status, got.code()}, "%s %q: %s", path, contentType, got.text)
			isProblem(t, got)
		}
		for _, content := range []string{"%", "a=%zz", "FriendlyName=a;Body=b", "%u1234=a"} {
			got := w.request(o.Method, path, content, "Content-Type", "application/x-www-form-urlencoded")
			require.Equal(t, []int{400, 20001}, []int{got.status, got.code()}, "%s %q: %s", path, content, got.text)
			isProblem(t, got)
		}
	}
	large := "FriendlyName=" + strings.Repeat("x", 1<<20)
	for _, path := range []string{"/v1/Conversations", "/v1/Users", "/v1/Configuration", f.path("/v1/Conversations/{Sid}/Messages")} {
		got := w.request(http.MethodPost, path, large, "Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, []int{413, 20001}, []int{got.status, got.code()}, got.text)
		isProblem(t, got)
	}
	require.Equal(t, before, w.head())
}

// raw sends bytes as they are, and reads the answer.
func (w *world) raw(request string) reply {
	w.t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(w.server.URL, "http://"), time.Minute)
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, conn.Close()) }()
	_, err = io.WriteString(conn, request)
	require.NoError(w.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, response.Body.Close()) }()
	return readReply(w.t, response)
}

func TestBodiesInChunks(t *testing.T) {
	w := newWorld(t)
	head := func(path string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
			path, basic(w.account, w.token))
	}
	got := w.raw(head("/v1/Conversations") + "a\r\nUniqueName\r\n6\r\n=chunk\r\n0\r\n\r\n")
	require.Equal(t, 201, got.status, got.text)
	require.Equal(t, "chunk", got.str("unique_name"))
	before := w.head()
	require.Equal(t, 201, w.raw(head("/v1/Conversations")+"0\r\n\r\n").status, "no parameters are needed")
	require.NotEqual(t, before, w.head())
	before = w.head()
	broken := w.raw(head("/v1/Conversations") + "zz\r\n")
	require.Equal(t, []int{400, 20001}, []int{broken.status, broken.code()}, broken.text)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
	large := w.raw(head("/v1/Conversations") + "2\r\na=\r\n" + chunk + "0\r\n\r\n")
	require.Equal(t, []int{413, 20001}, []int{large.status, large.code()}, large.text)
	require.Equal(t, before, w.head())
}

func TestHugeAndManyHeaders(t *testing.T) {
	w := newWorld(t, func(c *rest.Config) { c.MaxWait = 20 * time.Millisecond })
	before := w.head()
	huge := strings.Repeat("x", 64<<10)
	for _, header := range []string{"Idempotency-Key", "If-Match", "Parley-Wait-For", "Parley-Account", "Authorization", "Content-Type", "X-Twilio-Webhook-Enabled"} {
		got := w.call(http.MethodPost, "/v1/Conversations", form("FriendlyName", "a"), header, huge)
		require.GreaterOrEqual(t, got.status, 400, header)
		require.Less(t, got.status, 500, header)
	}
	require.Equal(t, before, w.head())
	for _, header := range []string{"Traceparent", "Accept", "User-Agent", "X-Unknown"} {
		require.Equal(t, 201, w.call(http.MethodPost, "/v1/Conversations", nil, header, huge).status)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/v1/Conversations", nil)
	require.NoError(t, err)
	r.Header.Set("X-Unknown", strings.Repeat("x", 2<<20))
	response, err := w.server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 431, response.StatusCode, "the server's own limit")
}

func TestIdempotencyKeysIfMatchesAndPositionsThatAreNone(t *testing.T) {
	w := newWorld(t, func(c *rest.Config) { c.MaxWait = 20 * time.Millisecond })
	f := w.furnish(w.own(), 1)
	before := w.head()
	beyond := events.Position{Commit: before.Commit + 1<<40, Prepare: before.Prepare + 1<<40}.String()
	for n, o := range rest.Describe() {
		path := f.path(o.Path)
		for _, position := range []string{"nonsense", "-1", "1.5", "99999999999999999999999999", "0x10", "1-", "\xff"} {
			got := w.give(o, path, sound(o, n), "Parley-Wait-For", position)
			require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, "%s %q: %s", o.Name, position, got.text)
		}
		if n%10 == 0 { // each takes as long as the bound
			got := w.give(o, path, sound(o, n), "Parley-Wait-For", beyond)
			require.Equal(t, []int{503, 20500}, []int{got.status, got.code()}, "%s: %s", o.Name, got.text)
			require.Equal(t, "1", got.header.Get("Retry-After"))
		}
		if !o.Writes {
			continue
		}
		got := w.give(o, path, sound(o, n), "Idempotency-Key", strings.Repeat("k", 256))
		require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, "%s: %s", o.Name, got.text)
		got = w.give(o, path, sound(o, n), "Idempotency-Key", "k\xff")
		require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, "%s: %s", o.Name, got.text)
		for _, tag := range []string{"nonsense", `"-1"`, `"1", "2"`, `"1e3"`, `""`, `"99999999999999999999"`, `"\xff"`, `"4711"`} {
			got := w.give(o, path, sound(o, n), "If-Match", tag)
			require.Equal(t, []int{412, 20409}, []int{got.status, got.code()}, "%s %q: %s", o.Name, tag, got.text)
		}
	}
	require.Equal(t, before, w.head())
}

func TestPagesThatAreNone(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	other := w.must(http.MethodGet, "/v1/Services/"+w.service+"/Roles", form("PageSize", "1")).body["meta"].(map[string]any)["next_page_url"].(string)
	parsed, err := url.Parse(other)
	require.NoError(t, err)
	for n, o := range rest.Describe() {
		if o.List == "" {
			continue
		}
		for _, wrong := range [][]string{
			{"PageSize", "0"}, {"PageSize", "-1"}, {"PageSize", "x"}, {"PageSize", ""}, {"PageSize", "99999999999999999999"}, {"Page", "-1"}, {"Page", "x"}, {"Page", ""},
			{"PageToken", "nonsense"}, {"PageToken", "PA"}, {"PageToken", "PB"}, {"PageToken", "PH"}, {"PageToken", "PH-1"}, {"PageToken", "PHx"}, {"PageToken", "PAAAAA"},
			{"PageToken", parsed.Query().Get("PageToken")}, {"PageToken", "\xff"},
		} {
			if strings.HasSuffix(o.Name, "Role") && wrong[1] == parsed.Query().Get("PageToken") {
				continue // there it is one
			}
			given := sound(o, n)
			given.Set(wrong[0], wrong[1])
			got := w.give(o, f.path(o.Path), given)
			require.Equal(t, []int{400, 20422}, []int{got.status, got.code()}, "%s %q: %s", o.Name, wrong, got.text)
		}
		for _, fine := range [][]string{{"PageSize", "9223372036854775807"}, {"PageSize", "1"}, {"Page", "0"}, {"PageToken", ""}, {"Nonsense", "x"}} {
			given := sound(o, n)
			given.Set(fine[0], fine[1])
			require.Equal(t, 200, w.give(o, f.path(o.Path), given).status, "%s %q", o.Name, fine)
		}
	}
}

// An identity is any text, and so are unique names, but what paths are made of: each
// names its own in a path.
func TestNamesOfAnyKindCanBeInPaths(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"ann", "a/b", "/a", "a/", "a//b", "a b", " a", "a@b.c", "a+b", "+4915100000", "ä€😀", "a%2Fb", "100%", "...", "a..b", "../x", "a?b", "a#b", "a;b", "a&b=c", "~", "'\"<>", "sms:+1", "%00", "\u202e", "a\nb", "a\tb"} {
		segment := strings.ReplaceAll(url.PathEscape(name), ".", "%2E")
		user := w.must(http.MethodPost, "/v1/Users", form("Identity", name))
		require.Equal(t, name, user.str("identity"))
		require.Equal(t, user.text, w.must(http.MethodGet, "/v1/Users/"+segment, nil).text, name)
		talk := w.must(http.MethodPost, "/v1/Conversations", form("UniqueName", name))
		got := w.must(http.MethodGet, "/v1/Conversations/"+segment, nil)
		require.Equal(t, talk.text, got.text, name)
		participant := w.must(http.MethodPost, "/v1/Conversations/"+segment+"/Participants", form("Identity", name))
		require.Equal(t, participant.text, w.must(http.MethodGet, "/v1/Conversations/"+segment+"/Participants/"+segment, nil).text)
		list := w.must(http.MethodGet, "/v1/Users/"+segment+"/Conversations", nil)
		require.Len(t, list.items("conversations"), 1)
		require.Len(t, w.must(http.MethodGet, "/v1/ParticipantConversations", form("Identity", name)).items("conversations"), 1)
		list = w.must(http.MethodGet, "/v1/Conversations/"+segment+"/Messages", form("PageSize", "1"))
		address := strings.TrimPrefix(list.body["meta"].(map[string]any)["first_page_url"].(string), w.server.URL)
		require.Equal(t, 200, w.call(http.MethodGet, address, nil).status, "addresses in answers work: %s", address)
		require.Equal(t, 204, w.must(http.MethodDelete, "/v1/Users/"+segment+"/Conversations/"+segment, nil).status)
		require.Equal(t, 204, w.must(http.MethodDelete, "/v1/Conversations/"+segment, nil).status)
		require.Equal(t, 204, w.must(http.MethodDelete, "/v1/Users/"+segment, nil).status)
	}
}

func TestEveryReadOfAFurnishedServiceHasAnETag(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	for _, o := range rest.Describe() {
		if o.Method != http.MethodGet || strings.HasSuffix(o.Name, "ChannelMetadata") {
			continue
		}
		var query url.Values
		if strings.HasSuffix(o.Path, "/ParticipantConversations") {
			query = form("Identity", "ann")
		}
		got := w.must(o.Method, f.path(o.Path), query)
		if o.List != "" {
			require.NotEmpty(t, got.items(o.List), o.Name)
		}
		if o.List == "" && o.Answer != nil {
			require.Regexp(t, `^"\d+"$`, got.header.Get("ETag"), o.Name)
		}
	}
}
