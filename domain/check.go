package domain

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// CheckLength refuses a text of more than limit characters. The code is the
// field's name, without the path to it, and _too_long.
func CheckLength(text string, limit int, field string, twilio int) error {
	if utf8.RuneCountInString(text) > limit {
		name := field[strings.LastIndexByte(field, '.')+1:]
		return Refuse(InvalidArgument, name+"_too_long", field, twilio, "%s is limited to %d characters", field, limit)
	}
	return nil
}

// CheckAttributes refuses attributes over limit bytes (50303) and those that
// are not a JSON text (50304). Empty means not given.
func CheckAttributes(attributes string, limit int, field string) error {
	if len(attributes) > limit {
		return Refuse(InvalidArgument, "attributes_too_long", field, 50303, "%s are limited to %d bytes", field, limit)
	}
	if attributes != "" && !json.Valid([]byte(attributes)) {
		return Refuse(InvalidArgument, "attributes_invalid", field, 50304, "%s must be a JSON text", field)
	}
	return nil
}

// CheckSecret refuses a secret that could be guessed or would not survive HTTP
// Basic: 32 to 64 letters and digits.
func CheckSecret(secret, field string) error {
	plain := !strings.ContainsFunc(secret, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if len(secret) < 32 || len(secret) > 64 || !plain {
		return Refuse(InvalidArgument, "secret_invalid", field, 0, "%s must be 32 to 64 letters and digits", field)
	}
	return nil
}

// ValidText reports whether a text can be stored and shown: UTF-8 without NUL.
func ValidText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}
