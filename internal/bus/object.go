package bus

import (
	"bytes"
	"encoding/json"
	"errors"
)

var errNotObject = errors.New("not a JSON object")

// checkObject reports whether data is exactly one JSON object.
func checkObject(data []byte) error {
	if data = bytes.TrimLeft(data, " \t\r\n"); len(data) == 0 || data[0] != '{' || !json.Valid(data) {
		return errNotObject
	}
	return nil
}

// balanced reports whether data is one object as far as quotes and brackets go:
// whatever is in it, it does not reach beyond its end.
func balanced(data []byte) bool {
	i := skipSpace(data, 0)
	return at(data, i) == '{' && skipSpace(data, skipNested(data, i)) == len(data)
}

// members calls visit for each member of an object, in order, with the value's
// bytes as they stand. It checks the object's own form, not that of the values.
func members(data []byte, visit func(name string, value []byte) error) error {
	i := skipSpace(data, 0)
	if at(data, i) != '{' {
		return errNotObject
	}
	if i = skipSpace(data, i+1); at(data, i) == '}' {
		return nil
	}
	for {
		name, value, next, err := member(data, i)
		if err != nil {
			return err
		}
		if err := visit(name, value); err != nil {
			return err
		}
		switch at(data, next) {
		case '}':
			return nil
		case ',':
			i = skipSpace(data, next+1)
		default:
			return errNotObject
		}
	}
}

// member reads one from i on and returns where it ends.
func member(data []byte, i int) (name string, value []byte, next int, err error) {
	if at(data, i) != '"' {
		return "", nil, 0, errNotObject
	}
	end := skipString(data, i)
	if name, err = unquote(data[i:min(end, len(data))]); err != nil {
		return "", nil, 0, errNotObject
	}
	if i = skipSpace(data, end); at(data, i) != ':' {
		return "", nil, 0, errNotObject
	}
	i = skipSpace(data, i+1)
	if end = skipValue(data, i); end <= i || end > len(data) {
		return "", nil, 0, errNotObject
	}
	return name, data[i:end], skipSpace(data, end), nil
}

// at returns 0, which no JSON contains, behind the end.
func at(data []byte, i int) byte {
	if i >= len(data) {
		return 0
	}
	return data[i]
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that begins at i. What has no
// end ends behind the data.
func skipValue(data []byte, i int) int {
	switch at(data, i) {
	case '"':
		return skipString(data, i)
	case '{', '[':
		return skipNested(data, i)
	}
	for i < len(data) && !delimits(data[i]) {
		i++
	}
	return i
}

func delimits(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
}

func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(data) + 1
}

func skipNested(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			i = skipString(data, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
	return len(data) + 1
}

// unquote decodes a JSON string; without escapes it is a plain copy.
func unquote(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", errors.New("not a string")
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}
