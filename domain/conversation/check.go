package conversation

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/duration"
	"github.com/parley-engine/parley/events"
)

const (
	noAttributes       = "{}" // what absent attributes mean
	systemAuthor       = domain.System
	noHorizon    int64 = -1
)

// invalid refuses a field of the command.
func invalid(code, field string, twilio int, format string, args ...any) error {
	return domain.Refuse(domain.InvalidArgument, code, field, twilio, format, args...)
}

// checkSid refuses what is not a SID with the prefix.
func checkSid(prefix, sid, field string, twilio int) error {
	if !domain.IsSID(prefix, sid) {
		return invalid("sid_invalid", field, twilio, "%.40q is not a SID of the form %s and 32 hex digits", sid, prefix)
	}
	return nil
}

// checkText refuses a text that is too long or would not survive being stored.
func checkText(text, field string, maxChars, twilio int) error {
	if err := domain.CheckText(text, field, twilio); err != nil {
		return err
	}
	if utf8.RuneCountInString(text) > maxChars {
		name := field[strings.LastIndex(field, ".")+1:]
		return invalid(name+"_too_long", field, twilio, "%s is longer than %d characters", field, maxChars)
	}
	return nil
}

func checkUniqueName(name string) error {
	if domain.IsSID("CH", name) {
		return invalid("unique_name_looks_like_sid", "unique_name", 50390, "A unique name must not look like a conversation SID")
	}
	if domain.Unaddressable(name) {
		return invalid("unique_name_reserved", "unique_name", 50390, "A unique name cannot be %q: it is part of paths", name)
	}
	return checkText(name, "unique_name", maxUniqueNameChars, 50004)
}

// checkAttributes refuses what is not a JSON text of the size.
func checkAttributes(text string, maxBytes int) error {
	return domain.CheckAttributes(text, maxBytes, "attributes")
}

// checkAttributes is the function of that name for who is asked of: history is as
// long as it is.
func (i Issue) checkAttributes(text string, maxBytes int) error {
	if i.Caller.Imports() {
		return domain.CheckJSON(text, "attributes")
	}
	return checkAttributes(text, maxBytes)
}

// attributes turns absent ones into the empty object.
func attributes(text string) string {
	if text == "" {
		return noAttributes
	}
	return text
}

// checkTimers refuses malformed and too short timers (reference 2.4).
func checkTimers(t events.Timers, l Limits) error {
	if err := checkTimer(t.Inactive, "timers.inactive", l.MinInactiveTimer, 50379, 50375); err != nil {
		return err
	}
	return checkTimer(t.Closed, "timers.closed", l.MinClosedTimer, 50380, 50376)
}

func checkTimer(text, field string, shortest time.Duration, malformed, tooShort int) error {
	if text == "" {
		return nil
	}
	d, err := duration.Parse(text)
	if errors.Is(err, duration.ErrUnit) {
		return invalid("timer_unit_invalid", field, malformed, "%s: only days and smaller units are allowed", field)
	}
	if err != nil {
		return invalid("timer_invalid", field, malformed, "%s: %v", field, err)
	}
	if d.Length() > 0 && d.Length() < shortest {
		return invalid("timer_too_short", field, tooShort, "%s is shorter than %v", field, shortest)
	}
	return nil
}

// given turns a timer a client gave into what is stored: a timer of no length
// is no timer.
func given(timer string) string {
	if length(timer) == 0 {
		return ""
	}
	return timer
}

// effective is a date a client gave, in UTC and whole seconds (reference 1.4),
// or else the other one.
func effective(date, otherwise time.Time) time.Time {
	if date.IsZero() {
		return otherwise
	}
	return date.UTC().Truncate(time.Second)
}

// dates are the two effective dates of a thing and what a client wants of them.
type dates struct {
	created, updated           time.Time
	givenCreated, givenUpdated time.Time
}

// stamp is the DateUpdated of events that change the thing at an instant.
func (d dates) stamp(at time.Time) time.Time { return effective(d.givenUpdated, at) }

// set returns the dates to set, and whether that needs an event of its own:
// another DateUpdated alone does not when other events carry it.
func (d dates) set(at time.Time, others bool) (created, updated time.Time, needed bool) {
	created, updated = effective(d.givenCreated, d.created), d.stamp(at)
	needed = !created.Equal(d.created) ||
		!others && !d.givenUpdated.IsZero() && !updated.Equal(d.updated)
	return created, updated, needed
}

// checkDates refuses dates from users: restoring history is for the server.
func checkDates(c domain.Caller, created, updated time.Time) error {
	if created.IsZero() && updated.IsZero() {
		return nil
	}
	return serverOnly(c, "date_created", "set dates")
}
