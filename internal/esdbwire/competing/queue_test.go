package competing_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/esdbwire/competing"
)

// inbox is a consumer's end.
type inbox struct{ got []*competing.Message }

func (b *inbox) Offer(m *competing.Message) bool {
	b.got = append(b.got, m)
	return true
}

func (b *inbox) places() (list []int) {
	for _, m := range b.got {
		list = append(list, m.Place.(int))
	}
	return list
}

func id(n int) events.ID { return events.NameID(fmt.Sprint(n)) }

func message(n int) *competing.Message {
	return &competing.Message{ID: id(n), Key: fmt.Sprint("key-", n%20), Size: 10, Place: n, Event: "what happened"}
}

var settings = competing.Settings{Strategy: competing.RoundRobin, Timeout: time.Second, MaxRetries: 2, Buffer: 100, Bytes: 1 << 20}

func queue(s competing.Settings, n int) *competing.Queue {
	q := competing.New(s)
	for i := range n {
		q.Add(message(i))
	}
	return q
}

func done(q *competing.Queue) int {
	last, _ := q.Done(competing.Sequence)
	if last == nil {
		return -1
	}
	return last.Place.(int)
}

func TestEventsGoRoundAsFarAsThereIsRoom(t *testing.T) {
	q := queue(settings, 7)
	var a, b inbox
	first := q.Join(&a, 2)
	q.Join(&b, 4)
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 2}, a.places())
	require.Equal(t, []int{1, 3, 4, 5}, b.places())
	q.Deliver(time.Now())
	require.Len(t, a.got, 2, "it has no slot")
	q.Ack(first, id(2))
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 2, 6}, a.places())
	require.Equal(t, -1, done(q), "0 is not done")
	q.Ack(first, id(0))
	require.Equal(t, 0, done(q))
	require.Equal(t, 5, q.Out())
}

func TestASingleConsumerGetsAllUntilItLeaves(t *testing.T) {
	s := settings
	s.Strategy = competing.DispatchToSingle
	q := queue(s, 3)
	var a, b inbox
	first := q.Join(&a, 2)
	q.Join(&b, 10)
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 1}, a.places())
	require.Empty(t, b.got)
	q.Leave(first)
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 1, 2}, b.places())
	require.Zero(t, b.got[0].Retries, "who leaves tries nothing again")
}

func TestKeysArePinned(t *testing.T) {
	s := settings
	s.Strategy, s.Timeout = competing.Pinned, 0
	q := queue(s, 50)
	boxes := make([]*inbox, 3)
	seats := make([]*competing.Consumer, 3)
	for i := range boxes {
		boxes[i] = new(inbox)
		seats[i] = q.Join(boxes[i], 100)
	}
	q.Deliver(time.Now())
	of := map[string]int{}
	for i, b := range boxes {
		require.True(t, slices.IsSorted(b.places()))
		for _, m := range b.got {
			was, found := of[m.Key]
			require.True(t, !found || was == i, "%s is with %d and %d", m.Key, was, i)
			of[m.Key] = i
		}
	}
	require.Len(t, of, 20)

	// Who comes takes keys over only when nobody is at work on them.
	late := new(inbox)
	for range 20 {
		q.Join(late, 100)
	}
	q.Add(message(60)) // key-0
	q.Deliver(time.Now())
	require.Empty(t, late.got)
	for n := range 50 {
		q.Ack(seats[of[fmt.Sprint("key-", n%20)]], id(n))
	}
	for n := range 5 {
		q.Add(message(61 + n))
	}
	q.Deliver(time.Now())
	require.NotEmpty(t, late.got)
	require.Equal(t, 49, done(q))
}

func TestAFullPinnedConsumerHoldsUpNobodyElse(t *testing.T) {
	s := settings
	s.Strategy = competing.Pinned
	q := queue(s, 50)
	var small, large inbox
	q.Join(&small, 1)
	q.Join(&large, 100)
	q.Deliver(time.Now())
	require.Len(t, small.got, 1)
	require.NotEmpty(t, large.got)
	for _, m := range large.got {
		require.NotEqual(t, small.got[0].Key, m.Key)
	}
}

