package smpp

import (
	"errors"
	"unicode/utf16"

	"github.com/linxGnu/gosmpp/data"
	"golang.org/x/text/encoding/charmap"
)

// What fits into a message of its own and into a part of a long one: in octets of
// the unpacked GSM alphabet, and in units of UCS-2 (3GPP TS 23.040, 9.2.3.24.1).
const (
	wholeGSM, partGSM   = 160, 153
	wholeUCS2, partUCS2 = 70, 67
	mostParts           = 255
)

// encode spells a text in the GSM alphabet where that has all of it, else in
// UCS-2, and cuts it into parts. Empty text is one empty part.
func encode(text string) (data.Encoding, [][]byte, error) {
	alphabet, whole, part, cost := data.UCS2, wholeUCS2, partUCS2, utf16.RuneLen
	if len(data.ValidateGSM7String(text)) == 0 {
		alphabet, whole, part, cost = data.GSM7BIT, wholeGSM, partGSM, costGSM
	}
	pieces := cut(text, whole, cost)
	if len(pieces) > 1 {
		pieces = cut(text, part, cost)
	}
	parts := make([][]byte, len(pieces))
	for i, piece := range pieces {
		var err error
		if parts[i], err = alphabet.Encode(piece); err != nil {
			return nil, nil, err
		}
	}
	return alphabet, parts, nil
}

func costGSM(r rune) int {
	if data.IsEscapeChar(r) {
		return 2
	}
	return 1
}

// cut cuts between characters only: neither an escape nor a surrogate pair is torn.
func cut(text string, limit int, cost func(rune) int) (pieces []string) {
	start, size := 0, 0
	for i, r := range text {
		c := cost(r)
		if size+c > limit {
			pieces = append(pieces, text[start:i])
			start, size = i, 0
		}
		size += c
	}
	return append(pieces, text[start:])
}

// errNoText says that the octets are no text.
var errNoText = errors.New("the data coding is not of text")

// decode reads octets by their data coding (SMPP 3.4, 5.2.19). What is not of the
// GSM alphabet although it should be is Latin-1, which some SMSCs have as their default.
func decode(coding byte, octets []byte) (string, error) {
	alphabet, err := alphabetOf(coding)
	if err != nil || len(octets) == 0 {
		return "", err
	}
	text, err := alphabet.Decode(octets)
	if err != nil {
		return charmap.ISO8859_1.NewDecoder().String(string(octets))
	}
	return text, nil
}

func alphabetOf(coding byte) (data.Encoding, error) {
	switch {
	case coding&0xF0 == 0xF0: // a message class (3GPP TS 23.038, 4)
		return classAlphabet(coding & 0x04)
	case coding >= 0x10 && coding < 0x40:
		return classAlphabet(coding & 0x0C)
	}
	switch coding {
	case data.GSM7BITCoding, data.ASCIICoding, data.LATIN1Coding, data.CYRILLICCoding, data.HEBREWCoding, data.UCS2Coding:
		return data.FromDataCoding(coding), nil
	}
	return nil, errNoText
}

// classAlphabet reads bits 3 and 2 of a GSM data coding scheme.
func classAlphabet(bits byte) (data.Encoding, error) {
	switch bits {
	case 0x00:
		return data.GSM7BIT, nil
	case 0x08:
		return data.UCS2, nil
	}
	return nil, errNoText
}
