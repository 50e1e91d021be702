package conversation

import (
	"cmp"
	"strings"

	"github.com/parley-engine/parley/events"
)

// update says what really changes, one event per kind of change; a change of
// state comes last.
func update(s State, c Update) ([]events.Event, error) {
	if err := cmp.Or(s.found(), s.mayUpdate(c)); err != nil {
		return nil, err
	}
	if err := cmp.Or(s.permits(whileOpen), checkUpdate(c)); err != nil {
		return nil, err
	}
	return s.changes(c), nil
}

func (s State) changes(c Update) []events.Event {
	d := dates{s.DateCreated, s.DateUpdated, c.DateCreated, c.DateUpdated}
	at, stamp := c.At, d.stamp(c.At)
	var es []events.Event
	if c.FriendlyName != nil && *c.FriendlyName != s.FriendlyName {
		es = append(es, events.ConversationFriendlyNameChanged{FriendlyName: *c.FriendlyName, DateUpdated: stamp, At: at})
	}
	if c.UniqueName != nil && *c.UniqueName != s.UniqueName {
		es = append(es, events.ConversationUniqueNameChanged{UniqueName: *c.UniqueName, DateUpdated: stamp, At: at})
	}
	if c.Attributes != nil && digest(*c.Attributes) != s.Attributes {
		es = append(es, events.ConversationAttributesChanged{Attributes: attributes(*c.Attributes), DateUpdated: stamp, At: at})
	}
	if c.MessagingService != nil && *c.MessagingService != s.MessagingService {
		es = append(es, events.ConversationMessagingServiceAttached{MessagingService: *c.MessagingService, DateUpdated: stamp, At: at})
	}
	if c.Email != nil && *c.Email != s.Email {
		es = append(es, events.ConversationEmailChanged{Email: *c.Email, DateUpdated: stamp, At: at})
	}
	if timers := stored(c.Timers.apply(s.Timers)); timers != s.Timers {
		es = append(es, events.ConversationTimersConfigured{Timers: timers, DateUpdated: stamp, At: at})
	}
	if c.NextIndex != nil && *c.NextIndex > s.NextIndex {
		es = append(es, events.ConversationIndexesReserved{NextIndex: *c.NextIndex, At: at})
	}
	if created, updated, needed := d.set(at, len(es) > 0 || c.State != nil); needed {
		es = append(es, events.ConversationDatesSet{DateCreated: created, DateUpdated: updated, At: at})
	}
	if c.State != nil {
		es = append(es, events.ConversationStateChanged{
			From: s.State, To: strings.ToLower(*c.State), Reason: events.ReasonAPI, DateUpdated: stamp, At: at,
		})
	}
	return es
}

// apply returns the timers with those replaced that are given.
func (p *TimersPatch) apply(t events.Timers) events.Timers {
	if p != nil && p.Inactive != nil {
		t.Inactive = *p.Inactive
	}
	if p != nil && p.Closed != nil {
		t.Closed = *p.Closed
	}
	return t
}

// stored is timers as an event holds them: what has no length is left out.
func stored(t events.Timers) events.Timers {
	return events.Timers{Inactive: given(t.Inactive), Closed: given(t.Closed)}
}

func (s State) mayUpdate(c Update) error {
	if c.NextIndex != nil && !c.Caller.Imports() {
		return importOnly("next_index", "reserve indexes")
	}
	if c.Caller.Identity == "" {
		return nil
	}
	if c.FriendlyName != nil || c.UniqueName != nil {
		if err := s.may(c.Caller, editConversationName); err != nil {
			return err
		}
	}
	if c.Attributes != nil {
		if err := s.may(c.Caller, editConversationAttributes); err != nil {
			return err
		}
	}
	switch {
	case c.State != nil:
		return serverOnly(c.Caller, "state", "set the state")
	case c.Timers != nil:
		return serverOnly(c.Caller, "timers", "set timers")
	case c.MessagingService != nil:
		return serverOnly(c.Caller, "messaging_service", "attach a Messaging Service")
	case c.Email != nil:
		return serverOnly(c.Caller, "email", "set an e-mail binding")
	}
	return checkDates(c.Caller, c.DateCreated, c.DateUpdated)
}

func checkUpdate(c Update) error {
	if c.MessagingService != nil {
		if err := checkMessagingService(*c.MessagingService, c.MessagingServices); err != nil {
			return err
		}
	}
	return cmp.Or(
		checkText(text(c.FriendlyName), "friendly_name", maxNameChars, 50003),
		checkUniqueName(text(c.UniqueName)),
		checkAttributes(text(c.Attributes), maxConversationAttributes),
		checkState(c.State),
		checkNextIndex(c.NextIndex, "next_index"),
		checkEmail(email(c.Email)),
		c.Timers.check(c.Limits.WithDefaults()),
	)
}

// check checks what is given; a timer as no text at all is refused, for PT0S
// disables one.
func (p *TimersPatch) check(l Limits) error {
	switch {
	case p == nil:
		return nil
	case p.Inactive != nil && *p.Inactive == "":
		return invalid("timer_invalid", "timers.inactive", 50379, "timers.inactive is empty; PT0S disables a timer")
	case p.Closed != nil && *p.Closed == "":
		return invalid("timer_invalid", "timers.closed", 50380, "timers.closed is empty; PT0S disables a timer")
	}
	return checkTimers(events.Timers{Inactive: text(p.Inactive), Closed: text(p.Closed)}, l)
}

func checkState(given *string) error {
	if given == nil {
		return nil
	}
	switch strings.ToLower(*given) {
	case events.StateActive, events.StateInactive, events.StateClosed:
		return nil
	case "":
		return invalid("state_empty", "state", 50374, "state is empty")
	}
	return invalid("state_invalid", "state", 50378, "%.40q is not a state", *given)
}

// text is the text behind a pointer, empty for none.
func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func email(p *events.Email) events.Email {
	if p == nil {
		return events.Email{}
	}
	return *p
}

// remove ends the conversation in whatever state it is.
func remove(s State, c Remove) ([]events.Event, error) {
	if err := cmp.Or(s.found(), s.may(c.Caller, deleteConversation)); err != nil {
		return nil, err
	}
	return []events.Event{events.ConversationRemoved{At: c.At}}, nil
}
