package export

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/parley-engine/parley/events"
)

// cells takes rows of a typed table apart, one at a time.
type cells struct {
	columns []column
	record  record
	payload reflect.Value // of the type
	at      []any         // for each column a pointer into record or payload
}

func newCells(eventType string) *cells {
	zero, _ := events.Vocabulary().Zero(eventType)
	c := &cells{columns: columnsOf(eventType), payload: reflect.New(reflect.TypeOf(zero)).Elem()}
	c.at = c.envelope()
	for _, one := range c.columns[len(envelope):] {
		c.at = append(c.at, place(c.payload.FieldByIndex(one.field)))
	}
	return c
}

func (c *cells) envelope() []any {
	r := &c.record
	return []any{
		&r.Position, &r.PositionPrepare, &r.EventID, &r.stored, &r.Category, &r.Aggregate, &r.Revision, &r.RecordedAt, &r.OccurredAt,
		&r.AccountSid, &r.ChatServiceSid, &r.ActorKind, &r.ActorID, &r.Command, &r.CommandID, &r.CorrelationID, &r.CausationID,
	}
}

// place returns a pointer to a field, to a plain type where there is one.
func place(field reflect.Value) any {
	if field.Kind() == reflect.String {
		return field.Addr().Convert(reflect.TypeFor[*string]()).Interface()
	}
	return field.Addr().Interface()
}

// take takes a row apart.
func (c *cells) take(r *record) error {
	event, err := events.Vocabulary().Decode(r.Type, []byte(r.Data))
	if err != nil {
		return fmt.Errorf("event %s at position %d fits no typed table: %w", r.EventID, r.Position, err)
	}
	c.record = *r
	c.payload.Set(reflect.ValueOf(event))
	for _, at := range c.at {
		if t, is := at.(*time.Time); is {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
	return nil
}

// value is what the row has in a column: a string, []string, int64, uint64, bool,
// time.Time or, of a nested one, its JSON; nil is NULL.
func (c *cells) value(i int) any {
	switch at := c.at[i].(type) {
	case *string:
		return orNull(*at, *at == "")
	case *time.Time:
		return orNull(*at, at.IsZero())
	case *int:
		return orNull(int64(*at), *at == 0 && c.columns[i].absent)
	case *int64:
		return orNull(*at, *at == 0 && c.columns[i].absent)
	case **int64:
		if *at == nil {
			return nil
		}
		return **at
	case *uint64:
		return *at
	case *bool:
		return *at
	case *[]string:
		if *at == nil {
			return []string{} // is never NULL
		}
		return *at
	case *[]byte:
		return orNull(base64.StdEncoding.EncodeToString(*at), len(*at) == 0)
	}
	v := reflect.ValueOf(c.at[i]).Elem()
	return orNull(asJSON(v.Interface()), v.IsZero())
}

func orNull[T any](v T, null bool) any {
	if null {
		return nil
	}
	return v
}

// asJSON writes what came out of JSON.
func asJSON(v any) string {
	b, _ := json.Marshal(v) // came out of JSON
	return string(b)
}
