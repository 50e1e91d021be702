package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/parley-engine/parley/domain"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/engine"
)

// CommandType is one command of the engine's registry.
type CommandType struct {
	Name  string // conversation.add-message
	Value any    // a zero struct, for its shape
}

// Render returns all files by their path below docs/: asyncapi.yaml and
// schemas/….json.
func Render(commands []CommandType) (map[string][]byte, error) {
	commands = slices.Clone(commands)
	slices.SortFunc(commands, func(a, b CommandType) int { return strings.Compare(a.Name, b.Name) })
	types := events.Vocabulary().Types()
	slices.Sort(types)
	schemas, err := allSchemas(commands, types)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(schemas)+1)
	for path, s := range schemas {
		if files[path], err = indented(s); err != nil {
			return nil, fmt.Errorf("render %s: %w", path, err)
		}
	}
	files["asyncapi.yaml"], err = document3(commands, slices.DeleteFunc(types, func(name string) bool { return name == foreignType }))
	return files, err
}

// foreignType is what others wrote; it is not told on the bus.
var foreignType = events.ForeignRecorded{}.EventType()

func indented(s schema) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(s)
	return b.Bytes(), err
}

func allSchemas(commands []CommandType, types []string) (map[string]schema, error) {
	all := make(map[string]schema)
	for _, c := range commands {
		s, err := reads.of(reflect.TypeOf(c.Value))
		if err != nil {
			return nil, fmt.Errorf("command %s: %w", c.Name, err)
		}
		all[commandPath(c.Name)] = document("urn:parley:command:"+c.Name, c.Name, s)
	}
	for _, name := range types {
		zero, _ := events.Vocabulary().Zero(name)
		s, err := writes.of(reflect.TypeOf(zero))
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", name, err)
		}
		all[eventPath(name)] = document(bus.EventSchema(name), name, s)
	}
	reply, err := replySchema()
	if err != nil {
		return nil, err
	}
	all[replyPath] = document("urn:parley:reply", "reply", reply)
	all[envelopePath] = document("urn:parley:envelope", "command with its envelope in the body", envelopeSchema(commands))
	return all, nil
}

const (
	replyPath    = "schemas/reply.json"
	envelopePath = "schemas/envelope.json"
)

func commandPath(name string) string { return "schemas/commands/" + name + ".json" }
func eventPath(name string) string   { return "schemas/events/" + name + ".json" }

// replySchema is either an outcome or an error, never both.
func replySchema() (schema, error) {
	outcome, err := writes.of(reflect.TypeFor[engine.Outcome]())
	if err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	failure, err := writes.of(reflect.TypeFor[bus.ReplyError]())
	if err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	failure["properties"].(schema)["kind"] = schema{"type": "string", "enum": kinds}
	return schema{"oneOf": []schema{
		variant(true, "outcome", outcome),
		variant(false, "error", failure),
	}}, nil
}

func variant(ok bool, member string, body schema) schema {
	return schema{
		"type":                 "object",
		"properties":           schema{"ok": schema{"const": ok}, member: body},
		"required":             []string{"ok", member},
		"additionalProperties": false,
	}
}

var kinds = []string{
	string(domain.InvalidArgument), string(domain.NotFound), string(domain.AlreadyExists),
	string(domain.FailedPrecondition), string(domain.PermissionDenied), string(domain.QuotaExceeded),
	engine.KindVersionConflict, engine.KindIdempotencyConflict, engine.KindExpired,
	engine.KindPayloadTooLarge, engine.KindUnavailable, engine.KindInternal,
}

// envelopeSchema nests the members whose names have a dot.
func envelopeSchema(commands []CommandType) schema {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name
	}
	properties := schema{"data": schema{"type": "object", "description": "the command's own fields; see its schema"}}
	actor := schema{}
	for _, f := range bus.Envelope() {
		s := memberSchema(f)
		if inner, nested := strings.CutPrefix(f.Member, "actor."); nested {
			actor[inner] = s
			continue
		}
		properties[f.Member] = s
	}
	properties["command"] = schema{"type": "string", "enum": names, "description": "type of the command"}
	properties["actor"] = schema{"type": "object", "properties": actor, "additionalProperties": false, "description": "who asks; default: the API"}
	return schema{"type": "object", "properties": properties, "required": []string{"command"}, "additionalProperties": false}
}

func memberSchema(f bus.EnvelopeField) schema {
	s := schema{"type": f.Type, "description": f.Description}
	if f.Format != "" {
		s["format"] = f.Format
	}
	if len(f.Enum) > 0 {
		s["enum"] = f.Enum
	}
	if f.Member == "expected_revision" {
		s["minimum"] = -1
	}
	return s
}

// yamlBytes writes with two spaces, as people do.
func yamlBytes(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Generated from the registries of commands and events. Do not edit.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("render asyncapi.yaml: %w", err)
	}
	err := e.Close()
	return b.Bytes(), err
}