func TestWhatIsNotHandledInTimeIsTriedAgainAndThenParked(t *testing.T) {
	q := queue(settings, 2)
	var a inbox
	seat := q.Join(&a, 10)
	now := time.Now()
	q.Deliver(now)
	require.Equal(t, now.Add(time.Second), q.NextDue())
	q.Ack(seat, id(1))
	for retry := 1; retry <= 2; retry++ {
		now = now.Add(time.Second - 1)
		require.Empty(t, q.Expire(now))
		require.Equal(t, 1, q.Out())
		now = now.Add(1)
		require.Empty(t, q.Expire(now))
		require.Zero(t, q.Out())
		require.True(t, q.NextDue().IsZero())
		q.Ack(seat, id(0)) // too late: it is not its own any more
		q.Deliver(now)
		require.Equal(t, retry, a.got[len(a.got)-1].Retries)
	}
	parked := q.Expire(now.Add(time.Second))
	require.Len(t, parked, 1)
	require.Equal(t, -1, done(q), "it is not put aside yet")
	q.Again(parked[0])
	q.Deliver(now)
	require.Equal(t, 1, q.Out(), "it could not be put aside")
	parked = q.Expire(now.Add(time.Hour))
	q.Finish(parked[0])
	require.Equal(t, 1, done(q))
	require.Nil(t, parked[0].Event)
}

func TestOneMessageOfAnIDIsOutAtATime(t *testing.T) {
	q := competing.New(settings)
	for place := range 2 {
		m := message(7)
		m.Place = place
		q.Add(m)
	}
	var a inbox
	seat := q.Join(&a, 10)
	q.Deliver(time.Now())
	require.Equal(t, []int{0}, a.places())
	q.Ack(seat, id(7))
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 1}, a.places())
}

func TestOthersCannotAnswerForAConsumer(t *testing.T) {
	q := queue(settings, 1)
	var a, b inbox
	q.Join(&a, 1)
	other := q.Join(&b, 1)
	q.Deliver(time.Now())
	q.Ack(other, id(0))
	require.Nil(t, q.Park(other, id(0)))
	require.Nil(t, q.Retry(other, id(0)))
	require.Equal(t, 1, q.Out())
}

func TestRoomIsBounded(t *testing.T) {
	s := settings
	s.Buffer, s.Bytes = 3, 25
	q := queue(s, 2)
	require.True(t, q.Room(), "20 of 25 bytes")
	q.Add(message(2))
	require.False(t, q.Room(), "30 bytes")
	var a inbox
	seat := q.Join(&a, 10)
	q.Deliver(time.Now())
	require.False(t, q.Room(), "who has them needs them still")
	q.Ack(seat, id(0))
	require.True(t, q.Room())
}

// TestNothingIsLostAndNothingIsDoneTwice does what consumers may do, in any order.
func TestNothingIsLostAndNothingIsDoneTwice(t *testing.T) {
	strategies := []competing.Strategy{competing.RoundRobin, competing.DispatchToSingle, competing.Pinned, competing.PinnedByCorrelation}
	rapid.Check(t, func(t *rapid.T) {
		s := settings
		s.Strategy = rapid.SampledFrom(strategies).Draw(t, "strategy")
		w := &world{t: t, q: competing.New(s), now: time.Unix(0, 0), finished: map[int]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"add": w.add, "pass": w.pass, "join": w.join, "leave": w.leave, "deliver": w.deliver,
			"ack": w.ack, "nack": w.nack, "wait": w.wait, "": w.check,
		})
		w.drain()
	})
}

type world struct {
	t        *rapid.T
	q        *competing.Queue
	now      time.Time
	added    int
	finished map[int]bool
	boxes    []*inbox
	seats    []*competing.Consumer
}

