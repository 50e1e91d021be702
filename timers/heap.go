package timers

import "bytes"

// item is one place in the heap: 24 bytes.
type item struct {
	due int64 // nanoseconds since 1970
	key key
}

func (a item) before(b item) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	return bytes.Compare(a.key[:], b.key[:]) < 0
}

// heap has four children per node: half the levels of a binary heap, and the
// four lie side by side in memory.
type heap []item

const arity = 4

func (h *heap) push(it item) {
	*h = append(*h, it)
	h.up(len(*h) - 1)
}

// pop removes the first item; the heap must not be empty.
func (h *heap) pop() item {
	items := *h
	first, last := items[0], len(items)-1
	items[0] = items[last]
	*h = items[:last]
	h.down(0)
	return first
}

// order turns any slice into a heap.
func (h heap) order() {
	for i := (len(h) - 2) / arity; i >= 0; i-- {
		h.down(i)
	}
}

func (h heap) up(i int) {
	for i > 0 {
		parent := (i - 1) / arity
		if !h[i].before(h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (h heap) down(i int) {
	for {
		first := i
		for c := arity*i + 1; c <= arity*i+arity && c < len(h); c++ {
			if h[c].before(h[first]) {
				first = c
			}
		}
		if first == i {
			return
		}
		h[i], h[first] = h[first], h[i]
		i = first
	}
}

// upto visits every item whose instant is not after due, in no order.
func (h heap) upto(due int64, visit func(item)) {
	pending := []int{0}
	for len(pending) > 0 {
		i := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if i >= len(h) || h[i].due > due {
			continue
		}
		visit(h[i])
		for c := arity*i + 1; c <= arity*i+arity; c++ {
			pending = append(pending, c)
		}
	}
}
