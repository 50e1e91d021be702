package contract_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
	"github.com/parley-engine/parley/internal/bus"
	"github.com/parley-engine/parley/internal/bus/access"
	"github.com/parley-engine/parley/internal/bus/contract"
	"github.com/parley-engine/parley/internal/engine"
)

func commands() (list []contract.CommandType) {
	for _, c := range engine.CommandTypes() {
		list = append(list, contract.CommandType{Name: c.Name, Value: c.Fields})
	}
	return list
}

func render(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := contract.Render(commands())
	require.NoError(t, err)
	return files
}

func compile(t *testing.T, data []byte) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("schema.json", parsed))
	compiled, err := compiler.Compile("schema.json")
	require.NoError(t, err)
	return compiled
}

func validate(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return s.Validate(value)
}

func TestEverySchemaCompiles(t *testing.T) {
	files := render(t)
	for path, data := range files {
		if strings.HasSuffix(path, ".json") {
			compile(t, data)
		}
	}
	require.Len(t, files, len(commands())+len(events.Vocabulary().Types())+3)
}

func TestSameInputGivesTheSameBytes(t *testing.T) {
	first, second := render(t), render(t)
	require.Equal(t, first, second)
}

func TestStoredGoldensAreValid(t *testing.T) {
	files := render(t)
	goldens, err := filepath.Glob("../../../events/testdata/golden/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, goldens)
	seen := 0
	for _, path := range goldens {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var golden struct {
			Type string
			Data json.RawMessage
		}
		require.NoError(t, json.Unmarshal(data, &golden))
		schema, current := files["schemas/events/"+golden.Type+".json"]
		if !current {
			continue // a former version: published in today's
		}
		seen++
		require.NoError(t, validate(t, compile(t, schema), golden.Data), golden.Type)
	}
	require.Equal(t, len(events.Vocabulary().Types()), seen)
}

func TestEmptyEventsAreValid(t *testing.T) {
	files := render(t)
	for _, name := range events.Vocabulary().Types() {
		zero, _ := events.Vocabulary().Zero(name)
		_, data, err := events.Vocabulary().Encode(zero)
		require.NoError(t, err)
		require.NoError(t, validate(t, compile(t, files["schemas/events/"+name+".json"]), data), name)
	}
}

func TestCommandSchemaSaysWhatIsAllowed(t *testing.T) {
	files := render(t)
	sid := func(prefix string) string { return prefix + strings.Repeat("0a", 16) }
	for name, c := range map[string]struct {
		command, body string
		valid         bool
	}{
		"a message":            {"conversation.add-message", `{"author":"ann","body":"hi"}`, true},
		"an unknown field":     {"conversation.add-message", `{"boddy":"hi"}`, false},
		"a wrong type":         {"conversation.add-message", `{"body":5}`, false},
		"a long author":        {"conversation.add-message", `{"author":"` + strings.Repeat("x", 257) + `"}`, false},
		"a receipt":            {"conversation.record-delivery", `{"message":"` + sid("IM") + `","participant":"x","status":"sent"}`, true},
		"no status":            {"conversation.record-delivery", `{"message":"` + sid("IM") + `","participant":"x"}`, false},
		"an unknown status":    {"conversation.record-delivery", `{"message":"` + sid("IM") + `","participant":"x","status":"lost"}`, false},
		"a foreign SID":        {"conversation.record-delivery", `{"message":"` + sid("CH") + `","participant":"x","status":"sent"}`, false},
		"a date":               {"conversation.create", `{"date_created":"2026-01-02T03:04:05Z"}`, true},
		"no date":              {"conversation.create", `{"date_created":"yesterday"}`, false},
		"what the engine adds": {"conversation.create", `{"Account":"AC1"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, compile(t, files["schemas/commands/"+c.command+".json"]), []byte(c.body))
			require.Equal(t, c.valid, err == nil, "%v", err)
		})
	}
}

func TestCommandsOfGoClientsAreValid(t *testing.T) {
	files := render(t)
	text, index := "x", int64(3)
	for _, c := range []conversation.Command{
		conversation.Create{FriendlyName: "x", Timers: &events.Timers{Inactive: "PT1H"}, DateCreated: time.Now()},
		conversation.Update{FriendlyName: &text, Timers: &conversation.TimersPatch{Closed: &text}},
		conversation.AddParticipant{Identity: "ann"},
		conversation.MoveReadHorizon{Participant: "ann", Index: &index},
		conversation.AddMessage{Body: "hi", Media: []events.Media{{Media: "ME1", ContentType: "a/b", Size: 1}}},
	} {
		data, err := json.Marshal(c)
		require.NoError(t, err)
		require.NoError(t, validate(t, compile(t, files["schemas/commands/"+c.CommandType()+".json"]), data), string(data))
	}
}

func TestRepliesAreValid(t *testing.T) {
	schema := compile(t, render(t)["schemas/reply.json"])
	index := int64(4)
	for _, r := range []bus.Reply{
		{OK: true, Outcome: &engine.Outcome{CommandID: events.NameID("x"), Aggregate: "CH1", Index: &index, Position: events.At(7), Events: []string{"a"}}},
		{Error: &bus.ReplyError{Code: "a", Kind: engine.KindUnavailable, Message: "m", Retryable: true, RetryAfter: 1.5}},
	} {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		require.NoError(t, validate(t, schema, data), string(data))
	}
	require.Error(t, validate(t, schema, []byte(`{"ok":true}`)))
	require.Error(t, validate(t, schema, []byte(`{"ok":false,"outcome":{}}`)))
}

func TestEnvelopeSchemaAgreesWithTheReader(t *testing.T) {
	schema := compile(t, render(t)["schemas/envelope.json"])
	require.NoError(t, validate(t, schema, []byte(`{"command":"conversation.create","id":"0bdbb0a3-52c9-4f0e-8a3e-90c1e2b3d4f5",
		"actor":{"kind":"user","id":"a"},"expected_revision":-1,"webhooks":true,"deadline":"2026-01-02T03:04:05Z","data":{}}`)))
	for _, bad := range []string{`{}`, `{"command":"x.y"}`, `{"command":"conversation.create","comand":"x"}`, `{"command":"conversation.create","actor":{"kind":"god"}}`} {
		require.Error(t, validate(t, schema, []byte(bad)), bad)
	}
}

func TestEveryReferenceOfTheDocumentLeadsSomewhere(t *testing.T) {
	files := render(t)
	var doc map[string]any
	require.NoError(t, yaml.Unmarshal(files["asyncapi.yaml"], &doc))
	require.Equal(t, "3.0.0", doc["asyncapi"])
	n := 0
	follow(t, doc, func(ref string) {
		n++
		if path, ok := strings.CutPrefix(ref, "./"); ok {
			require.Contains(t, files, path)
			return
		}
		var at any = doc
		for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(map[string]any)[step]
			require.NotNil(t, at, ref)
		}
	})
	require.Greater(t, n, 100)
}

func follow(t *testing.T, node any, visit func(ref string)) {
	t.Helper()
	switch v := node.(type) {
	case map[string]any:
		for key, value := range v {
			if ref, ok := value.(string); ok && key == "$ref" {
				visit(ref)
				continue
			}
			follow(t, value, visit)
		}
	case []any:
		for _, value := range v {
			follow(t, value, visit)
		}
	}
}

func TestShapesWithoutASchemaAreRefused(t *testing.T) {
	_, err := contract.Render([]contract.CommandType{{Name: "x.y", Value: struct {
		C chan int `json:"c"`
	}{}}})
	require.ErrorContains(t, err, "x.y")
	_, err = contract.Render([]contract.CommandType{{Name: "x.y", Value: struct {
		C string `json:"c" schema:"maxx=3"`
	}{}}})
	require.ErrorContains(t, err, "maxx")
}

// Every operation says which roles may take part in it, and every role what it may.
func TestTheDocumentSaysWhatEachRoleMay(t *testing.T) {
	var doc struct {
		Operations map[string]struct{ Security []map[string]string }
		Roles      map[string]struct {
			Description        string
			Publish, Subscribe []string
		} `yaml:"x-roles"`
	}
	require.NoError(t, yaml.Unmarshal(render(t)["asyncapi.yaml"], &doc))
	require.Len(t, doc.Roles, len(access.Roles))
	for _, r := range access.Roles {
		require.NotEmpty(t, doc.Roles[string(r)].Description, r)
		require.NotEmpty(t, doc.Roles[string(r)].Subscribe, r)
	}
	require.Equal(t, []string{"parley.call.*", "parley.commands.*"}, doc.Roles["commands"].Publish)
	require.Contains(t, doc.Roles["events"].Publish, "$JS.API.CONSUMER.MSG.NEXT.PARLEY_EVENTS.{token}")
	for name, operation := range doc.Operations {
		who := []string{}
		for _, s := range operation.Security {
			who = append(who, strings.TrimPrefix(s["$ref"], "#/components/securitySchemes/"))
		}
		switch {
		case name == "call" || name == "send":
			require.Equal(t, []string{"commands", "everything"}, who)
		case strings.HasPrefix(name, "publish."):
			require.Equal(t, []string{"events", "everything"}, who, name)
		default:
			require.Equal(t, []string{"everything"}, who, name)
		}
	}
}
