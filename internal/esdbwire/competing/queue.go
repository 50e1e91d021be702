package competing

import (
	"cmp"
	"slices"
	"time"

	"github.com/parley-engine/parley/events"
)

// Source is where a message comes from. What was done of each is known apart.
type Source int

// The sources of messages.
const (
	Sequence Source = iota // the events shared
	Parked                 // those that were put aside, once more
	sources
)

// Message is an event on its way. The queue owns it from Add on.
type Message struct {
	ID      events.ID // what consumers call it; one message of an id is out at a time
	Key     string    // what the pinned strategies keep together
	Size    int       // bytes
	Source  Source
	Place   any // in its source
	Event   any // forgotten when it is done
	Retries int // how often it was tried again

	order    uint64 // of arrival
	hash     uint64 // of Key
	state    state
	due      time.Time
	consumer *Consumer
}

type state int

const (
	waiting state = iota
	out           // with a consumer
	aside         // returned by the queue to be parked
	done
)

// Receiver is a consumer's end, where messages wait to be sent.
type Receiver interface {
	// Ready reports whether it takes messages: not while it is stuck.
	Ready() bool
	// Give adds a message. What is kept of it must be copied: the queue changes it.
	Give(m *Message)
	// Withdraw takes a message back if it waits still, and reports whether it did. When
	// that is because it waited too long, the receiver is stuck until it has sent what it
	// is sending.
	Withdraw(m *Message, late bool) (unsent bool)
}

// Consumer is one of those who compete. Make one with Join.
type Consumer struct {
	Slots    int   // messages it may have at a time
	InFlight int   // messages it has
	Total    int64 // messages it was given, repeats counted
	receiver Receiver
	number   uint64
	ready    bool // in this round of Deliver: one answer for all of it
}

func (c *Consumer) open() bool { return c.ready && c.InFlight < c.Slots }

// Settings of a queue.
type Settings struct {
	Strategy   Strategy
	Timeout    time.Duration // after which a message counts as not handled; 0: never
	MaxRetries int           // after which it is to be parked
	Buffer     int           // messages that may wait
	Bytes      int           // of messages that are not done
}

// Queue shares messages. Make one with New.
type Queue struct {
	settings  Settings
	consumers []*Consumer
	joined    uint64
	turn      int // of the consumers, unless they are pinned
	arrived   uint64
	bytes     int

	again, fresh []*Message // waiting: what was tried before comes first
	byID         map[events.ID]*Message
	held         map[string]*hold // keys of messages that are out, when pinned
	deadlines    []deadline
	tracks       [sources]track
}

// hold is who has messages of a key.
type hold struct {
	by *Consumer
	n  int
}

// deadline is when a message was due that went out once. Timeouts are all the same,
// so they come in order.
type deadline struct {
	m   *Message
	due time.Time
}

// New returns an empty queue.
func New(s Settings) *Queue {
	return &Queue{settings: s, byID: map[events.ID]*Message{}, held: map[string]*hold{}}
}

// maxOpen bounds the messages of a source that are done behind one that is not.
const maxOpen = 100_000

// Room reports whether there is room for one more message.
func (q *Queue) Room() bool {
	return len(q.fresh)+len(q.again) < q.settings.Buffer && q.bytes < q.settings.Bytes &&
		max(q.Open(Sequence), q.Open(Parked)) < maxOpen
}

// Waiting is how many messages wait, for the first time and once more.
func (q *Queue) Waiting() (fresh, again int) { return len(q.fresh), len(q.again) }

// Out is how many messages consumers have.
func (q *Queue) Out() int { return len(q.byID) }

// Add takes a message. Those of a source come in order.
func (q *Queue) Add(m *Message) {
	q.arrived++
	m.order, m.hash = q.arrived, hashOf(m.Key)
	q.bytes += m.Size
	q.tracks[m.Source].add(m)
	if m.Source == Parked {
		q.again = append(q.again, m)
		return
	}
	q.fresh = append(q.fresh, m)
}

// Pass takes a message that is for nobody: it only counts as done, in its place.
func (q *Queue) Pass(m *Message) {
	m.state = done
	q.tracks[m.Source].add(m)
}

// Join lets somebody compete.
func (q *Queue) Join(r Receiver, slots int) *Consumer {
	q.joined++
	c := &Consumer{Slots: slots, receiver: r, number: q.joined}
	q.consumers = append(q.consumers, c)
	return c
}

// Leave is for a consumer that is gone: what it had goes to others. That is no retry.
func (q *Queue) Leave(c *Consumer) {
	var left []*Message
	for _, m := range q.byID {
		if m.consumer == c {
			left = append(left, m)
		}
	}
	slices.SortFunc(left, func(a, b *Message) int { return cmp.Compare(a.order, b.order) })
	for _, m := range left {
		q.take(m, false)
		m.state = waiting
	}
	q.again = append(left, q.again...)
	q.consumers = slices.DeleteFunc(q.consumers, func(other *Consumer) bool { return other == c })
}

// take gets a message back from its consumer, and reports whether it was never sent.
func (q *Queue) take(m *Message, late bool) (unsent bool) {
	unsent = m.consumer.receiver.Withdraw(m, late)
	m.consumer.InFlight--
	m.consumer = nil
	delete(q.byID, m.ID)
	if h := q.held[m.Key]; h != nil {
		if h.n--; h.n == 0 {
			delete(q.held, m.Key)
		}
	}
	return unsent
}

