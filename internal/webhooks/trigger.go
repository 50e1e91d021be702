package webhooks

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// triggered reports whether a text has one of the keywords as a word of its own: what
// stands before and behind it is no letter, digit or mark. Case does not matter. A
// keyword may be several words.
func triggered(keywords []string, text string) bool {
	text = strings.ToLower(text)
	for _, keyword := range keywords {
		if hasWord(text, strings.ToLower(strings.TrimSpace(keyword))) {
			return true
		}
	}
	return false
}

func hasWord(text, word string) bool {
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		begin := from + i
		before, _ := utf8.DecodeLastRuneInString(text[:begin])
		after, _ := utf8.DecodeRuneInString(text[begin+len(word):])
		if !ofWord(before) && !ofWord(after) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[begin:])
		from = begin + size
	}
	return false
}

// ofWord is false of utf8.RuneError, which is what there is before and behind a text.
func ofWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_')
}
