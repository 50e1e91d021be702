package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// household is an account with two sub-accounts, and a stranger.
type household struct {
	*world
	parent, child, sibling, stranger furnished
}

func newHousehold(t *testing.T) household {
	t.Helper()
	h := household{world: newWorld(t)}
	h.parent = h.furnish(h.own(), 1)
	h.child = h.furnish(h.newAccount("child", h.account), 2)
	h.sibling = h.furnish(h.newAccount("sibling", h.account), 3)
	h.stranger = h.furnish(h.newAccount("stranger", ""), 4)
	return h
}

func TestAParentActsForItsChild(t *testing.T) {
	h := newHousehold(t)
	for n, o := range rest.Describe() {
		if o.Method == http.MethodDelete || strings.HasSuffix(o.Name, "ChannelMetadata") {
			continue
		}
		// By the header everything works; by the service in the path, what has one.
		ways := [][]string{{"Parley-Account", h.child.account}}
		if strings.HasPrefix(o.Path, "/v1/Services/{") {
			ways = append(ways, nil)
		}
		for way, headers := range ways {
			got := h.give(o, h.child.path(o.Path), sound(o, 100*n+way), headers...)
			require.Equal(t, o.Status, got.status, "%s %v: %s", o.Name, headers, got.text)
			if account := got.str("account_sid"); account != "" {
				require.Equal(t, h.child.account, account, o.Name)
			}
			if o.List == "" {
				continue
			}
			for _, item := range got.items(o.List) {
				if item["account_sid"] != nil {
					require.Equal(t, h.child.account, item["account_sid"], o.Name)
				}
			}
		}
	}
	made := h.must(http.MethodPost, "/v1/Conversations", nil, "Parley-Account", h.child.account)
	require.Equal(t, h.child.service, made.str("chat_service_sid"))
	require.Equal(t, made.text, h.must(http.MethodGet, "/v1/Conversations/"+made.str("sid"), nil, h.child.as()...).text)
	own := h.must(http.MethodGet, "/v1/Conversations", nil, "Parley-Account", h.account).items("conversations")
	require.Equal(t, h.account, own[0]["account_sid"], "an account acts for itself")
}

func TestNobodyElseActsForAnother(t *testing.T) {
	h := newHousehold(t)
	before := h.head()
	pairs := [][2]furnished{
		{h.child, h.parent}, {h.child, h.sibling}, {h.child, h.stranger}, {h.stranger, h.parent}, {h.stranger, h.child}, {h.parent, h.stranger},
	}
	for n, o := range rest.Describe() {
		for _, pair := range pairs {
			acting, owner := pair[0], pair[1]
			byHeader := append(acting.as(), "Parley-Account", owner.account)
			got := h.give(o, owner.path(o.Path), sound(o, n), byHeader...)
			require.Equal(t, []int{404, 20404}, []int{got.status, got.code()}, "%s: %s", o.Name, got.text)
			if !strings.Contains(o.Path, "{") {
				continue
			}
			got = h.give(o, owner.path(o.Path), sound(o, n), acting.as()...)
			require.Equal(t, 404, got.status, "%s: %s", o.Name, got.text)
		}
		for _, nobody := range []string{domain.SID("AC", "nobody"), "nonsense", "AC", "\xff", strings.Repeat("x", 300)} {
			got := h.give(o, h.parent.path(o.Path), sound(o, n), "Parley-Account", nobody)
			require.Equal(t, []int{404, 20404}, []int{got.status, got.code()}, "%s %q: %s", o.Name, nobody, got.text)
		}
	}
	require.Equal(t, before, h.head())
}

func TestListsOfOneAccountNeverShowAnothers(t *testing.T) {
	h := newHousehold(t)
	for _, o := range rest.Describe() {
		if o.List == "" {
			continue
		}
		for _, f := range []furnished{h.parent, h.child, h.sibling, h.stranger} {
			got := h.give(o, f.path(o.Path), sound(o, 1), f.as()...)
			require.Equal(t, 200, got.status, o.Name)
			require.NotEmpty(t, got.items(o.List), o.Name)
			for _, other := range []furnished{h.parent, h.child, h.sibling, h.stranger} {
				if other.account == f.account {
					continue
				}
				require.NotContains(t, got.text, other.account, o.Name)
				for _, sid := range other.things {
					require.NotContains(t, got.text, sid, o.Name)
				}
			}
		}
	}
}
