package domain

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// TextFault says why a text cannot be stored and shown, in words that go behind its name;
// empty when it can be. NUL ends a text in too many programs to be part of one.
func TextFault(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case strings.ContainsRune(text, 0):
		return "has a NUL character in it"
	}
	return ""
}

// ValidText reports whether a text can be stored and shown: UTF-8 without NUL.
func ValidText(text string) bool { return TextFault(text) == "" }

// CheckText refuses a text that cannot be stored and shown.
func CheckText(text, field string, twilio int) error {
	if fault := TextFault(text); fault != "" {
		return Refuse(InvalidArgument, "text_invalid", field, twilio, "%s %s", field, fault)
	}
	return nil
}

// CarriedText is what becomes of a text that was handed over by somebody who will not send
// another one: NULs are left out, and what is not UTF-8 is marked by U+FFFD.
func CarriedText(text string) string {
	return WithoutNUL(strings.ToValidUTF8(text, "\uFFFD"))
}

// WithoutNUL is a text without NULs, for names: what else is wrong with one makes it
// another name.
func WithoutNUL(text string) string { return strings.ReplaceAll(text, "\x00", "") }

// Dates that somebody gives are from here on and before then; in UTC the year has four
// digits, as RFC 3339 wants, and whole seconds are told apart from no date at all.
var (
	firstDate = time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)
	afterLast = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// DateFault says why an instant is no date, in words that go behind its name; empty when it
// is one.
func DateFault(at time.Time) string {
	if at.Before(firstDate) || !at.Before(afterLast) {
		return fmt.Sprintf("is not between %s and the end of the year 9999, in UTC", firstDate.Format(time.RFC3339))
	}
	return ""
}

// CheckDate refuses an instant that is no date. Twilio has codes for dates of creation and
// of change (reference section 15).
func CheckDate(at time.Time, field string) error {
	if fault := DateFault(at); fault != "" {
		return Refuse(InvalidArgument, "date_invalid", field, DateCode(field), "%s %s", field, fault)
	}
	return nil
}

// DateCode is Twilio's code for a date in the field that is none; 0 where it has none.
func DateCode(field string) int {
	switch field[strings.LastIndexByte(field, '.')+1:] {
	case "date_created":
		return 50308
	case "date_updated":
		return 50309
	}
	return 0
}
