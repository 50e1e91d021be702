// Package openapi writes the contract of the REST surface: an OpenAPI 3.1
// document made of the operations the router knows and the structs the handlers
// send.
package openapi

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/parley-engine/parley/internal/httpapi/rest"
)

// object is a part of the document. Maps are written with sorted keys.
type object map[string]any

// document is the whole, in the order in which it is read.
type document struct {
	OpenAPI    string   `yaml:"openapi"`
	Info       object   `yaml:"info"`
	Servers    []object `yaml:"servers"`
	Security   []object `yaml:"security"`
	Paths      object   `yaml:"paths"`
	Components object   `yaml:"components"`
}

const about = `What Twilio's helper libraries for Conversations v1 talk to, and Parley's additions (marked x-parley).
Operations under /v1 act on the account's default service, those under /v1/Services/{ChatServiceSid} on that one.
Unknown parameters are ignored. Answers may have more fields than are listed here.
docs/rest.md says how to point a library here and what differs from Twilio.
`

// Render returns the document as YAML.
func Render() ([]byte, error) {
	w := &writer{schemas: object{"Error": errorSchema(), "PageMeta": metaSchema()}}
	paths, err := w.paths(rest.Describe())
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err = encoder.Encode(document{
		OpenAPI:  "3.1.0",
		Info:     object{"title": "Parley REST", "version": "1.0.0", "description": about, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		Servers:  []object{{"url": "http://127.0.0.1:8080", "description": "where parley serve says it listens"}},
		Security: []object{{"account": []string{}}},
		Paths:    paths,
		Components: object{
			"schemas": w.schemas,
			"securitySchemes": object{
				"account": object{"type": "http", "scheme": "basic", "description": "account SID and auth token, or API key SID and secret"},
				"user":    object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "access token with a chat grant; acts as that identity"},
			},
			"responses": object{"Error": object{"description": "The request was refused, or failed.", "content": jsonOf(ref("Error"))}},
		},
	})
	return b.Bytes(), err
}

type writer struct{ schemas object }

func (w *writer) paths(operations []rest.Operation) (object, error) {
	paths := object{}
	for _, o := range operations {
		item, known := paths[o.Path].(object)
		if !known {
			item = object{}
			if p := pathParameters(o.Path); len(p) > 0 {
				item["parameters"] = p
			}
			paths[o.Path] = item
		}
		operation, err := w.operation(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
		item[strings.ToLower(o.Method)] = operation
	}
	return paths, nil
}

var inBraces = regexp.MustCompile(`\{(\w+)\}`)

func pathParameters(path string) (list []object) {
	for _, m := range inBraces.FindAllStringSubmatch(path, -1) {
		list = append(list, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	return list
}

func (w *writer) operation(o rest.Operation) (object, error) {
	success, err := w.success(o)
	if err != nil {
		return nil, err
	}
	operation := object{
		"operationId": o.Name,
		"responses":   object{strconv.Itoa(o.Status): success, "default": object{"$ref": "#/components/responses/Error"}},
	}
	if p := parameters(o); len(p) > 0 {
		operation["parameters"] = p
	}
	if o.Form && len(o.Params) > 0 {
		operation["requestBody"] = object{"content": object{"application/x-www-form-urlencoded": object{"schema": formSchema(o.Params)}}}
	}
	if o.Bytes {
		operation["requestBody"] = object{"required": true, "content": object{"*/*": object{"schema": object{"type": "string", "format": "binary"}}}}
	}
	if o.Users {
		operation["security"] = []object{{"account": []string{}}, {"user": []string{}}}
	}
	if o.Own {
		operation["x-parley"] = true
	}
	return operation, nil
}

// parameters are those of query and headers.
func parameters(o rest.Operation) (list []object) {
	if !o.Form {
		for _, p := range o.Params {
			list = append(list, described(object{"name": p.Name, "in": "query", "required": p.Required, "schema": schemaOf(p)}, p))
		}
	}
	header := func(name, about string) {
		list = append(list, object{"name": name, "in": "header", "description": about, "schema": object{"type": "string"}})
	}
	if o.Hooks {
		header("X-Twilio-Webhook-Enabled", "true: webhooks hear of it.")
	}
	if o.Writes {
		header("Idempotency-Key", "The same request with the same key is done once. An addition of Parley's.")
		header("If-Match", "The ETag the resource must have. An addition of Parley's.")
	}
	header("Parley-Wait-For", "A Parley-Position that the answer must not be older than. An addition of Parley's.")
	return list
}

func described(o object, p rest.Parameter) object {
	if p.About != "" {
		o["description"] = p.About
	}
	return o
}

func formSchema(params []rest.Parameter) object {
	properties, required := object{}, []string{}
	for _, p := range params {
		properties[p.Name] = described(schemaOf(p), p)
		if p.Required {
			required = append(required, p.Name)
		}
	}
	s := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func schemaOf(p rest.Parameter) object {
	s := object{"type": p.Type}
	for key, text := range map[string]string{"format": p.Format, "pattern": p.Pattern} {
		if text != "" {
			s[key] = text
		}
	}
	if len(p.Values) > 0 {
		s["enum"] = p.Values
	}
	if p.Max > 0 {
		s["maxLength"] = p.Max
	}
	if p.Repeats {
		return object{"type": "array", "items": s}
	}
	return s
}

func (w *writer) success(o rest.Operation) (object, error) {
	answer := object{"description": http.StatusText(o.Status)}
	if o.Answer == nil {
		if o.Status != http.StatusNoContent {
			answer["content"] = object{"*/*": object{"schema": object{"type": "string", "format": "binary"}}}
		}
		return answer, nil
	}
	item, err := w.named(reflect.TypeOf(o.Answer))
	if err != nil {
		return nil, err
	}
	if o.List != "" {
		item = object{"type": "object", "required": []string{o.List, "meta"}, "properties": object{
			o.List: object{"type": "array", "items": item, "maxItems": o.MaxPage}, "meta": ref("PageMeta"),
		}}
	}
	answer["content"] = jsonOf(item)
	return answer, nil
}

func jsonOf(schema object) object { return object{"application/json": object{"schema": schema}} }

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func errorSchema() object {
	text, number := object{"type": "string"}, object{"type": "integer"}
	return object{"type": "object", "required": []string{"code", "message", "more_info", "status"}, "properties": object{
		"code": number, "message": text, "more_info": text, "status": number,
		"details": object{"type": "object", "description": "An addition of Parley's.", "properties": object{
			"code": text, "field": text, "retryable": object{"type": "boolean"},
		}},
	}}
}

func metaSchema() object {
	text, number, maybe := object{"type": "string"}, object{"type": "integer"}, object{"type": []string{"string", "null"}}
	return object{
		"type": "object", "required": []string{"page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"},
		"properties": object{"page": number, "page_size": number, "first_page_url": text, "previous_page_url": maybe, "url": text, "next_page_url": maybe, "key": text},
	}
}