func (w *world) add(*rapid.T) {
	w.q.Add(message(w.added))
	w.added++
}

func (w *world) pass(*rapid.T) {
	w.q.Pass(message(w.added))
	w.finish(w.added)
	w.added++
}

func (w *world) finish(place int) {
	if w.finished[place] {
		w.t.Fatalf("%d is done twice", place)
	}
	w.finished[place] = true
}

func (w *world) join(t *rapid.T) {
	b := new(inbox)
	w.boxes, w.seats = append(w.boxes, b), append(w.seats, w.q.Join(b, rapid.IntRange(1, 4).Draw(t, "slots")))
}

func (w *world) leave(t *rapid.T) {
	if i := w.someone(t); i >= 0 {
		w.q.Leave(w.seats[i])
		w.boxes, w.seats = slices.Delete(w.boxes, i, i+1), slices.Delete(w.seats, i, i+1)
	}
}

func (w *world) someone(t *rapid.T) int {
	if len(w.seats) == 0 {
		return -1
	}
	return rapid.IntRange(0, len(w.seats)-1).Draw(t, "who")
}

func (w *world) deliver(*rapid.T) { w.q.Deliver(w.now) }

// answered draws a consumer and something that it once got; it may be its own no more.
func (w *world) answered(t *rapid.T) (*competing.Consumer, *competing.Message) {
	i := w.someone(t)
	if i < 0 || len(w.boxes[i].got) == 0 {
		return nil, nil
	}
	return w.seats[i], rapid.SampledFrom(w.boxes[i].got).Draw(t, "what")
}

func (w *world) ack(t *rapid.T) {
	c, m := w.answered(t)
	if c == nil {
		return
	}
	before := c.InFlight
	if w.q.Ack(c, m.ID); c.InFlight < before {
		w.finish(m.Place.(int))
	}
}

func (w *world) nack(t *rapid.T) {
	c, m := w.answered(t)
	switch {
	case c == nil:
	case rapid.Bool().Draw(t, "park"):
		w.put(t, w.q.Park(c, m.ID))
	default:
		w.put(t, w.q.Retry(c, m.ID))
	}
}

// put puts a message aside, unless that fails.
func (w *world) put(t *rapid.T, m *competing.Message) {
	switch {
	case m == nil:
	case rapid.Bool().Draw(t, "written"):
		w.finish(m.Place.(int))
		w.q.Finish(m)
	default:
		w.q.Again(m)
	}
}

func (w *world) wait(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
	for _, m := range w.q.Expire(w.now) {
		w.put(t, m)
	}
}

func (w *world) check(t *rapid.T) {
	first := 0
	for w.finished[first] {
		first++
	}
	if done(w.q) != first-1 {
		t.Fatalf("done up to %d, and %d is the first that is not", done(w.q), first)
	}
	total := 0
	for _, c := range w.seats {
		if total += c.InFlight; c.InFlight < 0 || c.InFlight > c.Slots {
			t.Fatalf("%d in %d slots", c.InFlight, c.Slots)
		}
	}
	fresh, again := w.q.Waiting()
	if total != w.q.Out() || fresh+again+total+len(w.finished) != w.added {
		t.Fatalf("%d came; %d and %d wait, %d of %d are out, %d are done", w.added, fresh, again, total, w.q.Out(), len(w.finished))
	}
}

// drain answers everything: each message comes to somebody.
func (w *world) drain() {
	w.join(w.t)
	for range 20 * (w.added + 1) {
		w.q.Deliver(w.now)
		for i, b := range w.boxes {
			for _, m := range b.got {
				before := w.seats[i].InFlight
				if w.q.Ack(w.seats[i], m.ID); w.seats[i].InFlight < before {
					w.finish(m.Place.(int))
				}
			}
			b.got = nil
		}
	}
	if len(w.finished) != w.added || done(w.q) != w.added-1 {
		w.t.Fatalf("%d of %d were done", len(w.finished), w.added)
	}
}
