package rest

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/parley-engine/parley/projections"
)

// pages keeps answers about conversations, so that asking again what has not
// changed costs no query. An answer counts while the conversation's stamp is the
// one from before it was made. Safe for concurrent use; nil keeps nothing.
type pages struct {
	stamp func(conversation string) projections.Stamp

	mu    sync.Mutex // guards what follows
	kept  *simplelru.LRU[pageKey, keptPage]
	bytes int
}

// pageKey is what an answer depends on, the conversation's content apart.
type pageKey struct {
	conversation string
	root         string // address the client uses
	address      string // path and query
	service      string // where the call acts
}

type keptPage struct {
	stamp projections.Stamp
	etag  string
	body  []byte
}

// Bounds of what is kept.
const (
	pageBytes   = 64 << 20 // in all
	pageEntries = 1 << 16
	largestPage = 256 << 10 // bytes; a larger one is not kept

	longestQuery = 256 // bytes; the answer to a longer one is not kept
)

func newPages(stamp func(string) projections.Stamp) *pages {
	if stamp == nil {
		return nil
	}
	p := &pages{stamp: stamp}
	kept, err := simplelru.NewLRU(pageEntries, func(k pageKey, page keptPage) { p.bytes -= size(k, page) })
	if err != nil {
		panic(err) // only for a size below one
	}
	p.kept = kept
	return p
}

func (p *pages) get(k pageKey, now projections.Stamp) (keptPage, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page, ok := p.kept.Get(k)
	return page, ok && page.stamp == now
}

func (p *pages) put(k pageKey, page keptPage) {
	if len(page.body) > largestPage {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept.Remove(k)
	p.kept.Add(k, page)
	p.bytes += size(k, page)
	for p.bytes > pageBytes {
		p.kept.RemoveOldest()
	}
}

func size(k pageKey, page keptPage) int {
	const rest = 256 // of an entry, about
	return len(k.root) + len(k.address) + len(page.body) + rest
}

// kept answers a read about a conversation from what is kept, or makes the answer
// and keeps it. Whether the caller may read was settled before.
func (c *call) kept(conversation string, answer func() error) error {
	if c.pages == nil || len(c.r.URL.RawQuery) > longestQuery {
		return answer()
	}
	k := pageKey{conversation, c.root(), c.r.URL.RequestURI(), c.place.Service}
	stamp := c.pages.stamp(conversation)
	if page, ok := c.pages.get(k, stamp); ok {
		if page.etag != "" {
			c.w.Header().Set("ETag", page.etag)
		}
		return c.send(page.body)
	}
	c.keep = func(body []byte) { c.pages.put(k, keptPage{stamp, c.w.Header().Get("ETag"), body}) }
	return answer()
}
