package rest_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	conversations "github.com/twilio/twilio-go/rest/conversations/v1"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// crowd is a world with enough in it to turn pages.
type crowd struct {
	*judge
	in       string   // a conversation with everything
	message  string   // one with receipts
	messages []string // by index
}

func newCrowd(t *testing.T, size int) *crowd {
	t.Helper()
	w := newWorld(t)
	w.attachable()
	c := &crowd{judge: w.judge(t)}
	c.in = c.conversation()
	var numbers []string
	for i := range size {
		n := fmt.Sprintf("+1212555%04d", i)
		numbers = append(numbers, n)
		if i < 5 {
			c.do("CreateConversationScopedWebhook", []string{c.in}, params{"Target": "studio", "Configuration.FlowSid": nothing("FW")})
		}
		c.do("CreateConversationParticipant", []string{c.in}, sms(n))
		c.do("CreateConversationParticipant", []string{c.in}, chat(fmt.Sprint("user", i)))
		c.do("CreateConversationParticipant", []string{c.conversation()}, chat("everywhere"))
		c.do("CreateRole", nil, params{"FriendlyName": "r", "Type": "service", "Permission": []string{"joinConversation"}})
		c.do("CreateCredential", nil, params{"Type": "fcm", "Secret": "s"})
		c.do("CreateService", nil, params{"FriendlyName": "s"})
		c.do("CreateConfigurationAddress", nil, params{"Type": "sms", "Address": n})
		c.world.inService(c.service, "binding.create", "", fmt.Sprintf(`{"identity":"everywhere","type":"fcm","endpoint":"e%d"}`, i))
		c.messages = append(c.messages, str(c.do("CreateConversationMessage", []string{c.in}, params{"Body": "m"}), "sid"))
	}
	c.message = c.messages[size-1]
	for _, n := range numbers {
		c.world.inService(c.service, "conversation.record-delivery", c.in, fmt.Sprintf(`{"message":%q,"participant":%q,"status":"sent"}`, c.message, n))
	}
	return c
}

// list is one of the surface's lists.
type list struct {
	operation string
	path      []string
	filter    params
	key       string
	largest   int
}

func (c *crowd) lists() []list {
	return []list{
		{"ListConversation", nil, nil, "conversations", 100},
		{"ListConversationMessage", []string{c.in}, nil, "messages", 100},
		{"ListConversationParticipant", []string{c.in}, nil, "participants", 100},
		{"ListService", nil, nil, "services", 100},
		{"ListCredential", nil, nil, "credentials", 100},
		{"ListBinding", nil, nil, "bindings", 100},
		{"ListConversationMessageReceipt", []string{c.in, c.message}, nil, "delivery_receipts", 50},
		{"ListRole", nil, nil, "roles", 50},
		{"ListUser", nil, nil, "users", 50},
		{"ListUserConversation", []string{"everywhere"}, nil, "conversations", 50},
		{"ListParticipantConversation", nil, params{"Identity": "everywhere"}, "conversations", 50},
		{"ListConfigurationAddress", nil, params{"Type": "sms"}, "address_configurations", 50},
		{"ListConversationScopedWebhook", []string{c.in}, nil, "webhooks", 5},
	}
}

// asking is the judge in the form that the list exists in.
func (c *crowd) asking(l list) *judge {
	if l.operation == "ListBinding" {
		return c.within(c.service)
	}
	return c.judge
}

// sized are the list's parameters with more.
func (l list) sized(more params) params {
	p := params{}
	for name, value := range l.filter {
		p[name] = value
	}
	for name, value := range more {
		p[name] = value
	}
	return p
}

func rows(l list, page map[string]any) (names []string) {
	for _, row := range page[l.key].([]any) {
		names = append(names, firstName(row.(map[string]any)))
	}
	return names
}

// firstName is what tells the rows of a list apart.
func firstName(row map[string]any) string {
	for _, name := range []string{"sid", "participant_sid"} {
		if s := str(row, name); s != "" {
			return s
		}
	}
	return ""
}

