package conversation

import (
	"cmp"
	"slices"
	"strings"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
)

// status is a delivery status by rank. Of all reports about one copy the one of
// the highest rank is true, in whatever order they come (reference 4.5): a
// channel that says delivered or read has the last word even after a failure,
// and undelivered, said by the channel, outranks failed, which says that the
// copy never got there.
type status uint8

const (
	unheard status = iota
	queued
	sent
	failed
	undelivered
	delivered
	read
)

var statuses = []string{
	unheard: "", queued: events.DeliveryQueued, sent: events.DeliverySent, failed: events.DeliveryFailed,
	undelivered: events.DeliveryUndelivered, delivered: events.DeliveryDelivered, read: events.DeliveryRead,
}

// statusOf returns the rank of a status, unheard for none and unknown ones.
func statusOf(name string) status { return status(max(0, slices.Index(statuses, name))) }

func (r status) bad() bool { return r == failed || r == undelivered }

func recordDelivery(s State, c RecordDelivery) ([]events.Event, error) {
	if s.Removed() {
		return nil, nil // as with a removed message: nothing is left to tell it of
	}
	if err := cmp.Or(s.found(), serverOnly(c.Caller, "", "report deliveries"), s.permits(inEveryState)); err != nil {
		return nil, err
	}
	heard := statusOf(strings.ToLower(c.Status))
	if heard == unheard {
		return nil, invalid("status_invalid", "status", 0, "%.40q is not a delivery status", c.Status)
	}
	m, ok := s.Messages[c.Message]
	switch {
	case !ok:
		return nil, messageNotFound(c.Message)
	case m.Removed:
		return nil, nil // its receipts went with it, and the channel cannot know
	}
	sid, known, err := s.recipient(m, c.Participant)
	if err != nil || heard <= known {
		return nil, err
	}
	es := []events.Event{events.DeliveryUpdated{
		Receipt: domain.SID("DY", c.Message+":"+sid), Message: c.Message, Participant: sid,
		ChannelMessage: c.ChannelMessage, Status: statuses[heard], ErrorCode: errorCode(heard, c.ErrorCode),
		Evidence: known.bad(), At: c.At,
	}}
	if p, present := s.Participants[sid]; present && heard == read && m.Index > p.LastRead {
		es = append(es, events.ReadHorizonMoved{Participant: sid, Index: m.Index, ReadAt: c.At, At: c.At})
	}
	return es, nil
}

func errorCode(heard status, code int) int {
	if heard.bad() {
		return code
	}
	return 0
}

// recipient finds whom a report is about, by SID or address, among the
// recipients of the message; they may have left since.
func (s State) recipient(m Message, ref string) (sid string, known status, err error) {
	meant := s.reached(ref)
	for _, r := range m.Receipts {
		if sid, ok := meant[r.To]; ok {
			return sid, r.Status, nil
		}
	}
	if len(meant) == 0 {
		return "", unheard, participantNotFound(ref)
	}
	return "", unheard, invalid("not_a_recipient", "participant", 0, "%.300q is not a recipient of the message", ref)
}

// reached returns the participants, present and former, that ref means: the one
// with the SID, or all with the address; SIDs by Number.
func (s State) reached(ref string) map[int]string {
	if n := s.number(ref); n > 0 {
		return map[int]string{n: ref}
	}
	meant := map[int]string{}
	if ref == "" {
		return meant
	}
	for sid, p := range s.Participants {
		if p.Binding.Address == ref {
			meant[p.Number] = sid
		}
	}
	for sid, f := range s.Former {
		if f.Address == ref {
			meant[f.Number] = sid
		}
	}
	return meant
}
