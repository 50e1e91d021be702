package competing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/internal/esdbwire/competing"
)

// sequence is pinned consumers that come and go, are stuck now and then, and answer in
// any order; nothing is tried again.
type sequence struct {
	t      *rapid.T
	q      *competing.Queue
	added  int
	holder map[int]*worker // by place; nil: done
	all    []*worker
}

type worker struct {
	of   *sequence
	seat *competing.Consumer
	has  []int
}

func (w *worker) Ready() bool { return rapid.IntRange(0, 3).Draw(w.of.t, "ready") > 0 }

func (w *worker) Withdraw(*competing.Message, bool) bool { return false }

// Give checks that whatever came before with the same key is done, or here too.
func (w *worker) Give(m *competing.Message) {
	place := m.Place.(int)
	for earlier := place % 20; earlier < place; earlier += 20 {
		if by, given := w.of.holder[earlier]; !given || by != nil && by != w {
			w.of.t.Fatalf("%d of %s is given before %d is done", place, m.Key, earlier)
		}
	}
	w.of.holder[place], w.has = w, append(w.has, place)
}

func (s *sequence) some(t *rapid.T) *worker {
	if len(s.all) == 0 {
		return nil
	}
	return rapid.SampledFrom(s.all).Draw(t, "who")
}

func (s *sequence) add(t *rapid.T) {
	for range rapid.IntRange(1, 60).Draw(t, "n") {
		s.q.Add(message(s.added))
		s.added++
	}
}

func (s *sequence) join(t *rapid.T) {
	w := &worker{of: s}
	w.seat = s.q.Join(w, rapid.IntRange(1, 8).Draw(t, "slots"))
	s.all = append(s.all, w)
}

func (s *sequence) leave(t *rapid.T) {
	w := s.some(t)
	if w == nil {
		return
	}
	s.q.Leave(w.seat)
	for _, place := range w.has {
		delete(s.holder, place)
	}
	s.all = slices.DeleteFunc(s.all, func(other *worker) bool { return other == w })
}

func (s *sequence) ack(t *rapid.T) {
	w := s.some(t)
	if w == nil || len(w.has) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.has)-1).Draw(t, "which")
	s.q.Ack(w.seat, id(w.has[i]))
	s.holder[w.has[i]] = nil
	w.has = slices.Delete(w.has, i, i+1)
}

func TestPinnedKeysKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		settings := settings
		settings.Strategy, settings.Timeout, settings.Buffer = competing.Pinned, 0, 1000
		s := &sequence{t: t, q: competing.New(settings), holder: map[int]*worker{}}
		t.Repeat(map[string]func(*rapid.T){
			"add": s.add, "join": s.join, "leave": s.leave, "ack": s.ack,
			"deliver": func(*rapid.T) { s.q.Deliver(time.Now()) },
		})
	})
}

// One that cannot be given because its id is out holds up those of its key behind it.
func TestWhatIsLeftHoldsUpItsKey(t *testing.T) {
	s := settings
	s.Strategy = competing.Pinned
	q := competing.New(s)
	for place, m := range []struct {
		id  int
		key string
	}{{1, "one"}, {1, "other"}, {2, "other"}} {
		q.Add(&competing.Message{ID: id(m.id), Key: m.key, Place: place})
	}
	var a inbox
	seat := q.Join(&a, 10)
	q.Deliver(time.Now())
	require.Equal(t, []int{0}, a.places())
	q.Ack(seat, id(1))
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 1, 2}, a.places())
}
