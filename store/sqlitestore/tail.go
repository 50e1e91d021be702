package sqlitestore

import "github.com/parley-engine/parley/store"

// tail knows which positions of a stretch of the log belong to which stream. It
// costs 4 bytes an event and about 100 a stream. Positions have no gaps, so an
// event is the place base+1+i, and the events of a stream are chained from the
// last to the first.
type tail struct {
	base    uint64  // position before the first event
	former  []int32 // of event i: the former event of its stream, -1 for none here
	streams map[string]span
}

// span is a stream's part of a tail.
type span struct {
	first store.Revision // revision of the stream's first event here
	count int32
	last  int32 // its last event here
}

func (s span) head() store.Revision { return s.first + store.Revision(s.count) - 1 }

// since returns the span without what is before a revision of it, but always
// with its last event.
func (s span) since(from store.Revision) span {
	skipped := min(from-s.first, store.Revision(s.count)-1)
	s.first += skipped
	s.count -= int32(skipped)
	return s
}

func newTail(base uint64) *tail { return &tail{base: base, streams: map[string]span{}} }

func (t *tail) upto() uint64 { return t.base + uint64(len(t.former)) }

// add takes the next event of the log.
func (t *tail) add(stream string, revision store.Revision) {
	s, known := t.streams[stream]
	if !known {
		s = span{first: revision, last: -1}
	}
	t.former = append(t.former, s.last)
	s.last = int32(len(t.former) - 1)
	s.count++
	t.streams[stream] = s
}

// until returns the span without what is behind a revision of it; it may be empty.
func (t *tail) until(s span, last store.Revision) span {
	for s.count > 0 && s.head() > last {
		s.count, s.last = s.count-1, t.former[s.last]
	}
	return s
}

// positions returns where the events of a span are, in ascending order.
func (t *tail) positions(s span) []uint64 {
	list := make([]uint64, s.count)
	for i, n := s.last, len(list)-1; n >= 0; i, n = t.former[i], n-1 {
		list[n] = t.base + 1 + uint64(i)
	}
	return list
}
