package webhooks

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// triggered reports whether a text has one of the keywords as words of its own. Case, the
// form of composed letters (NFC or NFD), the look of a sign (variation selectors) and how
// much space is between words do not matter.
//
// Where a keyword begins or ends with a letter or digit, no other may stand beside it.
// That asks for nothing at an edge that is neither, as of 👍 and c++, and nothing at a
// letter of a script that is written without spaces: nobody can tell there where a word
// ends. No letter is cut from its marks, and no sign from what it is joined to.
func triggered(keywords []string, text string) bool {
	text = comparable(text)
	return slices.ContainsFunc(keywords, func(keyword string) bool { return hasWord(text, comparable(keyword)) })
}

// comparable is a text as it is compared: canonical caseless matching (Unicode 3.13, D145),
// without variation selectors, with one space between words.
func comparable(text string) string {
	text = cases.Fold().String(norm.NFD.String(text))
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, text)
	return norm.NFC.String(strings.Join(strings.Fields(text), " "))
}

func hasWord(text, word string) bool {
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		begin, end := from+i, from+i+len(word)
		if beginsAt(text, begin) && endsAt(text, end) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[begin:])
		from = begin + size
	}
	return false
}

// beginsAt reports whether a keyword may begin at an index of a text.
func beginsAt(text string, at int) bool {
	first, _ := utf8.DecodeRuneInString(text[at:])
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	if before == joiner {
		return false
	}
	return !bounded(first) || !bounded(lastLetter(text[:at]))
}

// endsAt reports whether a keyword may end before an index of a text.
func endsAt(text string, at int) bool {
	after, _ := utf8.DecodeRuneInString(text[at:])
	if after == joiner || unicode.IsMark(after) {
		return false
	}
	return !bounded(lastLetter(text[:at])) || !bounded(firstLetter(text[at:]))
}

// joiner makes one sign of two, as of a family.
const joiner = '\u200d'

// lastLetter is the last character of a text without the marks on it; 0: there is none.
func lastLetter(text string) rune {
	for text != "" {
		r, size := utf8.DecodeLastRuneInString(text)
		if !within(r) {
			return r
		}
		text = text[:len(text)-size]
	}
	return 0
}

func firstLetter(text string) rune {
	for _, r := range text {
		if !within(r) {
			return r
		}
	}
	return 0
}

// within reports whether a character does not end the word it stands in: marks, and what
// is not seen, but for the space of no width (Unicode annex 29, rule WB4).
func within(r rune) bool {
	return unicode.IsMark(r) || unicode.Is(unicode.Cf, r) && r != '\u200b'
}

// bounded reports whether a character is of a word that has a boundary.
func bounded(r rune) bool {
	return unicode.IsDigit(r) || r == '_' || unicode.IsLetter(r) && !unicode.In(r, unspaced...)
}

// unspaced are the letters of scripts that are written without spaces between words: the
// ideographic and the complex ones of Unicode's line breaking (annex 14, classes ID, CJ,
// SA, AK and AS), and what kana share, such as the sign that makes a vowel long.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi, unicode.Nushu, unicode.Tangut,
	unicode.Khitan_Small_Script,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan, unicode.Phags_Pa,
	unicode.Tai_Le, unicode.New_Tai_Lue, unicode.Tai_Tham, unicode.Tai_Viet, unicode.Ahom,
	unicode.Javanese, unicode.Balinese, unicode.Batak, unicode.Buginese, unicode.Cham, unicode.Makasar, unicode.Rejang,
	{R16: []unicode.Range16{{Lo: 0x3005, Hi: 0x3007, Stride: 1}, {Lo: 0x3031, Hi: 0x303c, Stride: 1}, {Lo: 0x30fc, Hi: 0x30fc, Stride: 1}, {Lo: 0xff70, Hi: 0xff9f, Stride: 1}}},
}
