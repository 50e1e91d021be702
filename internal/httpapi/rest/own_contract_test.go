package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// ownContract is docs/openapi.yaml, which every answer of every test is held to.
type ownContract struct {
	operations *http.ServeMux                        // finds the operation of a request
	answers    map[string]map[int]*jsonschema.Schema // by method and path, and status; nil: no JSON
	problem    *jsonschema.Schema
}

var ours = sync.OnceValues(readOwnContract)

// checkOwn holds an answer to the document.
func checkOwn(r *http.Request, got reply) error {
	c, err := ours()
	if err != nil {
		return err
	}
	return c.check(r, got)
}

func readOwnContract() (*ownContract, error) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	var document any
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", document); err != nil {
		return nil, err
	}
	c := &ownContract{operations: http.NewServeMux(), answers: map[string]map[int]*jsonschema.Schema{}}
	if c.problem, err = compiler.Compile("openapi.json#/components/schemas/Error"); err != nil {
		return nil, err
	}
	for _, o := range rest.Describe() {
		pattern := o.Method + " " + o.Path
		c.operations.HandleFunc(pattern, http.NotFound)
		c.answers[pattern] = map[int]*jsonschema.Schema{o.Status: nil}
		if o.Answer == nil {
			continue
		}
		place := strings.NewReplacer("~", "~0", "/", "~1").Replace(o.Path)
		schema, err := compiler.Compile(fmt.Sprintf("openapi.json#/paths/%s/%s/responses/%d/content/application~1json/schema", place, strings.ToLower(o.Method), o.Status))
		if err != nil {
			return nil, err
		}
		c.answers[pattern][o.Status] = schema
	}
	return c, nil
}

// check compares an answer with the document.
func (c *ownContract) check(r *http.Request, got reply) error {
	if r.URL.Opaque != "" { // sent as it is; the router sees the path in it
		parsed, err := url.ParseRequestURI(r.URL.Opaque)
		if err != nil {
			return err
		}
		r = &http.Request{Method: r.Method, URL: parsed, Host: r.Host}
	}
	if got.status >= http.StatusBadRequest {
		if r.Method == http.MethodHead {
			return nil
		}
		return validate(c.problem, got)
	}
	_, pattern := c.operations.Handler(r)
	schema, documented := c.answers[pattern][got.status]
	switch {
	case r.Method == http.MethodHead, r.Method == http.MethodOptions, strings.HasSuffix(pattern, "/Content"):
		return nil
	case !documented:
		return fmt.Errorf("%s %s: status %d is not documented for %q", r.Method, r.URL.Path, got.status, pattern)
	case schema == nil && got.text != "":
		return fmt.Errorf("%s: an answer where none is documented: %s", pattern, got.text)
	case schema == nil:
		return nil
	}
	return validate(schema, got)
}

func validate(schema *jsonschema.Schema, got reply) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(got.text))
	if err != nil {
		return fmt.Errorf("status %d: %w: %s", got.status, err, strconv.Quote(got.text))
	}
	return schema.Validate(value)
}
