// Package duration reads the ISO 8601 durations that conversation timers are
// written in: days, hours, minutes and seconds, whole numbers only. A day is 24
// hours. Years, months and weeks are refused, because their length or their
// meaning to a timer is not fixed; so are signs, fractions and lower case.
package duration

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// The three ways a text can fail. Parse wraps exactly one of them.
var (
	ErrSyntax = errors.New("not an ISO 8601 duration")
	ErrUnit   = errors.New("only days and smaller units are allowed")
	ErrRange  = errors.New("too long")
)

// Duration is a length of time together with the text it was written as. The
// zero Duration is empty text of no length; it is not a valid text to parse.
type Duration struct {
	text   string
	length time.Duration
}

// Parse reads a text such as P30D, PT1M or P1DT12H. PT0S is valid and has no
// length. The longest possible duration is that of time.Duration, some 292 years.
func Parse(text string) (Duration, error) {
	length, err := parse(text)
	if err != nil {
		return Duration{}, fmt.Errorf("%.40q: %w", text, err)
	}
	return Duration{text: text, length: length}, nil
}

// Length returns how long the duration is; never negative.
func (d Duration) Length() time.Duration { return d.length }

// String returns the text as it was written.
func (d Duration) String() string { return d.text }

// MarshalText returns the text as it was written.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.text), nil }

// UnmarshalText is Parse for decoders; an empty text gives the zero Duration.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Duration{}
		return nil
	}
	*d, err = Parse(string(b))
	return err
}

// section is one half of a duration: the units it may hold, in their order.
type section struct {
	units   string
	lengths []time.Duration
}

var (
	dates = section{"D", []time.Duration{24 * time.Hour}}
	times = section{"HMS", []time.Duration{time.Hour, time.Minute, time.Second}}
)

func parse(text string) (time.Duration, error) {
	if len(text) < 3 || text[0] != 'P' {
		return 0, ErrSyntax
	}
	date, clock, hasClock := cut(text[1:])
	if hasClock && clock == "" {
		return 0, ErrSyntax
	}
	days, err := dates.sum(date)
	if err != nil {
		return 0, err
	}
	rest, err := times.sum(clock)
	if err != nil {
		return 0, err
	}
	if days > math.MaxInt64-rest {
		return 0, ErrRange
	}
	return days + rest, nil
}

func cut(s string) (date, clock string, found bool) {
	for i := range len(s) {
		if s[i] == 'T' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// sum adds up number-unit pairs; each unit comes at most once, in order.
func (sec section) sum(s string) (time.Duration, error) {
	var total time.Duration
	next := 0 // the first unit that may still come
	for s != "" {
		n, unit, rest, err := pair(s)
		if err != nil {
			return 0, err
		}
		i, err := sec.find(unit, next)
		if err != nil {
			return 0, err
		}
		if n > int64((math.MaxInt64-total)/sec.lengths[i]) {
			return 0, ErrRange
		}
		total += time.Duration(n) * sec.lengths[i]
		next, s = i+1, rest
	}
	return total, nil
}

func (sec section) find(unit byte, from int) (int, error) {
	for i := from; i < len(sec.units); i++ {
		if sec.units[i] == unit {
			return i, nil
		}
	}
	if sec.units == dates.units && (unit == 'Y' || unit == 'M' || unit == 'W') {
		return 0, ErrUnit
	}
	return 0, ErrSyntax
}

// pair takes one number and its unit off the front of s.
func pair(s string) (n int64, unit byte, rest string, err error) {
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, 0, "", ErrRange
		}
		n = n*10 + digit
	}
	if i == 0 || i == len(s) {
		return 0, 0, "", ErrSyntax
	}
	return n, s[i], s[i+1:], nil
}
