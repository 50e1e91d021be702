package engine

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/parley-engine/parley/store"
)

// cache keeps the folded states that were used last, bounded by their summed
// weight. What is taken is no longer in it: a state has one owner at a time.
type cache[S any] struct {
	mu     sync.Mutex // guards all
	states *simplelru.LRU[string, weighted[S]]
	news   *simplelru.LRU[string, store.Revision] // what others wrote last, while that may matter
	weight int
	limit  int
}

type weighted[S any] struct {
	value  folded[S]
	weight int
	old    bool // others have written behind it: it is where to read on from, and shown to nobody
}

// rememberedNews is how many streams' news are remembered for states that are
// taken when it comes. They are back within the time of a command.
const rememberedNews = 1 << 14

func newCache[S any](limit int) *cache[S] {
	return &cache[S]{states: newLRU[weighted[S]](math.MaxInt32), news: newLRU[store.Revision](rememberedNews), limit: limit}
}

func newLRU[V any](size int) *simplelru.LRU[string, V] {
	lru, err := simplelru.NewLRU[string, V](size, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return lru
}

// take removes and returns the state of a stream. One that is old is a beginning of
// what the log has.
func (c *cache[S]) take(stream string) (at folded[S], old, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.states.Get(stream)
	if ok {
		c.states.Remove(stream)
		c.weight -= found.weight
	}
	return found.value, found.old, ok
}

// show lets look see the state of a stream where it is, false when it is not
// here. The cache is locked meanwhile: look must be quick and keep nothing.
func (c *cache[S]) show(stream string, look func(folded[S])) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.states.Get(stream)
	if ok = ok && !found.old; ok {
		look(found.value)
	}
	return ok
}

// hear makes a state old that somebody else's event at the revision goes beyond, and
// drops one that was folded up to this very event: whoever has it believes perhaps that
// it is his own. One that is taken is told when it comes back.
func (c *cache[S]) hear(stream string, revision store.Revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.news.Add(stream, revision)
	found, ok := c.states.Peek(stream)
	switch {
	case !ok || found.value.Revision > revision:
	case found.value.Revision == revision:
		c.states.Remove(stream)
		c.weight -= found.weight
	default:
		found.old = true
		c.states.Add(stream, found)
	}
}

// put hands a state over and drops the least recently used ones over the limit.
// One that is older than what others wrote is kept to read on from. One that was
// changed up to the very event of somebody else, or before one, is not: who wrote that
// may have got in first with what this process believes it wrote.
func (c *cache[S]) put(stream string, value folded[S], weight int, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news, ok := c.news.Get(stream)
	if ok && changed && news >= value.Revision {
		return
	}
	c.states.Add(stream, weighted[S]{value, weight, ok && news > value.Revision})
	c.weight += weight
	for c.weight > c.limit {
		_, dropped, ok := c.states.RemoveOldest()
		if !ok {
			return
		}
		c.weight -= dropped.weight
	}
}