// with returns the message that a consumer has; nil: it has none of that id, for one
// because it took too long.
func (q *Queue) with(c *Consumer, id events.ID) *Message {
	if m := q.byID[id]; m != nil && m.consumer == c {
		return m
	}
	return nil
}

// Ack is for a message that is handled. An id that the consumer does not have, or no
// longer, changes nothing.
func (q *Queue) Ack(c *Consumer, id events.ID) {
	if m := q.with(c, id); m != nil {
		q.take(m, false)
		q.Finish(m)
	}
}

// Park takes a message from a consumer that does not want it. It is returned to be
// put aside, and then to go to Finish, or to Again; nil: the consumer does not have it.
func (q *Queue) Park(c *Consumer, id events.ID) *Message {
	m := q.with(c, id)
	if m != nil {
		q.take(m, false)
		m.state = aside
	}
	return m
}

// Retry takes a message from a consumer that wants it to be tried again. When that
// was done often enough, it is returned as by Park.
func (q *Queue) Retry(c *Consumer, id events.ID) *Message {
	m := q.with(c, id)
	if m == nil {
		return nil
	}
	q.take(m, false)
	return q.retry(m)
}

func (q *Queue) retry(m *Message) *Message {
	if m.Retries >= q.settings.MaxRetries {
		m.state = aside
		return m
	}
	m.Retries++
	q.Again(m)
	return nil
}

// Again puts back a message that could not be put aside.
func (q *Queue) Again(m *Message) {
	m.state = waiting
	q.again = append(q.again, m)
}

// Finish is for a message that was put aside.
func (q *Queue) Finish(m *Message) {
	m.state, m.Event = done, nil
	q.bytes -= m.Size
	q.tracks[m.Source].settle()
}

// Expire takes back what consumers had for too long. What was tried often enough is
// returned as by Park; what was not sent yet was not tried.
func (q *Queue) Expire(now time.Time) (park []*Message) {
	for len(q.deadlines) > 0 {
		first := q.deadlines[0]
		if first.open() && first.due.After(now) {
			return park
		}
		q.deadlines[0] = deadline{}
		q.deadlines = q.deadlines[1:]
		if !first.open() {
			continue
		}
		if q.take(first.m, true) {
			q.Again(first.m)
		} else if m := q.retry(first.m); m != nil {
			park = append(park, m)
		}
	}
	return park
}

// open reports whether the message is still out since then.
func (d deadline) open() bool { return d.m.state == out && d.m.due.Equal(d.due) }

// NextDue is when Expire has something to do; zero: not for now.
func (q *Queue) NextDue() time.Time {
	for len(q.deadlines) > 0 && !q.deadlines[0].open() {
		q.deadlines[0] = deadline{}
		q.deadlines = q.deadlines[1:]
	}
	if len(q.deadlines) == 0 {
		return time.Time{}
	}
	return q.deadlines[0].due
}

// Deliver gives to consumers what they have room for.
func (q *Queue) Deliver(now time.Time) {
	for _, c := range q.consumers {
		c.ready = c.receiver.Ready()
	}
	r := round{Queue: q, now: now, refused: map[string]bool{}}
	q.again = r.deliver(q.again)
	q.fresh = r.deliver(q.fresh)
}

// round is one Deliver.
type round struct {
	*Queue
	now     time.Time
	refused map[string]bool // keys of which a message was left, when pinned: so are those behind it
}

// deliver returns what is left.
func (r *round) deliver(list []*Message) []*Message {
	var kept []*Message
	for i, m := range list {
		if !r.anyOpen() {
			return rest(kept, list[i:])
		}
		if !r.refused[m.Key] && r.byID[m.ID] == nil && r.hand(m, r.now) {
			continue
		}
		kept = append(kept, m)
		if r.settings.Strategy.pinned() {
			r.refused[m.Key] = true
		}
	}
	return kept
}

func rest(kept, list []*Message) []*Message {
	if len(kept) == 0 {
		return list
	}
	return append(kept, list...)
}

func (q *Queue) anyOpen() bool { return slices.ContainsFunc(q.consumers, (*Consumer).open) }

// hand gives a message to whom the strategy chooses, if that one has room.
func (q *Queue) hand(m *Message, now time.Time) bool {
	c := q.choose(m)
	if c == nil || !c.open() {
		return false
	}
	c.receiver.Give(m)
	m.state, m.consumer, m.due = out, c, now.Add(q.settings.Timeout)
	c.InFlight++
	c.Total++
	q.byID[m.ID] = m
	if q.settings.Strategy.pinned() {
		h := q.held[m.Key]
		if h == nil {
			h = &hold{by: c}
			q.held[m.Key] = h
		}
		h.n++
	}
	q.expect(m)
	return true
}

// expect notes when a message is due. Those that came back are forgotten once they are
// the most: one that stays out keeps them from passing.
func (q *Queue) expect(m *Message) {
	if q.settings.Timeout == 0 {
		return
	}
	if len(q.deadlines) > 2*len(q.byID)+1000 {
		q.deadlines = slices.DeleteFunc(q.deadlines, func(d deadline) bool { return !d.open() })
	}
	q.deadlines = append(q.deadlines, deadline{m, m.due})
}