func TestEveryListClampsPagesAndIsReadWhole(t *testing.T) {
	c := newCrowd(t, 7)
	eaten := regexp.MustCompile(`\.\d`)
	for _, l := range c.lists() {
		t.Run(l.operation, func(t *testing.T) {
			j := *c.asking(l)
			j.t = t
			page, err := j.page(l.operation, l.path, l.sized(params{"PageSize": 1000}), "")
			require.NoError(t, err)
			require.EqualValues(t, l.largest, at(page, "meta", "page_size"), "clamped without a word")
			require.Equal(t, l.key, at(page, "meta", "key"))
			require.EqualValues(t, 0, at(page, "meta", "page"))
			require.Nil(t, at(page, "meta", "next_page_url"))
			require.Nil(t, at(page, "meta", "previous_page_url"))
			whole := rows(l, page)
			require.GreaterOrEqual(t, len(whole), 5)

			plain, err := j.page(l.operation, l.path, l.sized(nil), "")
			require.NoError(t, err)
			require.EqualValues(t, min(50, l.largest), at(plain, "meta", "page_size"), "the size when none is given")

			var turned []string
			before := len(j.wire.all())
			for _, row := range j.all(l.operation, l.path, l.sized(params{"PageSize": 2})) {
				turned = append(turned, firstName(row))
			}
			require.Equal(t, whole, turned, "in the same order, without gaps")
			require.Len(t, j.wire.all()[before:], (len(whole)+1)/2)
			require.Len(t, j.all(l.operation, l.path, l.sized(params{"Limit": 3})), 3)
			require.Equal(t, "3", j.wire.lastRequest().Query().Get("PageSize"))
			require.Len(t, j.all(l.operation, l.path, l.sized(params{"Limit": 5000})), len(whole), "asks for 1000")
			for _, answer := range j.wire.all()[before:] {
				for _, name := range []string{"first_page_url", "url", "next_page_url", "previous_page_url"} {
					if address := str(answer.body, "meta", name); address != "" {
						u, err := url.Parse(address)
						require.NoError(t, err)
						require.Equal(t, c.server.URL, u.Scheme+"://"+u.Host)
						require.False(t, eaten.MatchString(u.RawQuery), "the library deletes a dot and digits from %s", u.RawQuery)
					}
				}
			}
		})
	}
}

func TestPagesAreTurnedBackAsTheyWereTurned(t *testing.T) {
	c := newCrowd(t, 7)
	for _, l := range c.lists() {
		t.Run(l.operation, func(t *testing.T) {
			j := *c.asking(l)
			j.t = t
			page, err := j.page(l.operation, l.path, l.sized(params{"PageSize": 2}), "")
			require.NoError(t, err)
			first := rows(l, page)
			require.Equal(t, at(page, "meta", "first_page_url"), at(page, "meta", "url"))
			next := c.follow(t, page, "next_page_url")
			require.EqualValues(t, 1, at(next, "meta", "page"))
			require.Equal(t, at(page, "meta", "next_page_url"), at(next, "meta", "url"))
			require.Equal(t, at(page, "meta", "first_page_url"), at(next, "meta", "first_page_url"))
			third := c.follow(t, next, "next_page_url")
			back := c.follow(t, third, "previous_page_url")
			require.Equal(t, rows(l, next), rows(l, back))
			require.Equal(t, rows(l, third), rows(l, c.follow(t, back, "next_page_url")))
			start := c.follow(t, back, "previous_page_url")
			require.Equal(t, first, rows(l, start))
			require.Nil(t, at(start, "meta", "previous_page_url"), "there is nothing before the first page")
		})
	}
}

// follow gets the page behind a link of another one, as the library does.
func (c *crowd) follow(t *testing.T, page map[string]any, link string) map[string]any {
	t.Helper()
	address := str(page, "meta", link)
	require.NotEmpty(t, address, link)
	got := c.world.call("GET", strings.TrimPrefix(address, c.server.URL), nil)
	require.Equal(t, 200, got.status, got.text)
	return got.body
}

func TestATokenOfAnotherListOrATamperedOneIsRefused(t *testing.T) {
	c := newCrowd(t, 5)
	tokens := map[string]string{}
	for _, l := range c.lists() {
		page, err := c.asking(l).page(l.operation, l.path, l.sized(params{"PageSize": 1}), "")
		require.NoError(t, err)
		next, err := url.Parse(str(page, "meta", "next_page_url"))
		require.NoError(t, err)
		tokens[l.operation] = next.Query().Get("PageToken")
		require.NotEmpty(t, tokens[l.operation])
	}
	for _, l := range c.lists() {
		j := c.asking(l)
		own := tokens[l.operation]
		for name, token := range tokens {
			_, err := j.page(l.operation, l.path, l.sized(params{"PageSize": 1}), token)
			if name == l.operation {
				require.NoError(t, err)
				continue
			}
			requireRefused(t, err, 400, 20422)
		}
		for _, token := range []string{"nonsense", "PA", own[:len(own)-3], own + "x", own + "=", own[:9] + "AAA" + own[12:], "PT" + own[2:], "PB" + own[2:], "pa" + own[2:], own[2:], "PA" + base64.RawURLEncoding.EncodeToString([]byte("key"))} {
			_, err := j.page(l.operation, l.path, l.sized(params{"PageSize": 1}), token)
			got := requireRefused(t, err, 400, 20422)
			require.Equal(t, "PageToken", got.Details["field"], "%s of %s", token, l.operation)
		}
	}
}

