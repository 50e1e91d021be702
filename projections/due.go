package projections

import (
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
)

// Due is what timers need to know of an open conversation.
type Due struct {
	ConversationSid string
	AccountSid      string
	ChatServiceSid  string
	State           string        // active or inactive
	Since           time.Time     // the running timer counts from here
	InactiveAfter   time.Duration // 0: no such timer
	ClosedAfter     time.Duration // 0: no such timer
}

// Next is the instant at which the running timer comes up unless something
// happens before; zero when none is running (reference 2.4).
func (d Due) Next() time.Time {
	if next := d.dateInactive(); !next.IsZero() {
		return next
	}
	return d.dateClosed()
}

// Transitions are the instants at which timers make the conversation inactive and
// closed unless something happens before; zero for what they will not do.
func (d Due) Transitions() (inactive, closed time.Time) { return d.dateInactive(), d.dateClosed() }

func (d Due) dateInactive() time.Time {
	if d.State != events.StateActive || d.InactiveAfter == 0 {
		return time.Time{}
	}
	return d.Since.Add(d.InactiveAfter)
}

func (d Due) dateClosed() time.Time {
	switch {
	case d.ClosedAfter == 0:
		return time.Time{}
	case d.State == events.StateActive:
		return d.Since.Add(d.InactiveAfter + d.ClosedAfter)
	case d.State == events.StateInactive:
		return d.Since.Add(d.ClosedAfter)
	default:
		return time.Time{}
	}
}

// length of a timer such as P1DT12H; 0 for none. Texts in events were checked
// before they were written: days, hours, minutes and seconds, whole numbers.
func length(timer string) time.Duration {
	var total time.Duration
	date, clock, _ := strings.Cut(strings.TrimPrefix(timer, "P"), "T")
	for _, part := range []struct {
		text string
		unit map[byte]time.Duration
	}{
		{date, map[byte]time.Duration{'D': 24 * time.Hour}},
		{clock, map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}},
	} {
		total += sum(part.text, part.unit)
	}
	return total
}

func sum(text string, unit map[byte]time.Duration) (total time.Duration) {
	for text != "" {
		end := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' })
		if end < 0 {
			return total
		}
		n, _ := strconv.ParseInt(text[:end], 10, 64) // checked before it was written
		total += time.Duration(n) * unit[text[end]]
		text = text[end+1:]
	}
	return total
}
