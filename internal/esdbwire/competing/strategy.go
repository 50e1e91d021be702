package competing

import "hash/fnv"

// Strategy is how a consumer is chosen for a message. The names are EventStoreDB's.
type Strategy string

// The strategies.
const (
	RoundRobin          Strategy = "RoundRobin"          // in turns
	DispatchToSingle    Strategy = "DispatchToSingle"    // one until it is full, then the next
	Pinned              Strategy = "Pinned"              // one for each stream
	PinnedByCorrelation Strategy = "PinnedByCorrelation" // one for each correlation id
)

// Known reports whether there is such a strategy.
func (s Strategy) Known() bool {
	return s == RoundRobin || s == DispatchToSingle || s.pinned()
}

func (s Strategy) pinned() bool { return s == Pinned || s == PinnedByCorrelation }

// choose returns whose message it is; nil: nobody's for now.
func (q *Queue) choose(m *Message) *Consumer {
	if q.settings.Strategy.pinned() {
		return q.pinned(m)
	}
	for i := range q.consumers {
		at := (q.turn + i) % len(q.consumers)
		if c := q.consumers[at]; c.open() {
			if q.turn = at; q.settings.Strategy == RoundRobin {
				q.turn++
			}
			return c
		}
	}
	return nil
}

// pinned chooses by the highest of the consumers' weights for a key, so that who comes
// or goes moves no keys but its own. A key moves once nobody else has messages of it.
func (q *Queue) pinned(m *Message) *Consumer {
	var chosen *Consumer
	highest := uint64(0)
	for _, c := range q.consumers {
		if weight := mix(m.hash ^ mix(c.number)); chosen == nil || weight > highest {
			chosen, highest = c, weight
		}
	}
	if h := q.held[m.Key]; h != nil && h.by != chosen {
		return nil
	}
	return chosen
}

func hashOf(key string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return h.Sum64()
}

// mix spreads the bits of a number, as splitmix64 does.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