func TestATokenHoldsForItsConversationOnly(t *testing.T) {
	c := newCrowd(t, 3)
	page, err := c.page("ListConversationMessage", []string{c.in}, params{"PageSize": 1}, "")
	require.NoError(t, err)
	next, err := url.Parse(str(page, "meta", "next_page_url"))
	require.NoError(t, err)
	_, err = c.page("ListConversationMessage", []string{c.conversation()}, params{"PageSize": 1}, next.Query().Get("PageToken"))
	requireRefused(t, err, 400, 20422)
}

func TestATokenHoldsForItsFiltersOnly(t *testing.T) {
	c := newCrowd(t, 3)
	page, err := c.page("ListConversationMessage", []string{c.in}, params{"PageSize": 1, "Order": "desc"}, "")
	require.NoError(t, err)
	next, err := url.Parse(str(page, "meta", "next_page_url"))
	require.NoError(t, err)
	require.Equal(t, "Order=desc&PageSize=1&Page=1&PageToken="+next.Query().Get("PageToken"), next.RawQuery)
	_, err = c.page("ListConversationMessage", []string{c.in}, params{"PageSize": 1}, next.Query().Get("PageToken"))
	requireRefused(t, err, 400, 20422)
}

func TestFiltersAreRepeatedInTheAddressesOfPages(t *testing.T) {
	w := newWorld(t)
	j := w.judge(t)
	for _, c := range []struct {
		operation string
		path      []string
		p         params
		want      string
	}{
		{"ListParticipantConversation", nil, params{"Address": "+15550001234"}, "Address=%2B15550001234&PageSize=50&Page=0"},
		{"ListConfigurationAddress", nil, params{"Type": "sms", "PageSize": 3}, "Type=sms&PageSize=3&Page=0"},
		{"ListConversation", nil, params{"StartDate": "2026-01-01", "EndDate": "2026-01-02T00:00:00Z", "State": "active"}, "StartDate=2026-01-01&EndDate=2026-01-02T00%3A00%3A00Z&State=active&PageSize=50&Page=0"},
		{"ListBinding", nil, params{"BindingType": []string{"apn", "fcm"}, "Identity": []string{"a b"}}, "BindingType=apn&BindingType=fcm&Identity=a+b&PageSize=50&Page=0"},
	} {
		asking := j
		if c.operation == "ListBinding" {
			asking = j.within(w.service)
		}
		page, err := asking.page(c.operation, c.path, c.p, "")
		require.NoError(t, err)
		first, err := url.Parse(str(page, "meta", "first_page_url"))
		require.NoError(t, err)
		require.Equal(t, c.want, first.RawQuery)
	}
}

// TestReadingPagesWhileOthersWriteLosesAndRepeatsNothing reads two by two and
// takes away and adds between any two pages.
func TestReadingPagesWhileOthersWriteLosesAndRepeatsNothing(t *testing.T) {
	for _, order := range []string{"asc", "desc"} {
		t.Run(order, func(t *testing.T) {
			c := newCrowd(t, 12)
			var seen []string
			removed := map[string]bool{}
			stays := slices.Clone(c.messages)
			page, err := c.page("ListConversationMessage", []string{c.in}, params{"PageSize": 2, "Order": order}, "")
			for {
				require.NoError(t, err)
				names := rows(list{key: "messages"}, page)
				seen = append(seen, names...)
				if at(page, "meta", "next_page_url") == nil || len(seen) > 40 {
					break
				}
				// The last one read goes, and one that is still to come; a new one comes.
				for _, gone := range []string{names[len(names)-1], c.ahead(seen, order)} {
					if gone != "" && !removed[gone] {
						c.do("DeleteConversationMessage", []string{c.in, gone}, nil)
						removed[gone] = true
					}
				}
				if len(stays) < 16 {
					stays = append(stays, str(c.do("CreateConversationMessage", []string{c.in}, params{"Body": "new"}), "sid"))
				}
				page = c.follow(t, page, "next_page_url")
			}
			require.Len(t, seen, len(slices.Compact(slices.Sorted(slices.Values(seen)))), "nothing comes twice")
			for i, sid := range stays {
				late := i >= len(c.messages) && order == "desc" // it came behind the reader
				if !removed[sid] && !late {
					require.Contains(t, seen, sid)
				}
			}
		})
	}
}

