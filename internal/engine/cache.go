package engine

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps the folded states that were used last, bounded by their summed
// weight. What is taken is no longer in it: a state has one owner at a time.
type cache[V any] struct {
	mu     sync.Mutex // guards all
	states *simplelru.LRU[string, weighted[V]]
	weight int
	limit  int
}

type weighted[V any] struct {
	value  V
	weight int
}

func newCache[V any](limit int) *cache[V] {
	states, err := simplelru.NewLRU[string, weighted[V]](math.MaxInt32, nil)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &cache[V]{states: states, limit: limit}
}

// take removes and returns the state of a stream.
func (c *cache[V]) take(stream string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.states.Get(stream)
	if ok {
		c.states.Remove(stream)
		c.weight -= found.weight
	}
	return found.value, ok
}

// show lets look see the state of a stream where it is, false when it is not
// here. The cache is locked meanwhile: look must be quick and keep nothing.
func (c *cache[V]) show(stream string, look func(V)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.states.Get(stream)
	if ok {
		look(found.value)
	}
	return ok
}

// put hands a state over and drops the least recently used ones over the limit.
func (c *cache[V]) put(stream string, value V, weight int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states.Add(stream, weighted[V]{value, weight})
	c.weight += weight
	for c.weight > c.limit {
		_, dropped, ok := c.states.RemoveOldest()
		if !ok {
			return
		}
		c.weight -= dropped.weight
	}
}
