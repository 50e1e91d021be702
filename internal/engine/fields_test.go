package engine_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/engine"
)

// leaf is a place in a command's JSON that holds a text or a date.
type leaf struct {
	path string
	date bool
}

// leaves lists those of a command, lists with one entry.
func leaves(t reflect.Type, path string) (all []leaf) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return []leaf{{path, true}}
	case t.Kind() == reflect.String:
		return []leaf{{path, false}}
	case t.Kind() == reflect.Slice:
		return leaves(t.Elem(), path+".0")
	case t.Kind() != reflect.Struct:
		return nil
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch name {
		case "-":
		case "":
			all = append(all, leaves(f.Type, path)...)
		default:
			all = append(all, leaves(f.Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
	}
	return all
}

// at is JSON with a value at a path.
func at(path string, value any) any {
	first, rest, more := strings.Cut(path, ".")
	if more {
		value = at(rest, value)
	}
	if _, err := strconv.Atoi(first); err == nil {
		return []any{value}
	}
	return map[string]any{first: value}
}

func refusedAt(t *testing.T, e *engine.Engine, c engine.Command, field string) *engine.Failure {
	t.Helper()
	_, err := e.Execute(t.Context(), c)
	var f *engine.Failure
	require.ErrorAs(t, err, &f, "%s %s", c.Type, c.Body)
	require.Equal(t, []string{string(domain.InvalidArgument), field}, []string{f.Kind, f.Field}, "%s %s: %v", c.Type, c.Body, f)
	return f
}

// Over the bus, with Go values and from an import alike: no field of any command takes a
// text that is none, and who sent it learns which and why.
func TestNoFieldOfAnyCommandTakesATextOrADateThatIsNone(t *testing.T) {
	d := openDesk(t)
	texts := map[string]string{`"a\u0000b"`: "NUL", `"\u0000"`: "NUL", `"\ud800"`: "surrogate", `"\uDC00x"`: "surrogate", `"\ud83d\ud83d"`: "surrogate"}
	dates := map[string]string{
		`"0001-01-01T00:00:00Z"`: "between", `"0001-01-01T00:00:00.9Z"`: "between", `"0001-01-01T01:00:00+01:00"`: "between",
		`"0000-12-31T23:59:59Z"`: "between", `"9999-12-31T23:59:59-01:00"`: "between", `"yesterday"`: "RFC 3339", `5`: "RFC 3339", `{}`: "RFC 3339",
	}
	codes := map[string]int{"date_created": 50308, "date_updated": 50309}
	n := 0
	for _, op := range engine.CommandTypes() {
		for _, l := range leaves(reflect.TypeOf(op.Fields), "") {
			wrong := texts
			if l.date {
				wrong = dates
			}
			for value, says := range wrong {
				n++
				body, err := json.Marshal(at(l.path, json.RawMessage(value)))
				require.NoError(t, err)
				f := refusedAt(t, d.Engine, engine.Command{Type: op.Name, Aggregate: domain.SID(op.Prefix, "x"), Body: body}, l.path)
				if f.Code != "sid_malformed" {
					require.Contains(t, f.Message, says, "%s %s", op.Name, body)
				}
				if l.date {
					require.Equal(t, "date_invalid", f.Code)
					require.Equal(t, codes[l.path[strings.LastIndexByte(l.path, '.')+1:]], f.Twilio)
				}
			}
		}
	}
	require.Greater(t, n, 500)
	for text, says := range map[string]string{"\xff": "UTF-8", "\x00": "NUL"} {
		f := refusedAt(t, d.Engine, engine.Command{Type: "conversation.create", Fields: conversation.Create{Email: events.Email{Name: text}}}, "email.name")
		require.Contains(t, f.Message, says)
	}
	_ = refusedAt(t, d.Engine, engine.Command{Type: "conversation.create", Fields: conversation.Create{DateCreated: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}}, "date_created")
}

func TestDatesAndTextsAtTheEdgeAreTaken(t *testing.T) {
	d := openDesk(t)
	for _, body := range []string{
		`{"date_created":"0001-01-01T00:00:01Z"}`, `{"date_created":"9999-12-31T23:59:59.9Z"}`, `{"date_created":null}`, `{"date_created":"1969-07-20T20:17:40+02:00"}`,
		`{"friendly_name":"\ud83d\ude00 \\ud800 \u00e9"}`, `{"friendly_name":"\"0001-01-01T00:00:00Z\""}`, `{"attributes":"{\"a\":\"\\ud800\"}"}`, `{"friendly_name":"\\"}`,
	} {
		_, err := d.Engine.Execute(t.Context(), engine.Command{Type: "conversation.create", Body: json.RawMessage(body)})
		require.NoError(t, err, body)
	}
}
