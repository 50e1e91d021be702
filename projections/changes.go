package projections

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/parley-engine/parley/events"
)

// Changes remembers the position of what happened last to each of many things.
// Of what it has forgotten it says a position that is not too low. Make one with
// NewChanges. Safe for concurrent use.
type Changes struct {
	mu    sync.Mutex // guards all
	last  *simplelru.LRU[string, events.Position]
	floor events.Position // highest position of what was forgotten
}

// NewChanges returns one that remembers so many things. What happened before it
// was there happened up to the floor.
func NewChanges(things int, floor events.Position) *Changes {
	c := &Changes{floor: floor}
	last, err := simplelru.NewLRU(things, func(_ string, p events.Position) { c.floor = higher(c.floor, p) })
	if err != nil {
		panic(err) // only for a size below one
	}
	c.last = last
	return c
}

// Note remembers that something happened to the thing at the position. A lower
// position than one it knows changes nothing; nor does an empty name.
func (c *Changes) Note(thing string, p events.Position) {
	if thing == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.last.Get(thing); known && before.Compare(p) >= 0 {
		return
	}
	c.last.Add(thing, p)
}

// At returns the position of what happened last to the thing, or a later one.
func (c *Changes) At(thing string) events.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, known := c.last.Get(thing); known {
		return p
	}
	return c.floor
}

func higher(a, b events.Position) events.Position {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// changesKept is how many conversations' last changes are remembered.
const changesKept = 1 << 16

// Stamp tells apart what queries about a conversation can have answered. Two equal
// stamps, the first taken before a query and the second at any time after it, say
// that the same query would answer the same.
type Stamp struct {
	generation int
	changed    events.Position
}

// Stamp returns the present stamp of a conversation. It is set anew after what
// changed it was committed and before anybody who waits for that is told.
func (rm *ReadModels) Stamp(conversation string) Stamp {
	// The generation is read first: a swap in between makes the pair old, not new.
	generation := rm.progress.get().Generation
	return Stamp{generation, rm.changes.At(conversation)}
}

// noteChanges tells of the conversations in a committed batch.
func (rm *ReadModels) noteChanges(batch []events.Recorded) {
	for i := range batch {
		if i+1 < len(batch) && batch[i].Stream == batch[i+1].Stream {
			continue // the last one counts
		}
		if category, sid, _ := events.SplitStream(batch[i].Stream); category == events.CategoryConversation {
			rm.changes.Note(sid, batch[i].Position)
		}
	}
}
