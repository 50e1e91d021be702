package sqlitestore

import (
	"hash/maphash"

	"github.com/parley-engine/parley/store"
)

// headsPerGeneration bounds the memory of heads to about 80 MB.
const headsPerGeneration = 1 << 20

// heads remembers the last revision of the streams in recent use, so that the
// index need not be asked. It keeps a hash of 128 bits, keyed afresh in every
// process, in place of the name. When the younger generation is full it becomes
// the older one, which is forgotten. It belongs to the writer's goroutine.
type heads struct {
	seeds          [2]maphash.Seed
	younger, older map[streamHash]store.Revision
}

type streamHash [2]uint64

func newHeads() *heads {
	return &heads{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, younger: map[streamHash]store.Revision{}}
}

func (h *heads) hash(stream string) streamHash {
	return streamHash{maphash.String(h.seeds[0], stream), maphash.String(h.seeds[1], stream)}
}

func (h *heads) get(stream string) (store.Revision, bool) {
	key := h.hash(stream)
	if revision, ok := h.younger[key]; ok {
		return revision, true
	}
	revision, ok := h.older[key]
	return revision, ok
}

func (h *heads) put(stream string, revision store.Revision) {
	if len(h.younger) >= headsPerGeneration {
		h.younger, h.older = map[streamHash]store.Revision{}, h.younger
	}
	h.younger[h.hash(stream)] = revision
}
