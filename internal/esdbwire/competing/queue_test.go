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

// inbox is a consumer's end. It sends at once, unless it is slow.
type inbox struct {
	got    []*competing.Message // given, and not taken back unsent
	unsent []*competing.Message
	slow   bool
	stuck  bool
}

func (b *inbox) Ready() bool { return !b.stuck }

func (b *inbox) Give(m *competing.Message) {
	b.got = append(b.got, m)
	if b.slow {
		b.unsent = append(b.unsent, m)
	}
}

func (b *inbox) Withdraw(m *competing.Message, late bool) bool {
	i := slices.Index(b.unsent, m)
	if i < 0 {
		return false
	}
	b.unsent = slices.Delete(b.unsent, i, i+1)
	last := len(b.got) - 1 - slices.Index(reversed(b.got), m)
	b.got = slices.Delete(b.got, last, last+1)
	b.stuck = b.stuck || late
	return true
}

func reversed(list []*competing.Message) []*competing.Message {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

// send sends the first that waits, and what was stuck is so no more.
func (b *inbox) send() {
	b.stuck = false
	if len(b.unsent) > 0 {
		b.unsent = b.unsent[1:]
	}
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

// As the vendor's client describes it: one until its buffer is full, then the next, and
// so on.
func TestASingleConsumerGetsAllUntilItIsFull(t *testing.T) {
	s := settings
	s.Strategy = competing.DispatchToSingle
	q := queue(s, 3)
	var a, b inbox
	first := q.Join(&a, 2)
	q.Join(&b, 10)
	q.Deliver(time.Now())
	require.Equal(t, []int{0, 1}, a.places())
	require.Equal(t, []int{2}, b.places())
	q.Ack(first, id(0))
	q.Add(message(3))
	q.Deliver(time.Now())
	require.Equal(t, []int{2, 3}, b.places(), "it is the one now")
	q.Leave(first)
	q.Deliver(time.Now())
	require.Equal(t, []int{2, 3, 1}, b.places())
	require.Zero(t, b.got[2].Retries, "who leaves tries nothing again")
}

// What waits for a consumer that does not read is taken back when it is late, tried or
// parked for that no more than before, and others get it.
func TestWhoIsStuckHoldsUpNobody(t *testing.T) {
	for _, strategy := range []competing.Strategy{competing.RoundRobin, competing.DispatchToSingle} {
		s := settings
		s.Strategy, s.MaxRetries = strategy, 0
		q := queue(s, 6)
		a, b := inbox{slow: true}, inbox{}
		q.Join(&a, 3)
		now := time.Now()
		q.Deliver(now)
		a.send() // one goes out, then nothing more
		now = now.Add(time.Second)
		require.Len(t, q.Expire(now), 1, "that one was tried")
		require.Empty(t, a.unsent)
		q.Deliver(now)
		require.Empty(t, a.unsent, "it is stuck")
		well := q.Join(&b, 10)
		q.Deliver(now)
		require.ElementsMatch(t, []int{1, 2, 3, 4, 5}, b.places(), strategy)
		for _, m := range b.got {
			require.Zero(t, m.Retries)
			q.Ack(well, m.ID)
		}
		a.send()
		q.Add(message(6))
		q.Add(message(7))
		q.Deliver(now)
		require.Len(t, append(a.unsent, b.got[5:]...), 2)
	}
}

// One message that stays out keeps no note of those that come and go behind it.
func TestDueTimesAreForgotten(t *testing.T) {
	s := settings
	s.Timeout, s.MaxRetries = time.Hour, 1<<30
	q := queue(s, 1)
	var a inbox
	seat := q.Join(&a, 10)
	q.Deliver(time.Now())
	q.Add(message(1))
	for range 100_000 {
		a.got = nil
		q.Deliver(time.Now())
		q.Retry(seat, id(1))
	}
	require.Less(t, competing.DueTimes(q), 2000)
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
			"ack": w.ack, "nack": w.nack, "wait": w.wait, "send": w.send, "": w.check,
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
	b := &inbox{slow: rapid.Bool().Draw(t, "slow")}
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

func (w *world) send(t *rapid.T) {
	if i := w.someone(t); i >= 0 {
		w.boxes[i].send()
	}
}

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
	for i, b := range w.boxes {
		if len(b.unsent) > w.seats[i].InFlight {
			t.Fatalf("%d wait for a consumer that has %d", len(b.unsent), w.seats[i].InFlight)
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
	for _, b := range w.boxes {
		b.slow, b.stuck, b.unsent = false, false, nil
	}
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
