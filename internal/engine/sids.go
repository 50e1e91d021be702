package engine

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/parley-engine/parley/domain"
)

// sidField is a field whose tag says that it holds a SID: schema:"sid=IM".
type sidField struct {
	index  int
	name   string
	prefix string
}

var sidFields sync.Map // reflect.Type → []sidField

// checkSids refuses a command whose SIDs are not of the form their fields
// declare. Empty ones are for the domain to judge.
func checkSids(command any) error {
	v := reflect.ValueOf(command).Elem()
	for _, f := range sidFieldsOf(v.Type()) {
		field := v.Field(f.index)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		}
		if sid := field.String(); sid != "" && !domain.IsSID(f.prefix, sid) {
			return invalid("sid_malformed", f.name, fmt.Sprintf("%s must be %s and 32 hex digits", f.name, f.prefix))
		}
	}
	return nil
}

func sidFieldsOf(t reflect.Type) []sidField {
	if known, ok := sidFields.Load(t); ok {
		return known.([]sidField)
	}
	var fields []sidField
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		for rule := range strings.SplitSeq(f.Tag.Get("schema"), ",") {
			if prefix, ok := strings.CutPrefix(rule, "sid="); ok {
				fields = append(fields, sidField{index: i, name: name, prefix: prefix})
			}
		}
	}
	sidFields.Store(t, fields)
	return fields
}
