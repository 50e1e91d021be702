package crashtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

// history folds a log, event by event, and refuses one that cannot be: revisions
// with gaps, positions that fall, ids or commands twice, timers that fired early
// and values held by two conversations at any moment.
type history struct {
	position  events.Position
	events    int
	revisions map[string]uint64 // next one, by stream
	ids       map[events.ID]struct{}
	effects   map[events.ID]*effect // by command
	talks     map[string]*talk      // by stream
	holders   map[string]string     // stream by claim
}

// effect is what one command wrote: one batch.
type effect struct {
	stream      string
	first, last uint64
	position    events.Position
	types       []string
}

type talk struct {
	state conversation.State
	held  []string // claims
}

func newHistory() *history {
	return &history{
		revisions: map[string]uint64{}, ids: map[events.ID]struct{}{}, effects: map[events.ID]*effect{},
		talks: map[string]*talk{}, holders: map[string]string{},
	}
}

// add takes the next event of the log.
func (h *history) add(r events.Recorded) error {
	for _, check := range []func(events.Recorded) error{h.order, h.once, h.fold} {
		if err := check(r); err != nil {
			return fmt.Errorf("position %s, %s revision %d, %s: %w", r.Position, r.Stream, r.Revision, r.Type, err)
		}
	}
	h.events++
	return nil
}

func (h *history) order(r events.Recorded) error {
	if r.Position.Compare(h.position) <= 0 {
		return fmt.Errorf("the position before was %s", h.position)
	}
	if next := h.revisions[r.Stream]; r.Revision != next {
		return fmt.Errorf("revision %d was next", next)
	}
	h.position = r.Position
	h.revisions[r.Stream]++
	return nil
}

// once holds a command to a single batch in a single stream.
func (h *history) once(r events.Recorded) error {
	if _, again := h.ids[r.ID]; again {
		return fmt.Errorf("event %s is there twice", r.ID)
	}
	h.ids[r.ID] = struct{}{}
	id := r.Metadata.CommandID
	if id.IsZero() {
		return nil // a fence: nobody's command
	}
	e := h.effects[id]
	if e == nil {
		e = &effect{stream: r.Stream, first: r.Revision}
		h.effects[id] = e
	} else if e.stream != r.Stream || e.last+1 != r.Revision {
		return fmt.Errorf("command %s has had an effect in %s up to revision %d", id, e.stream, e.last)
	}
	if want := events.EventID(id, len(e.types)); r.ID != want {
		return fmt.Errorf("event %d of command %s has id %s, not %s", len(e.types), id, r.ID, want)
	}
	e.last, e.position, e.types = r.Revision, r.Position, append(e.types, r.Type)
	return nil
}

func (h *history) fold(r events.Recorded) error {
	if category, _, _ := events.SplitStream(r.Stream); category != events.CategoryConversation {
		return nil
	}
	event, err := events.Vocabulary().Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	t := h.talks[r.Stream]
	if t == nil {
		t = &talk{}
		h.talks[r.Stream] = t
	}
	if err := t.punctual(event, r); err != nil {
		return err
	}
	t.state = conversation.Evolve(t.state, event)
	return h.hold(r.Stream, t)
}

// punctual holds a timer to its instant: the one that was next, and not before
// it had come.
func (t *talk) punctual(event events.Event, r events.Recorded) error {
	changed, ok := event.(events.ConversationStateChanged)
	if !ok || changed.Reason != events.ReasonTimer {
		return nil
	}
	due, to, running := t.state.NextDue()
	if !running || !due.Equal(changed.Due) || to != changed.To {
		return fmt.Errorf("a timer fired to %s at %s, but %s at %s was due", changed.To, changed.Due, to, due)
	}
	if r.Recorded.Before(changed.Due) || !r.Metadata.Occurred.Equal(changed.Due) {
		return fmt.Errorf("a timer due at %s fired at %s as of %s", changed.Due, r.Recorded, r.Metadata.Occurred)
	}
	return nil
}

// hold keeps who holds what, and refuses a second holder.
func (h *history) hold(stream string, t *talk) error {
	held := claimsOf(t.state)
	for _, claim := range t.held {
		if !slices.Contains(held, claim) {
			delete(h.holders, claim)
		}
	}
	for _, claim := range held {
		if other, taken := h.holders[claim]; taken && other != stream {
			return fmt.Errorf("%q is held by %s as well", claim, other)
		}
		h.holders[claim] = stream
	}
	t.held = held
	return nil
}

// claimsOf lists what a conversation holds alone: its unique name until it is
// removed, and its address pairs until it is closed.
func claimsOf(s conversation.State) (claims []string) {
	if s.Removed() {
		return nil
	}
	if s.UniqueName != "" {
		claims = append(claims, "name "+s.Service+" "+s.UniqueName)
	}
	if s.State == events.StateClosed {
		return claims
	}
	for _, p := range s.Participants {
		if b := p.Binding; b.Address != "" && b.ProxyAddress != "" {
			claims = append(claims, strings.Join([]string{"pair", s.Account, b.Address, b.ProxyAddress}, " "))
		}
	}
	return claims
}

// overdue names a conversation whose timer should have fired before the instant.
func (h *history) overdue(instant time.Time) (stream string, due time.Time, found bool) {
	for stream, t := range h.talks {
		if due, _, ok := t.state.NextDue(); ok && due.Before(instant) {
			return stream, due, true
		}
	}
	return "", time.Time{}, false
}
