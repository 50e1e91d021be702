package timers

import "bytes"

// item is one place in the heap: 16 bytes.
type item struct {
	due  int64 // nanoseconds since 1970
	slot uint32
}

// heap orders slots by instant, and slots of one instant by key. It has four
// children per node: half the levels of a binary heap, and the four lie side by
// side in memory. Each slot knows its place, so its item can be moved or taken
// out.
type heap struct {
	items []item
	slots *slots
}

const arity = 4

func (h *heap) push(it item) {
	h.items = append(h.items, it)
	h.up(len(h.items)-1, it)
}

// forward gives the item at place i an earlier instant.
func (h *heap) forward(i uint32, due int64) {
	h.up(int(i), item{due, h.items[i].slot})
}

// remove takes out the item at place i.
func (h *heap) remove(i uint32) {
	last := len(h.items) - 1
	moved := h.items[last]
	h.items = h.items[:last]
	if int(i) == last {
		return
	}
	h.down(int(i), moved)
	if at := h.slots.all[moved.slot].pos; at == i {
		h.up(int(i), moved)
	}
}

// up puts the item at place i, or where it belongs above it.
func (h *heap) up(i int, it item) {
	for i > 0 {
		parent := (i - 1) / arity
		if !h.before(it, h.items[parent]) {
			break
		}
		h.put(i, h.items[parent])
		i = parent
	}
	h.put(i, it)
}

// down puts the item at place i, or where it belongs below it.
func (h *heap) down(i int, it item) {
	for {
		first, next := it, i
		for c := arity*i + 1; c <= arity*i+arity && c < len(h.items); c++ {
			if h.before(h.items[c], first) {
				first, next = h.items[c], c
			}
		}
		h.put(i, first)
		if next == i {
			return
		}
		i = next
	}
}

func (h *heap) put(i int, it item) {
	h.items[i] = it
	h.slots.all[it.slot].pos = uint32(i)
}

func (h *heap) before(a, b item) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	return bytes.Compare(h.slots.all[a.slot].key[:], h.slots.all[b.slot].key[:]) < 0
}

// count returns how many items below place i, itself included, are not after
// due. It visits only those and their children.
func (h *heap) count(i int, due int64) int {
	if i >= len(h.items) || h.items[i].due > due {
		return 0
	}
	n := 1
	for c := arity*i + 1; c <= arity*i+arity; c++ {
		n += h.count(c, due)
	}
	return n
}
