package timers

import "hash/maphash"

// slot is one conversation of the index: 20 bytes.
type slot struct {
	key key
	pos uint32 // its place in the heap; of a free slot, the next free one
}

// none is the number of no slot.
const none = ^uint32(0)

// slots numbers keys, and finds the number of a key by linear probing over a
// table of numbers. A Go map from key to number takes twice the memory.
type slots struct {
	all   []slot
	free  uint32   // first free slot, or none
	table []uint32 // numbers, none where empty; its length is a power of two
	used  int
	seed  maphash.Seed // nobody can choose ids that crowd one place of the table
}

const smallestTable = 16

func newSlots() *slots {
	return &slots{free: none, table: emptyTable(smallestTable), seed: maphash.MakeSeed()}
}

func emptyTable(n int) []uint32 {
	t := make([]uint32, n)
	for i := range t {
		t[i] = none
	}
	return t
}

// find returns the number of the key, or none.
func (s *slots) find(k key) uint32 { return s.table[s.probe(k)] }

// add numbers a key that has no number yet.
func (s *slots) add(k key) uint32 {
	if 4*(s.used+1) > 3*len(s.table) {
		s.grow()
	}
	n := s.free
	if n == none {
		n = uint32(len(s.all))
		s.all = append(s.all, slot{})
	} else {
		s.free = s.all[n].pos
	}
	s.all[n].key = k
	s.table[s.probe(k)] = n
	s.used++
	return n
}

// remove frees the number. Later members of the probing run move up, so that no
// search ends early at the gap.
func (s *slots) remove(n uint32) {
	gap := s.probe(s.all[n].key)
	for i := s.after(gap); s.table[i] != none; i = s.after(i) {
		home := s.home(s.all[s.table[i]].key)
		if mask := len(s.table) - 1; (i-home)&mask >= (i-gap)&mask {
			s.table[gap], gap = s.table[i], i
		}
	}
	s.table[gap] = none
	s.all[n] = slot{pos: s.free}
	s.free = n
	s.used--
}

func (s *slots) grow() {
	former := s.table
	s.table = emptyTable(2 * len(former))
	for _, n := range former {
		if n != none {
			s.table[s.probe(s.all[n].key)] = n
		}
	}
}

// probe returns the place of the key in the table, or of the gap it would fill.
func (s *slots) probe(k key) int {
	i := s.home(k)
	for s.table[i] != none && s.all[s.table[i]].key != k {
		i = s.after(i)
	}
	return i
}

func (s *slots) home(k key) int { return int(maphash.Bytes(s.seed, k[:])) & (len(s.table) - 1) }

func (s *slots) after(i int) int { return (i + 1) & (len(s.table) - 1) }
