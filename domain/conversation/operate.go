package conversation

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/duration"
	"github.com/parley-engine/parley/events"
)

// MaxReason bounds an operator's reason, in characters.
const MaxReason = 500

// MaxPostponement bounds by how much a timer is postponed at once.
const MaxPostponement = 100 * 365 * 24 * time.Hour

// running is the timer that an operator may change, once he may.
func (s State) running(by Issue, reason string) (due time.Time, to string, err error) {
	err = cmp.Or(s.found(), serverOnly(by.Caller, "", "change a running timer"), s.permits(whileOpen), checkReason(reason))
	if err != nil {
		return due, to, err
	}
	due, to, ok := s.NextDue()
	if !ok {
		return due, to, domain.Refuse(domain.FailedPrecondition, "no_timer", "", 0, "No timer of conversation %s is running", s.Conversation)
	}
	return due, to, nil
}

func checkReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return domain.Refuse(domain.InvalidArgument, "reason_missing", "reason", 0, "A reason is needed")
	case utf8.RuneCountInString(reason) > MaxReason:
		return domain.Refuse(domain.InvalidArgument, "reason_too_long", "reason", 0, "A reason has at most %d characters", MaxReason)
	}
	return nil
}

// fireTimer does now what the timer would have done; the next one counts from now.
func fireTimer(s State, c FireTimer) ([]events.Event, error) {
	due, to, err := s.running(c.Issue, c.Reason)
	if err != nil {
		return nil, err
	}
	return []events.Event{
		events.TimerOperated{Action: events.TimerFired, Reason: c.Reason, FormerDue: due, DateUpdated: c.At, At: c.At},
		events.ConversationStateChanged{From: s.State, To: to, Reason: events.ReasonTimer, Due: c.At, DateUpdated: c.At, At: c.At},
	}, nil
}

// postponeTimer moves what the timer counts from, so that messages restart it as ever.
func postponeTimer(s State, c PostponeTimer) ([]events.Event, error) {
	due, _, err := s.running(c.Issue, c.Reason)
	if err != nil {
		return nil, err
	}
	later, err := c.later(due)
	switch {
	case err != nil:
		return nil, err
	case !later.After(due):
		return nil, domain.Refuse(domain.InvalidArgument, "not_later", "to", 0, "The timer is due at %s already", stamp(due))
	case later.Sub(due) > MaxPostponement:
		return nil, domain.Refuse(domain.InvalidArgument, "too_late", "to", 0, "A timer is postponed by a hundred years at most")
	case !later.After(c.At):
		return nil, domain.Refuse(domain.InvalidArgument, "not_later", "to", 0, "%s has passed", stamp(later))
	}
	return []events.Event{events.TimerOperated{
		Action: events.TimerPostponed, Reason: c.Reason, FormerDue: due, Due: later, Since: s.Since.Add(later.Sub(due)), DateUpdated: c.At, At: c.At,
	}}, nil
}

// later is the instant to which the timer is postponed.
func (c PostponeTimer) later(due time.Time) (time.Time, error) {
	if (c.By == "") == c.To.IsZero() {
		return due, domain.Refuse(domain.InvalidArgument, "invalid_argument", "by", 0, "Either by or to is needed")
	}
	if c.By == "" {
		return c.To.UTC(), nil
	}
	by, err := duration.Parse(c.By)
	if err != nil {
		return due, domain.Refuse(domain.InvalidArgument, "invalid_duration", "by", 0, "%q is not a duration such as PT1H", c.By)
	}
	return due.Add(by.Length()), nil
}

// cancelTimers sets both timers to none.
func cancelTimers(s State, c CancelTimers) ([]events.Event, error) {
	due, _, err := s.running(c.Issue, c.Reason)
	if err != nil {
		return nil, err
	}
	return []events.Event{
		events.TimerOperated{Action: events.TimerCancelled, Reason: c.Reason, FormerDue: due, DateUpdated: c.At, At: c.At},
		events.ConversationTimersConfigured{DateUpdated: c.At, At: c.At},
	}, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
