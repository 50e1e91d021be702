package domain

import (
	"strings"
	"unicode"
)

// ValidEmail reports whether a text is an e-mail address as it stands in a header without
// being quoted: a local part of dot-separated atoms, and a host of labels (RFC 5321, 4.1.2;
// letters of any script, RFC 6531). Quoted local parts and address literals are none: nobody
// has them, and what can be quoted can break out of it.
func ValidEmail(text string) bool {
	local, host, found := strings.Cut(text, "@")
	return found && dotSeparated(local, atom) && dotSeparated(host, label)
}

func dotSeparated(text string, part func(string) bool) bool {
	for p := range strings.SplitSeq(text, ".") {
		if p == "" || !part(p) {
			return false
		}
	}
	return true
}

func atom(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !wordRune(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) })
}

func label(text string) bool {
	return text[0] != '-' && text[len(text)-1] != '-' && !strings.ContainsFunc(text, func(r rune) bool { return !wordRune(r) && r != '-' })
}

// wordRune reports letters, digits and what stands over letters. U+FFFD is none of them.
func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// PlainAddress reports whether a text can be an address of a channel whose shapes are not
// known here: printable, without spaces, and no way out of a place where adapters put it
// into a path.
func PlainAddress(text string) bool {
	if text == "" || !ValidText(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return false
	}
	for segment := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' || r == ':' }) {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// CheckLine refuses a text that is more than one line, or has other control characters:
// adapters put it into headers.
func CheckLine(text, field string, twilio int) error {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		return Refuse(InvalidArgument, "text_not_one_line", field, twilio, "%s has a line break or another control character in it", field)
	}
	return nil
}