// ahead is a message in the middle that was not read yet.
func (c *crowd) ahead(seen []string, order string) string {
	left := slices.DeleteFunc(slices.Clone(c.messages), func(sid string) bool { return slices.Contains(seen, sid) })
	if order == "desc" {
		slices.Reverse(left)
	}
	if len(left) < 2 {
		return ""
	}
	return left[1]
}

func TestConversationsAreFilteredByDateAndState(t *testing.T) {
	w := newWorld(t)
	j := w.judge(t)
	var made []string
	for day := 1; day <= 4; day++ {
		made = append(made, str(j.do("CreateConversation", nil, params{"DateCreated": time.Date(2026, 1, day, 23, 59, 59, 0, time.UTC)}), "sid"))
	}
	j.do("UpdateConversation", []string{made[2]}, params{"State": "closed"})
	list := func(p params) []string { return sids(j.all("ListConversation", nil, p)) }
	require.Equal(t, made, list(nil), "oldest first")
	require.Equal(t, []string{made[3], made[2], made[1]}, list(params{"StartDate": "2026-01-02"}), "newest first with a date")
	require.Equal(t, []string{made[2], made[1], made[0]}, list(params{"EndDate": "2026-01-03"}), "the day is meant to its end")
	require.Equal(t, []string{made[2], made[1]}, list(params{"StartDate": "2026-01-02T23:59:59Z", "EndDate": "2026-01-03T23:59:59Z"}), "both ends belong to it")
	require.Equal(t, []string{made[1]}, list(params{"StartDate": "2026-01-02", "EndDate": "2026-01-02"}))
	require.Equal(t, []string{made[2]}, list(params{"State": "closed"}))
	require.Equal(t, []string{made[1], made[0]}, list(params{"EndDate": "2026-01-03", "State": "Active"}))
	require.Equal(t, []string{made[3], made[1], made[0]}, list(params{"EndDate": "2026-01-04", "State": "active", "PageSize": 1}), "page by page")
	require.Empty(t, list(params{"State": "inactive"}))
}

func TestAStreamOfTheLibraryEndsAtItsLimit(t *testing.T) {
	c := newCrowd(t, 7)
	limit, size := 5, 2
	stream, errs := c.api.StreamConversationMessage(c.in, (&conversations.ListConversationMessageParams{}).SetLimit(limit).SetPageSize(size).SetOrder("desc"))
	var seen []string
	for message := range stream {
		seen = append(seen, *message.Sid)
	}
	require.NoError(t, <-errs)
	newest := slices.Clone(c.messages)
	slices.Reverse(newest)
	require.Equal(t, newest[:5], seen)
}

func TestAddressesOfPagesAreThosePublished(t *testing.T) {
	w := newWorld(t, func(c *rest.Config) { c.PublicURL = "https://chat.example.com/" })
	page, err := w.judge(t).page("ListConversation", nil, nil, "")
	require.NoError(t, err)
	require.Equal(t, "https://chat.example.com/v1/Conversations?PageSize=50&Page=0", str(page, "meta", "first_page_url"))
}

// Who counts pages and has no token would get the first one for ever.
func TestAPageBeyondTheFirstNeedsItsToken(t *testing.T) {
	w := newWorld(t)
	f := w.furnish(w.own(), 1)
	lists := 0
	for _, o := range rest.Describe() {
		if o.List == "" {
			continue
		}
		lists++
		for _, given := range []url.Values{form("Page", "1"), form("Page", "7", "PageSize", "2"), form("Page", "1", "PageToken", "")} {
			got := w.give(o, f.path(o.Path), merged(sound(o, 1), given))
			require.Equal(t, []int{400, 20001}, []int{got.status, got.code()}, "%s %v: %s", o.Name, given, got.text)
			require.Equal(t, "Page", got.body["details"].(map[string]any)["field"])
		}
		require.Equal(t, 200, w.give(o, f.path(o.Path), merged(sound(o, 1), form("Page", "0"))).status, o.Name)
	}
	require.GreaterOrEqual(t, lists, 14)
}

// merged are the parameters of both.
func merged(some, more url.Values) url.Values {
	for name, values := range more {
		some[name] = values
	}
	return some
}
