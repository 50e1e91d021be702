package export

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/parley-engine/parley/events"
)

// sort is what a column of a typed table holds.
type sort int

const (
	text     sort = iota // NULL: empty
	texts                // a list; empty, never NULL
	integer              // NULL: 0 where the payload leaves it out then
	unsigned             // never NULL
	boolean              // never NULL
	instant              // NULL: zero
	nested               // JSON; NULL: empty
)

// shapes are the Go types that give a column its Parquet type, with its tag.
var shapes = map[sort]struct {
	of  reflect.Type
	tag string
}{
	text:     {reflect.TypeFor[*string](), ""},
	texts:    {reflect.TypeFor[[]string](), ",list"},
	integer:  {reflect.TypeFor[*int64](), ""},
	unsigned: {reflect.TypeFor[uint64](), ""},
	boolean:  {reflect.TypeFor[bool](), ""},
	instant:  {reflect.TypeFor[*time.Time](), ",timestamp(microsecond)"},
	nested:   {reflect.TypeFor[*string](), ",json"},
}

// column is one of a typed table.
type column struct {
	name   string
	sort   sort
	often  bool  // the same values come often
	field  []int // of the payload
	absent bool  // 0 is NULL
}

// nullable reports whether a column may be NULL.
func (c *column) nullable() bool { return c.sort != unsigned && c.sort != boolean && c.sort != texts }

// envelope are the columns that all typed tables begin with; cells.envelope has their
// values.
var envelope = []column{
	{name: "position", sort: unsigned}, {name: "position_prepare", sort: unsigned}, {name: "event_id"}, {name: "stored_type", often: true},
	{name: "category", often: true}, {name: "aggregate", often: true}, {name: "revision", sort: unsigned},
	{name: "recorded_at", sort: instant}, {name: "occurred_at", sort: instant}, {name: "account_sid", often: true},
	{name: "chat_service_sid", often: true}, {name: "actor_kind", often: true}, {name: "actor_id", often: true},
	{name: "command", often: true}, {name: "command_id"}, {name: "correlation_id"}, {name: "causation_id"},
}

// keys are the columns that the names of folders make.
var keys = []string{"type", "service", "day"}

// columnsOf returns the columns of the typed table of a type that there is: the envelope,
// and the payload's fields, those of objects in it by their path.
func columnsOf(eventType string) []column {
	zero, _ := events.Vocabulary().Zero(eventType)
	return append(slices.Clone(envelope), flatten(reflect.TypeOf(zero), "", nil)...)
}

func flatten(of reflect.Type, prefix string, path []int) (list []column) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		at := append(slices.Clone(path), i)
		if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]() {
			list = append(list, flatten(field.Type, prefix+name+"_", at)...)
			continue
		}
		c := column{name: free(prefix + name), sort: sortOf(field.Type), field: at}
		c.absent = field.Type.Kind() == reflect.Pointer || strings.Contains(options, "omitempty")
		list = append(list, c)
	}
	return list
}

// free is the name of a column for a field whose name may be another column's.
func free(name string) string {
	if slices.Contains(keys, name) || slices.ContainsFunc(envelope, func(c column) bool { return c.name == name }) {
		return "payload_" + name
	}
	return name
}

func sortOf(t reflect.Type) sort {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return instant
	case t.Kind() == reflect.String, t == reflect.TypeFor[[]byte]():
		return text
	case t.Kind() == reflect.Bool:
		return boolean
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return integer
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return texts
	}
	return nested
}

// schemaOf makes the Parquet schema of columns, in their order.
func schemaOf(name string, columns []column) *parquet.Schema {
	fields := make([]reflect.StructField, len(columns))
	for i, c := range columns {
		shape := shapes[c.sort]
		tag := c.name + shape.tag
		if c.often {
			tag += ",dict"
		}
		fields[i] = reflect.StructField{Name: "C" + strings.Repeat("_", i), Type: shape.of, Tag: reflect.StructTag(`parquet:"` + tag + `"`)}
	}
	return parquet.NewSchema(name, parquet.SchemaOf(reflect.New(reflect.StructOf(fields)).Interface()))
}
