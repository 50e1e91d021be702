package conversation

import (
	"cmp"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
)

// Notification levels.
const (
	levelDefault = "default"
	levelMuted   = "muted"
)

func moveReadHorizon(s State, c MoveReadHorizon) ([]events.Event, error) {
	if err := s.found(); err != nil {
		return nil, err
	}
	p, ok := s.Participant(c.Participant)
	if err := cmp.Or(s.onlyHimself(c.Caller, p), s.permits(alsoClosed)); err != nil {
		return nil, err
	}
	switch {
	case !ok:
		return nil, participantNotFound(c.Participant)
	case c.Index == nil && c.Advance:
		return nil, badIndex("index", "To advance, an index is needed")
	case c.Index == nil:
		return clearHorizon(p, c.At), nil
	case c.Advance && *c.Index <= p.LastRead && *c.Index >= 0:
		return nil, nil
	}
	if err := s.checkIndex(*c.Index, "index"); err != nil {
		return nil, err
	}
	return s.reading(p, c.Index, c.ReadAt, c.At)
}

func clearHorizon(p Participant, at time.Time) []events.Event {
	if p.LastRead < 0 {
		return nil
	}
	return []events.Event{events.ReadHorizonMoved{Participant: p.Sid, Index: noHorizon, At: at}}
}

// reading moves a horizon in either direction, or only its time. Saying the
// same again without a time changes nothing.
func (s State) reading(p Participant, index *int64, readAt, at time.Time) ([]events.Event, error) {
	to := p.LastRead
	switch {
	case index == nil && readAt.IsZero():
		return nil, nil
	case index == nil && p.LastRead < 0:
		return nil, badIndex("last_read_message_index", "A time of reading needs an index")
	case index != nil:
		to = *index
		if err := s.checkIndex(to, "last_read_message_index"); err != nil {
			return nil, err
		}
	}
	when := effective(readAt, at)
	if to == p.LastRead && (readAt.IsZero() || when.Equal(p.LastReadAt)) {
		return nil, nil
	}
	return []events.Event{events.ReadHorizonMoved{Participant: p.Sid, Index: to, ReadAt: when, At: at}}, nil
}

// checkIndex refuses what was never the index of a message (50421).
func (s State) checkIndex(index int64, field string) error {
	switch {
	case index < 0:
		return badIndex(field, "An index is not negative")
	case index >= s.NextIndex:
		return badIndex(field, "The index is beyond the last message")
	}
	return nil
}

func badIndex(field, message string) error {
	return invalid("read_index_invalid", field, 50421, "%s", message)
}

func setNotificationLevel(s State, c SetNotificationLevel) ([]events.Event, error) {
	return s.setLevel(c, "level")
}

// setLevel is setNotificationLevel for a command that has the level in a field.
func (s State) setLevel(c SetNotificationLevel, field string) ([]events.Event, error) {
	if err := s.found(); err != nil {
		return nil, err
	}
	p, ok := s.Participant(c.Participant)
	err := cmp.Or(s.onlyHimself(c.Caller, p), s.may(c.Caller, editNotificationLevel), s.permits(alsoClosed))
	if err != nil {
		return nil, err
	}
	level := strings.ToLower(c.Level)
	switch {
	case !ok:
		return nil, participantNotFound(c.Participant)
	case level != levelDefault && level != levelMuted:
		return nil, invalid("notification_level_invalid", field, 50210, "%.40q is not a notification level", c.Level)
	case level == cmp.Or(p.Level, levelDefault):
		return nil, nil
	}
	return []events.Event{events.NotificationLevelSet{Participant: p.Sid, Level: level, At: c.At}}, nil
}

// updateUserConversation decides the level and then the horizon: they do not
// depend on each other.
func updateUserConversation(s State, c UpdateUserConversation) (es []events.Event, err error) {
	if c.NotificationLevel != nil {
		level := SetNotificationLevel{Issue: c.Issue, Participant: c.Participant, Level: *c.NotificationLevel}
		es, err = s.setLevel(level, "notification_level")
		if err != nil {
			return nil, err
		}
	}
	reading, err := s.userReading(c)
	if err != nil {
		return nil, err
	}
	return append(es, reading...), nil
}

func (s State) userReading(c UpdateUserConversation) ([]events.Event, error) {
	p, ok := s.Participant(c.Participant)
	if err := cmp.Or(s.found(), s.onlyHimself(c.Caller, p), s.permits(alsoClosed)); err != nil {
		return nil, err
	}
	switch {
	case !ok:
		return nil, participantNotFound(c.Participant)
	case c.ClearLastRead && (c.LastReadIndex != nil || !c.LastReadTimestamp.IsZero()):
		return nil, badIndex("clear_last_read", "The horizon is either moved or cleared")
	case c.ClearLastRead:
		return clearHorizon(p, c.At), nil
	}
	return s.reading(p, c.LastReadIndex, c.LastReadTimestamp, c.At)
}
