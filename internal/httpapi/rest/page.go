package rest

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/parley-engine/parley/projections"
)

// Parameters of every list (reference 1.5).
var paging = []param{
	{name: "PageSize", kind: integer, code: 20422, about: "How many items a page has; more than the largest page is as good as the largest."},
	{name: "Page", kind: integer, code: 20422, about: "Number of the page, for the client; it positions nothing, so above 0 it needs PageToken."},
	{name: "PageToken", about: "Where the page begins, from next_page_url or previous_page_url."},
}

const defaultPage = 50

type meta struct {
	Page        int64   `json:"page"`
	PageSize    int     `json:"page_size"`
	FirstURL    string  `json:"first_page_url"`
	PreviousURL *string `json:"previous_page_url"`
	URL         string  `json:"url"`
	NextURL     *string `json:"next_page_url"`
	Key         string  `json:"key"`
}

// paged is where in a list a request stands.
type paged struct {
	projections.Page
	number int64
	token  string
}

// page reads the parameters of a list.
func (c *call) page() (paged, error) {
	p, err := c.asked()
	if err != nil || p.token == "" {
		return p, err
	}
	p.After, p.Back, err = c.openToken(p.token)
	return p, err
}

// asked is page with the token as it came. Sizes above the list's largest are clamped
// without a word: both helper libraries ask for more than there can be. A page that is
// counted and not positioned would be the first again, and whoever counts would never end.
func (c *call) asked() (paged, error) {
	p := paged{Page: projections.Page{Limit: min(defaultPage, c.route.page)}, token: c.values.str("PageToken")}
	if size := c.values.integer("PageSize"); size != nil {
		if *size < 1 {
			return p, invalidParameter(20422, "PageSize", "PageSize must be above zero")
		}
		p.Limit = int(min(*size, int64(c.route.page)))
	}
	if number := c.values.integer("Page"); number != nil {
		p.number = min(*number, math.MaxInt64-1) // there is a number after it
	}
	switch {
	case p.number < 0:
		return p, invalidParameter(20422, "Page", "Page must not be below zero")
	case p.number > 0 && p.token == "":
		return p, invalidParameter(20001, "Page", "Page positions nothing: a page beyond the first needs its PageToken, as in next_page_url")
	}
	return p, nil
}

// Directions of a page token.
const (
	forwards  = "PA"
	backwards = "PB"
)

// token names a place in this list. It holds the key of a row, so it stays right
// while rows come and go; base64 has no dots, which one helper library eats.
func (c *call) token(direction string, key projections.Key) string {
	place := key.String()
	return direction + base64.RawURLEncoding.EncodeToString([]byte(c.seal(direction, place)+place))
}

func (c *call) openToken(token string) (key projections.Key, back bool, err error) {
	refused := invalidParameter(20422, "PageToken", "PageToken is not one of this list")
	direction := token[:min(len(token), len(forwards))]
	data, err := base64.RawURLEncoding.Strict().DecodeString(token[len(direction):])
	tag, place, _ := strings.Cut(string(data), ".")
	if err != nil || direction != forwards && direction != backwards || tag+"." != c.seal(direction, place) {
		return key, false, refused
	}
	if key, err = projections.ParseKey(place); err != nil || key.IsZero() {
		return key, false, refused
	}
	return key, direction == backwards, nil
}

// seal keeps tokens of one list out of another, because keys of lists do not mix,
// and finds what was lost or added on the way. It keeps no secret: a token lets
// nobody see what the list does not show.
func (c *call) seal(direction, place string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.r.URL.Path + "?" + c.filters() + direction + place))
	return strconv.FormatUint(h.Sum64(), 36) + "."
}

// filters are the query parameters besides those of paging, as URLs repeat them.
func (c *call) filters() string {
	var b strings.Builder
	for _, p := range c.route.params {
		if p.name == "PageSize" || p.name == "Page" || p.name == "PageToken" {
			continue
		}
		for _, t := range c.values[p.name] {
			fmt.Fprintf(&b, "%s=%s&", p.name, url.QueryEscape(t))
		}
	}
	return b.String()
}

func (c *call) pageURL(p paged, number int64, token string) string {
	u := fmt.Sprintf("%s%s?%sPageSize=%d&Page=%d", c.root(), strings.TrimPrefix(c.r.URL.EscapedPath(), "/v1"), c.filters(), p.Limit, number)
	if token != "" {
		u += "&PageToken=" + token
	}
	return u
}

// meta describes the page of a list that was read.
func metaOf[R any](c *call, p paged, l projections.List[R]) meta {
	m := meta{Page: p.number, PageSize: p.Limit, Key: c.route.list, FirstURL: c.pageURL(p, 0, ""), URL: c.pageURL(p, p.number, p.token)}
	more, before := l.More, p.token != ""
	if p.Back {
		more, before = true, l.More
	}
	if len(l.Items) == 0 {
		return m
	}
	if more {
		m.NextURL = maybe(c.pageURL(p, p.number+1, c.token(forwards, l.Last)))
	}
	if before {
		m.PreviousURL = maybe(c.pageURL(p, max(0, p.number-1), c.token(backwards, l.First)))
	}
	return m
}

// answerList sends a page.
func answerList[R, W any](c *call, p paged, l projections.List[R], wire func(*call, R) W) error {
	items := make([]W, len(l.Items))
	for i, item := range l.Items {
		items[i] = wire(c, item)
	}
	return c.answer(map[string]any{c.route.list: items, "meta": metaOf(c, p, l)})
}
