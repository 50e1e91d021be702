package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// contract is what Twilio's own OpenAPI file says of the operations' answers. The
// file is not ours to keep here: without it the contract says nothing.
type contract map[string]published // by method and path

type published struct {
	name    string
	success map[int]*jsonschema.Schema // by status; nil schema: no body
}

const openAPIFile = "shared/reference/twilio_conversations_v1.json"

// openAPI reads the file once, wherever it lies around the module.
var openAPI = sync.OnceValues(func() (contract, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, openAPIFile))
		if err == nil {
			return readContract(data)
		}
	}
	return nil, err
})

// twiliosContract says so in the test's output when the file is not there.
func twiliosContract(t testing.TB) contract {
	t.Helper()
	c, err := openAPI()
	require.NoError(t, err)
	if c == nil {
		t.Logf("%s is not there: answers are not compared with Twilio's OpenAPI", openAPIFile)
	}
	return c
}

type describedOperation struct {
	OperationID string `json:"operationId"`
	Responses   map[string]struct {
		Content map[string]struct {
			Schema any `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

func readContract(data []byte) (contract, error) {
	var document struct {
		Paths      map[string]map[string]json.RawMessage `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	for name, schema := range document.Components.Schemas {
		document.Components.Schemas[name] = modern(schema, strings.HasPrefix(name, "conversations.v1"))
	}
	method := document.Components.Schemas["service_webhook_configuration_enum_method"].(map[string]any)
	method["enum"], method["type"] = append(method["enum"].([]any), nil), []any{"string", "null"} // as the file's own example has it
	c, answers := contract{}, map[string]any{}
	for path, methods := range document.Paths {
		for method, raw := range methods {
			if !slices.Contains([]string{"get", "post", "delete"}, method) {
				continue
			}
			var operation describedOperation
			if err := json.Unmarshal(raw, &operation); err != nil {
				return nil, err
			}
			p := published{name: operation.OperationID, success: map[int]*jsonschema.Schema{}}
			for status, response := range operation.Responses {
				var n int
				if _, err := fmt.Sscan(status, &n); err != nil {
					return nil, err
				}
				p.success[n] = nil
				if content, ok := response.Content["application/json"]; ok && content.Schema != nil {
					answers[fmt.Sprint(p.name, "-", n)] = modern(content.Schema, false)
				}
			}
			c[strings.ToUpper(method)+" "+path] = p
		}
	}
	return c, c.compile(map[string]any{"components": map[string]any{"schemas": document.Components.Schemas}, "answers": answers})
}

func (c contract) compile(document map[string]any) error {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	const name = "twilio.json"
	if err := compiler.AddResource(name, document); err != nil {
		return err
	}
	answers := document["answers"].(map[string]any)
	for _, p := range c {
		for status := range p.success {
			answer := fmt.Sprint(p.name, "-", status)
			if answers[answer] == nil {
				continue
			}
			schema, err := compiler.Compile(name + "#/answers/" + answer)
			if err != nil {
				return err
			}
			p.success[status] = schema
		}
	}
	return nil
}

// modern makes JSON Schema of a schema of OpenAPI 3.0. Properties of a resource
// are all there, even when they are null.
func modern(schema any, resource bool) any {
	switch s := schema.(type) {
	case []any:
		out := make([]any, len(s))
		for i := range s {
			out[i] = modern(s[i], false)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(s))
		for name, value := range s {
			out[name] = modern(value, false)
		}
		if kind, ok := s["type"].(string); ok && s["nullable"] == true {
			out["type"] = []any{kind, "null"}
		}
		if format := s["format"]; format != "date-time" && format != "uri" {
			delete(out, "format")
		}
		if properties, ok := s["properties"].(map[string]any); ok && resource {
			var required []any
			for _, name := range slices.Sorted(maps.Keys(properties)) {
				required = append(required, name)
			}
			out["required"] = required
		}
		return out
	}
	return schema
}

// check compares an answer with what the file says of the operation.
func (c contract) check(operation string, got reply) error {
	if c == nil {
		return nil
	}
	p, known := c[operation]
	if !known {
		return fmt.Errorf("%s is not one of Twilio's", operation)
	}
	schema, documented := p.success[got.status]
	switch {
	case !documented:
		return fmt.Errorf("status %d is not documented", got.status)
	case schema == nil:
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(got.text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
