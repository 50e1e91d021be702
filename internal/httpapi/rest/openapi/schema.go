package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

var (
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// named puts the schema of a struct among the components and returns a reference
// to it. What handlers send are structs named somethingBody.
func (w *writer) named(t reflect.Type) (object, error) {
	name := strings.TrimSuffix(t.Name(), "Body")
	name = string(unicode.ToUpper(rune(name[0]))) + name[1:]
	if _, known := w.schemas[name]; !known {
		w.schemas[name] = object{} // a struct may hold itself
		s, err := w.structure(t)
		if err != nil {
			return nil, err
		}
		w.schemas[name] = s
	}
	return ref(name), nil
}

func (w *writer) structure(t reflect.Type) (object, error) {
	properties, required := object{}, []string{}
	if err := w.fields(t, properties, &required); err != nil {
		return nil, err
	}
	s := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s, nil
}

func (w *writer) fields(t reflect.Type, properties object, required *[]string) error {
	for f := range t.Fields() {
		if f.Anonymous {
			if err := w.fields(f.Type, properties, required); err != nil {
				return err
			}
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		optional := strings.Contains(options, "omit")
		s, err := w.of(f.Type, !optional)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t.Name(), f.Name, err)
		}
		properties[name] = tagged(s, f.Tag)
		if !optional {
			*required = append(*required, name)
		}
	}
	return nil
}

// tagged adds what the tags of a field say: values:"a|b", format:"date-time".
func tagged(s object, tag reflect.StructTag) object {
	if values := tag.Get("values"); values != "" {
		s["enum"] = strings.Split(values, "|")
	}
	if format := tag.Get("format"); format != "" {
		s["format"] = format
	}
	return s
}

// of derives the schema of a type as encoding/json writes it. A pointer or list
// that is always there may be null.
func (w *writer) of(t reflect.Type, always bool) (object, error) {
	switch {
	case t == rawType:
		return object{"type": "object"}, nil
	case t.Kind() == reflect.Pointer:
		s, err := w.of(t.Elem(), always)
		if err == nil && always {
			s = orNull(s)
		}
		return s, err
	case t.Implements(textType):
		return object{"type": "string"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}, nil
	case reflect.Slice:
		items, err := w.of(t.Elem(), true)
		s := object{"type": "array", "items": items}
		if always {
			s = orNull(s)
		}
		return s, err
	case reflect.Struct:
		return w.structure(t)
	}
	return nil, fmt.Errorf("no schema for Go type %s", t)
}

func orNull(s object) object {
	if name, ok := s["type"].(string); ok {
		s["type"] = []string{name, "null"}
	}
	return s
}
