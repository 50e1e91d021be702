package domain

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// CheckLength refuses a text that is none and one of more than limit characters. The code
// of the latter is the field's name, without the path to it, and _too_long.
func CheckLength(text string, limit int, field string, twilio int) error {
	if err := CheckText(text, field, twilio); err != nil {
		return err
	}
	if utf8.RuneCountInString(text) > limit {
		name := field[strings.LastIndexByte(field, '.')+1:]
		return Refuse(InvalidArgument, name+"_too_long", field, twilio, "%s is limited to %d characters", field, limit)
	}
	return nil
}

// maxDepth is how deep attributes may be nested: what every common reader of JSON takes.
const maxDepth = 512

// CheckAttributes refuses attributes over limit bytes (50303), those nested deeper than
// readers go, and those that are not one JSON text (50304). Its value may be of any kind,
// null included. They are kept byte for byte, so a name that is there twice stays. Empty
// means not given.
func CheckAttributes(attributes string, limit int, field string) error {
	switch {
	case len(attributes) > limit:
		return Refuse(InvalidArgument, "attributes_too_long", field, 50303, "%s are limited to %d bytes", field, limit)
	case depth(attributes) > maxDepth:
		return Refuse(InvalidArgument, "attributes_too_deep", field, 50304, "%s are nested more than %d deep", field, maxDepth)
	}
	return CheckJSON(attributes, field)
}

// CheckJSON is CheckAttributes for what history brings, however long and deep it is.
func CheckJSON(attributes, field string) error {
	if err := CheckText(attributes, field, 50304); err != nil {
		return err
	}
	if attributes != "" && !json.Valid([]byte(attributes)) {
		return Refuse(InvalidArgument, "attributes_invalid", field, 50304, "%s must be a JSON text", field)
	}
	return nil
}

// depth is how deep the brackets of a JSON text go.
func depth(text string) (deepest int) {
	open, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '[' || c == '{'):
			open++
			deepest = max(deepest, open)
		case !quoted && (c == ']' || c == '}'):
			open--
		}
	}
	return deepest
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
