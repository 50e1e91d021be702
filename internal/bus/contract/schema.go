package contract

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parley-engine/parley/events"
)

// schema is a JSON Schema. Maps are written with sorted keys.
type schema map[string]any

// draft is the dialect of all schemas.
const draft = "https://json-schema.org/draft/2020-12/schema"

// direction decides what is required and what may be added: what we read is
// strict and short, what we write is complete and may grow.
type direction int

const (
	reads direction = iota
	writes
)

var (
	timeType = reflect.TypeFor[time.Time]()
	idType   = reflect.TypeFor[events.ID]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// document is a schema that stands in a file of its own.
func document(id, title string, body schema) schema {
	body["$schema"], body["$id"], body["title"] = draft, id, title
	return body
}

// of derives the schema of a Go type as encoding/json writes it.
func (d direction) of(t reflect.Type) (schema, error) {
	switch {
	case t == timeType:
		return schema{"type": "string", "format": "date-time"}, nil
	case t == idType:
		return schema{"type": "string", "format": "uuid"}, nil
	case t.Kind() == reflect.Pointer:
		return d.of(t.Elem())
	case t.Implements(textType):
		return schema{"type": "string"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return schema{"type": "string"}, nil
	case reflect.Bool:
		return schema{"type": "boolean"}, nil
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return schema{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 { // as encoding/json writes bytes
			return schema{"type": "string", "contentEncoding": "base64"}, nil
		}
		items, err := d.of(t.Elem())
		return schema{"type": "array", "items": items}, err
	case reflect.Struct:
		return d.object(t)
	}
	return nil, fmt.Errorf("no schema for Go type %s", t)
}

func (d direction) object(t reflect.Type) (schema, error) {
	properties := schema{}
	required := []string{}
	for i := range t.NumField() {
		f, ok := d.field(t.Field(i))
		if !ok {
			continue
		}
		s, err := f.schema(d)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t.Name(), t.Field(i).Name, err)
		}
		properties[f.name] = s
		if f.required {
			required = append(required, f.name)
		}
	}
	object := schema{"type": "object", "properties": properties, "additionalProperties": d == writes}
	if len(required) > 0 {
		object["required"] = required
	}
	return object, nil
}

// property is one field of a struct with what its tags say.
type property struct {
	name     string
	typ      reflect.Type
	required bool
	nullable bool // a nil slice that is written is null
	rules    []string
}

// field reads the tags; false for what is not on the wire.
func (d direction) field(f reflect.StructField) (property, bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if !f.IsExported() || name == "-" || name == "" {
		return property{}, false
	}
	p := property{name: name, typ: f.Type}
	if tag := f.Tag.Get("schema"); tag != "" {
		p.rules = strings.Split(tag, ",")
	}
	if d == writes {
		p.required = !strings.Contains(options, "omit")
		p.nullable = p.required && f.Type.Kind() == reflect.Slice
		return p, true
	}
	for _, rule := range p.rules {
		p.required = p.required || rule == "required"
	}
	return p, true
}

func (p property) schema(d direction) (schema, error) {
	s, err := d.of(p.typ)
	if err != nil {
		return nil, err
	}
	if p.nullable {
		s["type"] = []string{"array", "null"}
	}
	for _, rule := range p.rules {
		if err := p.apply(rule, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// apply adds one rule of a schema tag. A text that is not required may be empty,
// which means the same as leaving it out.
func (p property) apply(rule string, s schema) error {
	name, value, _ := strings.Cut(rule, "=")
	switch name {
	case "required":
	case "max":
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("schema tag %q: %w", rule, err)
		}
		s["maxLength"] = n
	case "sid":
		s["pattern"] = "^(" + value + "[0-9a-fA-F]{32})" + p.optional() + "$"
	case "enum":
		s["enum"] = p.enum(strings.Split(value, "|"))
	default:
		return fmt.Errorf("schema tag %q is unknown", rule)
	}
	return nil
}

func (p property) optional() string {
	if p.required {
		return ""
	}
	return "?"
}

func (p property) enum(values []string) []string {
	if !p.required && p.typ.Kind() != reflect.Pointer {
		return append(values, "")
	}
	return values
}
