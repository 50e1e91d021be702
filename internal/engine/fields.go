package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-engine/parley/domain"
)

// What every field of every command is held to, whichever door it came in by. The texts
// and dates of a command are checked as values; what its JSON says and a value cannot tell
// any more — a date that stands for none, half of a character — is looked for in the JSON.

// fault is what is wrong with a field; the path grows on the way out.
type fault struct {
	path string
	say  func(path string) error
}

func (f *fault) in(name string) *fault {
	if name == "" || f.path == "" {
		return &fault{name + f.path, f.say}
	}
	return &fault{name + "." + f.path, f.say}
}

func (f *fault) err() error {
	if f == nil {
		return nil
	}
	return f.say(f.path)
}

var timeType = reflect.TypeFor[time.Time]()

// namedField is a field of a command that has a name on the wire; none if it is a struct
// whose fields are the command's own.
type namedField struct {
	index int
	name  string
}

var namedFields sync.Map // reflect.Type → []namedField

func namedFieldsOf(t reflect.Type) []namedField {
	if known, ok := namedFields.Load(t); ok {
		return known.([]namedField)
	}
	var fields []namedField
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "-" && (name != "" || f.Anonymous) {
			fields = append(fields, namedField{i, name})
		}
	}
	namedFields.Store(t, fields)
	return fields
}

// checkFields refuses a command with a text or a date that is none. A date that is not
// given is the zero time.
func checkFields(command any) error { return faultOf(reflect.ValueOf(command).Elem()).err() }

func faultOf(v reflect.Value) *fault {
	switch v.Kind() {
	case reflect.String:
		if text := v.String(); !domain.ValidText(text) {
			return &fault{say: func(path string) error { return domain.CheckText(text, path, 0) }}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return faultOf(v.Elem())
		}
	case reflect.Slice:
		return faultOfList(v)
	case reflect.Struct:
		if v.Type() == timeType {
			return faultOfDate(v.Interface().(time.Time))
		}
		for _, f := range namedFieldsOf(v.Type()) {
			if found := faultOf(v.Field(f.index)); found != nil {
				return found.in(f.name)
			}
		}
	}
	return nil
}

func faultOfList(v reflect.Value) *fault {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return nil // bytes
	}
	for i := range v.Len() {
		if found := faultOf(v.Index(i)); found != nil {
			return found.in(strconv.Itoa(i))
		}
	}
	return nil
}

func faultOfDate(at time.Time) *fault {
	if at.IsZero() || domain.DateFault(at) == "" {
		return nil
	}
	return &fault{say: func(path string) error { return domain.CheckDate(at, path) }}
}

// CheckJSON refuses JSON whose dates and texts a value of the type of into would not show as
// they are: a date that is the zero time, which means that none was given, and halves of
// characters (\ud800), which become U+FFFD. The error is a *Failure or a *domain.Refusal
// that names the field.
func CheckJSON(raw []byte, into any) error {
	if !bytes.Contains(raw, []byte(`"000`)) && !hasHalf(raw) { // most have neither
		return nil
	}
	return faultIn(raw, reflect.TypeOf(into).Elem(), shown).err()
}

// shown finds nothing wrong with a value that is not what CheckJSON looks for.
func shown(raw []byte, t reflect.Type) *fault {
	switch {
	case t == timeType:
		var at time.Time
		if json.Unmarshal(raw, &at) == nil && !bytes.Equal(raw, []byte("null")) && domain.DateFault(at) != "" {
			return &fault{say: func(path string) error { return domain.CheckDate(at, path) }}
		}
	case hasHalf(raw):
		return &fault{say: func(path string) error {
			return domain.Refuse(domain.InvalidArgument, "text_invalid", path, 0, "%s has one half of a surrogate pair in it, which is no character", path)
		}}
	}
	return nil
}

// unreadableDate finds a date that cannot be read.
func unreadableDate(raw []byte, t reflect.Type) *fault {
	if t != timeType || json.Unmarshal(raw, new(time.Time)) == nil {
		return nil
	}
	return &fault{say: func(path string) error {
		return domain.Refuse(domain.InvalidArgument, "date_invalid", path, domain.DateCode(path), "%s is not an RFC 3339 date and time: %.64s", path, raw)
	}}
}

// faultIn asks about each value of JSON that is read into a t and is no object or list.
func faultIn(raw []byte, t reflect.Type, ask func(raw []byte, t reflect.Type) *fault) *fault {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice:
		var items []json.RawMessage
		if json.Unmarshal(raw, &items) != nil {
			return ask(raw, t)
		}
		for i, item := range items {
			if found := faultIn(item, t.Elem(), ask); found != nil {
				return found.in(strconv.Itoa(i))
			}
		}
		return nil
	case t.Kind() == reflect.Struct && t != timeType:
		return faultInObject(raw, t, ask)
	}
	return ask(raw, t)
}

func faultInObject(raw []byte, t reflect.Type, ask func(raw []byte, t reflect.Type) *fault) *fault {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return ask(raw, t)
	}
	for _, f := range namedFieldsOf(t) {
		if f.name == "" {
			if found := faultIn(raw, t.Field(f.index).Type, ask); found != nil {
				return found
			}
		}
		for name, value := range members {
			if !strings.EqualFold(name, f.name) { // as encoding/json matches them
				continue
			}
			if found := faultIn(value, t.Field(f.index).Type, ask); found != nil {
				return found.in(f.name)
			}
		}
	}
	return nil
}

// hasHalf reports whether JSON has an escape of half a surrogate pair without the other.
func hasHalf(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return false
		}
		raw = raw[i:]
		if raw[1] != 'u' {
			raw = raw[2:]
			continue
		}
		unit, rest := escaped(raw)
		switch second, behind := escaped(rest); {
		case unit < 0xd800 || unit > 0xdfff:
			raw = rest
		case unit < 0xdc00 && second >= 0xdc00 && second <= 0xdfff:
			raw = behind
		default:
			return true
		}
	}
}

// escaped reads \uXXXX at the beginning of a text, -1 where there is none.
func escaped(raw []byte) (unit int, rest []byte) {
	const length = 6
	if len(raw) < length || raw[0] != '\\' || raw[1] != 'u' {
		return -1, raw[min(2, len(raw)):]
	}
	n, err := strconv.ParseUint(string(raw[2:length]), 16, 16)
	if err != nil {
		return -1, raw[2:]
	}
	return int(n), raw[length:]
}

// unreadable says why a body could not be read into the fields of a command.
func unreadable(raw []byte, into any, err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return invalid("wrong_type", wrongType.Field, fmt.Sprintf("%s must be a %s, not a %s", wrongType.Field, wrongType.Type, wrongType.Value))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		field := strings.Trim(name, `"`)
		return invalid("unknown_field", field, fmt.Sprintf("%.64q is not a field of this command", field))
	}
	if found := faultIn(raw, reflect.TypeOf(into).Elem(), unreadableDate); found != nil {
		return found.err()
	}
	return invalid("not_json", "data", "The command's data is not a JSON object: "+err.Error())
}
